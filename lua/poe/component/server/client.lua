-- SPDX-License-Identifier: MIT
-- A server's side of one client: the session that poe.component.server.tcp makes
-- for each connection.
--
-- It lasts as long as its wheel, or whatever the user has in it. Its connection
-- is over once; the server is told then.
local Base = require "poe.component.base"
local ReadWrite = require "poe.wheel.readwrite"
local linger = require "poe.component.linger"
local poe = require "poe"

local kernel = poe.kernel

local FLUSHED, ERROR = "tcp_server_got_flush", "tcp_server_got_error"
local INPUT = "tcp_server_got_input"
local HIGH, LOW = "tcp_server_got_high", "tcp_server_got_low"

-- Its part of the heap, under a key that nobody else has.
local CONNECTION = setmetatable({}, { __name = "poe.component.server.client" })

--- What is known of a connection beside what its session's heap tells.
---@class poe.component.server.client.connection
---@field heap table
---@field seen number  when it was last seen not to be idle
---@field has_ended boolean  nothing will come any more
---@field is_broken boolean  nothing can be sent any more

---@class poe.component.server.client
local Client = { ERROR = ERROR }

-- What a peer can cause at any time is not worth a line in a log.
local ORDINARY = {
  [0] = true, ECONNRESET = true, EPIPE = true, ETIMEDOUT = true,
  EMSGSIZE = true, EBADMSG = true, ENOBUFS = true,
}

local function log(_, heap, operation, code, text)
  if not ORDINARY[code] then
    Base.log("client " .. tostring(heap.remote_ip), operation, code, text)
  end
end

--- A client's wheel, in its session; nil if it cannot be. Records go straight to
--- the user.
local function wheel(server, socket)
  local given = server.options
  local input, output = server.filters()
  return ReadWrite.new {
    handle = socket, input_filter = input, output_filter = output,
    input_event = given.client_input, error_event = ERROR,
    flushed_event = given.client_flushed and FLUSHED,
    high_event = HIGH, low_event = LOW, high_mark = given.high_mark,
    low_mark = given.low_mark or given.high_mark // 4, max_output = given.max_output,
    stall_timeout = given.write_timeout > 0 and given.write_timeout or nil,
  }
end

--- Whether nothing waits to be sent.
---@param client poe.wheel.readwrite
---@return boolean
function Client.is_sent(client)
  return client:get_driver_out_octets() == 0
end

local function tell_server(server)
  kernel:post(server.id, "disconnected")
end

-- What there is to do when the handler of the end has returned, or failed.
local Over = {}

function Over.__close(over)
  over.heap.client = nil
  if over.wheel then over.wheel:close() end
end

--- The end of a connection, whatever its handler does.
local function disconnect(server, heap)
  local over <close> = setmetatable({ heap = heap }, Over)
  if heap[CONNECTION].has_ended then
    over.wheel = heap.client
    tell_server(server)
  else
    linger.begin(heap, heap.client)
  end
  server.options.client_disconnected(kernel, heap)
end

local function start(server, heap, socket, host, port)
  local given, accepted = server.options, socket
  heap.remote_ip, heap.remote_port = host, port
  heap.shutdown, heap.shutdown_on_error = false, given.client_shutdown_on_error
  if given.client_pre_connect then
    socket = given.client_pre_connect(kernel, heap, socket)
    if not socket or Base.is_stopped() then return accepted:close() end
  end
  heap[CONNECTION] = { heap = heap, seen = poe.monotime(),
    has_ended = false, is_broken = false }
  heap.client = wheel(server, socket)
  if not heap.client then return socket:close() end -- the loop has no room for it
  server.connections[kernel.session:ID()] = heap[CONNECTION]
  given.client_connected(kernel, heap, table.unpack(given.client_args, 1,
    given.client_args.n or #given.client_args))
end

--- Nothing more is wanted from it; it is over when it has all that is for it.
local function finish(server, heap)
  local client = heap.client
  heap.shutdown = true
  if not client then return end
  if heap[CONNECTION].is_broken or Client.is_sent(client) then
    return disconnect(server, heap)
  end
  client:event { input_event = Base.ignore, flushed_event = FLUSHED }
  client:resume_input()
end

--- Its handlers.
---@param server poe.component.server.tcp
---@return table<string, poe.handler>
function Client.states(server)
  local given = server.options
  local flushed = given.client_flushed or Base.ignore
  local failed = given.client_error or log
  local own = { [INPUT] = given.client_input }

  function own._start(_, heap, socket, host, port)
    return start(server, heap, socket, host, port)
  end

  own[FLUSHED] = function(_, heap, ...)
    flushed(kernel, heap, ...)
    local client = heap.client
    if heap.shutdown and client and Client.is_sent(client)
      and not Base.is_stopped() then
      disconnect(server, heap)
    end
  end

  own[ERROR] = function(_, heap, operation, code, ...)
    local connection = heap[CONNECTION]
    local is_first = not heap.got_an_error
    heap.got_an_error = true
    connection.is_broken = connection.is_broken or code ~= 0
    connection.has_ended = connection.is_broken or operation == "read"
    if is_first or not heap.shutdown_on_error then
      failed(kernel, heap, operation, code, ...)
    end
    if heap.shutdown_on_error and not Base.is_stopped() then
      heap.shutdown = true
      kernel:yield "shutdown"
    end
  end

  function own.shutdown(_, heap) finish(server, heap) end

  linger.add(own, function() tell_server(server) end)

  own[HIGH] = function(_, heap) heap.client:pause_input() end
  own[LOW] = function(_, heap) heap.client:resume_input() end
  return own
end

return Client
