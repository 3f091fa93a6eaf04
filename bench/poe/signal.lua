-- A session sends itself a signal that it watches.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

meter.args(500000)
local left

poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:sig("PULSE", "pulse")
      kernel:yield "phase"
    end,
    phase = function(kernel)
      left = meter.phase()
      if left then kernel:signal(kernel.session, "PULSE") end
    end,
    pulse = function(kernel)
      left = left - 1
      if left > 0 then
        kernel:signal(kernel.session, "PULSE")
      else
        kernel:yield "phase"
      end
    end,
  },
}

poe.run()
meter.report()
