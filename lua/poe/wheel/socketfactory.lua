-- SPDX-License-Identifier: MIT
-- Sockets that listen, connect, or are bound, without blocking.
-- POE::Wheel::SocketFactory.
--
-- A client looks its names up, then tries one address after the other, each for
-- its share of the time that is left.
local Base = require "poe.wheel.base"
local acceptor = require "poe.wheel.acceptor"
local endpoint = require "poe.wheel.endpoint"
local lookup = require "poe.wheel.lookup"
local options = require "poe.options"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

options.kinds.socket_type = {
  text = "'stream' or 'dgram'", shows = true,
  accepts = function(value) return value == "stream" or value == "dgram" end,
}
options.kinds.protocol = {
  text = "'tcp' or 'udp'", shows = true,
  accepts = function(value) return value == "tcp" or value == "udp" end,
}

---@class poe.wheel.socketfactory.options
---@field socket_domain? "inet"|"inet6"|"unix"  of a client: any, if it is not given
---@field socket_type? "stream"|"dgram"
---@field socket_protocol? "tcp"|"udp"
---@field bind_address? string  or path; a server's is 127.0.0.1
---@field bind_port? integer|string  0: the system chooses
---@field reuse? boolean
---@field listen_queue? integer
---@field remote_address? string  or path: connects to it
---@field remote_port? integer|string
---@field connect_timeout? number  seconds, for names and all addresses together
---@field success_event string  (socket, address, port, ID)
---@field failure_event string  (operation, code, text, ID)

---@class poe.wheel.socketfactory: poe.wheel
local SocketFactory = Base.class("SocketFactory", {
  socket_domain = { "domain" }, socket_type = { "socket_type" },
  socket_protocol = { "protocol" },
  bind_address = { "text" }, bind_port = { "port" }, reuse = { "boolean" },
  listen_queue = { "size" },
  remote_address = { "text" }, remote_port = { "port" },
  connect_timeout = { "seconds" },
  success_event = { "text", required = true },
  failure_event = { "text", required = true },
})
SocketFactory.failure = "failure_event"

local TYPES = { tcp = "stream", udp = "dgram" }

local function refuse(where, text, ...)
  options.blame(where .. ": " .. text:format(...))
end

local function check_unix(where, checked)
  for _, name in ipairs { "socket_protocol", "reuse" } do
    if checked[name] ~= nil then
      refuse(where, "parameter '%s' is not for Unix sockets", name)
    end
  end
  if not checked.bind_address and not checked.remote_address then
    refuse(where, "parameter 'bind_address' or 'remote_address' is missing")
  end
  options.exclude(where, checked, "bind_address", "remote_address")
end

function SocketFactory.check(where, checked)
  local protocol = checked.socket_protocol
  if protocol and TYPES[protocol] ~= (checked.socket_type or TYPES[protocol]) then
    refuse(where, "parameter 'socket_protocol' does not fit 'socket_type'")
  end
  endpoint.check(where, checked, checked.socket_domain,
    { "bind_address", "remote_address" }, { "bind_port", "remote_port" })
  if checked.socket_domain == "unix" then
    check_unix(where, checked)
  elseif checked.remote_address and not checked.remote_port then
    refuse(where, "parameter 'remote_port' is missing")
  end
  if checked.remote_address then
    options.exclude(where, checked, "remote_address", "listen_queue")
    return
  end
  for _, name in ipairs { "remote_port", "connect_timeout" } do
    if checked[name] then refuse(where, "parameter '%s' needs 'remote_address'", name) end
  end
end

-- The fields of its core.
---@class poe.wheel.socketfactory.core: poe.wheel.acceptor.core
---@field wanted poe.wheel.socketfactory.options  as checked
---@field addresses poe.wheel.address[]  to be tried
---@field address? poe.wheel.address  that is tried now
---@field failure { [1]: string, [2]: string, [3]: string }  operation, message, code
---@field deadline? number  on the monotonic clock
---@field is_made? boolean  `new` has returned: events may come at once

-- ---- failure and success ----------------------------------------------------------------

--- The event comes when `new` has returned, as all others.
local function fail(core, operation, message, code)
  core.failure = { operation, message, code }
  core:delay "deadline"
  if core.is_made then return core:report(operation, message, code) end
  core:defer "failed"
end

--- The socket goes to the user.
local function succeed(core, host, port)
  local socket = core.socket
  core.socket = nil
  core:delay "deadline"
  core:disown(socket)
  if not core.events.success_event then return socket:close() end
  core:emit("success_event", socket, host, port, core.id)
end

-- ---- servers and sockets without a peer -------------------------------------------------

local function on_client(core, client, host, port)
  core:emit("success_event", client, host, port, core.id)
end

--- Bound, and listening if its type can.
local function open_local(wanted, address)
  if wanted.socket_domain == "unix" then
    local make = wanted.socket_type == "dgram" and sys.unix.bind or sys.unix.listen
    return make { path = wanted.bind_address,
      backlog = wanted.socket_type ~= "dgram" and wanted.listen_queue or nil }
  elseif wanted.socket_type == "dgram" then
    return sys.udp.bind { host = address.host, port = address.port,
      reuse = wanted.reuse or false }
  end
  return sys.tcp.listen { host = address.host, port = address.port,
    reuse = wanted.reuse or false, backlog = wanted.listen_queue }
end

local function bind(core, address)
  local socket, message, code, step = open_local(core.wanted, address)
  if not socket then return fail(core, step, message, code) end
  core.socket = socket
  core:own(socket)
  if core.wanted.socket_type == "dgram" then return core:defer "bound" end
  core.on_client = on_client
  local ok
  ok, message, code = acceptor.start(core)
  if ok then return end
  core.socket = nil
  core:close_handles()
  return fail(core, "accept", message, code)
