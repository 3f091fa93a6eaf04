-- SPDX-License-Identifier: MIT
-- Children, and what becomes of a loop in them.
local suite = require "poe.test.loops.suite"

local test = suite.test
local same = suite.same
local check = suite.check
local create = suite.create
local in_child = suite.in_child

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
