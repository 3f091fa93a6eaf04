-- SPDX-License-Identifier: MIT
-- The tests that every bridge to an event loop must pass.
--
--   require "poe.test.loops".run "mine"
--
-- runs each against the loop named so, in a process of its own: this one's
-- interpreter, with its package.path. The first line of what a failing test
-- says comes with it. What they cover is what POE::Test::Loops does.
local LOOP_VARIABLE = "POE_EVENT_LOOP"
local PATIENCE = 30 -- seconds until a test counts as hung

---@class poe.test.loops
local Loops = {}

---@class poe.test.loops.test
---@field name string
---@field body fun(poe: table, sys: table)

local tests = {} ---@type poe.test.loops.test[]

local function test(name, body)
  tests[#tests + 1] = { name = name, body = body }
  tests[name] = tests[#tests]
end

-- ---- what the tests are written with ------------------------------------------

local function text_of(value)
  if type(value) ~= "table" then return tostring(value) end
  local items = {}
  for i = 1, #value do items[i] = text_of(value[i]) end
  return "{" .. table.concat(items, ", ") .. "}"
end

local function same(expected, got, what)
  local e, g = text_of(expected), text_of(got)
  if e ~= g then
    error(("%s: expected %s, got %s"):format(what or "value", e, g), 2)
  end
end

local function check(value, what)
  if not value then error(what .. " does not hold", 2) end
end

local MICROSECOND = 1e-6 -- the resolution of poe.time()

local function create(states)
  return require "poe".session.create { inline_states = states }
end

local function add(list)
  return function(_, _, value) list[#list + 1] = value end
end

--- The child of a test tells the parent by its status how it was.
local function in_child(sys, body)
  local ok, message = xpcall(body, debug.traceback)
  if not ok then io.stderr:write("in the child: ", message, "\n") end
  sys._exit(ok and 0 or 1)
end

-- ---- running ---------------------------------------------------------------------

test("the loop has the name it was chosen by", function(poe)
  same(os.getenv(LOOP_VARIABLE), poe.kernel:poe_kernel_loop())
end)

test("run returns when no session is left, and may be called again", function(poe)
  local ran = {}
  poe.run()
  for i = 1, 3 do
    create {
      _start = function(kernel) kernel:yield("next", i) end,
      next = function(kernel, _, n) kernel:delay("last", 0.01, n) end,
      last = add(ran),
    }
    poe.run()
  end
  same({ 1, 2, 3 }, ran)
  same(false, poe.kernel:run_one_timeslice())
end)

test("run_one_timeslice and run_while do a part", function(poe)
  local n = 0
  create {
    _start = function(kernel) kernel:yield "tick" end,
    tick = function(kernel)
      n = n + 1
      if n < 100 then kernel:yield "tick" end
    end,
  }
  poe.kernel:run_while(function() return n < 10 end)
  same(10, n)
  while poe.kernel:run_one_timeslice() do end
  same(100, n)
end)

test("stop ends the run with every session told", function(poe, sys)
  local told = {}
  local read, write = sys.pipe()
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:sig("TERM", "term")
      kernel:delay("late", 1000)
      kernel:yield "stop"
    end,
    stop = function(kernel) kernel:stop() end,
    _stop = function() told[#told + 1] = "stop" end,
  }
  poe.run()
  write:close()
  same({ "stop" }, told)
end)

test("an error that nobody handles is raised from run", function(poe)
  local value = {}
  create {
    _start = function(kernel) kernel:delay("fail", 0.01) end,
    fail = function() error(value) end,
  }
  local ok, got = pcall(poe.run)
  check(not ok and got == value, "the error value is what was raised")
  create { _start = function(kernel) kernel:yield "x" end, x = function() end }
  poe.run()
end)

-- ---- time ------------------------------------------------------------------------------

test("alarms come in order of due time, and never early", function(poe)
  local came, count = {}, 100
  create {
    _start = function(kernel)
      local now = poe.time()
      for i = 1, count do
        local due = now + (i * 37 % count) / 2000
        kernel:alarm_add("due", due, due)
      end
    end,
    due = function(_, _, due)
      check(poe.time() > due - MICROSECOND, "an alarm is not early")
      came[#came + 1] = due
    end,
  }
  poe.run()
  same(count, #came)
  for i = 2, count do check(came[i - 1] <= came[i], "order of due time") end
end)

test("alarms of one instant come in the order set", function(poe)
  local came = {}
  create {
    _start = function(kernel)
      local due = poe.time() + 0.02
      for i = 1, 20 do kernel:alarm_add("due", due, i) end
    end,
    due = add(came),
  }
  poe.run()
  for i = 1, 20 do same(i, came[i]) end
end)

test("alarms can be moved and removed", function(poe)
  local came = {}
  create {
    _start = function(kernel)
      local moved = kernel:delay_set("due", 0.01, "moved")
      local removed = kernel:delay_set("due", 0.02, "removed")
      kernel:delay_set("due", 0.03, "kept")
      kernel:delay("named", 0.01, 1)
      kernel:delay("named", 0.06, 2)
      kernel:delay_adjust(moved, 0.05)
      kernel:alarm_remove(removed)
    end,
    due = add(came),
    named = add(came),
  }
  poe.run()
  same({ "kept", "moved", 2 }, came)
end)

test("a short delay does not wait for a long one", function(poe)
  local began = poe.monotime()
  create {
    _start = function(kernel)
      kernel:delay("long", 1000)
      kernel:delay("short", 0.02)
    end,
    short = function(kernel) kernel:alarm_remove_all() end,
    long = function() error "the long delay came" end,
  }
  poe.run()
  check(poe.monotime() - began >= 0.02, "the short delay is not early")
end)

test("waiting costs no time of the processor", function(poe)
  create { _start = function(kernel) kernel:delay("x", 0.3) end, x = function() end }
  local began = os.clock()
  poe.run()
  check(os.clock() - began < 0.05, "five sixths of the time are slept")
end)

-- ---- names and the tree -----------------------------------------------------------------

test("an alias keeps a session as long as others work", function(poe)
  local said = {}
  create {
    _start = function(kernel) kernel:alias_set "server" end,
    ask = add(said),
    _stop = function() said[#said + 1] = "stop" end,
  }
  create {
    _start = function(kernel) kernel:delay("ask", 0.02) end,
    ask = function(kernel) kernel:post("server", "ask", "asked") end,
  }
  poe.run()
  same({ "asked", "stop" }, said)
  same(nil, (poe.kernel:alias_resolve "server"))
end)

test("detached sessions live on by themselves", function(poe)
  local said = {}
  create {
    _start = function(kernel)
      create {
        _start = function(k) k:yield "leave" end,
        leave = function(k)
          k:detach_myself()
          k:delay("late", 0.02)
        end,
        late = function(k)
          check(k:get_parent(k.session) == k, "the kernel is the parent")
          if said[#said] ~= "stop" then return k:delay("late", 0.01) end
          said[#said + 1] = "late"
        end,
      }
      kernel:delay("done", 0.01)
    end,
    _child = function(_, _, reason) said[#said + 1] = reason end,
    done = function() end,
    _stop = function() said[#said + 1] = "stop" end,
  }
  poe.run()
  same({ "create", "lose", "stop", "late" }, said)
end)

-- ---- descriptors ------------------------------------------------------------------------------

test("what is written at one end is read at the other", function(poe, sys)
  local a, b = sys.socketpair()
  local sent, got = ("x"):rep(300000), {}
  create {
    _start = function(kernel)
      kernel:select_write(a, "writable")
      kernel:select_read(b, "readable")
    end,
    writable = function(kernel, heap, socket)
      heap.at = heap.at or 1
      local n = socket:write(sent, heap.at)
      heap.at = heap.at + (n or 0)
      if heap.at > #sent then
        kernel:select_write(socket)
        socket:shutdown "w"
      end
    end,
    readable = function(kernel, _, socket)
      local bytes = socket:read(65536)
      if bytes == "" then kernel:select_read(socket) end
      got[#got + 1] = bytes
    end,
  }
  poe.run()
  same(#sent, #table.concat(got))
end)

test("an end of file is readable", function(poe, sys)
  local read, write = sys.pipe()
  local ends = 0
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:delay("shut", 0.02)
    end,
    shut = function() write:close() end,
    readable = function(kernel, _, pipe)
      same("", pipe:read(10))
      ends = ends + 1
      kernel:select_read(pipe)
    end,
  }
  poe.run()
  same(1, ends)
end)

test("readiness is a level", function(poe, sys)
  local read, write = sys.pipe()
  write:write "12345"
  local got = {}
  create {
    _start = function(kernel) kernel:select_read(read, "readable") end,
    readable = function(kernel, _, pipe)
      got[#got + 1] = pipe:read(1)
      if #got == 5 then kernel:select_read(pipe) end
    end,
  }
  poe.run()
  same({ "1", "2", "3", "4", "5" }, got)
end)

test("a paused watcher waits until it is resumed", function(poe, sys)
  local read, write = sys.pipe()
  write:write "x"
  local order = {}
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:select_pause_read(read)
      kernel:delay("resume", 0.03)
    end,
    resume = function(kernel)
      order[#order + 1] = "resume"
      kernel:select_resume_read(read)
    end,
    readable = function(kernel, _, pipe)
      order[#order + 1] = "readable"
      kernel:select_read(pipe)
    end,
  }
  poe.run()
  same({ "resume", "readable" }, order)
end)

test("a paused watcher does not spin", function(poe, sys)
  local read, write = sys.pipe()
  write:write "x"
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:select_pause_read(read)
      kernel:delay("done", 0.3)
    end,
    readable = function() error "it is paused" end,
    done = function(kernel) kernel:select_read(read) end,
  }
  local began = os.clock()
  poe.run()
  check(os.clock() - began < 0.05, "five sixths of the time are slept")
end)

test("both directions of a socket are watched at once", function(poe, sys)
  local a, b = sys.socketpair()
  b:write "hello"
  local seen = {}
  create {
    _start = function(kernel) kernel:select(a, "ready", "ready") end,
    ready = function(kernel, _, socket, mode)
      seen[#seen + 1] = mode
      if mode == 1 then kernel:select(socket) end
    end,
  }
  poe.run()
  same({ 0, 1 }, seen)
end)

test("what is urgent is expedited", function(poe, sys)
  local server = sys.tcp.listen { port = 0 }
  local _, port = server:getsockname()
  local client = sys.tcp.connect { port = port }
  local seen = {}
  create {
    _start = function(kernel) kernel:select_read(server, "connected") end,
    connected = function(kernel, heap)
      kernel:select_read(server)
      heap.socket = server:accept()
      kernel:select_expedite(heap.socket, "urgent")
      client:send("!", "oob")
    end,
    urgent = function(kernel, _, socket, mode)
      seen = { mode, socket:recv(1, "oob") }
      kernel:select_expedite(socket)
    end,
  }
  poe.run()
  same({ 2, "!" }, seen)
end)

test("several sessions watch one descriptor", function(poe, sys)
  local read, write = sys.pipe()
  local seen = {}
  for i = 1, 3 do
    create {
      _start = function(kernel) kernel:select_read(read, "readable", i) end,
      readable = function(kernel, _, pipe, _, n)
        seen[#seen + 1] = n
        if n == 3 then pipe:read(10) end
        kernel:select_read(pipe)
      end,
    }
  end
  create {
    _start = function(kernel) kernel:delay("write", 0.02) end,
    write = function() write:write "x" end,
  }
  poe.run()
  same({ 1, 2, 3 }, seen)
end)

test("a descriptor unwatched by one session is still another's", function(poe, sys)
  local read, write = sys.pipe()
  local seen = {}
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:delay("leave", 0.01)
    end,
    leave = function(kernel) kernel:select_read(read) end,
    readable = function() error "it is not watched any more" end,
  }
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:delay("write", 0.03)
    end,
    write = function() write:write "x" end,
    readable = function(kernel, _, pipe)
      seen[#seen + 1] = pipe:read(10)
      kernel:select_read(pipe)
    end,
  }
  poe.run()
  same({ "x" }, seen)
end)

test("reads come before writes, and low numbers before high ones", function(poe, sys)
  local others, number, seen = {}, {}, {}
  create {
    _start = function(kernel)
      for i = 1, 5 do
        local a, b = sys.socketpair()
        others[b], number[a] = true, i
        b:write "x"
        kernel:select_write(a, "ready")
        kernel:select_read(a, "ready")
      end
    end,
    ready = function(kernel, _, socket, mode)
      seen[#seen + 1] = number[socket] .. (mode == 0 and "r" or "w")
      if mode == 0 then
        kernel:select_read(socket)
      else
        kernel:select_write(socket)
      end
    end,
  }
  poe.run()
  check(next(others), "the other ends were kept open")
  same({ "1r", "2r", "3r", "4r", "5r", "1w", "2w", "3w", "4w", "5w" }, seen)
end)

test("regular files and devices that cannot wait are always ready", function(poe)
  local file = assert(io.tmpfile())
  local null = assert(io.open("/dev/null", "r+"))
  local seen = {}
  create {
    _start = function(kernel)
      kernel:select(file, "ready", "ready")
      kernel:select(null, "ready", "ready")
    end,
    ready = function(kernel, heap, handle, mode)
      heap.n = (heap.n or 0) + 1
      local name = handle == file and "file" or "null"
      if heap.n > 100 then error "it never ends" end
      if not seen[name .. mode] then
        seen[name .. mode] = true
        seen[#seen + 1] = true
      end
      if #seen == 4 then
        kernel:select(file)
        kernel:select(null)
      end
    end,
  }
  poe.run()
  check(seen.file0 and seen.file1 and seen.null0 and seen.null1, "all are ready")
end)

test("a handle of ours that is closed is no longer watched", function(poe, sys)
  local read, write = sys.pipe()
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:delay("close", 0.01)
    end,
    close = function() read:close() end,
    readable = function() error "nothing was written" end,
  }
  poe.run()
  write:close()
end)

test("a descriptor closed behind our back neither spins nor speaks", function(poe, sys)
  local read, write = sys.pipe()
  local file = assert(io.open("/dev/fd/" .. read:fileno()))
  read:close()
  local seen = {}
  create {
    _start = function(kernel)
      kernel:select_read(file, "stale")
      kernel:yield "close"
    end,
    close = function(kernel)
      file:close()
      write:close()
      local fresh, other = sys.socketpair()
      kernel:select_read(fresh, "fresh")
      other:write "x"
      kernel:delay("done", 0.3, fresh, other)
    end,
    stale = function() seen[#seen + 1] = "stale" end,
    fresh = function(kernel, _, socket)
      seen[#seen + 1] = socket:read(10)
      kernel:select_read(socket)
    end,
    done = function(kernel) kernel:stop() end,
  }
  local began = os.clock()
  poe.run()
  check(os.clock() - began < 0.05, "five sixths of the time are slept")
  same({ "x" }, seen)
end)

test("a number that became another file does not reach the old watcher", function(poe, sys)
  local read, keep = sys.pipe()
  local other, write = sys.pipe()
  local fd = read:fileno()
  write:write "x"
  create {
    _start = function(kernel)
      kernel:select_read(fd, "stale")
      kernel:delay("replace", 0.02)
      kernel:delay("done", 0.2)
    end,
    replace = function() assert(sys.dup2(other, fd)) end,
    stale = function() error "that is another file" end,
    done = function(kernel) kernel:stop() end,
  }
  poe.run()
  check(not keep:is_closed(), "the other end was kept open")
end)

test("a session that yields for ever starves nobody", function(poe, sys)
  local read, write = sys.pipe()
  local seen = {}
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:sig("USR1", "signalled")
      kernel:delay("timer", 0.02)
      kernel:yield "spin"
    end,
    spin = function(kernel)
      if #seen < 3 then kernel:yield "spin" end
    end,
    timer = function()
      seen[#seen + 1] = "timer"
      write:write "x"
    end,
    readable = function(kernel, _, pipe)
      seen[#seen + 1] = "read"
      kernel:select_read(pipe)
      sys.kill(sys.getpid(), "USR1")
    end,
    signalled = function(kernel)
      seen[#seen + 1] = "signal"
      kernel:sig "USR1"
    end,
  }
  poe.run()
  same({ "timer", "read", "signal" }, seen)
end)

-- ---- signals --------------------------------------------------------------------------------------

local SIGNALS = { "HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "ALRM", "WINCH" }

local function hold(kernel)
  kernel:refcount_increment(kernel.session:ID(), "test")
end

local function let_go(kernel)
  kernel:refcount_decrement(kernel.session:ID(), "test")
end

test("signals arrive by name", function(poe, sys)
  local seen = {}
  create {
    _start = function(kernel)
      hold(kernel)
      for _, name in ipairs(SIGNALS) do
        kernel:sig(name, "signalled", name:lower())
      end
      kernel:yield("send", 1)
    end,
    send = function(_, _, i) sys.kill(sys.getpid(), SIGNALS[i]) end,
    signalled = function(kernel, _, name, extra)
      same(name:lower(), extra)
      seen[#seen + 1] = name
      kernel:sig_handled()
      kernel:sig(name)
      if #seen == #SIGNALS then return let_go(kernel) end
      kernel:yield("send", #seen + 1)
    end,
  }
  poe.run()
  same(SIGNALS, seen)
end)

test("signals and run again", function(poe, sys)
  local seen = 0
  for _ = 1, 3 do
    create {
      _start = function(kernel)
        hold(kernel)
        kernel:sig("USR1", "signalled")
        kernel:yield "send"
      end,
      send = function() sys.kill(sys.getpid(), "USR1") end,
      signalled = function(kernel)
        seen = seen + 1
        let_go(kernel)
      end,
    }
    poe.run()
  end
  same(3, seen)
end)

test("a signal reaches children before parents", function(poe, sys)
  local seen = {}
  local read, write = sys.pipe()
  local function level(n)
    return create {
      _start = function(kernel)
        kernel:select_read(read, "readable")
        kernel:sig("USR1", "signalled")
        if n < 3 then level(n + 1) else kernel:yield "send" end
      end,
      _child = function() end,
      send = function() sys.kill(sys.getpid(), "USR1") end,
      signalled = function(kernel)
        seen[#seen + 1] = n
        kernel:sig "USR1"
        kernel:select_read(read)
      end,
    }
  end
  level(1)
  poe.run()
  write:close()
  same({ 3, 2, 1 }, seen)
end)

test("a terminal signal that nobody handles stops all", function(poe, sys)
  local said = {}
  create {
    _start = function(kernel)
      kernel:sig("TERM", "term")
      kernel:delay("never", 1000)
      kernel:yield "send"
    end,
    send = function() sys.kill(sys.getpid(), "TERM") end,
    term = function() said[#said + 1] = "term" end,
    _stop = function() said[#said + 1] = "stop" end,
  }
  poe.run()
  same({ "term", "stop" }, said)
end)

test("a signal no longer watched has its default again", function(poe, sys)
  local pid, how
  create {
    _start = function(kernel)
      kernel:sig("TERM", "term")
      kernel:yield "next"
    end,
    term = function() end,
    next = function(kernel)
      kernel:sig "TERM"
      pid = kernel:fork()
      if pid == 0 then
        sys.kill(sys.getpid(), "TERM")
        sys._exit(0)
      end
      kernel:sig_child(pid, "ended")
    end,
    ended = function(_, _, _, _, status) how = { poe.wait_status(status) } end,
  }
  poe.run()
  same({ "signal", sys.signals.TERM }, how)
end)

test("no signal is lost under load", function(poe, sys)
  local rounds, seen = 200, 0
  local acks, acknowledge = sys.pipe()
  local parent = sys.getpid()
  local function send_signals(kernel)
    acknowledge:close()
    kernel:select_read(acks, "acknowledged")
    sys.kill(parent, "USR1")
  end
  create {
    _start = function(kernel)
      kernel:sig("USR1", "signalled")
      local pid = kernel:fork()
      if pid == 0 then return send_signals(kernel) end
      kernel:sig_child(pid, "ended")
      kernel:yield "work"
    end,
    -- in the child, which ends with the pipe:
    acknowledged = function(kernel, _, pipe)
      local bytes = pipe:read(1)
      if bytes == "" then return kernel:select_read(pipe) end
      sys.kill(parent, "USR1")
    end,
    -- in the parent:
    work = function(kernel)
      if seen < rounds then kernel:yield "work" end
      if seen % 10 == 0 then kernel:delay("timer", 0.0001) end
    end,
    timer = function() end,
    signalled = function(kernel)
      seen = seen + 1
      if seen < rounds then return acknowledge:write "a" end
      acknowledge:close()
      kernel:sig "USR1"
    end,
    ended = function() end,
  }
  poe.run()
  if sys.getpid() ~= parent then sys._exit(0) end
  same(rounds, seen)
end)

-- ---- children ---------------------------------------------------------------------------------------

local function spawn(kernel, sys, status, wait)
  local pid = kernel:fork()
  if pid == 0 then
    if wait then wait() end
    sys._exit(status)
  end
  return pid
end

test("each child is told once, with its status", function(poe, sys)
  local told, signals, count = {}, 0, 10
  create {
    _start = function(kernel)
      kernel:sig("CHLD", "child")
      for i = 1, count do
        kernel:sig_child(spawn(kernel, sys, i), "ended", i)
      end
    end,
    ended = function(_, _, name, _, status, i)
      same("CHLD", name)
      same({ "exit", i }, { poe.wait_status(status) })
      told[i] = (told[i] or 0) + 1
    end,
    child = function(kernel)
      signals = signals + 1
      if signals == count then kernel:sig "CHLD" end
    end,
  }
  poe.run()
  for i = 1, count do same(1, told[i], "child " .. i) end
  same(count, signals)
end)

test("a child that was killed has the signal's status", function(poe, sys)
  local how
  create {
    _start = function(kernel)
      local pid = spawn(kernel, sys, 0, function()
        sys.kill(sys.getpid(), "KILL")
      end)
      kernel:sig_child(pid, "ended")
    end,
    ended = function(_, _, _, _, status) how = { poe.wait_status(status) } end,
  }
  poe.run()
  same({ "signal", sys.signals.KILL }, how)
end)

test("children that end before they are watched are told", function(poe, sys)
  local told = 0
  local read, write = sys.pipe()
  create {
    _start = function(kernel, heap)
      heap.pids = {}
      for i = 1, 5 do
        heap.pids[i] = spawn(kernel, sys, i, function() write:close() end)
      end
      write:close()
      kernel:select_read(read, "all_ended") -- its last writer is gone
    end,
    all_ended = function(kernel, heap, pipe)
      kernel:select_read(pipe)
      for i, pid in ipairs(heap.pids) do kernel:sig_child(pid, "ended", i) end
    end,
    ended = function(_, _, _, _, status, i)
      same({ "exit", i }, { poe.wait_status(status) })
      told = told + 1
    end,
  }
  poe.run()
  same(5, told)
end)

test("what io.popen starts is not taken away", function(poe, sys)
  local closed
  create {
    _start = function(kernel)
      local pipe = assert(io.popen("exit 3"))
      kernel:sig_child(spawn(kernel, sys, 0), "ended", pipe)
    end,
    ended = function(_, _, _, _, _, pipe) closed = { pipe:close() } end,
  }
  poe.run()
  same(3, closed[3])
end)

-- ---- fork -----------------------------------------------------------------------------------------------

test("the child's loop is its own", function(poe, sys)
  local read, write = sys.pipe()
  local seen, status_of = {}, nil
  local is_child = false
  create {
    _start = function(kernel)
      kernel:select_read(read, "readable")
      kernel:sig("USR1", "signalled")
      local pid = kernel:fork()
      if pid == 0 then
        is_child = true
        kernel:yield "in_child"
      else
        kernel:sig_child(pid, "ended")
      end
    end,
    in_child = function(kernel)
      -- Nothing of this may reach the parent.
      kernel:select_read(read)
      local a, b = sys.socketpair()
      kernel:select_read(a, "own")
      b:write "child"
      sys.kill(sys.getpid(), "USR1")
    end,
    own = function(kernel, _, socket)
      seen[#seen + 1] = socket:read(10)
      kernel:select_read(socket)
      kernel:delay("late", 0.02)
    end,
    late = function(kernel)
      seen[#seen + 1] = "late"
      kernel:sig "USR1"
    end,
    signalled = function() seen[#seen + 1] = "signal" end,
    ended = function(kernel, _, _, _, status)
      status_of = { poe.wait_status(status) }
      write:write "parent"
      kernel:sig "USR1"
    end,
    readable = function(kernel, _, pipe)
      seen[#seen + 1] = pipe:read(10)
      kernel:select_read(pipe)
    end,
  }
  poe.run()
  if is_child then
    in_child(sys, function()
      table.sort(seen)
      same({ "child", "late", "signal" }, seen)
    end)
  end
  same({ "exit", 0 }, status_of, "the child")
  same({ "parent" }, seen)
end)

test("timers and watchers go on in the child, once in each process", function(poe, sys)
  local results, tell = sys.pipe()
  local read, write = sys.pipe()
  local pid
  create {
    _start = function(kernel)
      kernel:delay("timer", 0.03)
      kernel:select_read(read, "readable")
      pid = kernel:fork()
      if pid ~= 0 then kernel:sig_child(pid, "ended") end
    end,
    timer = function()
      tell:write(pid == 0 and "t" or "T")
      if pid == 0 then write:write "x" end
    end,
    readable = function(kernel, _, pipe)
      -- Level: both may see the byte, one can read it.
      if pipe:read(10) and pid ~= 0 then write:write "x" end
      kernel:select_read(pipe)
    end,
    ended = function() write:write "x" end,
  }
  poe.run()
  if pid == 0 then sys._exit(0) end
  local told = results:read(10)
  check(told == "tT" or told == "Tt", "the timer came once in each: " .. told)
end)

test("a process that forked by other means is told by has_forked", function(poe, sys)
  local status_of
  create {
    _start = function(kernel)
      local id, pid = kernel:ID(), kernel:fork()
      if pid == 0 then
        in_child(sys, function()
          kernel:has_forked()
          check(kernel:ID() ~= id, "the kernel's ID is another")
        end)
      end
      kernel:sig_child(pid, "ended")
    end,
    ended = function(_, _, _, _, status)
      status_of = { poe.wait_status(status) }
    end,
  }
  poe.run()
  same({ "exit", 0 }, status_of)
end)

-- ---- running the tests --------------------------------------------------------------------------------

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function this_interpreter()
  return "/proc/" .. require "poe.sys".getpid() .. "/exe"
end

--- The names of the tests, in their order.
---@return string[]
function Loops.names()
  local names = {}
  for i, one in ipairs(tests) do names[i] = one.name end
  return names
end

--- In the process of its own.
---@param name string
function Loops.perform(name)
  local one = assert(tests[name], "no such test")
  one.body(require "poe", require "poe.sys")
  io.write "passed"
end

--- One test against one loop.
---@param loop string
---@param name string
---@param interpreter? string
---@return boolean passed
---@return string output of a test that did not pass
function Loops.run_one(loop, name, interpreter)
  local command = ("%s=%s LUA_PATH_5_4=%s LUA_CPATH_5_4=%s timeout %d %s -e %s"
    .. " 2>&1 </dev/null"):format(LOOP_VARIABLE, quote(loop),
    quote(package.path), quote(package.cpath), PATIENCE,
    interpreter or this_interpreter(),
    quote(("require 'poe.test.loops'.perform(%q)"):format(name)))
  local pipe <close> = assert(io.popen(command))
  local output = pipe:read "a"
  local ok, how, code = pipe:close()
  if ok and output == "passed" then return true, "" end
  return false, ("%s%s %d"):format(output, how, code)
end

--- All tests against one loop; tells of each as it goes (TAP).
---@param loop string
---@param options? {write: fun(line: string)?, interpreter: string?}
---@return boolean passed all of them
---@return string[] failed the names of the others
function Loops.run(loop, options)
  options = options or {}
  local write = options.write or print
  local failed = {}
  write("1.." .. #tests)
  for i, one in ipairs(tests) do
    local ok, output = Loops.run_one(loop, one.name, options.interpreter)
    write(("%s %d - %s: %s"):format(ok and "ok" or "not ok", i, loop, one.name))
    if not ok then
      failed[#failed + 1] = one.name
      write("# " .. output:gsub("\n", "\n# "))
    end
  end
  return #failed == 0, failed
end

return Loops
