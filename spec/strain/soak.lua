-- soak.lua -- everything at once for so many seconds: memory, descriptors,
-- sessions and what Lua keeps stay where they were.
--
--   poe spec/strain/soak.lua SECONDS
--
-- Posts between sessions, timers set, moved and cancelled, sessions made and
-- ended, connections made, used and closed, by hand and by wheels, signals,
-- failures, children and other programs.
-- Once the first fifth has passed a sample is taken each second; the median of
-- the last third may lie no more than 1 MiB above that of the first.

local core = require "poe.core"
local ReadWrite = require "poe.wheel.readwrite"
local Run = require "poe.wheel.run"
local SocketFactory = require "poe.wheel.socketfactory"
local poe = require "poe"
local sys = require "poe.sys"
local strain = dofile "spec/strain/strain.lua"

local SECONDS = strain.count(...)
local MOST = strain.is_sanitized() and math.huge or 1024 -- KiB
local EVERY = math.min(1, SECONDS / 30) -- seconds between two samples

local done = { posts = 0, timers = 0, sessions = 0, connections = 0, signals = 0,
  failures = 0, children = 0, lines = 0, programs = 0 }
local is_over = false

local function count(what)
  done[what] = done[what] + 1
end

local function session(states, ...)
  return poe.session.create { inline_states = states, args = { ... } }
end

-- Posts: two sessions that throw tables to each other.

local Player = {}

function Player._start(kernel, _, name)
  kernel:alias_set(name)
end

function Player.ball(kernel, _, other, ball)
  if is_over then
    kernel:alias_remove(kernel:alias_list())
    return
  end
  count "posts"
  ball.n = ball.n + 1
  if ball.n % 10 == 0 then
    kernel:delay_add("ball", 0.001, other, ball)
  else
    kernel:post(other, "ball", kernel:alias_list(), ball)
  end
end

-- Timers, and sessions that come and go.

local Timers = {}

function Timers._start(kernel)
  kernel:yield "round"
end

function Timers.round(kernel)
  if is_over then
    kernel:alarm_remove_all()
    return
  end
  local moved = kernel:delay_set("due", 60, {})
  local cancelled = kernel:alarm_set("due", poe.time() + 60)
  kernel:delay_adjust(moved, 0.002)
  kernel:alarm_remove(cancelled)
  session {
    _start = function(k)
      count "sessions"
      k:alias_set("guest " .. done.sessions)
      k:yield "leave"
    end,
    leave = function(k)
      k:alias_remove(k:alias_list())
    end,
  }
  kernel:delay_add("round", 0.001)
end

function Timers.due()
  count "timers"
end

-- Connections: a server, and clients that say something and hang up.

local Server = {}

function Server._start(kernel, heap)
  heap.listener = assert(sys.tcp.listen {})
  heap.port = select(2, heap.listener:getsockname())
  kernel:select_read(heap.listener, "on_client")
  kernel:yield "connect"
end

function Server.on_client(kernel, _, listener)
  local socket = listener:accept()
  if socket then
    kernel:select_read(socket, "on_bytes")
  end
end

function Server.on_bytes(_, _, socket)
  local bytes, _, code = socket:read()
  if code == "EAGAIN" then
    return
  elseif bytes and bytes ~= "" then
    socket:write(bytes)
  else
    socket:close()
  end
end

function Server.connect(kernel, heap)
  if is_over then
    heap.listener:close()
    return
  end
  local socket = assert(sys.tcp.connect { port = heap.port })
  kernel:select_write(socket, "on_connected")
  kernel:delay("connect", 0.01)
end

function Server.on_connected(kernel, _, socket)
  kernel:select_write(socket)
  assert(not socket:connect_error())
  socket:write "hello"
  kernel:select_read(socket, "on_answer")
end

function Server.on_answer(_, _, socket)
  strain.equal("hello", socket:read(), "the answer")
  socket:close()
  count "connections"
end

-- The same by wheels, every other one forgotten instead of destroyed.

local Wheels = {}

function Wheels._start(kernel, heap)
  heap.clients, heap.peers = {}, {}
  heap.server = SocketFactory.new { bind_port = 0, success_event = "on_peer",
    failure_event = "on_failure" }
  heap.port = select(2, heap.server:getsockname())
  kernel:yield "connect"
end

function Wheels.on_failure(_, _, operation, code)
  error(operation .. ": " .. code)
end

function Wheels.on_peer(_, heap, socket)
  local wheel = ReadWrite.new { handle = socket, input_event = "on_question",
    error_event = "on_end" }
  heap.peers[wheel:ID()] = wheel
end

function Wheels.on_question(_, heap, line, id)
  heap.peers[id]:put(line:upper())
end

function Wheels.on_end(_, heap, _, _, _, id)
  heap.peers[id]:destroy()
  heap.peers[id] = nil
