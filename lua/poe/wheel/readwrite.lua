-- SPDX-License-Identifier: MIT
-- Buffered input and output on one handle, or two. POE::Wheel::ReadWrite.
--
-- Bytes go through a driver and become records by a filter. `put` never writes:
-- what it was given is written when the handler of the input that called it has
-- returned, or when the queue of events comes to it; so many small records cost
-- one system call. See doc/wheels.md.
local Base = require "poe.wheel.base"
local Line = require "poe.filter.line"
local SysRW = require "poe.driver.sysrw"
local flow = require "poe.wheel.flow"
local options = require "poe.options"
local sys = require "poe.sys"

require "poe.filter.base" -- the kind "filter"

local MAX_OUTPUT = 16 * 1024 * 1024

options.kinds.driver = {
  text = "a driver",
  accepts = function(value)
    return type(value) == "table" and value.get and value.put and value.flush
      and value.get_out_octets_buffered and true or false
  end,
}

---@class poe.wheel.readwrite.options
---@field handle? poe.handle
---@field input_handle? poe.handle  instead of it, for one direction each
---@field output_handle? poe.handle
---@field driver? poe.driver.sysrw
---@field filter? poe.filter  a new Line
---@field input_filter? poe.filter  instead of it, for one direction each
---@field output_filter? poe.filter
---@field input_event? string|poe.handler  (record, ID); without it nothing is read
---@field flushed_event? string  (ID): all was written
---@field error_event? string  (operation, code, text, ID)
---@field high_event? string  (ID): high_mark was reached
---@field low_event? string  (ID): then low_mark
---@field high_mark? integer  bytes that wait to be written
---@field low_mark? integer  0
---@field max_output? integer  most bytes that may wait; 16 MiB
---@field stall_timeout? number  seconds that the other side may take none

---@class poe.wheel.readwrite: poe.wheel
local ReadWrite = Base.class("ReadWrite", {
  handle = { "handle" }, input_handle = { "handle" }, output_handle = { "handle" },
  driver = { "driver" },
  filter = { "filter" }, input_filter = { "filter" }, output_filter = { "filter" },
  input_event = { "text|function" }, flushed_event = { "text" }, error_event = { "text" },
  high_event = { "text" }, low_event = { "text" },
  high_mark = { "size" }, low_mark = { "integer" },
  max_output = { "size", default = MAX_OUTPUT }, stall_timeout = { "seconds" },
})

ReadWrite.event_kinds.input_event = { "text|function|boolean" }

function ReadWrite.check(where, checked)
  options.exclude(where, checked, "handle", "input_handle")
  options.exclude(where, checked, "handle", "output_handle")
  options.exclude(where, checked, "filter", "input_filter")
  options.exclude(where, checked, "filter", "output_filter")
  if not (checked.handle or checked.input_handle or checked.output_handle) then
    options.blame(where .. ": parameter 'handle' is missing")
  end
  for _, event in ipairs { "high_event", "low_event", "low_mark" } do
    if checked[event] and not checked.high_mark then
      options.blame(("%s: parameter '%s' needs 'high_mark'"):format(where, event))
    end
  end
  if (checked.low_mark or 0) > (checked.high_mark or math.huge) then
    options.blame(where .. ": parameter 'low_mark' is above 'high_mark'")
  end
end

ReadWrite.on_event = flow.update_input
ReadWrite.on_gone = flow.stop
ReadWrite.on_lost = flow.lose

--- The object to use for a handle; a duplicate is the wheel's from the beginning.
local function open(core, handle)
  local object, message, code = Base.open(handle)
  if object and object ~= handle then core:own(object) end
  return object, message, code
end

local function open_handles(core)
  local message, code
  if core.input_handle then
    core.input, message, code = open(core, core.input_handle)
    if not core.input then return nil, message, code end
  end
  if core.output_handle == core.input_handle then
    core.output = core.input
  elseif core.output_handle then
    core.output, message, code = open(core, core.output_handle)
    if not core.output then return nil, message, code end
  end
  return true
end

local function fill(core, checked)
  core.driver = checked.driver or SysRW.new()
  local filter = checked.filter
  if not filter and not (checked.input_filter and checked.output_filter) then
    filter = Line.new()
  end
  core.input_filter = checked.input_filter or filter
  core.output_filter = checked.output_filter or filter
  core.input_handle = checked.handle or checked.input_handle
  core.output_handle = checked.handle or checked.output_handle
  core.high_mark = checked.high_mark or math.huge
  core.low_mark = checked.low_mark or 0
  core.max_output, core.stall_timeout = checked.max_output, checked.stall_timeout
end

