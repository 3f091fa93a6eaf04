-- A backlog of n messages with an integer, a string and a table in a
-- coroutine's mailbox: post all, then take all. With "pause" as second
-- argument, the longest gap in CPU time between two is taken too.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local n = meter.args(1000000)
local pause = arg[2] == "pause" and meter.pause()
local controller = cqueues.new()
local shared = {}
local count = 0
local box, first, last = {}, 1, 0
local arrived = condition.new()

local function handle()
  if pause then pause() end
  count = count + 1
end

controller:wrap(function()
  while count < n do
    while first > last do arrived:wait() end
    local message = box[first]
    box[first] = nil
    first = first + 1
    handle(message[1], message[2], message[3])
  end
  meter.stop(n)
end)

controller:wrap(function()
  collectgarbage()
  local before = meter.rss()
  meter.start()
  for i = 1, n do
    last = last + 1
    box[last] = { i, "text", shared }
    arrived:signal()
    if pause then pause() end
  end
  meter.set("bytes", (meter.rss() - before) / n)
end)

assert(controller:loop())
meter.report()
