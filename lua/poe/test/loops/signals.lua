-- SPDX-License-Identifier: MIT
-- Signals of the system.
local suite = require "poe.test.loops.suite"

local test = suite.test
local same = suite.same
local create = suite.create

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
