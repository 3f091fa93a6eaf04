-- Starts one of `size` waiting timers anew.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local _, _, size = meter.args(500000, 100000)
local delays = meter.delays(100000, 200000)

local function late() end

local timers = {}
for i = 1, size do
  timers[i] = uv.new_timer()
  timers[i]:start(delays[(i & 4095) + 1] // 1 | 0, 0, late)
end
for times in meter.phase do
  for i = 1, times do
    local timer = timers[i * 7919 % size + 1]
    timer:start(delays[(i & 4095) + 1] // 1 | 0, 0, late)
  end
end
meter.report()
