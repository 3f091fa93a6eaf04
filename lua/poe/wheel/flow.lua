-- SPDX-License-Identifier: MIT
-- Bytes through a wheel's core: from a handle by a driver and a filter to the
-- user's events, and back. What wheels with input and output are made of.
--
-- Its functions run in the wheel's session, except `mark`. Whatever sends an
-- event may come back to a core that was destroyed, or ended a direction:
-- core.alive, core.input and core.output are looked at again.
--
-- A record that comes alone, and the first one that answers it, take a short way
-- past driver and lists: see `short_way`. The answer is core.chunk until it is
-- written, or until anything else happens to the output.
local Base = require "poe.wheel.base"
local SysRW = require "poe.driver.sysrw"
local poe = require "poe"
local sys = require "poe.sys"

local LATER = SysRW.LATER

local kernel = poe.kernel
local offer = require "poe.core".offer

---@class poe.wheel.flow
local flow = {}

-- The fields of the core that are used here; the events are input_event,
-- flushed_event, error_event, high_event, low_event.
---@class poe.wheel.flow.core: poe.wheel.core
---@field input? poe.sys.fd  nil once it has ended
---@field output? poe.sys.fd
---@field driver poe.driver.sysrw
---@field high_mark number
---@field low_mark number
---@field max_output integer
---@field stall_timeout? number
---@field input_filter poe.filter
---@field output_filter poe.filter
---@field write? fun(output: poe.sys.fd, bytes: string): integer?, string?, string?
---@field is_delivering boolean  records are being given out
---@field has_rest boolean  the filter may have records that nobody wanted yet
---@field is_deaf boolean  nobody will ever want them
---@field is_paused boolean  by the user
---@field is_reading boolean  the watcher is there and not paused
---@field is_writing boolean
---@field is_high boolean  high_mark was reached, low_mark not since
---@field is_high_new boolean  ... and high_event was not sent
---@field is_ending boolean  output ends when all is written
---@field written integer  bytes, since it was made
---@field left integer  bytes that wait
---@field chunk? string  these are they, and the driver has none
---@field get_single? fun(filter: poe.filter, bytes: string): any  of the input filter
---@field put_single? fun(filter: poe.filter, record: any): string?  of the other
---@field handler? poe.handler  input_event, if it is a function
---@field was_active boolean  a record came since somebody asked
---@field refusal? { [1]: string, [2]: string }  message and code of ENOBUFS
---@field lost? "read"|"write"  the direction whose handle somebody else closed

-- ---- the end of a direction ---------------------------------------------------------

--- Like POE's, a wheel that only writes keeps its session alive, too.
local function hold(core)
  if not core.output or core.states.write then return true end
  local name = core:state("write", function() return flow.flush(core) end)
  local ok, message, code = kernel:select_write(core.output, name)
  if not ok then return nil, message, code end
  kernel:select_pause_write(core.output)
  return true
end

function flow.end_input(core)
  if not core.input then return end
  hold(core)
  kernel:select_read(core.input)
  core.input, core.is_reading = nil, false
end

local function end_output(core)
  if not core.output then return end
  core:delay "stall"
  kernel:select_write(core.output)
  core.output, core.is_writing = nil, false
  core.chunk, core.put_single = nil, nil
end

local function settle(core)
  if not (core.input or core.output) then core:close_handles() end
end

--- An error ends its direction, and the other one too if it has the same handle.
--- That is closed after the event, so that the handler can still ask it.
function flow.fail(core, operation, message, code)
  local is_shared = core.input == core.output
  if is_shared or operation == "write" then end_output(core) end
  if is_shared or operation == "read" then
    core.is_deaf = true
    flow.end_input(core)
  end
  core:report(operation, message, code)
  settle(core)
end

-- ---- output ---------------------------------------------------------------------------

