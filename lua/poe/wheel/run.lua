-- SPDX-License-Identifier: MIT
-- A process, its standard descriptors and its end. POE::Wheel::Run.
--
-- Each conduit is a wheel ReadWrite that sends the user's events with this
-- wheel's ID; what ends it comes here. The exit status comes when all that the
-- process itself has written was given out. See doc/wheels.md.
local Base = require "poe.wheel.base"
local Line = require "poe.filter.line"
local Output = require "poe.wheel.run_output"
local ReadWrite = require "poe.wheel.readwrite"
local options = require "poe.options"
local parameters = require "poe.wheel.run_parameters"
local poe = require "poe"
local process = require "poe.wheel.process"
local sys = require "poe.sys"

local kernel = poe.kernel

---@class poe.wheel.run: poe.wheel
local Run = Base.class("Run", parameters.list)

-- The fields of its core.
---@class poe.wheel.run.core: poe.wheel.core
---@field pid integer
---@field has_ended boolean  the process; `code` and `signal` say how
---@field is_done boolean  the exit status was told
---@field is_held boolean  the session is kept alive for exit_event
---@field stdin? poe.wheel.readwrite
---@field outputs poe.wheel.run.output[]  stdout, stderr
---@field is_pty boolean

-- ---- outputs ----------------------------------------------------------------------

--- Whether something may come from it that somebody wants.
local function is_active(core, output)
  return output.is_open and core.events[output.option] ~= nil
end

-- ---- the end ------------------------------------------------------------------------

--- Until its status was told, the session lives; without exit_event it need not.
local function hold(core, wanted)
  if wanted == core.is_held then return end
  core.is_held = wanted
  if wanted then
    kernel:refcount_increment(core.session_id, core.name)
  else
    kernel:refcount_decrement(core.session_id, core.name)
  end
end

--- Tells the exit status if it is time to.
local function settle(core)
  if not core.alive or not core.has_ended or core.is_done then return end
  for _, output in ipairs(core.outputs) do
    if is_active(core, output) and not output:is_drained() then return end
  end
  core.is_done = true
  hold(core, false)
  -- Nobody is there to read it; open, it would keep the session alive.
  if core.stdin and core.stdin.core.alive then core.stdin:shutdown_output() end
  core:emit("exit_event", core.code, core.signal, core.pid, core.id)
end

local function name_of_signal(number)
  for name, its_number in pairs(sys.signals) do
    if its_number == number then return name end
  end
  return tostring(number)
end

local function ended(core, how, number)
  core.has_ended = true
  if how == "exit" then
    core.code = number
  else
    core.signal = name_of_signal(number)
  end
  if core.alive then core:inside(settle, core) end
end

--- Without its session a wheel is as good as gone, but the process would wait
--- for it until it is collected.
local function look_after(core)
  if not core:has_session() then core:destroy() end
end

--- After an output has ended: close_event comes with the last one.
local function close_output(core, output)
  output.is_open = false
  for _, other in ipairs(core.outputs) do
    if is_active(core, other) then return end
  end
  core:emit("close_event", core.id)
  settle(core)
end

--- A conduit has failed or come to its end. That of a terminal does both with
--- EIO, when nobody has its other side any more.
local function failed(core, name, output, operation, code, text)
  if core.is_pty and operation == "read" and code == "EIO"
    and select(2, output.handle:available()) == true then
    code, text = 0, ""
  end
  if operation ~= "read" then name = "STDIN" end
  core:emit("error_event", operation, code, text, core.id, name)
  if core.alive and output then close_output(core, output) end
end

function Run.on_event(core)
  if core.stdin then
    core.stdin:event { flushed_event = core.events.stdin_event or false }
  end
  for _, output in ipairs(core.outputs) do
    if output.is_open then
      output.wheel:event { input_event = core.events[output.option] or false }
    end
  end
  hold(core, core.events.exit_event ~= nil and not core.is_done)
  core:defer "settle"
end

Run.check = parameters.check

