-- One function queues a call for each of `size` objects, again and again.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local queue = dofile((arg[0]:match(".*/") or "./") .. "queue.lua")

local _, _, size = meter.args(1000000, 1000)
local left
local workers = {}

local Worker = {}
Worker.__index = Worker

function Worker:work(value) self.last = value end

for i = 1, size do workers[i] = setmetatable({}, Worker) end

local phase

local function round()
  for i = 1, size do
    local worker = workers[i]
    queue.post(worker.work, worker, i)
  end
  left = left - size
  queue.post(left > 0 and round or phase)
end

function phase()
  left = meter.phase()
  if left then queue.post(round) end
end

queue.post(phase)
uv.run()
meter.report()
