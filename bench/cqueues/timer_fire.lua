-- n coroutines that sleep up to 100 ms once.
local cqueues = require "cqueues"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local n = meter.args(50000)
local delays = meter.delays(0, 0.1)
local controller = cqueues.new()

meter.start()
for i = 1, n do
  controller:wrap(function() cqueues.sleep(delays[(i & 4095) + 1]) end)
end
assert(controller:loop())
meter.stop(n)
meter.report()