function Run.on_leave(core)
  hold(core, false)
end

function Run.on_gone(core)
  if core.stdin then core.stdin:destroy() end
  for _, output in ipairs(core.outputs) do output.wheel:destroy() end
end

-- ---- new ------------------------------------------------------------------------------

--- The wheel of a conduit. Its ID is ours, as the user's events tell it.
local function open_conduit(core, name, output, given)
  given.error_event = core:state(name, function(_, _, operation, code, text)
    failed(core, name, output, operation, code, text)
  end)
  local wheel, message, code = ReadWrite.new(given)
  if not wheel then return nil, message, code end
  wheel.core.id = core.id
  return wheel
end

local function open_output(core, name, option, handle, driver, given)
  local output = Output.new(core, name, option, handle, driver)
  given.driver, given.input_event = output, core.events[option]
  local message, code
  output.wheel, message, code = open_conduit(core, name, output, given)
  if not output.wheel then return nil, message, code end
  core.outputs[#core.outputs + 1] = output
  return output
end

local function open_pty(core, checked, handle)
  local output, message, code = open_output(core, "STDOUT", "stdout_event", handle,
    checked.stdio_driver or checked.stdout_driver, {
      handle = handle, input_filter = core.stdout_filter,
      output_filter = core.stdin_filter, flushed_event = checked.stdin_event,
      max_output = checked.max_stdin,
    })
  core.stdin = output and output.wheel
  return output, message, code
end

local function open_stdin(core, checked, handle)
  local message, code
  core.stdin, message, code = open_conduit(core, "STDIN", nil, {
    output_handle = handle, output_filter = core.stdin_filter,
    driver = checked.stdio_driver or checked.stdin_driver,
    flushed_event = checked.stdin_event, max_output = checked.max_stdin,
  })
  return core.stdin, message, code
end

local function open_stdout(core, checked, handle)
  return open_output(core, "STDOUT", "stdout_event", handle,
    checked.stdio_driver or checked.stdout_driver,
    { input_handle = handle, input_filter = core.stdout_filter })
end

local function open_stderr(core, checked, handle)
  return open_output(core, "STDERR", "stderr_event", handle, checked.stderr_driver,
    { input_handle = handle, input_filter = core.stderr_filter })
end

local function open_conduits(core, checked, ends)
  local steps = { { open_stdin, ends.stdin }, { open_stdout, ends.stdout },
    { open_stderr, ends.stderr } }
  if core.is_pty then
    steps = { { open_pty, ends.stdout }, { open_stderr, ends.stderr } }
  end
  for i = 1, 3 do
    local step = steps[i]
    if step and step[2] then
      local ok, message, code = step[1](core, checked, step[2])
      if not ok then return nil, message, code end
    end
  end
  return true
end

local function set_filters(core, checked)
  local stdio = checked.stdio_filter or Line.new { literal = "\n" }
  core.stdin_filter = checked.stdin_filter or stdio
  core.stdout_filter = checked.stdout_filter or stdio
  core.stderr_filter = checked.stderr_filter or Line.new { literal = "\n" }
end

local function start(core, checked)
  local pid, ends, code = process.start(parameters.request(checked))
  if not pid then return nil, ends, code end
  core.pid, core.has_ended, core.is_done = pid, false, false
  process.reap(pid, function(how, number) ended(core, how, number) end,
    function() look_after(core) end)
  local ok, message
  ok, message, code = open_conduits(core, checked, ends)
  if not ok then
    for _, handle in pairs(ends) do handle:close() end
    sys.kill(pid, "KILL")
    return nil, message, code
  end
  core:deferred("settle", function() settle(core) end)
  hold(core, checked.exit_event ~= nil)
  return true
end

--- Starts a process. Why it could not be started is a failure, whatever it was:
--- no program, no right to be that user, no descriptor left.
---@param given poe.wheel.run.options
---@return poe.wheel.run? wheel
---@return string? message  "ENOENT: No such file or directory: exec: ls"
---@return string? code
function Run.new(given)
  local core, checked = Base.core(Run, given)
  core.is_held, core.outputs, core.is_pty = false, {}, parameters.is_pty(checked)
  set_filters(core, checked)
  local ok, message, code = start(core, checked)
  if ok then return Base.wheel(core) end
  core:destroy()
  return nil, message, code
end

-- ---- methods ------------------------------------------------------------------------

---@return integer
function Run:PID()
  return self.core.pid
end

--- Sends a signal to the process, as long as it is there.
---@param signal? string|integer  "TERM"
---@return true?
---@return string? message
---@return string? code
function Run:kill(signal)
  local core = self.core
  if core.has_ended then return nil, "ESRCH: the process has ended", "ESRCH" end
  return sys.kill(core.pid, signal or "TERM")
end

--- Takes records for the standard input of the process.
---@param ... any
---@return boolean?
---@return string? message
---@return string? code
function Run:put(...)
  local core = Base.check_alive(self, "put")
  if not core.stdin then
    return nil, "EPIPE: there is no conduit to stdin", "EPIPE"
  end
  return core.stdin:put(...)
end

--- Ends the standard input when all that was put is written. A terminal has no
--- such end.
function Run:shutdown_stdin()
  local core = Base.check_alive(self, "shutdown_stdin")
  if core.stdin then core.stdin:shutdown_output() end
end

local function find_output(core, name)
  for _, output in ipairs(core.outputs) do
    if output.name == name and output.is_open then return output end
  end
end

local function pause(self, method, name, wanted)
  local core = Base.check_alive(self, method)
  local output = find_output(core, name)
  if not output then return end
  output.is_paused = wanted
  if wanted then return output.wheel:pause_input() end
  output.wheel:resume_input()
  core:defer "settle"
end

function Run:pause_stdout()
  pause(self, "pause_stdout", "STDOUT", true)
end

function Run:pause_stderr()
  pause(self, "pause_stderr", "STDERR", true)
end

function Run:resume_stdout()
  pause(self, "resume_stdout", "STDOUT", false)
end

function Run:resume_stderr()
  pause(self, "resume_stderr", "STDERR", false)
end

---@return poe.filter
function Run:get_stdin_filter()
  return self.core.stdin_filter
end

---@return poe.filter
function Run:get_stdout_filter()
  return self.core.stdout_filter
end

---@return poe.filter
function Run:get_stderr_filter()
  return self.core.stderr_filter
end

---@param filter poe.filter
function Run:set_stdin_filter(filter)
  local core = Base.check_alive(self, "set_stdin_filter")
  options.check_argument("set_stdin_filter", 1, filter, "filter")
  core.stdin_filter = filter
  if core.stdin then core.stdin:set_output_filter(filter) end
end

local function set_output_filter(self, method, name, field, filter)
  local core = Base.check_alive(self, method)
  options.check_argument(method, 1, filter, "filter")
  core[field] = filter
  local output = find_output(core, name)
  if output then output.wheel:set_input_filter(filter) end
end

---@param filter poe.filter  it takes over what was read and not given out yet
function Run:set_stdout_filter(filter)
  set_output_filter(self, "set_stdout_filter", "STDOUT", "stdout_filter", filter)
end

---@param filter poe.filter
function Run:set_stderr_filter(filter)
  set_output_filter(self, "set_stderr_filter", "STDERR", "stderr_filter", filter)
end

---@param filter poe.filter
function Run:set_stdio_filter(filter)
  Base.check_alive(self, "set_stdio_filter")
  options.check_argument("set_stdio_filter", 1, filter, "filter")
  self:set_stdout_filter(filter)
  self:set_stdin_filter(filter)
end

---@return integer octets  that wait for the process
function Run:get_driver_out_octets()
  local stdin = self.core.stdin
  return stdin and stdin:get_driver_out_octets() or 0
end

---@return integer messages
function Run:get_driver_out_messages()
  local stdin = self.core.stdin
  return stdin and stdin:get_driver_out_messages() or 0
end

return Run
