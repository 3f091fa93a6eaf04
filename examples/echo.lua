-- echo.lua -- an echo server over bare selects.
--
--   poe examples/echo.lua [port [host]]
--
-- It prints the port it listens on.  Each connection is a session of its own,
-- a child of the server's.  What a client is too slow to take is kept, and
-- nothing more is read from that client until it is gone: one slow client
-- costs a bounded amount of memory and holds up nobody else.  On SIGINT the
-- server closes its door, sends what it still owes, and ends.

local poe = require "poe"
local sys = require "poe.sys"

io.stdout:setvbuf("line")

local port, host = ...

local Client = {}

function Client._start(kernel, heap, socket)
  heap.socket = socket
  heap.unsent = "" -- what the client has not taken yet ...
  heap.sent = 0    -- ... but for so many bytes of it
  heap.bytes = 0
  kernel:select_read(socket, "on_readable")
end

--- Ends the session: a socket that is closed is watched no more.
local function hang_up(heap)
  heap.socket:close()
end

--- Sends what it can; true if nothing is left to send.
local function flush(heap)
  while heap.sent < #heap.unsent do
    local n, _, code = heap.socket:write(heap.unsent, heap.sent + 1)
    if code == "EAGAIN" then
      return false
    elseif not n then
      hang_up(heap)
      return false
    end
    heap.sent = heap.sent + n
    heap.bytes = heap.bytes + n
  end
  heap.unsent, heap.sent = "", 0
  return true
end

function Client.on_readable(kernel, heap, socket)
  local bytes, _, code = socket:read()
  if code == "EAGAIN" then
    return
  elseif not bytes or bytes == "" then
    hang_up(heap)
    return
  end
  heap.unsent = bytes
  if not flush(heap) and not socket:is_closed() then
    kernel:select_pause_read(socket)
    kernel:select_write(socket, "on_writable")
  end
end

function Client.on_writable(kernel, heap, socket)
  if not flush(heap) then
    return
  elseif heap.is_ending then
    hang_up(heap)
  else
    kernel:select_write(socket)
    kernel:select_resume_read(socket)
  end
end

--- Hangs up, as soon as all that was read has been sent back.
function Client.finish(_, heap)
  heap.is_ending = true
  if heap.unsent == "" then
    hang_up(heap)
  end
end

function Client._stop(_, heap)
  heap.socket:close()
  return heap.bytes
end

local Server = {}

function Server._start(kernel, heap)
  heap.listener = assert(sys.tcp.listen {
    host = host,
    port = tonumber(port),
  })
  heap.clients, heap.bytes = 0, 0
  kernel:select_read(heap.listener, "on_client")
  kernel:sig("INT", "on_interrupt")
  local _, bound_port = heap.listener:getsockname()
  print("listening on port " .. bound_port)
end

function Server.on_client(kernel, heap, listener)
  local socket, message, code = listener:accept()
  if socket then
    heap.is_full = false
    poe.session.create { inline_states = Client, args = { socket } }
  elseif code == "EMFILE" or code == "ENFILE" then
    -- Nothing is gained by trying at once: wait until clients have left.
    if not heap.is_full then
      io.stderr:write(message, "\n")
    end
    heap.is_full = true
    kernel:select_pause_read(heap.listener)
    kernel:delay("resume", 0.5)
  end
end

function Server.resume(kernel, heap)
  kernel:select_resume_read(heap.listener)
end

function Server._child(_, heap, what, _, bytes)
  if what == "create" then
    heap.clients = heap.clients + 1
  elseif what == "lose" then
    heap.bytes = heap.bytes + (bytes or 0)
  end
end

function Server.on_interrupt(kernel, heap)
  kernel:sig_handled()
  kernel:sig("INT") -- a second one ends the program the hard way
  kernel:delay("resume")
  heap.listener:close()
  for _, client in ipairs(kernel:get_children(kernel.session)) do
    kernel:post(client, "finish")
  end
end

function Server._stop(_, heap)
  print(("served %d clients, %d bytes"):format(heap.clients, heap.bytes))
end

poe.session.create { inline_states = Server }

poe.run()
