-- One session calls another, with an integer, and gets one back.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local limit = require "limit"

meter.args(2000000)

local adder = limit.session {
  add = function(_, _, value) return value + 1 end,
}

limit.session {
  _start = function(kernel)
    local value = 0
    for times in meter.phase do
      for _ = 1, times do value = kernel:call(adder, "add", value) end
    end
  end,
}

return meter.report
