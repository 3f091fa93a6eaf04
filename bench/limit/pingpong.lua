-- Two sessions send each other an integer and a string.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local limit = require "limit"

meter.args(2000000)
local left

local states = {
  phase = function(kernel, heap)
    left = meter.phase()
    if left then kernel:post(heap.peer, "ball", 1, "text") end
  end,
  ball = function(kernel, heap, number, text)
    left = left - 1
    if left > 0 then
      kernel:post(heap.peer, "ball", number, text)
    else
      kernel:yield "phase"
    end
  end,
}

local heap = {}
local other = limit.session(states, heap)
states._start = function(kernel, own)
  own.peer = other
  kernel:yield "phase"
end
heap.peer = limit.session(states)

return meter.report