--- Watches for room to write, or not.
local function wait_for_room(core, wanted)
  if wanted == (core.is_writing or false) then return end
  core.is_writing = wanted
  if wanted then
    local ok, message, code = hold(core)
    if not ok then return flow.fail(core, "write", message, code) end
    kernel:select_resume_write(core.output)
    core.written_before = core.written
    if core.stall_timeout then core:delay("stall", core.stall_timeout) end
  else
    kernel:select_pause_write(core.output)
    core:delay "stall"
  end
end

--- Nothing was written since the last look: the other side is given up.
local function check_stall(core)
  if core.written_before == core.written then
    return flow.fail(core, "write", ("ETIMEDOUT: nothing taken in %g seconds")
      :format(core.stall_timeout), "ETIMEDOUT")
  end
  core.written_before = core.written
  core:delay("stall", core.stall_timeout)
end

--- The other side sees the end of the file.
function flow.finish_output(core)
  local output, is_shared = core.output, core.output == core.input
  end_output(core)
  if sys.type(output) == "socket" then
    output:shutdown "w"
  elseif not is_shared and core.handles[output] and sys.type(output) then
    core:disown(output)
    output:close()
  end
  settle(core)
end

--- The driver gets what would have gone the short way.
function flow.use_driver(core)
  local chunk = core.chunk
  core.chunk = nil
  if chunk then core.driver:put { chunk } end
end

--- After a write, if there is more to do than to tell that all is written.
local function settle_output(core)
  wait_for_room(core, core.left > 0)
  if core.is_high and core.left <= core.low_mark then
    core.is_high = false
    core:emit("low_event", core.id)
  end
  if core.left > 0 or not core.output then return false end
  if core.is_ending then flow.finish_output(core) end
  return true
end

--- Writes what waits, as far as there is room.
function flow.flush(core)
  if not core.output or core.left == 0 then return end
  flow.use_driver(core)
  local left, message, code = core.driver:flush(core.output)
  if not left then return flow.fail(core, "write", message, code) end
  core.left, core.written = left, core.written + core.left - left
  if settle_output(core) then core:emit("flushed_event", core.id) end
end

local flush = flow.flush

--- What `put` leaves to do.
local function write_out(core)
  if core.is_high_new then
    core.is_high_new = false
    core:emit("high_event", core.id)
  end
  if not core.is_writing then flush(core) end
end

local function refuse(core)
  local message = ("ENOBUFS: %d bytes wait to be taken"):format(core.left)
  core.refusal = { message, "ENOBUFS" }
  core:defer "refuse"
  return nil, message, "ENOBUFS"
end

--- Takes records to be written, in any session; whether the high mark is reached.
---@param core poe.wheel.flow.core
---@param records any[]
---@return boolean?
---@return string? message
---@return string? code
function flow.put(core, records)
  if not core.output or core.is_ending then
    return nil, "EPIPE: the output has ended", "EPIPE"
  end
  if core.left >= core.max_output then return refuse(core) end
  local chunks, message, code = core.output_filter:put(records)
  if not chunks then return nil, message, code end
  flow.use_driver(core)
  local left = core.driver:put(chunks)
  core.left = left
  local is_over = left >= core.high_mark
  if is_over and not core.is_high then
    core.is_high, core.is_high_new = true, true
  elseif core.is_writing then
    return is_over
  end
  if not core.is_delivering and left > 0 then core:defer "output" end
  if not core.alive then return nil, "ESRCH: the session has gone", "ESRCH" end
  return is_over
end

-- ---- input ------------------------------------------------------------------------------

--- Part of the answer was written, or nothing.
local function answer_later(core, chunk, written, message, code)
  if core:is_over() then return end
  if written then
    core.written, core.chunk = core.written + written, chunk:sub(written + 1)
    core.left = core.left - written
    flow.use_driver(core)
    settle_output(core)
  elseif LATER[code] then
    flow.use_driver(core)
    settle_output(core)
  else
    flow.fail(core, "write", message, code)
  end
end