end

local function start_server(core)
  local wanted = core.wanted
  local domain = wanted.socket_domain
  if domain == "unix" then return bind(core) end
  lookup.start(core, {
    host = wanted.bind_address or endpoint.LOOPBACK[domain or "inet"],
    port = wanted.bind_port or 0, family = domain, type = wanted.socket_type,
  }, function(_, addresses, message, code)
    if not addresses then return fail(core, "resolve", message, code) end
    return bind(core, addresses[1])
  end)
end

-- ---- clients ---------------------------------------------------------------------------------

local function open_remote(core, address)
  local wanted, from = core.wanted, core.from
  if wanted.socket_domain == "unix" then
    return sys.unix.connect { path = wanted.remote_address, type = wanted.socket_type }
  end
  local make = wanted.socket_type == "dgram" and sys.udp.connect or sys.tcp.connect
  return make { host = address.host, port = address.port,
    bind_host = from and from.host, bind_port = from and from.port }
end

--- Each address has an equal part of the time.
local function limit(core)
  if core.deadline then
    local left = math.max(core.deadline - poe.monotime(), 0)
    core:delay("deadline", left / (#core.addresses + 1))
  end
end

local function drop_socket(core)
  local socket = core.socket
  core.socket = nil
  core:disown(socket)
  socket:close()
end

--- The socket is the wheel's, if the loop can tell when it is connected.
local function await_connection(core, socket)
  core.socket = socket
  core:own(socket)
  local ok, message, code = kernel:select_write(socket, core.states.connect)
  if ok then return socket end
  drop_socket(core)
  return nil, message, code, "connect"
end

local function try_next(core)
  while core.addresses[1] do
    local address = table.remove(core.addresses, 1)
    core.address = address
    local socket, message, code, step = open_remote(core, address)
    if socket then
      socket, message, code, step = await_connection(core, socket)
    end
    if socket then return limit(core) end
    core.failure = { step, message, code }
  end
  return fail(core, table.unpack(core.failure))
end

--- The last address has failed.
local function give_up(core, message, code)
  local address = core.address
  message = ("%s: %s"):format(message, address.port
    and ("%s port %d"):format(address.host, address.port) or address.host)
  drop_socket(core)
  core.failure = { "connect", message, code }
  return try_next(core)
end

local function connected(core)
  local socket = core.socket
  local message, code = socket:connect_error()
  if code == "EINPROGRESS" then return end
  if message then return give_up(core, message, code) end
  local host, port, why = socket:getpeername()
  if not host then return give_up(core, port, why) end
  kernel:select_write(socket)
  return succeed(core, host, port)
end

local function late(core)
  local message = ("ETIMEDOUT: no connection in %g seconds")
    :format(core.wanted.connect_timeout)
  if lookup.stop(core) then return fail(core, "resolve", message, "ETIMEDOUT") end
  if core.socket then return give_up(core, message, "ETIMEDOUT") end
end

local function look_up_remote(core)
  local wanted = core.wanted
  lookup.start(core, {
    host = wanted.remote_address, port = wanted.remote_port,
    family = wanted.socket_domain, type = wanted.socket_type,
  }, function(_, addresses, message, code)
    if not addresses then return fail(core, "resolve", message, code) end
    core.addresses = addresses
    return try_next(core)
  end)
end

local function start_client(core)
  local wanted = core.wanted
  if wanted.connect_timeout then
    core.deadline = poe.monotime() + wanted.connect_timeout
    core:delay("deadline", wanted.connect_timeout)
  end
  if wanted.socket_domain == "unix" then
    core.addresses = { { host = wanted.remote_address } }
    return try_next(core)
  elseif not wanted.bind_address and not wanted.bind_port then
    return look_up_remote(core)
  end
  local domain = wanted.socket_domain
  lookup.start(core, {
    host = wanted.bind_address or domain == "inet6" and "::" or "0.0.0.0",
    port = wanted.bind_port or 0, family = domain, type = wanted.socket_type,
  }, function(_, addresses, message, code)
    if not addresses then return fail(core, "resolve", message, code) end
    core.from = addresses[1]
    return look_up_remote(core)
  end)
end

-- ---- new --------------------------------------------------------------------------------------

function SocketFactory.on_gone(core)
  core.socket = nil
end

--- Always gives a wheel; what goes wrong is told by failure_event.
---@param given poe.wheel.socketfactory.options
---@return poe.wheel.socketfactory
function SocketFactory.new(given)
  local core, checked = Base.core(SocketFactory, given)
  checked.socket_type = checked.socket_type
    or TYPES[checked.socket_protocol or "tcp"]
  core.wanted = checked
  core:state("connect", function() connected(core) end)
  core:timer("deadline", function() late(core) end)
  core:deferred("failed", function() core:report(core.failure[1],
    core.failure[2], core.failure[3]) end)
  core:deferred("bound", function() succeed(core) end)
  if checked.remote_address then
    start_client(core)
  else
    start_server(core)
  end
  core.is_made = true
  return Base.wheel(core)
end

-- ---- methods ------------------------------------------------------------------------------------

--- Where the wheel's own socket is: the one that listens.
---@return string? host_or_path
---@return integer|string|nil port  or message
---@return string? code
function SocketFactory:getsockname()
  local socket = self.core.socket
  if socket then return socket:getsockname() end
  return nil, "EBADF: there is no socket", "EBADF"
end

--- Connections wait until resume_accept.
function SocketFactory:pause_accept()
  acceptor.pause(Base.check_alive(self, "pause_accept"), true)
end

function SocketFactory:resume_accept()
  acceptor.pause(Base.check_alive(self, "resume_accept"), false)
end

return SocketFactory
