-- Sets a timer and removes it, while `size` others wait.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local limit = require "limit"

local _, _, size = meter.args(1000000, 100000)
local delays = meter.delays(100, 200)

limit.session {
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
    limit.stop()
  end,
  late = function() end,
}

return meter.report
