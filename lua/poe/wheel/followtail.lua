-- SPDX-License-Identifier: MIT
-- What is added to a file, as it is added. POE::Wheel::FollowTail.
--
-- A regular file is always ready, so it is looked at again and again; anything
-- else is watched. A file that was renamed is read until its writer has moved
-- on: no line of it is lost. See doc/wheels.md.
local Base = require "poe.wheel.base"
local Line = require "poe.filter.line"
local SysRW = require "poe.driver.sysrw"
local flow = require "poe.wheel.flow"
local options = require "poe.options"
local sys = require "poe.sys"

require "poe.wheel.readwrite" -- the kind "driver"

local INTERVAL = 1 -- seconds
local BACK = 4096 -- bytes in which a record is likely to begin
local LOOKS = 5 -- at a file that lost its name to an empty one, until it is left

---@class poe.wheel.followtail.options
---@field filename? string  it need not be there yet
---@field handle? poe.handle  instead of it
---@field filter? poe.filter  a new Line
---@field driver? poe.driver.sysrw
---@field poll_interval? number  seconds; 1
---@field seek? integer  begin there; negative: so far from the end
---@field seek_back? integer  begin so far from the end
---@field input_event string  (record, ID)
---@field error_event? string  (operation, code, text, ID)
---@field reset_event? string  (ID): another file, or it was truncated
---@field idle_event? string  (ID): nothing new

---@class poe.wheel.followtail: poe.wheel
local FollowTail = Base.class("FollowTail", {
  filename = { "text" }, handle = { "handle" },
  filter = { "filter" }, driver = { "driver" },
  poll_interval = { "seconds", default = INTERVAL },
  seek = { "integer" }, seek_back = { "integer" },
  input_event = { "text", required = true }, error_event = { "text" },
  reset_event = { "text" }, idle_event = { "text" },
})

-- The fields of its core, beside those of poe.wheel.flow. What is watched is
-- `input`; a regular file is `file`.
---@class poe.wheel.followtail.core: poe.wheel.flow.core
---@field filename? string
---@field file? poe.sys.fd
---@field is_ours? poe.sys.stat  of the file
---@field heir_looks integer  at it since its name is another file's, an empty one
---@field is_leaving boolean  what it has is read, then the other one is opened
---@field trouble? string  the code that was told last

-- ---- files ------------------------------------------------------------------------

local function is_same(one, other)
  return one.ino == other.ino and one.dev == other.dev
end

--- A fifo is opened for writing, too: so it has no end when its writers leave.
local function open_path(path)
  local stat, message, code = sys.stat(path)
  if not stat then return nil, message, code end
  if stat.type == "directory" then
    return nil, "EISDIR: it is a directory: " .. path, "EISDIR"
  end
  return sys.open(path, stat.type == "fifo" and "r+" or "r")
end

--- Makes an open object what the wheel follows; whether it is a regular file.
local function adopt(core, object)
  local stat = sys.type(object) and sys.stat(object)
  core:own(object)
  core.heir_looks, core.is_leaving, core.trouble = 0, false, nil
  if not stat or stat.type ~= "file" then
    core.input = object
    return false
  end
  core.file, core.is_ours = object, stat
  return true
end

local function drop_file(core)
  core:disown(core.file)
  core.file:close()
  core.file = nil
end

-- ---- looking ------------------------------------------------------------------------

--- Tells what does not go, once, and that nothing happens.
local function idle(core, operation, message, code)
  if code and code ~= "ENOENT" and code ~= core.trouble then
    core.trouble = code
    core:report(operation, message, code)
  elseif core.events.idle_event then
    core:emit("idle_event", core.id)
  end
end

--- Opens what has the name now. Whether there is a regular file to be read.
local function open_again(core)
  local object, message, code = open_path(core.filename)
  if not object then
    idle(core, "open", message, code)
    return false
  end
  local is_file = adopt(core, object)
  core:emit("reset_event", core.id)
  if not core.alive or is_file then return core.alive end
  local ok
  ok, message, code = flow.start(core)
  if not ok then flow.fail(core, "read", message, code) end
  core:delay "look" -- it is watched now
  return false
end

--- Bytes of a record that never came to its end are of no use to the next file.
local function start_afresh(core)
  core.input_filter = core.input_filter:clone()
end

local function leave_file(core)
  drop_file(core)
  start_afresh(core)
  core:delay("look", 0)
  return open_again(core)
end

--- Another file has the name. Its writer may go on with the old one until it
--- opens the new one; that it has written there says that it did.
local function found_heir(core, stat)
  core.heir_looks = core.heir_looks + 1
  if stat.size > 0 or core.heir_looks == LOOKS then
    core.is_leaving = true
    core:delay("look", 0)
  else
    idle(core)
  end
