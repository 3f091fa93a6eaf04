-- SPDX-License-Identifier: MIT
-- The loop as a whole: its name, and running it once and again.
local suite = require "poe.test.loops.suite"

local test = suite.test
local same = suite.same
local check = suite.check
local create = suite.create
local add = suite.add

test("the loop has the name it was chosen by", function(poe)
  same(os.getenv("POE_EVENT_LOOP"), poe.kernel:poe_kernel_loop())
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
