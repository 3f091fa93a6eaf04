-- SPDX-License-Identifier: MIT
-- Clients: one session that connects, talks, and connects again.
-- POE::Component::Client::TCP. See doc/components.md.
--
-- heap.server is the wheel of now: a SocketFactory while it connects, then a
-- ReadWrite, nil in between. At most one of a connection, an attempt at one and
-- a timer for the next attempt exists.
local Base = require "poe.component.base"
local ReadWrite = require "poe.wheel.readwrite"
local linger = require "poe.component.linger"
local SocketFactory = require "poe.wheel.socketfactory"
local endpoint = require "poe.wheel.endpoint"
local options = require "poe.options"
local poe = require "poe"

local kernel = poe.kernel

local INPUT, FLUSHED = "got_server_input", "got_server_flush"
local ERROR = "got_server_error"
local CONNECTED, FAILED = "got_connect_success", "got_connect_error"
local AGAIN = "got_reconnect_time"

---@class poe.component.client.tcp
local Client = {}
Client.__index = Client

---@class poe.component.client.tcp.options
---@field remote_address string  a name, an address; the path, if the domain is "unix"
---@field remote_port? integer|string  or a service
---@field bind_address? string
---@field bind_port? integer|string
---@field domain? "inet"|"inet6"|"unix"
---@field connect_timeout? number  seconds; 30; 0: as long as the system tries
---@field reconnect? true|poe.component.client.tcp.reconnect  by itself
---@field alias? string
---@field args? table  for `started`
---@field started? poe.handler
---@field pre_connect? poe.handler  returns the socket, or nil to give it up
---@field connected? poe.handler
---@field connect_error? poe.handler
---@field disconnected? poe.handler
---@field server_input poe.handler
---@field server_error? poe.handler
---@field server_flushed? poe.handler
---@field filter? poe.component.filter  Line
---@field input_filter? poe.component.filter
---@field output_filter? poe.component.filter
---@field shutdown_on_error? boolean  true
---@field write_timeout? number  seconds in which the server takes nothing; 60; 0: none
---@field max_output? integer  bytes that wait for the server, 8 MiB: it is closed
---@field inline_states? table<string, poe.handler>
---@field object_states? table
---@field package_states? table
---@field session_params? { options: table }
---@field session_type? fun(parameters: table): poe.session

local PARAMETERS = {
  remote_address = { "text", required = true },
  remote_port = { "port" }, bind_address = { "text" }, bind_port = { "port" },
  domain = { "domain" }, connect_timeout = { "seconds", default = 30 },
  reconnect = { "table|boolean" }, alias = { "text" },
  args = { "table", default = {} },
  started = { "function", default = Base.ignore }, pre_connect = { "function" },
  connected = { "function", default = Base.ignore },
  connect_error = { "function" },
  disconnected = { "function", default = Base.ignore },
  server_input = { "function", required = true },
  server_error = { "function" },
  server_flushed = { "function", default = Base.ignore },
  filter = { "filter_source" }, input_filter = { "filter_source" },
  output_filter = { "filter_source" },
  shutdown_on_error = { "boolean", default = true },
  write_timeout = { "seconds", default = 60 },
  max_output = { "size", default = 8 << 20 },
}
for key, parameter in pairs(Base.session_parameters) do
  PARAMETERS[key] = parameter
end

--- When to connect again by itself. The time to wait grows by `factor` with each
--- attempt that fails, and is `delay` again after a connection that held as long
--- as was waited for it.
---@class poe.component.client.tcp.reconnect
---@field delay? number  seconds; 1
---@field factor? number  2
---@field max? number  seconds; 60
---@field jitter? number  that part of the time, at most, is cut by chance; 0.5
---@field tries? integer  so many attempts in a row, then it gives up; no limit

local function is_between(low, high)
  return function(value)
    return type(value) == "number" and value >= low and value <= high
  end
end

