-- Starts one timer and stops it, the handle used again, while `size` others
-- wait.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local _, _, size = meter.args(500000, 100000)
local delays = meter.delays(100000, 200000)

local function late() end

local before = meter.rss()
local waiting = {}
for i = 1, size do
  local timer = uv.new_timer()
  timer:start(delays[(i & 4095) + 1] // 1 | 0, 0, late)
  waiting[i] = timer
end
meter.set("bytes", (meter.rss() - before) / size)

local timer = uv.new_timer()
for times in meter.phase do
  for i = 1, times do
    timer:start(delays[(i & 4095) + 1] // 1 | 0, 0, late)
    timer:stop()
  end
end
assert(#waiting == size)
meter.report()
