-- What the specs of the kernel share: proof that nothing is left behind, a
-- recorder of dispatches, scripts run in a process of their own.
--
-- There is one kernel per Lua state, so every spec has
--   before_each(helper.begin)
--   after_each(helper.finish)

local assert = require "luassert"
local core = require "poe.core"
local poe = require "poe"
local sys = require "poe.sys"

---@class spec.helper
local helper = {}

local USUAL = 30 -- seconds until a script counts as hung
local MAX_FD = 63 -- beyond it no spec opens anything

helper.POE = os.getenv "POE_BIN" or "build/bin/poe"

--- What limits of time are multiplied by: PATIENCE in the environment is what a
--- slow machine, or one under valgrind, has instead of the usual seconds.
helper.SLOWNESS = math.max(tonumber(os.getenv "PATIENCE" or USUAL) / USUAL, 1)

-- ---- nothing is left --------------------------------------------------------

local function count_descriptors()
  local n = 0
  for fd = 0, MAX_FD do
    local info <close> = io.open("/proc/self/fdinfo/" .. fd)
    n = n + (info and 1 or 0)
  end
  return n
end

local function census()
  local now = core.census()
  now.allocations = nil -- tables keep the room they have grown to
  now.descriptors = count_descriptors()
  return now
end

-- What the first of its kind leaves for ever (the loop, its signal pipe, the
-- name of a file) is there before anything is counted.
local function warm_up()
  local read, write = assert(sys.pipe())
  poe.session.create {
    inline_states = {
      _start = function(kernel)
        kernel:sig("USR1", "signalled")
        kernel:select_read(read, "readable")
        sys.kill(sys.getpid(), "USR1")
      end,
      signalled = function(kernel)
        kernel:select_read(read)
      end,
    },
  }
  poe.run()
  read:close()
  write:close()
end

local baseline

-- Whether what there is agrees with the baseline: there is nothing to collect.
local function is_baseline(now)
  for what, count in pairs(now) do
    if count ~= baseline[what] then
      return false
    end
  end
  return true
end

--- Before each test.
function helper.begin()
  if not baseline then
    warm_up()
  elseif is_baseline(census()) then
    return
  end
  collectgarbage()
  baseline = census()
end

-- What there is, but for garbage.  A full collection takes as long as a
-- hundred small tests: none where nothing is there without; a second one for
-- what the finalizers of the first let go.
local function census_of_the_living()
  local now = census()
  for _ = 1, 2 do
    if is_baseline(now) then
      break
    end
    collectgarbage()
    now = census()
  end
  return now
end

--- After each test: what it started has ended, and was given back.
function helper.finish()
  if core.census().sessions > 0 then
    poe.kernel:stop()
    pcall(poe.run)
  end
  poe.configure { catch_exceptions = true, assert = { default = false } }
  local now = census_of_the_living()
  for what, count in pairs(now) do
    if what ~= "names" and what ~= "descriptors" then
      assert.equal(0, count, what .. " left behind")
    end
  end
  assert.same(baseline, now)
end

-- ---- text ---------------------------------------------------------------------

