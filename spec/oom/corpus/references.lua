-- Tags that hold a session.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local id = kernel.session:ID()
      for i = 1, 12 do
        kernel:refcount_increment(id, "tag " .. i)
        kernel:refcount_increment(id, "tag " .. i)
      end
      kernel:delay("release", 0.001)
    end,
    release = function(kernel)
      local id = kernel.session:ID()
      for i = 1, 12 do
        kernel:refcount_decrement(id, "tag " .. i)
        kernel:refcount_decrement(id, "tag " .. i)
      end
    end,
  },
}
poe.run()
