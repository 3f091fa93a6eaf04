-- A method of another object, by name, called protected.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

meter.args(5000000)

local adder = {}
function adder.add(_, value) return value + 1 end

local value = 0
for times in meter.phase do
  for _ = 1, times do
    local _, result = pcall(adder["add"], adder, value)
    value = result
  end
end
meter.report()