--- Takes away the indentation that all lines have, and the space around.
---@param text string
---@return string
function helper.unindent(text)
  text = text:gsub("^\n", ""):gsub("%s+$", "")
  local margin = #text
  for space in ("\n" .. text):gmatch "\n( *)%f[^ \n]" do
    margin = math.min(margin, #space)
  end
  return (("\n" .. text):gsub("\n" .. (" "):rep(margin), "\n"):sub(2))
end

-- ---- the recorder -----------------------------------------------------------------

---@class spec.trace
---@field lines string[]
---@field names table<integer, string> of sessions, by ID
local Trace = {}
Trace.__index = Trace

--- A new, empty record.
---@return spec.trace
function helper.trace()
  return setmetatable({ lines = {}, names = {} }, Trace)
end

--- Adds a line.
function Trace:say(...)
  self.lines[#self.lines + 1] = table.concat({ ... })
end

--- The name of a session, or "KERNEL".
function Trace:name(session)
  if poe.type(session) == "kernel" then
    return "KERNEL"
  end
  return self.names[session:ID()] or "session " .. session:ID()
end

-- Where an exception came from depends on lines of the spec.
local PLACE = { file = true, line = true, traceback = true, error = true }

local function format_table(self, value)
  local items = {}
  if value.error_str ~= nil then
    for key, item in pairs(value) do
      if not PLACE[key] then
        items[#items + 1] = key .. "=" .. self:format(item)
      end
    end
    table.sort(items)
    return "{" .. table.concat(items, ", ") .. "}"
  end
  return "[" .. self:format(table.unpack(value, 1, value.n or #value)) .. "]"
end

local function format_one(self, value)
  local kind = io.type(value) and "file" or poe.type(value) or sys.type(value)
  if kind == "kernel" or kind == "session" then
    return self:name(value)
  elseif kind then
    return "FH"
  elseif type(value) == "table" then
    return format_table(self, value)
  end
  return (tostring(value):gsub("\n", "\\n"))
end

--- Values as text: sessions by their names, tables as lists.
---@return string
function Trace:format(...)
  local items = table.pack(...)
  for i = 1, items.n do
    items[i] = format_one(self, items[i])
  end
  return table.concat(items, ", ")
end

local function record(self, name, handler, is_quiet)
  return function(kernel, heap, ...)
    local id = kernel.session:ID()
    self.names[id] = self.names[id] or name
    if not is_quiet then
      local args = self:format(...)
      self:say(name, ".", kernel.event, " <- ", self:name(kernel.sender),
        args ~= "" and " (" .. args .. ")" or "")
    end
    if handler ~= true then
      return handler(kernel, heap, ...)
    end
  end
end

--- Creates a session that records every dispatch as
--- `session.event <- sender (arguments)`.
---@param name string
---@param states table<string, function|true|false> true: only record; _start
---  and _stop are always there, unless false
---@param options? table of `create`, and `quiet`: dispatches are not recorded
function Trace:session(name, states, options)
  local parameters, inline = {}, {}
  for key, value in pairs(options or {}) do
    if key ~= "quiet" then
      parameters[key] = value
    end
  end
  local is_quiet = options and options.quiet
  for event, handler in pairs(states) do
    inline[event] = handler and record(self, name, handler, is_quiet) or nil
  end
  for _, event in ipairs { "_start", "_stop" } do
    if states[event] == nil then
      inline[event] = record(self, name, true, is_quiet)
    end
  end
  parameters.inline_states = inline
  return poe.session.create(parameters)
end

--- Runs the kernel to its end and records how that was.
function Trace:run()
  local ok, message = pcall(poe.run)
  self:say(ok and "run() returned" or "run() died: " .. tostring(message))
end

--- What was recorded is this, line by line; indentation does not matter.
function Trace:expect(text)
  assert.equal(helper.unindent(text), table.concat(self.lines, "\n"))
end

--- Posts an event to the running session when that many slices have passed:
--- "later", whatever the speed of the machine.
---@param slices? integer 15
function helper.later(kernel, event, slices)
  local left, tick = slices or 15, "before " .. event
  kernel:state(tick, function()
    left = left - 1
    kernel:yield(left > 0 and tick or event)
  end)
  kernel:yield(tick)
end

-- ---- scripts ----------------------------------------------------------------------

---@class spec.script_options
---@field virtual? boolean with --virtual-time
---@field arguments? string for the script, as written in a shell
---@field environment? string such as "POE_TRACE_EVENTS=1"
---@field interpreter? string instead of the host: "lua5.4"
---@field patience? integer seconds, times SLOWNESS

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function write_file(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

-- Reads the file and removes it.
local function take_file(path)
  local file <close> = assert(io.open(path))
  os.remove(path)
  return file:read "a"
end

local function interpreter(options)
  if not options.interpreter then
    return quote(helper.POE) .. (options.virtual and " --virtual-time" or "")
  end
  return "LUA_PATH='./lua/?.lua;./lua/?/init.lua;;' LUA_CPATH='./build/lib/?.so;;' "
    .. options.interpreter
end

--- Runs a script in a process of its own, on the host unless told otherwise.
---@param script string its text, or the name of a file *.lua
---@param options? spec.script_options
---@return integer status as the shell's $?: 128 + number when a signal ended it
---@return string out what it wrote
---@return string err
function helper.run_poe(script, options)
  options = options or {}
  local base = os.tmpname()
  local path = script
  if not script:find "^%S+%.lua$" then
    path = base
    write_file(base, script)
  end
  local command = ("exec timeout %d env %s %s %s %s >%s.out 2>%s.err </dev/null"):format(
    math.ceil((options.patience or USUAL) * helper.SLOWNESS),
    options.environment or "",
    interpreter(options), quote(path),
    options.arguments or "", base, base)
  local _, how, code = os.execute(command)
  os.remove(base)
  return how == "exit" and code or 128 + code, take_file(base .. ".out"),
    take_file(base .. ".err")
end

--- As run_poe, on the clock that jumps to the next timer.
function helper.run_virtual(script, options)
  local copy = { virtual = true }
  for key, value in pairs(options or {}) do
    copy[key] = value
  end
  return helper.run_poe(script, copy)
end

--- What a script has before it that calls `waits_for_ever` as soon as nothing
--- will happen any more: SIGALRM ends it, some time later.  The status is WAITED.
helper.WAITS = [[

  local function waits_for_ever()
    io.stdout:flush()
    os.execute(("(sleep 0.2; kill -ALRM %d) &"):format(require "poe.sys".getpid()))
  end
]]
helper.WAITED = 128 + 14

--- The script ran to its end, wrote this and nothing on stderr.
function helper.assert_prints(expected, script, options)
  local status, out, err = helper.run_poe(script, options)
  assert.equal("", err)
  assert.equal(helper.unindent(expected) .. "\n", out)
  assert.equal(0, status)
end

return helper
