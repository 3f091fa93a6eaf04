-- n sessions, each with an alias and a heap table: create them, then tell each
-- to give its alias up, which ends it.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local limit = require "limit"

local n = meter.args(100000)
local ids = {}
local start_handler = function(kernel, heap) kernel:alias_set(heap.name) end
local bye_handler = function(kernel, heap) kernel:alias_remove(heap.name) end

limit.session {
  _start = function(kernel)
    collectgarbage()
    local before = meter.rss()
    meter.start()
    for i = 1, n do
      ids[i] = limit.session(
        { _start = start_handler, bye = bye_handler },
        { name = "worker" .. i }
      )
    end
    meter.stop(n, "create_ns")
    collectgarbage()
    meter.set("bytes", (meter.rss() - before) / n)
    meter.start()
    for i = 1, n do kernel:post(ids[i], "bye") end
    kernel:yield "done"
  end,
  done = function() meter.stop(n, "destroy_ns") end,
}

return meter.report