--- Whether the wheel has gone. What was put when a handler ended its session is
--- still written, as far as there is room.
local function is_over(core)
  if kernel.session == core.session then return not core.alive end
  if core.left > 0 and core.output and not core:has_session() then
    flow.use_driver(core)
    core.driver:flush(core.output)
  end
  return core:is_over()
end

local function end_delivery(core, raised)
  if not raised and core.left == 0 or is_over(core) then return end
  if raised then core:defer "raised" else write_out(core) end
end

--- Records have been given out, whether or not a handler raised: what was put is
--- written.
local function close_delivery(core, raised)
  local chunk = core.chunk
  core.is_delivering = false
  if not chunk or raised then return end_delivery(core, raised) end
  local written, message, code = core.write(core.output, chunk)
  if written ~= #chunk then
    return answer_later(core, chunk, written, message, code)
  end
  core.chunk, core.left = nil, 0
  local event = core.events.flushed_event
  if event and kernel.session == core.session then
    offer(kernel, core.session, event, core.id)
  end
end

--- Gives one record to the user: by an event, or to a function. Whether the wheel
--- has gone then, or before: who has no session is not called.
local function give(core, record, heap)
  local handler, session = core.handler, core.session
  core.was_active = true
  if handler then
    handler(kernel, heap or session:get_heap(), record, core.id)
    return not core.alive or kernel.session ~= session and is_over(core)
  end
  local _, _, code = offer(kernel, session, core.events.input_event, record, core.id)
  return not core.alive or code == "ESRCH" and is_over(core)
end

--- Gives out records until there are none, or nobody wants more. Whatever a
--- handler changes counts from the next record on.
function flow.deliver(core)
  if core.is_delivering then return core:defer "input" end
  local events = core.events
  local delivery <close> = core -- luacheck: ignore 211
  local heap = core.handler and core.session:get_heap()
  core.is_delivering, core.has_rest, core.get_single = true, true, nil
  while not core.is_paused and not core.is_deaf and events.input_event do
    local records, message, code = core.input_filter:get_one()
    if not records then return flow.fail(core, "read", message, code) end
    core.has_rest = #records > 0
    if not core.has_rest then return flow.use_filters(core) end
    for i = 1, #records do
      if give(core, records[i], heap) then return end
    end
  end
end

local function finish_input(core)
  flow.end_input(core)
  core:report("read", "", 0)
  if core.alive then settle(core) end
end

local function read(core)
  if core.has_rest then
    flow.deliver(core)
    if core.has_rest or not core.input then return end
  end
  local chunks, message, code = core.driver:get(core.input)
  if chunks then
    core.input_filter:get_one_start(chunks)
    return flow.deliver(core)
  elseif code then
    return flow.fail(core, "read", message, code)
  end
  return finish_input(core)
end

--- What has come, or has not, is not one record alone.
local function took(core, bytes, message, code)
  if bytes == "" then
    return finish_input(core)
  elseif bytes then
    core.input_filter:get_one_start { bytes }
    return flow.deliver(core)
  elseif not LATER[code] then
    return flow.fail(core, "read", message, code)
  end
end

--- The handler that reads. Bytes that the filter says are one record, no more and
--- no less, are given out without lists; and the first record that answers it is
--- written without the driver's queue, unless it is a driver of the user's.
local function short_way(core)
  local block_size, input = core.driver.block_size, core.input
  local session, id, events = core.session, core.id, core.events
  local receive = input and input.read
  return function(_, heap)
    local get_single = core.get_single
    if not get_single then return read(core) end
    local bytes, message, code = receive(input, block_size)
    local record = bytes and get_single(core.input_filter, bytes)
    if not record then return took(core, bytes, message, code) end
    local handler, delivery <close> = core.handler, core -- luacheck: ignore 211
    core.is_delivering, core.was_active = true, true
    if handler then
      handler(kernel, heap, record, id)
    else
      offer(kernel, session, events.input_event, record, id)
    end
  end
