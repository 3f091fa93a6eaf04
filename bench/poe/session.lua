-- n sessions, each with an alias and a heap table: create them, then tell each
-- to give its alias up, which ends it.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

local n = meter.args(100000)
local ids = {}
local before -- resident memory

local function on_start(kernel, heap)
  kernel:alias_set(heap.name)
end

local function on_bye(kernel, heap)
  kernel:alias_remove(heap.name)
end

poe.session.create {
  inline_states = {
    _start = function(kernel)
      collectgarbage()
      before = meter.rss()
      meter.start()
      for i = 1, n do
        ids[i] = poe.session.create {
          inline_states = { _start = on_start, bye = on_bye },
          heap = { name = "worker" .. i },
        }:ID()
      end
      meter.stop(n, "create_ns")
      kernel:yield "stop_all"
    end,
    stop_all = function(kernel) -- what marked their time has passed
      collectgarbage()
      meter.set("bytes", (meter.rss() - before) / n)
      meter.start()
      for i = 1, n do kernel:post(ids[i], "bye") end
    end,
    _stop = function() meter.stop(n, "destroy_ns") end,
  },
}

poe.run()
meter.report()
