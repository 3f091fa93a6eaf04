-- What the specs of poe.sys share: waiting, counting, a second process.

local lfs = require "lfs"

---@class spec.sys.fixture
local fixture = {}

local PATIENCE = tonumber(os.getenv "PATIENCE" or 10) -- seconds

--- Calls `f` until it answers something else than EAGAIN, and returns that.
function fixture.eventually(f, ...)
  local deadline = os.time() + PATIENCE
  while true do
    local results = table.pack(f(...))
    if results[1] ~= nil or results[3] ~= "EAGAIN" then
      return table.unpack(results, 1, results.n)
    end
    assert(os.time() < deadline, "nothing happened")
  end
end

--- Calls `f` until its value is true.
function fixture.wait_until(f)
  fixture.eventually(function()
    if f() then
      return true
    end
    return nil, nil, "EAGAIN"
  end)
end

--- Reads to the end of the file.
function fixture.read_all(object)
  local parts = {}
  repeat
    local bytes = assert(fixture.eventually(object.read, object))
    parts[#parts + 1] = bytes
  until bytes == ""
  return table.concat(parts)
end

--- Reads until there are as many bytes as expected, however they come in.
---@param expected string
function fixture.read_as_much(expected, object)
  local parts, size = {}, 0
  repeat
    local bytes = assert(fixture.eventually(object.read, object))
    parts[#parts + 1], size = bytes, size + #bytes
  until size >= #expected or bytes == ""
  return table.concat(parts)
end

local kept = {}

--- Returns its arguments; the objects among them `close_kept` will close.
function fixture.keep(...)
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if type(value) == "userdata" then
      kept[#kept + 1] = value
    end
  end
  return ...
end

function fixture.close_kept()
  for i = #kept, 1, -1 do
    kept[i]:close()
    kept[i] = nil
  end
end

--- How many descriptors this process has open.
function fixture.count_open()
  local n = 0
  for _ in lfs.dir("/proc/self/fd") do
    n = n + 1
  end
  return n
end

local counted

--- The same without those of garbage: it is collected, at some length, only
--- when their number is not the last one.
function fixture.count_fds()
  if fixture.count_open() ~= counted then
    collectgarbage()
    collectgarbage()
    counted = fixture.count_open()
  end
  return counted
end

--- What runs this suite: the host, or a Lua.
function fixture.interpreter()
  local i = 0
  while arg[i - 1] do
    i = i - 1
  end
  return arg[i]
end

--- How long a process has run, in ns, if it waits for something just now; the
--- same twice: it has waited all the time.
---@return integer?
function fixture.time_when_asleep(pid)
  local stat <close> = io.open(("/proc/%d/stat"):format(pid))
  local schedstat <close> = io.open(("/proc/%d/schedstat"):format(pid))
  local time = schedstat and schedstat:read "n"
  return stat and stat:read("a"):match "%) (%a)" == "S" and time or nil
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs a script, given as text, in a process of its own.
---@param script string
---@param wrapper? string shell words that come before the interpreter
---@return string output, string kind "exit" or "signal", integer code
function fixture.run(script, wrapper)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(("package.path, package.cpath = %q, %q\n"):format(
    package.path, package.cpath), "local sys = require 'poe.sys'\n", script)
  file:close()
  local command = ("%s %s %s 2>&1"):format(wrapper or "exec",
    quote(fixture.interpreter()), name)
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  local _, kind, code = pipe:close()
  os.remove(name)
  return output, kind, code
end

--- The path of a file that does not exist yet.
function fixture.free_path()
  local name = os.tmpname()
  os.remove(name)
  return name
end

--- Asserts that a call failed the way all failures do.
function fixture.assert_failed(code, ...)
  local value, message, got = ...
  assert(value == nil, "expected a failure")
  assert(got == code, ("expected %s, got %s"):format(code, tostring(message)))
  local prefix = code .. ": "
  assert(message:sub(1, #prefix) == prefix, message)
end

return fixture
