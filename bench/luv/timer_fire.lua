-- Sets n timers with one integer, due within 100 ms, and lets them all fire.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local n = meter.args(200000)
local delays = meter.delays(0, 100)
local count = 0

local function due(_)
  count = count + 1
  if count == n then meter.stop(n) end
end

meter.start()
for i = 1, n do
  local timer = uv.new_timer()
  timer:start(delays[(i & 4095) + 1] // 1 | 0, 0, function()
    timer:close()
    due(i)
  end)
end
uv.run()
meter.report()
