-- Moves one of `size` waiting timers.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

local _, _, size = meter.args(1000000, 100000)
local delays = meter.delays(100, 200)

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local ids = {}
      for i = 1, size do
        ids[i] = kernel:delay_set("late", delays[(i & 4095) + 1])
      end
      for times in meter.phase do
        for i = 1, times do
          local id = ids[i * 7919 % size + 1]
          kernel:delay_adjust(id, delays[(i & 4095) + 1])
        end
      end
      kernel:stop()
    end,
    late = function() end,
  },
}

poe.run()
meter.report()
