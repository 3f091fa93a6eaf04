-- n coroutines, each with a mailbox, registered by name: create them, then
-- tell each to leave the register, which ends it.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local n = meter.args(50000)
local controller = cqueues.new()
local by_name = {}
local started, all_started = 0, condition.new()

local function session(state)
  by_name[state.name] = state
  started = started + 1
  if started == n then all_started:signal() end
  while not state.bye do state.arrived:wait() end
  by_name[state.name] = nil
end

controller:wrap(function()
  collectgarbage()
  local before = meter.rss()
  meter.start()
  for i = 1, n do
    controller:wrap(session, {
      name = "worker" .. i, arrived = condition.new(),
    })
  end
  all_started:wait()
  meter.stop(n, "create_ns")
  collectgarbage()
  meter.set("bytes", (meter.rss() - before) / n)
  meter.start()
  for _, state in pairs(by_name) do
    state.bye = true
    state.arrived:signal()
  end
end)

assert(controller:loop())
meter.stop(n, "destroy_ns")
meter.report()
