-- Starts a timer of its own and closes it, while `size` others wait.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local n, warm, size = meter.args(300000, 100000)
local delays = meter.delays(100000, 200000)

local function late() end

local function set(i)
  local timer = uv.new_timer()
  timer:start(delays[(i & 4095) + 1] // 1 | 0, 0, late)
  return timer
end

local before = meter.rss()
local waiting = {}
for i = 1, size do waiting[i] = set(i) end
meter.set("bytes", (meter.rss() - before) / size)

-- Closed handles are given back by a turn of the loop: one in a thousand.
local function set_and_cancel(times)
  for i = 1, times do
    set(i):close()
    if i % 1000 == 0 then uv.run "nowait" end
  end
end

assert(#waiting == size and n > warm)
for times in meter.phase do set_and_cancel(times) end
meter.report()
