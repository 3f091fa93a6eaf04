-- Sets n timers with one integer, due within 100 ms, and lets them all fire.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local limit = require "limit"

local n = meter.args(200000)
local delays = meter.delays(0, 0.1)
local count = 0

limit.session {
  _start = function(kernel)
    meter.start()
    for i = 1, n do kernel:delay_set("due", delays[(i & 4095) + 1], i) end
  end,
  due = function()
    count = count + 1
    if count == n then meter.stop(n) end
  end,
}

return meter.report
