-- SPDX-License-Identifier: MIT
-- A wheel's core on a terminal: keys to the editor, the line to the screen.
--
-- Between two lines the terminal is not read, and keys send signals again; what
-- is typed meanwhile is there for the next line. What is written while a line is
-- edited goes above it.
local Editor = require "poe.wheel.readline.editor"
local Keys = require "poe.wheel.readline.keys"
local Screen = require "poe.wheel.readline.screen"
local output = require "poe.wheel.readline.output"
local poe = require "poe"
local signals = require "poe.wheel.readline.signals"
local sys = require "poe.sys"

local kernel = poe.kernel

local PASTE_ON, PASTE_OFF = "\27[?2004h", "\27[?2004l"
local BELL = "\7"

---@class poe.wheel.readline.console
local console = {}

-- ---- the screen -------------------------------------------------------------------

local function from_environment(name, default)
  local number = math.tointeger(tonumber(os.getenv(name) or ""))
  return number and number > 0 and number or default
end

--- Columns and rows; where nobody knows, 80 and 24.
---@return integer columns
---@return integer rows
function console.size(core)
  local rows, columns = sys.get_winsize(core.output)
  if not rows or rows == 0 or columns == 0 then
    return from_environment("COLUMNS", 80), from_environment("LINES", 24)
  end
  return columns, rows
end

local function show(core)
  output.write(core, core.screen:draw(core.editor:view()))
end

--- Whether the terminal had another size, so that the line was taken away.
local function fit(core)
  local screen, columns, rows = core.screen, console.size(core)
  if not core.is_reading then return false end
  if columns == screen.columns and rows == screen.lines then return false end
  output.write(core, screen:resize(columns, rows))
  return true
end

--- Rows above the line.
local function write_above(core, rows)
  output.write(core, core.screen:erase() .. table.concat(rows, "\r\n") .. "\r\n")
end

local function set_modes(core)
  local farewell = core.has_paste and "\r\n" .. PASTE_OFF or ""
  return sys.tty_edit(core.input, not core.is_reading, farewell)
end