options.kinds.factor = {
  text = "a number of at least 1", accepts = is_between(1, 1e6),
}
options.kinds.share = {
  text = "a number from 0 to 1", accepts = is_between(0, 1),
}

local RECONNECT = {
  delay = { "seconds", default = 1 }, factor = { "factor", default = 2 },
  max = { "seconds", default = 60 }, jitter = { "share", default = 0.5 },
  tries = { "size", default = math.maxinteger },
}

-- ---- connecting ---------------------------------------------------------------

--- Gives up what there is: a connection, an attempt, or waiting for one.
local function drop(heap)
  kernel:delay(AGAIN)
  local wheel = heap.server
  heap.server, heap.connected = nil, false
  if wheel then wheel:destroy() end
end

local function connect(self, heap)
  local given = self.options
  drop(heap)
  heap.shutdown, heap.got_an_error = false, nil
  self.is_broken, self.has_ended = false, false
  if given.alias then kernel:alias_set(given.alias) end
  heap.server = SocketFactory.new {
    remote_address = self.address, remote_port = self.port,
    bind_address = given.bind_address, bind_port = given.bind_port,
    socket_domain = given.domain,
    connect_timeout = given.connect_timeout > 0 and given.connect_timeout or nil,
    success_event = CONNECTED, failure_event = FAILED,
  }
end

--- How long to wait for the next attempt; nil if there is none.
local function next_delay(self)
  local again = self.reconnect
  if not again or self.tries >= again.tries then return nil end
  local delay = math.min(again.delay * again.factor ^ self.tries, again.max)
  self.tries = self.tries + 1
  self.waited = delay
  return delay * (1 - again.jitter * math.random())
end

--- Schedules the next attempt, if the component makes one.
local function try_again(self)
  local delay = next_delay(self)
  if delay then kernel:delay(AGAIN, delay) end
  return delay ~= nil
end

-- That the alias has gone before is no mistake, whatever is asserted.
local function give_up(self)
  local alias = self.options.alias
  if alias then pcall(kernel.alias_remove, kernel, alias) end
end

-- ---- the end of a connection ----------------------------------------------------

local function is_sent(wheel)
  return wheel:get_driver_out_octets() == 0
end

--- The end, if all is sent or can never be.
local function finish(self, heap)
  if not self.is_broken and not is_sent(heap.server) then return end
  if poe.monotime() - self.connected_at >= self.waited then self.tries = 0 end
  if not self.has_ended then
    linger.begin(heap, heap.server)
    heap.server = nil
  end
  drop(heap)
  self.options.disconnected(kernel, heap)
  if heap.server or Base.is_stopped() then return end
  if not self.is_wanted or not try_again(self) then
    give_up(self)
  end
end

--- What happens to errors that nobody wants to know: a line on stderr.
local function log(_, heap, operation, code, text)
  if code ~= 0 then
    Base.log("client " .. (heap.alias or kernel.session:ID()), operation, code, text)
  end
end

-- ---- the session ------------------------------------------------------------------

local function wheel(self, socket)
  local given = self.options
  local input, output = self.filters()
  return ReadWrite.new {
    handle = socket, input_filter = input, output_filter = output,
    input_event = INPUT, flushed_event = FLUSHED, error_event = ERROR,
    max_output = given.max_output,
    stall_timeout = given.write_timeout > 0 and given.write_timeout or nil,
  }
end

