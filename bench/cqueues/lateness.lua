-- How late one timer at a time comes, of 1 to 20 ms.
local cqueues = require "cqueues"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local n = meter.args(200)
local delays = meter.delays(0.001, 0.02)
local controller = cqueues.new()
local late = {}

controller:wrap(function()
  for i = 1, n do
    local due = cqueues.monotime() + delays[i]
    cqueues.sleep(delays[i])
    late[i] = cqueues.monotime() - due
  end
end)

assert(controller:loop())
meter.lateness(late)
meter.report()