--- What leaves the line as it is on the screen.
local function end_of_line(core)
  local prompt, units = core.editor:view()
  return core.screen:draw(prompt, units, #units) .. core.screen:finish()
end

--- The terminal is as it is between lines.
local function leave_line(core)
  local is_on = core.has_paste
  core.has_paste = false
  return end_of_line(core) .. (is_on and PASTE_OFF or "")
end

local function begin_line(core)
  core.screen:forget()
  core.screen.columns, core.screen.lines = console.size(core)
  core.has_paste = core.attribs.enable_bracketed_paste
  set_modes(core)
  output.write(core, core.has_paste and PASTE_ON or "")
  show(core)
end

-- ---- lines that wait to be written ------------------------------------------------

local function put_waiting(core)
  core:delay "idle"
  local rows = core.waiting
  if #rows == 0 then return end
  core.waiting = {}
  if core.is_reading then
    fit(core)
    write_above(core, rows)
    show(core)
  else
    output.write(core, table.concat(rows, "\r\n") .. "\r\n")
  end
end

--- How long rows still have to wait; nil: until the line is done.
local function time_to_wait(core)
  if not core.is_reading or core.put_mode == "immediate" then return 0 end
  if core.put_mode == "after" then return nil end
  return math.max(core.last_key + core.idle_time - poe.monotime(), 0)
end

function console.put(core, rows)
  table.move(rows, 1, #rows, #core.waiting + 1, core.waiting)
  local seconds = time_to_wait(core)
  if seconds == 0 then
    put_waiting(core)
  else
    core:delay("idle", seconds)
  end
end

-- ---- input ----------------------------------------------------------------------------

local function stop_reading(core)
  core.is_reading = false
  kernel:select_read(core.input)
  output.write(core, leave_line(core))
  set_modes(core)
  put_waiting(core)
end

local function tell(core, result)
  core.result = nil
  stop_reading(core)
  core:emit("input_event", result[1], result[2], core.id)
end

local function process(core)
  while core.alive and core.is_reading do
    local key, raw = core.keys:next()
    if not key then return show(core) end
    core.last_key = poe.monotime()
    core.editor:key(key, raw)
    if core.result then tell(core, core.result) end
  end
end

--- The terminal has gone, or cannot be read.
local function fail(core, message, code)
  core.is_reading = false
  kernel:select_read(core.input)
  if code ~= "EIO" and core.events.error_event then
    return core:report("read", message, code)
  end
  core:emit("input_event", nil, "eot", core.id)
end

local function read(core)
  local bytes, message, code = core.input:read()
  if bytes == "" then
    fail(core, "", "EIO")
  elseif bytes then
    fit(core) -- keys may come before the signal
    core.keys:feed(bytes)
    process(core)
  elseif code ~= "EAGAIN" and code ~= "EINTR" then
    fail(core, message, code)
  end
end

function console.get(core, prompt)
  local editor = core.editor
  editor.prompt = prompt or editor.prompt
  if core.is_reading then return show(core) end
  core.is_reading, core.last_key = true, poe.monotime()
  editor:start()
  begin_line(core)
  kernel:select_read(core.input, core.states.read)
  if core.keys.bytes ~= "" then core:defer "process" end
end

-- ---- what the editor asks for ---------------------------------------------------------

local function host_of(core)
  return {
    finish = function(line, exception) core.result = { line, exception } end,
    list = function(rows)
      output.write(core, end_of_line(core) .. table.concat(rows, "\r\n") .. "\r\n")
    end,
    columns = function() return core.screen.columns end,
    bell = function()
      if core.attribs.bell_style ~= "none" then output.write(core, BELL) end
    end,
    clear = function() output.write(core, core.screen:clear()) end,
    redraw = function() output.write(core, core.screen:erase()) end,
    suspend = function() sys.kill(0, "TSTP") end,
  }
end

-- ---- signals ----------------------------------------------------------------------------

local functions = {}

function functions.resize(core)
  if fit(core) then show(core) end
end

function functions.pause(core)
  if core.is_reading then output.write(core, leave_line(core)) end
  sys.tty_pause(core.input)
end

function functions.resume(core)
  if core.is_reading then begin_line(core) else set_modes(core) end
end

-- ---- life -------------------------------------------------------------------------------

--- The terminal's objects, and all the core needs. In its session.
---@param core poe.wheel.core
---@param checked poe.wheel.readline.options
---@return true?
---@return string? message
---@return string? code
function console.start(core, checked)
  local message, code
  core.input, message, code = sys.tty_open(checked.input_handle)
  if not core.input then return nil, message, code end
  core.output = core.input
  if checked.output_handle ~= checked.input_handle then
    core.output, message, code = sys.tty_open(checked.output_handle)
    if not core.output then return nil, message, code end
  end
  core.keys, core.waiting = Keys.new(checked.max_length), {}
  core.editor = Editor.new(host_of(core), core.attribs, checked.max_length,
    core.history)
  core.screen = Screen.new(console.size(core))
  output.start(core)
  core:state("read", function() read(core) end)
  core:deferred("process", function() process(core) end)
  core:timer("idle", function() put_waiting(core) end)
  signals.add(core, functions)
  return set_modes(core)
end

function console.clear(core)
  output.write(core, core.screen:clear())
  if core.is_reading then show(core) end
end

function console.refresh(core)
  if core.is_reading then show(core) end
end

--- In the core's session, before it goes.
function console.leave(core)
  kernel:select(core.input)
  kernel:select(core.output)
end

--- In any session or none: the terminal is as it was found.
function console.gone(core)
  signals.remove(core)
  if core.driver then
    local rows = table.concat(core.waiting, "\r\n")
    core.driver:put { core.is_reading and leave_line(core) or "",
      #core.waiting > 0 and rows .. "\r\n" or "" }
    output.finish(core)
  end
  for _, terminal in pairs { core.input, core.output } do
    if not terminal:is_closed() then
      sys.tty_restore(terminal)
      terminal:close()
    end
  end
end

return console
