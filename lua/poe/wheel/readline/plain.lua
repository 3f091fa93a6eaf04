-- SPDX-License-Identifier: MIT
-- A wheel's core where there is nothing to edit: lines as they come, from a pipe,
-- a file or a terminal that knows no control sequences.
local Base = require "poe.wheel.base"
local Line = require "poe.filter.line"
local SysRW = require "poe.driver.sysrw"
local output = require "poe.wheel.readline.output"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

---@class poe.wheel.readline.plain
local plain = {}

local function write_prompt(core)
  if core.is_terminal and core.prompt then output.write(core, core.prompt) end
end

local function finish(core, ...)
  core.is_reading = false
  if core.input then kernel:select_read(core.input) end
  core:emit("input_event", ...)
end

--- Nothing more will come.
local function end_input(core)
  kernel:select_read(core.input)
  core.has_ended = true
end

local function tell_end(core)
  local message, code = core.message, core.code
  core.message = nil
  if code and core.events.error_event then
    core.is_reading = false
    return core:report("read", message, code)
  end
  finish(core, nil, "eot", core.id)
end

--- A line, if there is one; at the end the one without an end of its own, then
--- that.
local function deliver(core)
  if not core.alive or not core.is_reading then return end
  local lines, message, code = core.filter:get_one()
  if not lines then
    core.message, core.code = message, code
    end_input(core)
    return tell_end(core)
  elseif lines[1] then
    return finish(core, lines[1], nil, core.id)
  elseif not core.has_ended then
    return
  end
  local rest = core.filter:get_pending()
  if rest then
    core.filter = Line.new { max_length = core.max_length }
    return finish(core, table.concat(rest), nil, core.id)
  end
  tell_end(core)
end

local function read(core)
  local chunks, message, code = core.reader:get(core.input)
  if chunks then
    core.filter:get_one_start(chunks)
  else
    core.message, core.code = message, code ~= "EIO" and code or nil
    end_input(core)
  end
  deliver(core)
end

function plain.get(core, prompt)
  local is_new = not core.is_reading or prompt and prompt ~= core.prompt
  core.prompt = prompt or core.prompt
  if is_new then write_prompt(core) end
  if core.is_reading then return end
  core.is_reading = true
  if not core.has_ended then kernel:select_read(core.input, core.states.read) end
  if core.has_ended or core.filter:get_pending() then core:defer "deliver" end
end

function plain.put(core, rows)
  local is_typing = core.is_reading and core.is_terminal
  output.write(core, (is_typing and "\n" or "") .. table.concat(rows, "\n") .. "\n")
  if is_typing then write_prompt(core) end
end

--- A handle to use: a terminal's is not shared with others, what was only lent is
--- a duplicate.
local function open(core, handle)
  local object, message, code
  if sys.isatty(handle) then
    object, message, code = sys.tty_open(handle)
  else
    object, message, code = Base.open(handle)
  end
  if object and object ~= handle then core.opened[object] = true end
  return object, message, code
end

--- Opens the handles. In the core's session.
---@param core poe.wheel.core
---@param checked poe.wheel.readline.options
---@return true?
---@return string? message
---@return string? code
function plain.start(core, checked)
  local message, code
  core.opened, core.is_terminal = {}, sys.isatty(checked.input_handle)
  core.input, message, code = open(core, checked.input_handle)
  if not core.input then return nil, message, code end
  core.output = core.input
  if checked.output_handle ~= checked.input_handle then
    core.output, message, code = open(core, checked.output_handle)
    if not core.output then return nil, message, code end
  end
  core.max_length, core.reader = checked.max_length, SysRW.new()
  core.filter = Line.new { max_length = checked.max_length }
  output.start(core)
  core:state("read", function() read(core) end)
  core:deferred("deliver", function() deliver(core) end)
  return true
end

--- Columns and rows; nobody knows, and nobody needs them.
function plain.size()
  return 80, 24
end

function plain.clear() end

function plain.refresh() end

function plain.leave(core)
  kernel:select_read(core.input)
  kernel:select_write(core.output)
  output.finish(core)
end

--- In any session or none.
function plain.gone(core)
  output.finish(core)
  for handle in pairs(core.opened or {}) do
    sys.tty_restore(handle)
    handle:close()
    core.opened[handle] = nil
  end
end

return plain
