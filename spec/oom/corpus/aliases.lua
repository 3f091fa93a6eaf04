-- Aliases: many, taken, resolved.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, 20 do kernel:alias_set("alias " .. i) end
      poe.session.create {
        inline_states = {
          _start = function(k)
            k:alias_set("alias 1")
            k:alias_set("other")
          end,
        },
      }
      for i = 1, 10 do kernel:alias_remove("alias " .. i) end
      kernel:alias_list()
      kernel:alias_resolve("alias 11")
      kernel:alias_resolve("nobody")
    end,
  },
}
poe.run()
