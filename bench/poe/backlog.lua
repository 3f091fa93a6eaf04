-- A backlog of n events with an integer, a string and a table: post all, then
-- handle all. With "pause" as second argument, the longest gap in CPU time
-- between two posts or two deliveries is taken too.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

local n = meter.args(1000000)
local pause = arg[2] == "pause" and meter.pause()
local shared = {}
local count = 0
local before

local sink = poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:alias_set "sink" end,
    event = function(kernel)
      if pause then pause() end
      count = count + 1
      if count < n then return end
      meter.stop(n)
      kernel:delay("settle", 0.01)
    end,
    settle = function()
      collectgarbage()
      meter.set("kept", (meter.rss() - before) / n)
    end,
  },
}:ID()

poe.session.create {
  inline_states = {
    _start = function(kernel)
      collectgarbage()
      before = meter.rss()
      meter.start()
      for i = 1, n do
        kernel:post(sink, "event", i, "text", shared)
        if pause then pause() end
      end
      meter.set("bytes", (meter.rss() - before) / n)
    end,
  },
}

poe.run()
meter.report()
