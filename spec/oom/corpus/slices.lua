-- Slices one by one, also within a handler.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:delay("outer", 0.001) end,
    outer = function(kernel)
      kernel:yield("inner")
      kernel:run_one_timeslice()
    end,
    inner = function() end,
  },
}
while poe.kernel:run_one_timeslice() do end
local n = 0
poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:yield("e") end,
    e = function(kernel) n = n + 1; if n < 5 then kernel:yield("e") end end,
  },
}
poe.kernel:run_while(function() return n < 3 end)
poe.run()
