-- n objects, each registered by name with a state table: create them, then
-- tell each through the queue to leave the register.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local queue = dofile((arg[0]:match(".*/") or "./") .. "queue.lua")

local n = meter.args(100000)
local sessions = {}
local by_name = {}

local Session = {}
Session.__index = Session

function Session.new(state)
  local self = setmetatable({ state = state }, Session)
  self:start()
  return self
end

function Session:start() by_name[self.state.name] = self end

function Session:bye() by_name[self.state.name] = nil end

collectgarbage()
local before = meter.rss()
meter.start()
for i = 1, n do sessions[i] = Session.new { name = "worker" .. i } end
meter.stop(n, "create_ns")
collectgarbage()
meter.set("bytes", (meter.rss() - before) / n)
meter.start()
for i = 1, n do
  local session = sessions[i]
  sessions[i] = nil
  queue.post(session.bye, session)
end
uv.run()
meter.stop(n, "destroy_ns")
assert(next(by_name) == nil)
meter.report()
