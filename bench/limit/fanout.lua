-- One session posts an integer to each of `size` sessions, again and again.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local limit = require "limit"

local _, _, size = meter.args(2000000, 1000)
local left
local workers = {}

for i = 1, size do
  workers[i] = limit.session {
    work = function(_, heap, value) heap.last = value end,
  }
end

limit.session {
  _start = function(kernel) kernel:yield "phase" end,
  phase = function(kernel)
    left = meter.phase()
    if left then kernel:yield "round" end
  end,
  round = function(kernel)
    for i = 1, size do kernel:post(workers[i], "work", i) end
    left = left - size
    if left > 0 then kernel:yield "round" else kernel:yield "phase" end
  end,
}

return meter.report
