-- SPDX-License-Identifier: MIT
-- Time: delays and alarms, their order, and that they wait for nothing else.
local suite = require "poe.test.loops.suite"

local test = suite.test
local same = suite.same
local check = suite.check
local create = suite.create
local add = suite.add
local MICROSECOND = suite.MICROSECOND

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
      local now = poe.time()
      local moved = kernel:alarm_set("due", now + 0.01, "moved")
      local removed = kernel:delay_set("due", 0.02, "removed")
      kernel:alarm_set("due", now + 0.03, "kept")
      kernel:delay("named", 0.01, 1)
      kernel:alarm("named", now + 0.06, 2)
      kernel:alarm_adjust(moved, 0.04)
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
