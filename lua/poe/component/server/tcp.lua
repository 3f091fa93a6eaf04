-- SPDX-License-Identifier: MIT
-- Servers: one session that listens, and one for each client.
-- POE::Component::Server::TCP. See doc/components.md.
--
-- The one that listens counts connections, pauses when there are enough, and looks
-- now and then for those that are idle. So one is never closed early, and late by
-- two looks at most: two tenths of its deadline, or two seconds.
local Base = require "poe.component.base"
local Client = require "poe.component.server.client"
local SocketFactory = require "poe.wheel.socketfactory"
local endpoint = require "poe.wheel.endpoint"
local options = require "poe.options"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

local CONNECTIONS, RESERVE = 1024, 32 -- at most; descriptors for all else
local FD_SETSIZE = 1024
local LOOKS, LONGEST = 10, 1 -- for idle ones, a deadline; seconds between them

local ACCEPT, SWEEP = "tcp_server_got_connection", "tcp_server_sweep"
local ERROR = Client.ERROR

---@class poe.component.server.tcp
local Server = {}
Server.__index = Server

---@class poe.component.server.tcp.options
---@field address? string  127.0.0.1; the path, if the domain is "unix"
---@field hostname? string  instead: is resolved
---@field port? integer|string  or a service; 0: the system chooses
---@field domain? "inet"|"inet6"|"unix"
---@field alias? string
---@field concurrency? integer  connections at the same time; -1: as many as are safe
---@field acceptor? poe.handler  does all with a new connection
---@field error? poe.handler
---@field started? poe.handler
---@field stopped? poe.handler
---@field listener_args? table  for `started`
---@field client_args? table  for `client_connected`
---@field client_connected? poe.handler
---@field client_disconnected? poe.handler
---@field client_error? poe.handler
---@field client_filter? poe.component.filter  Line
---@field client_flushed? poe.handler
---@field client_input? poe.handler
---@field client_input_filter? poe.component.filter
---@field client_output_filter? poe.component.filter
---@field client_pre_connect? poe.handler  returns the socket, or nil to refuse it
---@field client_shutdown_on_error? boolean  true
---@field idle_timeout? number  seconds; 300; 0: none
---@field write_timeout? number  seconds in which a client takes nothing; 60; 0: none
---@field high_mark? integer  bytes that wait for a client, 1 MiB: nothing is read from it
---@field low_mark? integer  bytes, a quarter of that: it is read from again
---@field max_output? integer  bytes that wait for a client, 8 MiB: it is closed
---@field inline_states? table<string, poe.handler>  of the clients' sessions
---@field object_states? table
---@field package_states? table
---@field session_params? { options: table }
---@field session_type? fun(parameters: table): poe.session

local PARAMETERS = {
  address = { "text" }, hostname = { "text" },
  port = { "port" }, domain = { "domain" }, alias = { "text" },
  concurrency = { "integer", default = -1 },
  acceptor = { "function" }, error = { "function" },
  started = { "function", default = Base.ignore },
  stopped = { "function", default = Base.ignore },
  listener_args = { "table", default = {} },
  client_args = { "table", default = {}, also = "Args" },
  client_connected = { "function", default = Base.ignore },
  client_disconnected = { "function", default = Base.ignore },
  client_error = { "function" },
  client_filter = { "filter_source" },
  client_flushed = { "function" },
  client_input = { "function" },
  client_input_filter = { "filter_source" },
  client_output_filter = { "filter_source" },
  client_pre_connect = { "function" },
  client_shutdown_on_error = { "boolean", default = true },
  idle_timeout = { "seconds", default = 300 },
  write_timeout = { "seconds", default = 60 },
  high_mark = { "size", default = 1 << 20 },
  low_mark = { "size" },
  max_output = { "size", default = 8 << 20 },
}
for key, parameter in pairs(Base.session_parameters) do
  PARAMETERS[key] = parameter
end

-- ---- enough and too much --------------------------------------------------------

--- How many connections there may be. select(2) has no place for more descriptors.
local function limit_of(self, concurrency)
  local descriptors = sys.getrlimit "nofile"
  if kernel:poe_kernel_loop() == "select" then
    descriptors = math.min(descriptors, FD_SETSIZE)
  end
  local room = math.max(descriptors - RESERVE, 1)
  if concurrency >= 0 then return math.min(concurrency, room) end
  return self.options.acceptor and math.huge or math.min(CONNECTIONS, room)
end

--- Accepts, or does not, as there is room.
local function update(self, heap)
  local wanted = heap.connections < self.limit
  if not heap.listener or wanted == self.is_accepting then return end
  self.is_accepting = wanted
  if wanted then
    heap.listener:resume_accept()
  else
    heap.listener:pause_accept()
  end
end

local function count(self, heap, change)
  heap.connections = heap.connections + change
  update(self, heap)
end

local function set_concurrency(self, heap, concurrency)
  heap.concurrency = concurrency
  self.limit = limit_of(self, concurrency)
  update(self, heap)
end

-- ---- the clients ------------------------------------------------------------------

local function add_client(self, socket, host, port)
  local session = self.client_session
  self.options.session_type {
    inline_states = session.inline_states, object_states = session.object_states,
    package_states = session.package_states, options = session.options,
    args = { socket, host, port },
  }
