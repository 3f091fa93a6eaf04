-- How late one timer at a time comes, of 1 to 20 ms.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

local n = meter.args(200)
local delays = meter.delays(0.001, 0.02)
local late = {}

poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:yield "set" end,
    set = function(kernel, heap)
      local delay = delays[#late + 1]
      heap.due = poe.monotime() + delay
      kernel:delay_set("due", delay)
    end,
    due = function(kernel, heap)
      late[#late + 1] = poe.monotime() - heap.due
      if #late < n then kernel:yield "set" else meter.lateness(late) end
    end,
  },
}

poe.run()
meter.report()
