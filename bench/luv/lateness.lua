-- How late one timer at a time comes, of 1 to 20 ms, in libuv's whole ms.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local n = meter.args(200)
local delays = meter.delays(0.001, 0.02)
local timer = uv.new_timer()
local late = {}

local function set()
  local delay = delays[#late + 1]
  local due = uv.hrtime() / 1e9 + delay
  timer:start(math.ceil(delay * 1e3), 0, function()
    late[#late + 1] = uv.hrtime() / 1e9 - due
    if #late < n then set() else timer:close() end
  end)
end

set()
uv.run()
meter.lateness(late)
meter.report()
