-- Megabytes over a TCP connection on the loopback, both ends in this process,
-- through wheels: ReadWrite with Stream, 64 KiB a record.
local ReadWrite = require "poe.wheel.readwrite"
local SocketFactory = require "poe.wheel.socketfactory"
local Stream = require "poe.filter.stream"
local meter = dofile(arg[0]:match(".*/") .. "../lib/meter.lua")
local poe = require "poe"

local CHUNK = ("x"):rep(65536)
local MIB = 1024 * 1024

local ops, warm = meter.args(1024)
local to_send = (warm + ops) * MIB
local to_receive, is_warm = to_send, false

local function send(_, heap)
  while to_send > 0 do
    to_send = to_send - #CHUNK
    if heap.sender:put(CHUNK) then return end
  end
end

poe.session.create { inline_states = {
  _start = function(_, heap)
    heap.server = SocketFactory.new { success_event = "accepted",
      failure_event = "failed" }
    local host, port = heap.server:getsockname()
    heap.client = SocketFactory.new { remote_address = host, remote_port = port,
      success_event = "connected", failure_event = "failed" }
  end,
  accepted = function(_, heap, socket)
    heap.receiver = ReadWrite.new { handle = socket, filter = Stream.new(),
      input_event = "received", error_event = "failed" }
    heap.server:destroy()
  end,
  connected = function(kernel, heap, socket)
    heap.sender = ReadWrite.new { handle = socket, filter = Stream.new(),
      high_mark = 4 * #CHUNK, low_mark = #CHUNK, low_event = "send",
      error_event = "failed" }
    kernel:yield "send"
  end,
  send = send,
  received = function(_, heap, bytes)
    to_receive = to_receive - #bytes
    if not is_warm and to_receive <= ops * MIB then
      is_warm = true
      meter.start()
    end
    if to_receive > 0 then return end
    meter.stop(ops)
    heap.sender:destroy()
    heap.receiver:destroy()
    heap.client:destroy()
  end,
  failed = function(_, _, ...) error(table.concat({ ... }, " ")) end,
} }
poe.run()
meter.report()
