-- A function that queues itself.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local queue = dofile((arg[0]:match(".*/") or "./") .. "queue.lua")

meter.args(1000000)
local left

local phase

local function tick()
  left = left - 1
  queue.post(left > 0 and tick or phase)
end

function phase()
  left = meter.phase()
  if left then queue.post(tick) end
end

queue.post(phase)
uv.run()
meter.report()
