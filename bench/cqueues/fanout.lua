-- One coroutine posts an integer to each of `size` coroutines, again and again.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local _, _, size = meter.args(300000, 1000)
local controller = cqueues.new()
local left = meter.phase()
local boxes = {}

local function work(box)
  while left do
    box.arrived:wait()
    while box.value do
      box.last, box.value = box.value, nil
    end
  end
end

for i = 1, size do
  boxes[i] = { arrived = condition.new() }
  controller:wrap(work, boxes[i])
end

controller:wrap(function()
  cqueues.sleep(0)
  while left do
    for i = 1, size do
      boxes[i].value = i
      boxes[i].arrived:signal()
    end
    cqueues.sleep(0)
    left = left - size
    if left <= 0 then left = meter.phase() end
  end
  for i = 1, size do boxes[i].arrived:signal() end
end)

assert(controller:loop())
meter.report()
