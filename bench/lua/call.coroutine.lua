-- A coroutine that answers: one resume and one yield a call.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

meter.args(5000000)

local add = coroutine.wrap(function(value)
  while true do value = coroutine.yield(value + 1) end
end)

local value = 0
for times in meter.phase do
  for _ = 1, times do value = add(value) end
end
meter.report()
