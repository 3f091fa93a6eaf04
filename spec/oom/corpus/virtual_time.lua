-- Time that jumps.

local poe = require "poe"

poe.configure { virtual_time = true }
poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, 10 do kernel:delay_add("hour", i * 3600) end
    end,
    hour = function(_, heap) heap.n = (heap.n or 0) + 1 end,
  },
}
poe.run()