end

--- All was read: is it still the same file, and as long as it was?
local function at_end(core)
  if core.is_leaving then return leave_file(core) end
  local stat, message, code = sys.stat(core.filename or core.file)
  if not stat then return idle(core, "stat", message, code) end
  if not is_same(stat, core.is_ours) then return found_heir(core, stat) end
  core.heir_looks = 0
  if stat.size >= core.file:seek() then return idle(core) end
  core.file:seek("set", 0)
  start_afresh(core)
  core:delay("look", 0)
  core:emit("reset_event", core.id)
end

local function look(core)
  core:delay("look", core.interval) -- whatever handlers do
  if core.has_rest then flow.deliver(core) end
  if not core.alive then return end
  if not core.file and not open_again(core) then return end
  local chunks, message, code = core.driver:get(core.file)
  if chunks then
    core:delay("look", 0)
    core.heir_looks = 0
    core.input_filter:get_one_start(chunks)
    flow.deliver(core)
  elseif code then
    flow.fail(core, "read", message, code)
  else
    at_end(core)
  end
  if core.is_deaf then core:delay "look" end
end

FollowTail.on_gone = flow.stop

-- ---- the beginning ------------------------------------------------------------------

--- From some way before the end, leaving out what was there: so the first record
--- is a whole one.
local function skip_to_end(core)
  local file, filter = core.file, core.input_filter
  if file:seek "end" > BACK then file:seek("end", -BACK) else file:seek("set", 0) end
  while true do
    local chunks, message, code = core.driver:get(file)
    if code then return nil, message, code end
    if not chunks then return true end
    if not filter:get(chunks) then start_afresh(core) end
  end
end

--- As far from the start, or from the end if negative, as the file has bytes.
local function seek(file, offset)
  local size, message, code = file:seek "end"
  if not size then return nil, message, code end
  if offset < 0 then offset = math.max(size + offset, 0) end
  return file:seek("set", math.min(offset, size))
end

local function go_to_place(core, checked)
  local back = checked.seek_back
  if back == 0 then return core.file:seek "end" end
  if back then return seek(core.file, -back) end
  if checked.seek then return seek(core.file, checked.seek) end
  return skip_to_end(core)
end

--- The file if it is there; a name may come to have one later.
local function open_first(core, checked)
  local object, message, code
  if checked.handle then
    object, message, code = Base.open(checked.handle)
  else
    object, message, code = open_path(checked.filename)
    if not object and code == "ENOENT" then return true end
  end
  if not object then return nil, message, code end
  if adopt(core, object) then return go_to_place(core, checked) end
  if checked.seek or checked.seek_back then
    return nil, "ESPIPE: there is no place in what is no regular file", "ESPIPE"
  end
  return true
end

function FollowTail.check(where, checked)
  options.exclude(where, checked, "filename", "handle")
  options.exclude(where, checked, "seek", "seek_back")
  if not (checked.filename or checked.handle) then
    options.blame(where .. ": parameter 'filename' is missing (or 'handle')")
  end
end

---@param given poe.wheel.followtail.options
---@return poe.wheel.followtail? wheel
---@return string? message
---@return string? code
function FollowTail.new(given)
  local core, checked = Base.core(FollowTail, given)
  core.driver, core.input_filter = checked.driver or SysRW.new(), checked.filter
    or Line.new()
  core.filename, core.interval = checked.filename, checked.poll_interval
  core:timer("look", function() look(core) end)
  local ok, message, code = open_first(core, checked)
  if ok then ok, message, code = flow.start(core) end
  if ok then
    if not core.input then core:delay("look", 0) end
    return Base.wheel(core)
  end
  core:destroy()
  return nil, message, code
end

-- ---- methods ------------------------------------------------------------------------

--- Where to `seek` to go on after the record that came last: what the filter has
--- taken and not given out counts as not read.
---@return integer? position
---@return string? message
---@return string? code
function FollowTail:tell()
  local core = Base.check_alive(self, "tell")
  local file = core.file or core.input
  if not file then return nil, "ENOENT: the file is not there yet", "ENOENT" end
  local position, message, code = file:seek()
  if not position then return nil, message, code end
  for _, chunk in ipairs(core.input_filter:get_pending() or {}) do
    position = position - #chunk
  end
  return position
end

---@return poe.sys.fd?  what is followed now, if it is there
function FollowTail:get_handle()
  return self.core.file or self.core.input
end

---@return poe.filter
function FollowTail:get_filter()
  return self.core.input_filter
end

return FollowTail
