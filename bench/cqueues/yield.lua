-- A coroutine that gives way and goes on.
local cqueues = require "cqueues"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

meter.args(300000)
local controller = cqueues.new()

controller:wrap(function()
  for times in meter.phase do
    for _ = 1, times do cqueues.sleep(0) end
  end
end)

assert(controller:loop())
meter.report()