end

--- Forgets a client's session, if it was known.
local function forget(self, heap, id)
  if not self.connections[id] then return end
  self.connections[id] = nil
  if not next(self.connections) then kernel:delay(SWEEP) end
  count(self, heap, -1)
end

--- Whether there was nothing to do for too long.
local function is_idle(self, connection)
  local client, now = connection.heap.client, poe.monotime()
  if not client or client:was_active() or not Client.is_sent(client) then
    connection.seen = now
  end
  return now - connection.seen >= self.options.idle_timeout
end

--- Looks for idle connections, and ends them.
local function sweep(self)
  local idle = {}
  for id, connection in pairs(self.connections) do
    if is_idle(self, connection) then idle[id] = connection end
  end
  local text = ("nothing came for %g seconds"):format(self.options.idle_timeout)
  for id, connection in pairs(idle) do
    connection.seen = poe.monotime()
    kernel:call(id, ERROR, "read", "ETIMEDOUT", text, connection.heap.client:ID())
  end
  kernel:delay(SWEEP, next(self.connections) and self.period)
end

-- ---- the session that listens -------------------------------------------------------

local function listen(given)
  local is_inet = given.domain ~= "unix"
  return SocketFactory.new {
    socket_domain = given.domain, bind_address = given.address or given.hostname,
    bind_port = given.port, reuse = is_inet or nil,
    success_event = ACCEPT, failure_event = ERROR,
  }
end

--- What happens to an error that nobody wants to know.
local function log_error(_, heap, operation, code, text)
  Base.log("server " .. (heap.alias or kernel.session:ID()), operation, code, text)
  kernel:yield "shutdown"
end

local function start(self, heap, ...)
  local given = self.options
  if given.alias then
    heap.alias = given.alias
    assert(kernel:alias_set(given.alias))
  end
  self.id = kernel.session:ID()
  heap.connections, heap.listener = 0, listen(given)
  set_concurrency(self, heap, given.concurrency)
  given.started(kernel, heap, ...)
end

local function stop_listening(heap)
  if not heap.listener then return end
  heap.listener:destroy()
  heap.listener = nil
  if heap.alias then kernel:alias_remove(heap.alias) end
end

--- Its handlers, when connections are the user's.
local function add_user_clients(self, own)
  local acceptor = self.options.acceptor

  own[ACCEPT] = function(_, heap, ...)
    count(self, heap, 1)
    return acceptor(kernel, heap, ...)
  end

  function own.disconnected(_, heap)
    if heap.connections > 0 then count(self, heap, -1) end
  end
end

--- Its handlers, when they are ours.
local function add_clients(self, own)
  own[ACCEPT] = function(_, _, socket, host, port)
    if not next(self.connections) and self.options.idle_timeout > 0 then
      kernel:delay(SWEEP, self.period)
    end
    add_client(self, socket, host, port)
  end

  function own._child(_, heap, what, child)
    if what == "create" and self.connections[child:ID()] then
      count(self, heap, 1)
    elseif what == "lose" then
      forget(self, heap, child:ID())
    end
  end

  function own.disconnected(_, heap) forget(self, heap, kernel.sender:ID()) end

  own[SWEEP] = function() sweep(self) end
end

local function states(self)
  local given = self.options
  local own = { _stop = given.stopped, [ERROR] = given.error or log_error }

  function own._start(_, heap, ...) start(self, heap, ...) end

  function own.set_concurrency(_, heap, concurrency)
    set_concurrency(self, heap, math.tointeger(concurrency))
  end

  function own.shutdown(_, heap) stop_listening(heap) end

  if given.acceptor then add_user_clients(self, own) else add_clients(self, own) end
  return own
end

-- ---- new --------------------------------------------------------------------------

local function check(given)
  local checked = options.check("Server.TCP.new", given, PARAMETERS)
  options.exclude("Server.TCP.new", checked, "address", "hostname")
  endpoint.check("Server.TCP.new", checked, checked.domain,
    { "address", "hostname" }, { "port" })
  if checked.domain == "unix" and not (checked.address or checked.hostname) then
    options.blame "Server.TCP.new: parameter 'address' is missing (a path)"
  end
  options.exclude("Server.TCP.new", checked, "acceptor", "client_input")
  if not checked.acceptor and not checked.client_input then
    options.blame "Server.TCP.new: parameter 'client_input' is missing (a function)"
  elseif checked.alias and Base.is_taken(checked.alias) then
    options.blame(("Server.TCP.new: parameter 'alias' is another session's: '%s'")
      :format(checked.alias))
  end
  return checked
end

--- Starts a server.
---@param given poe.component.server.tcp.options
---@return integer id  of the session that listens
function Server.new(given)
  local checked = check(given)
  local self = setmetatable({
    options = checked, connections = {}, limit = 0, is_accepting = true,
    period = math.min(checked.idle_timeout / LOOKS, LONGEST),
  }, Server)
  self.filters = Base.filters("Server.TCP.new", checked, "client_filter",
    "client_input_filter", "client_output_filter")
  self.client_session = Base.session("Server.TCP.new", checked,
    Client.states(self))
  local session = poe.session.create {
    inline_states = states(self), args = checked.listener_args,
  }
  return session:ID()
end

Server.spawn = Server.new

return Server
