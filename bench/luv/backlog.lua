-- A backlog of n calls with an integer, a string and a table: queue all, then
-- make all. With "pause" as second argument, the longest gap in CPU time
-- between two is taken too.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local queue = dofile((arg[0]:match(".*/") or "./") .. "queue.lua")

local n = meter.args(1000000)
local pause = arg[2] == "pause" and meter.pause()
local shared = {}
local count = 0
local before

local function event()
  if pause then pause() end
  count = count + 1
  if count == n then meter.stop(n) end
end

collectgarbage()
before = meter.rss()
meter.start()
for i = 1, n do
  queue.post(event, i, "text", shared)
  if pause then pause() end
end
meter.set("bytes", (meter.rss() - before) / n)
uv.run()
collectgarbage()
meter.set("kept", (meter.rss() - before) / n)
meter.report()
