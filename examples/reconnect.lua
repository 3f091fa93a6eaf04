-- reconnect.lua -- a client that comes back.
--
--   poe examples/reconnect.lua port [host]
--
-- Lines from the standard input are sent to a server, lines from the server are
-- printed. When the server is away, it is tried again: after a tenth of a second,
-- then twice as long each time, up to five seconds. What is typed meanwhile waits,
-- up to a hundred lines. The client ends when its input has ended and the server
-- has answered or gone, and on SIGINT. Try it with examples/keyvalue.lua, and
-- start that one again and again.

local Client = require "poe.component.client.tcp"
local ReadWrite = require "poe.wheel.readwrite"
local poe = require "poe"

io.stdout:setvbuf("line")

local port, host = ...

local MOST = 100 -- lines that wait

local function note(...)
  io.stderr:write("* ", table.concat({ ... }, " "), "\n")
end

local Console = {}

function Console.on_started(kernel, heap)
  heap.waiting = {}
  heap.asked = 0 -- lines without an answer yet
  heap.console = ReadWrite.new({
    input_handle = io.stdin,
    input_event = "on_typed",
    error_event = "on_end",
  })
  kernel:sig("INT", "on_interrupt")
end

local function send(heap, line)
  heap.asked = heap.asked + 1
  heap.server:put(line)
end

function Console.on_typed(_, heap, line)
  if heap.connected then
    send(heap, line)
  elseif #heap.waiting < MOST then
    heap.waiting[#heap.waiting + 1] = line
  else
    note("too much waits, this is dropped:", line)
  end
end

--- Ends when there is nothing to wait for.
local function end_if_done(kernel, heap)
  if heap.has_ended and heap.asked == 0 and #heap.waiting == 0 then
    kernel:yield("shutdown")
  end
end

function Console.on_end(kernel, heap)
  heap.console:destroy()
  heap.has_ended = true
  end_if_done(kernel, heap)
end

function Console.on_interrupt(kernel, heap)
  kernel:sig_handled()
  heap.console:destroy()
  kernel:yield("shutdown")
end

local Link = {}

function Link.on_connected(_, heap)
  note("connected")
  local waiting = heap.waiting
  heap.waiting = {}
  for _, line in ipairs(waiting) do
    send(heap, line)
  end
end

function Link.on_line(kernel, heap, line)
  print(line)
  heap.asked = math.max(heap.asked - 1, 0)
  end_if_done(kernel, heap)
end

function Link.on_disconnected(kernel, heap)
  note("disconnected")
  heap.asked = 0
  end_if_done(kernel, heap)
end

Client.new({
  remote_address = host or "127.0.0.1",
  remote_port = tonumber(port),
  reconnect = { delay = 0.1, max = 5 },
  started = Console.on_started,
  connected = Link.on_connected,
  connect_error = function(_, _, operation, code)
    note(operation, code)
  end,
  server_input = Link.on_line,
  server_error = function() end,
  disconnected = Link.on_disconnected,
  inline_states = {
    on_typed = Console.on_typed,
    on_end = Console.on_end,
    on_interrupt = Console.on_interrupt,
  },
})

poe.run()
