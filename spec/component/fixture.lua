-- What the specs of components share: peers that go through a list of steps, and
-- a server whose callbacks are written down.

local Server = require "poe.component.server.tcp"
local poe = require "poe"
local sys = require "poe.sys"

---@class spec.component.fixture
local fixture = {}

local PATIENCE = tonumber(os.getenv "PATIENCE" or 20) -- until a scenario counts as hung

--- Adds lines "name(arg, arg)" to itself.
---@class spec.component.log
local Log = {}
Log.__index = Log

---@return spec.component.log
function fixture.log()
  return setmetatable({}, Log)
end

--- A handler that writes down how it was called; IDs of wheels, which follow a
--- text, are left out.
---@param name string
---@param handler? poe.handler  what it does beside
function Log:handler(name, handler)
  return function(kernel, heap, ...)
    local texts = table.pack(...)
    for i = 1, texts.n do texts[i] = tostring(texts[i]) end
    local last = select(texts.n > 0 and texts.n or 1, ...)
    if math.type(last) == "integer" and texts.n > 1 then texts[texts.n] = nil end
    self[#self + 1] = ("%s(%s)"):format(name, table.concat(texts, ", "))
    if handler then return handler(kernel, heap, ...) end
  end
end

-- ---- peers --------------------------------------------------------------------

local steps = {}

function steps.send(peer, text)
  local n, _, code = peer.socket:write(text)
  assert(n == #text or code == "EPIPE" or code == "ECONNRESET", code)
  return true
end

--- Waits until this has come, and takes it.
function steps.expect(peer, text)
  if peer.got:sub(1, #text) ~= text then
    assert(not peer.is_ended, "expected " .. text .. ", got " .. peer.got)
    return false
  end
  peer.got = peer.got:sub(#text + 1)
  return true
end

--- Waits for the end, and tells what came before.
function steps.finish(peer, tell)
  if peer.is_ended and tell then tell(peer.got, peer.code) end
  return peer.is_ended
end

function steps.half(peer)
  peer.socket:shutdown "w"
  return true
end

function steps.reset(peer)
  peer.socket:setsockopt("SO_LINGER", 0)
  peer.socket:close()
  return true
end

function steps.close(peer)
  peer.socket:close()
  return true
end

function steps.run(_, fn)
  fn()
  return true
end

--- Goes on after a while of the kernel's own events, or seconds.
function steps.wait(peer, seconds)
  poe.kernel:delay("go_on", seconds or 0)
  peer.is_waiting = true
  return true
end

--- Goes on when it is so.
steps["until"] = function(peer, is_so)
  if is_so() then return true end
  poe.kernel:delay("go_on", 0.001)
  peer.is_waiting = true
  return false
end

local function go_on(_, peer)
  peer.is_waiting = false
  while not peer.is_waiting do
    local step = peer.list[peer.at]
    if not step then
      if not peer.socket:is_closed() then peer.socket:close() end
      return
    end
    if not steps[step[1]](peer, step[2]) then return end
    peer.at = peer.at + 1
  end
end

local function read(kernel, peer)
  local bytes, _, code = peer.socket:read()
  if code == "EAGAIN" then return end
  if not bytes or bytes == "" then
    peer.is_ended, peer.code = true, code
    kernel:select_read(peer.socket)
  else
    peer.got = peer.got .. bytes
  end
  if not peer.is_waiting then go_on(kernel, peer) end
end

--- Starts a session that connects and goes through steps { name, argument }.
---@param to table  of sys.tcp.connect, or with path
---@param list table[]
function fixture.peer(to, list)
  poe.session.create {
    heap = { list = list, at = 1, got = "" },
    inline_states = {
      _start = function(kernel, peer)
        peer.socket = assert((to.path and sys.unix or sys.tcp).connect(to))
        kernel:select_write(peer.socket, "connected")
      end,
      connected = function(kernel, peer)
        assert(not peer.socket:connect_error())
        kernel:select_write(peer.socket)
        kernel:select_read(peer.socket, "read")
        go_on(kernel, peer)
      end,
      read = read,
      go_on = go_on,
    },
  }
end

-- ---- servers --------------------------------------------------------------------

--- Runs a server and peers until all have ended. The peers' steps come from
--- `peers`; when the last connection has ended the server is shut down, unless
--- `options.stays`.
---@param options table  of Server.TCP.new; client_input echoes if there is none
---@param peers table[]  lists of steps
---@return integer id  of the server's session
function fixture.serve(options, peers)
  local given, left = { alias = "server" }, #peers
  for key, value in pairs(options) do given[key] = value end
  given.stays = nil
  if not given.acceptor and not given.client_input then
    given.client_input = function(_, heap, record) heap.client:put(record) end
  end
  local started, disconnected = given.started, given.client_disconnected
  function given.started(kernel, heap, ...)
    kernel:state("hung", function() error "hung" end)
    heap.guard = kernel:delay_set("hung", PATIENCE)
    kernel:state("done", function() kernel:alarm_remove(heap.guard) end)
    kernel:state("abort", function() kernel:stop() end)
    local host, port = heap.listener:getsockname()
    local to = port and { host = host, port = port } or { path = host }
    for _, list in ipairs(peers) do fixture.peer(to, list) end
    if started then started(kernel, heap, ...) end
  end
  function given.client_disconnected(kernel, heap, ...)
    left = left - 1
    if disconnected then disconnected(kernel, heap, ...) end
    if left == 0 and not options.stays then fixture.stop(kernel) end
  end
  local id = Server.new(given)
  poe.run()
  return id
end

--- Ends the server, whatever became of its clients.
function fixture.stop(kernel)
  kernel:post("server", "done")
  kernel:post("server", "shutdown")
end

--- Ends everything.
function fixture.abort(kernel)
  kernel:post("server", "abort")
end

return fixture
