-- Signals of one's own, through a tree, handled and not.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:sig("HELLO", "heard", 1, 2)
      kernel:sig("TERM", "heard")
      kernel:sig("TERM")
      for i = 1, 4 do
        poe.session.create {
          inline_states = {
            _start = function(k) k:alias_set("c" .. i); k:sig("HELLO", "heard") end,
            heard = function(k) k:sig_handled() end,
          },
        }
      end
      kernel:signal(kernel, "HELLO", 3)
      kernel:signal(kernel.session, "HUP")
    end,
    heard = function(_, heap, name) heap[#heap + 1] = name end,
  },
}
poe.run()
