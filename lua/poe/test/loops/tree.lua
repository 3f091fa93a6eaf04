-- SPDX-License-Identifier: MIT
-- Names and the tree of sessions, as they are on any loop.
local suite = require "poe.test.loops.suite"

local test = suite.test
local same = suite.same
local check = suite.check
local create = suite.create
local add = suite.add

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
