-- One session that yields to itself.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local limit = require "limit"

meter.args(2000000)
local left

limit.session {
  _start = function(kernel) kernel:yield "phase" end,
  phase = function(kernel)
    left = meter.phase()
    if left then kernel:yield "tick" end
  end,
  tick = function(kernel)
    left = left - 1
    if left > 0 then kernel:yield "tick" else kernel:yield "phase" end
  end,
}

return meter.report
