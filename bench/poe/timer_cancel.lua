-- Sets a timer and removes it, while `size` others wait.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

local _, _, size = meter.args(1000000, 100000)
local delays = meter.delays(100, 200)

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local before = meter.rss()
      for i = 1, size do
        kernel:delay_set("late", delays[(i & 4095) + 1])
      end
      meter.set("bytes", (meter.rss() - before) / size)
      for times in meter.phase do
        for i = 1, times do
          local id = kernel:delay_set("late", delays[(i & 4095) + 1])
          kernel:alarm_remove(id)
        end
      end
      kernel:stop()
    end,
    late = function() end,
  },
}

poe.run()
meter.report()
