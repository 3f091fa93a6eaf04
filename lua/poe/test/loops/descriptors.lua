-- SPDX-License-Identifier: MIT
-- Descriptors: what is ready, in which mode, and for whom.
local suite = require "poe.test.loops.suite"

local test = suite.test
local same = suite.same
local check = suite.check
local create = suite.create

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
