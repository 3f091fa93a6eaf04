-- SPDX-License-Identifier: MIT
-- The tests that every bridge to an event loop must pass.
--
--   require "poe.test.loops".run "mine"
--
-- runs each against the loop named so, in a process of its own: this one's
-- interpreter, with its package.path. The first line of what a failing test
-- says comes with it. What they cover is what POE::Test::Loops does.
local tests = require "poe.test.loops.suite".tests

local LOOP_VARIABLE = "POE_EVENT_LOOP"
local PATIENCE = 30 -- seconds until a test counts as hung

---@class poe.test.loops
local Loops = {}

for _, subject in ipairs {
  "run", "time", "tree", "descriptors", "signals", "children",
} do
  require("poe.test.loops." .. subject)
end

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