--- Its handlers while it connects.
local function add_connecting(self, own)
  local given = self.options
  local connect_error = given.connect_error or log

  function own._start(_, heap, ...)
    heap.connected, heap.shutdown = false, false
    heap.shutdown_on_error = given.shutdown_on_error
    heap.alias = given.alias
    if given.alias then assert(kernel:alias_set(given.alias)) end
    kernel:yield "connect"
    given.started(kernel, heap, ...)
  end

  function own.connect(_, heap, address, port)
    self.address, self.port = address or self.address, port or self.port
    self.is_wanted = true
    connect(self, heap)
  end

  function own.reconnect(_, heap) own.connect(kernel, heap) end

  own[AGAIN] = own.reconnect

  own[CONNECTED] = function(_, heap, socket, ...)
    local accepted = socket
    if given.pre_connect then
      socket = given.pre_connect(kernel, heap, socket, ...)
      if Base.is_stopped() then return accepted:close() end
      if not socket then
        accepted:close()
        return own[FAILED](kernel, heap, "connect", "ECANCELED",
          "pre_connect gave the connection up", heap.server:ID())
      end
    end
    heap.server, heap.connected = assert(wheel(self, socket)), true
    self.connected_at = poe.monotime()
    given.connected(kernel, heap, socket, ...)
  end

  own[FAILED] = function(_, heap, ...)
    drop(heap)
    connect_error(kernel, heap, ...)
    if heap.server or Base.is_stopped() then return end
    if self.reconnect and not try_again(self) then
      give_up(self)
    end
  end
end

--- Its handlers while it is connected.
local function add_connected(self, own)
  local given = self.options
  local server_input, server_flushed = given.server_input, given.server_flushed
  local server_error = given.server_error or log

  own[INPUT] = function(_, heap, ...)
    if not heap.shutdown then return server_input(kernel, heap, ...) end
  end

  own[FLUSHED] = function(_, heap, ...)
    server_flushed(kernel, heap, ...)
    if heap.shutdown and heap.connected and not Base.is_stopped() then
      finish(self, heap)
    end
  end

  own[ERROR] = function(_, heap, operation, code, ...)
    local server, is_first = heap.server, not heap.got_an_error
    heap.got_an_error, self.is_broken = true, self.is_broken or code ~= 0
    self.has_ended = self.is_broken or operation == "read"
    if is_first or not heap.shutdown_on_error then
      server_error(kernel, heap, operation, code, ...)
    end
    if heap.shutdown_on_error and heap.server == server
      and not Base.is_stopped() then
      heap.shutdown = true
      finish(self, heap)
    end
  end

  function own.shutdown(_, heap)
    heap.shutdown, self.is_wanted = true, false
    if heap.connected then return finish(self, heap) end
    drop(heap)
    give_up(self)
  end
end

-- ---- new ----------------------------------------------------------------------------

local function check(given)
  local checked = options.check("Client.TCP.new", given, PARAMETERS)
  endpoint.check("Client.TCP.new", checked, checked.domain,
    { "remote_address", "bind_address" }, { "remote_port", "bind_port" })
  if checked.domain == "unix" then
    options.exclude("Client.TCP.new", checked, "remote_address", "bind_address")
  end
  if not checked.remote_port and checked.domain ~= "unix" then
    options.blame "Client.TCP.new: parameter 'remote_port' is missing (a port)"
  end
  if checked.alias and Base.is_taken(checked.alias) then
    options.blame(("Client.TCP.new: parameter 'alias' is another session's: '%s'")
      :format(checked.alias))
  end
  local again = checked.reconnect
  if type(again) == "boolean" then again = again and {} or nil end
  checked.reconnect = again and
    options.check("Client.TCP.new: reconnect", again, RECONNECT)
  return checked
end

--- Starts a client.
---@param given poe.component.client.tcp.options
---@return integer id  of its session
function Client.new(given)
  local checked = check(given)
  local self = setmetatable({
    options = checked, reconnect = checked.reconnect, tries = 0, waited = 0,
    address = checked.remote_address, port = checked.remote_port,
    connected_at = 0, is_wanted = true, is_broken = false, has_ended = false,
  }, Client)
  self.filters = Base.filters("Client.TCP.new", checked, "filter",
    "input_filter", "output_filter")
  local own = {}
  add_connecting(self, own)
  add_connected(self, own)
  linger.add(own, Base.ignore)
  local session = Base.session("Client.TCP.new", checked, own)
  session.args = checked.args
  return checked.session_type(session):ID()
end

Client.spawn = Client.new

return Client