end

function Wheels.connect(kernel, heap)
  if is_over then
    heap.server:destroy()
    return
  end
  heap.connector = SocketFactory.new { remote_address = "127.0.0.1",
    remote_port = heap.port, success_event = "on_connected",
    failure_event = "on_failure" }
  kernel:delay("connect", 0.02)
end

function Wheels.on_connected(_, heap, socket)
  heap.connector = nil
  local wheel = ReadWrite.new { handle = socket, input_event = "on_answer",
    error_event = "on_failure" }
  heap.clients[wheel:ID()] = wheel
  wheel:put("question " .. done.lines)
end

function Wheels.on_answer(_, heap, line, id)
  strain.equal("QUESTION", line:match "%u+", "the answer of a wheel")
  count "lines"
  if id % 2 == 0 then
    heap.clients[id]:destroy()
  end
  heap.clients[id] = nil
end

-- Programs, by wheels.

local Programs = {}

function Programs._start(kernel)
  kernel:yield "run"
end

function Programs.run(kernel, heap)
  if not is_over then
    heap.wheel = assert(Run.new { program = { "cat" }, stdout_event = "on_line",
      exit_event = "on_exit" })
    heap.wheel:put "line"
    kernel:delay("run", 0.5)
  end
end

function Programs.on_line(_, heap)
  heap.wheel:shutdown_stdin()
end

function Programs.on_exit(_, heap, code)
  strain.equal(0, code, "exit of a program")
  heap.wheel:destroy()
  heap.wheel = nil
  count "programs"
end

-- Signals, the system's and our own; failures, which the parent handles; and
-- children, which end in different ways.

local Rest = {}

function Rest._start(kernel)
  kernel:sig("USR1", "on_signal")
  kernel:sig("DIE", "on_die")
  kernel:yield "round"
end

function Rest.round(kernel)
  if is_over then
    kernel:sig "USR1"
    kernel:sig "DIE"
    return
  end
  sys.kill(sys.getpid(), "USR1")
  session {
    _start = function(k) k:yield "fail" end,
    fail = function() error { "on purpose" } end,
  }
  local pid = assert(kernel:fork())
  if pid == 0 then
    sys._exit(done.children % 256)
  end
  kernel:sig_child(pid, "on_exit", done.children % 256)
  kernel:delay("round", 0.2)
end

function Rest.on_signal()
  count "signals"
end

function Rest.on_die(kernel, _, _, ex)
  if type(ex.error) == "table" then
    kernel:sig_handled()
    count "failures"
  end
end

function Rest.on_exit(_, _, _, _, status, code)
  strain.equal(code, status >> 8, "status of a child")
  count "children"
end

-- The samples.

local samples = {}

local function sample()
  collectgarbage()
  samples[#samples + 1] = {
    resident = strain.resident(),
    lua = collectgarbage "count",
    descriptors = strain.descriptors(),
    sessions = core.census().sessions,
  }
end

local function median(what, first, last)
  local values = {}
  for i = first, last do
    values[#values + 1] = samples[i][what]
  end
  table.sort(values)
  return values[#values // 2 + 1]
end

local Watch = {}

function Watch._start(kernel)
  kernel:delay("sample", SECONDS / 5)
  kernel:delay("finish", SECONDS)
end

function Watch.sample(kernel)
  sample()
  kernel:delay("sample", EVERY)
end

--- Wheels that were forgotten hold their sessions until they are collected.
function Watch.finish(kernel)
  is_over = true
  kernel:delay "sample"
  for i = 1, 5 do
    kernel:delay_add("collect", i / 10)
  end
end

function Watch.collect()
  collectgarbage()
end

session(Player, "ping")
session(Player, "pong")
poe.kernel:post("ping", "ball", "pong", { n = 0 })
session(Timers)
session(Server)
session(Wheels)
session(Programs)
session(Rest)
session(Watch)
strain.run()

strain.assert_no_children()
local third = #samples // 3
local text = {}
for _, what in ipairs { "resident", "lua", "descriptors", "sessions" } do
  local first = median(what, 1, third)
  local last = median(what, #samples - third + 1, #samples)
  local most = (what == "resident" or what == "lua") and MOST or 4
  assert(last - first <= most, ("%s grew from %s to %s"):format(what, first, last))
  text[#text + 1] = ("%s %.0f to %.0f"):format(what, first, last)
end
for what, n in pairs(done) do
  assert(n > 0, "no " .. what)
end
strain.say("%d s: %d posts, %d timers, %d sessions, %d connections, %d signals, "
  .. "%d failures, %d children, %d lines by wheels, %d programs; %s (KiB, numbers)",
  SECONDS, done.posts, done.timers, done.sessions, done.connections, done.signals,
  done.failures, done.children, done.lines, done.programs, table.concat(text, ", "))