end

--- After a change of filters, or of what waits in one.
function flow.use_filters(core)
  local is_ours = getmetatable(core.driver) == SysRW
  core.get_single = is_ours and not core.has_rest and core.input_filter.get_single
    or nil
  core.put_single = is_ours and core.output and not core.is_ending
    and core.output_filter.put_single or nil
end

local function set_handler(core)
  local event = core.events.input_event
  core.handler = type(event) == "function" and event or nil
end

--- Reading goes on or rests, as the user wants it.
function flow.update_input(core)
  local wanted = not core.is_paused and core.events.input_event ~= nil
  set_handler(core)
  if wanted and core.has_rest then core:defer "input" end
  if not core.input or wanted == (core.is_reading or false) then return end
  core.is_reading = wanted
  if not wanted then
    kernel:select_pause_read(core.input)
  elseif not kernel:select_resume_read(core.input) then
    local ok, message, code = kernel:select_read(core.input, core.states.read)
    if not ok then flow.fail(core, "read", message, code) end
  end
end

-- ---- the beginning and the end --------------------------------------------------------

--- After a handler that raised: its DIE is queued by now and comes first; so does,
--- by the second event, what the handler of that posts.
local function after_raise(core) core:defer "go_on" end

local function go_on(core)
  core:defer "output"
  core:defer "input"
end

-- What is deferred or delayed.
local LAZY = {
  input = flow.deliver, output = write_out, stall = check_stall,
  raised = after_raise, go_on = go_on,
  refuse = function(core)
    flow.fail(core, "write", table.unpack(core.refusal))
  end,
  lost = function(core)
    core:delay "stall"
    core:report(core.lost, "EBADF: the handle was closed", "EBADF")
    settle(core)
  end,
}

local function watch(core)
  if not core.input or not core.events.input_event then return hold(core) end
  local ok, message, code = kernel:select_read(core.input, core.states.read)
  if not ok then return nil, message, code end
  core.is_reading = true
  return true
end

-- A core is closed when a delivery ends; with what it owns, if its session has ended
-- meanwhile: Base makes it one of those.
local Flowing = { __index = Base.Core, __close = close_delivery, ended = {
  __index = Base.Core,
  __close = function(core, raised)
    close_delivery(core, raised)
    core:destroy()
  end,
} }

-- There may be thousands of wheels: what is nil is not in their tables.
local function reset(core)
  setmetatable(core, Flowing)
  core.is_delivering, core.was_active = false, false
  core.left, core.written = core.driver:get_out_octets_buffered(), 0
  core.write = core.output and core.output.write
  core.lazy = LAZY
  set_handler(core)
  flow.use_filters(core)
end

--- Begins, when the core has its handles (as objects), filters, driver, marks and
--- events. From then on it owns the handles.
---@param core poe.wheel.flow.core
---@return true?
---@return string? message
---@return string? code
function flow.start(core)
  reset(core)
  core:state("read", short_way(core))
  local ok, message, code = watch(core)
  if not ok then return nil, message, code end
  if core.input then core:own(core.input) end
  if core.output then core:own(core.output) end
  return true
end

--- For a class's on_lost: nothing comes from the handle or goes there any more.
--- Who was told that the input has ended, and closes it, needs not be told.
function flow.lose(core, handle)
  local is_news = core.input or not core.input_handle
  core.lost = core.input == handle and "read" or "write"
  if core.input == handle then
    core.input, core.is_reading, core.is_deaf = nil, false, true
  end
  if core.output == handle then
    core.output, core.is_writing = nil, false
    core.chunk, core.put_single, core.left = nil, nil, 0
  end
  if is_news then core:defer "lost" end
end

--- For a class's on_gone.
function flow.stop(core)
  core.input, core.output, core.is_deaf = nil, nil, true
  core.chunk, core.put_single = nil, nil
end

return flow
