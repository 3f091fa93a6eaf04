-- SPDX-License-Identifier: MIT
-- What the tests of bridges are written with, and their list.

---@class poe.test.loops.suite
local suite = {}

---@class poe.test.loops.test
---@field name string
---@field body fun(poe: table, sys: table)

--- In the order they are run, and by name.
suite.tests = {} ---@type poe.test.loops.test[]

function suite.test(name, body)
  local tests = suite.tests
  tests[#tests + 1] = { name = name, body = body }
  tests[name] = tests[#tests]
end

local function text_of(value)
  if type(value) ~= "table" then return tostring(value) end
  local items = {}
  for i = 1, #value do items[i] = text_of(value[i]) end
  return "{" .. table.concat(items, ", ") .. "}"
end

function suite.same(expected, got, what)
  local e, g = text_of(expected), text_of(got)
  if e ~= g then
    error(("%s: expected %s, got %s"):format(what or "value", e, g), 2)
  end
end

function suite.check(value, what)
  if not value then error(what .. " does not hold", 2) end
end

suite.MICROSECOND = 1e-6 -- the resolution of poe.time()

function suite.create(states)
  return require "poe".session.create { inline_states = states }
end

function suite.add(list)
  return function(_, _, value) list[#list + 1] = value end
end

--- The child of a test tells the parent by its status how it was.
function suite.in_child(sys, body)
  local ok, message = xpcall(body, debug.traceback)
  if not ok then io.stderr:write("in the child: ", message, "\n") end
  sys._exit(ok and 0 or 1)
end

return suite
