-- Megabytes over a TCP connection on the loopback, both ends in this process:
-- 64 KiB a write, the next one when it is written.
local uv = require "luv"
local meter = dofile(arg[0]:match(".*/") .. "../lib/meter.lua")

local CHUNK = ("x"):rep(65536)
local MIB = 1024 * 1024

local ops, warm = meter.args(1024)
local to_send = (warm + ops) * MIB
local to_receive, is_warm = to_send, false
local listener, sender, receiver = uv.new_tcp(), uv.new_tcp(), uv.new_tcp()

local function send(err)
  assert(not err, err)
  if to_send == 0 then return end
  to_send = to_send - #CHUNK
  sender:write(CHUNK, send)
end

local function received(err, bytes)
  assert(not err, err)
  to_receive = to_receive - #bytes
  if not is_warm and to_receive <= ops * MIB then
    is_warm = true
    meter.start()
  end
  if to_receive > 0 then return end
  meter.stop(ops)
  sender:close()
  receiver:close()
end

listener:bind("127.0.0.1", 0)
listener:listen(5, function()
  listener:accept(receiver)
  listener:close()
  receiver:read_start(received)
end)
sender:connect("127.0.0.1", listener:getsockname().port, send)
uv.run()
meter.report()