---@param given poe.wheel.readwrite.options
---@return poe.wheel.readwrite? wheel
---@return string? message
---@return string? code
function ReadWrite.new(given)
  local core, checked = Base.core(ReadWrite, given)
  fill(core, checked)
  local ok, message, code = open_handles(core)
  if ok then ok, message, code = flow.start(core) end
  if ok then return Base.wheel(core) end
  core:destroy()
  return nil, message, code
end

-- ---- methods --------------------------------------------------------------------------------

--- Takes records to be written; a nil ends them.
---@param record any
---@param second? any
---@param ... any
---@return boolean? is_high  the high mark is reached: better wait for low_event
---@return string? message
---@return string? code
function ReadWrite:put(record, second, ...)
  local core = self.core
  local put_single = core.put_single
  if core.is_delivering and core.left == 0 and put_single and second == nil then
    local chunk = put_single(core.output_filter, record)
    if chunk and #chunk < core.high_mark then
      core.chunk, core.left = chunk, #chunk
      return false
    end
  end
  return flow.put(Base.check_alive(self, "put"), { record, second, ... })
end

--- Tries to write now what waits.
function ReadWrite:flush()
  local core = Base.check_alive(self, "flush")
  core:inside(flow.flush, core)
end

--- No input is read, and no more records come.
function ReadWrite:pause_input()
  local core = Base.check_alive(self, "pause_input")
  core.is_paused = true
  core:inside(flow.update_input, core)
end

function ReadWrite:resume_input()
  local core = Base.check_alive(self, "resume_input")
  core.is_paused = false
  core:inside(flow.update_input, core)
end

--- No input from now on.
function ReadWrite:shutdown_input()
  local core = Base.check_alive(self, "shutdown_input")
  local input = core.input
  core.is_deaf = true
  if not input then return end
  core:inside(flow.end_input, core)
  if sys.type(input) == "socket" and not input:is_closed() then
    input:shutdown "r"
  end
  if not core.output then core:close_handles() end
end

--- Ends the output when all that was put is written.
function ReadWrite:shutdown_output()
  local core = Base.check_alive(self, "shutdown_output")
  if not core.output then return end
  flow.use_driver(core)
  core.is_ending, core.put_single = true, nil
  if core.left == 0 then
    core:inside(flow.finish_output, core)
  end
end

local function set_input(core, filter)
  local pending = core.input_filter:get_pending()
  core.input_filter = filter
  flow.use_filters(core)
  if not pending then return end
  filter:get_one_start(pending)
  flow.deliver(core)
end

---@param filter poe.filter  it takes over what was read and not given out yet
function ReadWrite:set_input_filter(filter)
  local core = Base.check_alive(self, "set_input_filter")
  options.check_argument("set_input_filter", 1, filter, "filter")
  core:inside(set_input, core, filter)
end

---@param filter poe.filter
function ReadWrite:set_output_filter(filter)
  local core = Base.check_alive(self, "set_output_filter")
  options.check_argument("set_output_filter", 1, filter, "filter")
  core.output_filter = filter
  flow.use_filters(core)
end

---@param filter poe.filter
function ReadWrite:set_filter(filter)
  Base.check_alive(self, "set_filter")
  options.check_argument("set_filter", 1, filter, "filter")
  self:set_output_filter(filter)
  self:set_input_filter(filter)
end

---@param bytes integer
function ReadWrite:set_high_mark(bytes)
  local core = Base.check_alive(self, "set_high_mark")
  options.check_argument("set_high_mark", 1, bytes, "size")
  core.high_mark = bytes
end

---@param bytes integer
function ReadWrite:set_low_mark(bytes)
  local core = Base.check_alive(self, "set_low_mark")
  options.check_argument("set_low_mark", 1, bytes, "integer")
  core.low_mark = bytes
end

---@return poe.filter
function ReadWrite:get_input_filter()
  return self.core.input_filter
end

---@return poe.filter
function ReadWrite:get_output_filter()
  return self.core.output_filter
end

---@return poe.handle?
function ReadWrite:get_input_handle()
  return self.core.input_handle
end

---@return poe.handle?
function ReadWrite:get_output_handle()
  return self.core.output_handle
end

--- Whether records came since it was asked last.
---@return boolean
function ReadWrite:was_active()
  local core = self.core
  local was_active = core.was_active
  core.was_active = false
  return was_active
end

---@return integer octets  that wait to be written
function ReadWrite:get_driver_out_octets()
  return self.core.left
end

---@return integer messages  chunks that wait
function ReadWrite:get_driver_out_messages()
  local core = self.core
  return core.driver:get_out_messages_buffered() + (core.chunk and 1 or 0)
end

return ReadWrite
