-- One session that yields to itself.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

meter.args(1000000)
local left

poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:yield "phase" end,
    phase = function(kernel)
      left = meter.phase()
      if left then kernel:yield "tick" end
    end,
    tick = function(kernel)
      left = left - 1
      if left > 0 then kernel:yield "tick" else kernel:yield "phase" end
    end,
  },
}

poe.run()
meter.report()
