-- SPDX-License-Identifier: MIT
-- What all wheels have in common, POE::Wheel's part: identity, the table of
-- events, states of their own in the session that made them, their end.
--
-- A wheel is two objects. The user has the facade; the kernel's watchers and
-- states refer to the core alone. So a facade that is forgotten is collected,
-- and takes the core with it. A core never refers to its facade.
--
-- Handles: the wheel that was made last on a handle owns it. When it goes it
-- unwatches it, and closes it if it is an object of poe.sys; anything else, like
-- io.stdin, is only borrowed.
local binding = require "poe.core"
local options = require "poe.options"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

---@class poe.wheel.base
local Base = {}

-- ---- handles ----------------------------------------------------------------------

local NUMBER_OF = { "fileno", "getfd", "pollfd" }

local function method_of(value, name)
  local ok, method = pcall(function() return value[name] end)
  return ok and method or nil
end

-- The method that tells the descriptor of an object.
local function number_method(value)
  if type(value) ~= "table" and type(value) ~= "userdata" then return nil end
  for _, name in ipairs(NUMBER_OF) do
    local method = method_of(value, name)
    if method then return method end
  end
end

local function is_handle(value)
  if math.type(value) then return (math.tointeger(value) or -1) >= 0 end
  return io.type(value) == "file" or number_method(value) ~= nil
end

options.kinds.handle = {
  text = "a handle (a descriptor, an open file, or an object that has one)",
  accepts = is_handle,
}

--- What a wheel can read, write and watch: the handle itself if it is an object of
--- poe.sys, or a table that reads and writes like one; else a duplicate of its
--- descriptor.
---@param handle poe.handle
---@return poe.sys.fd? object
---@return string? message
---@return string? code
function Base.open(handle)
  if sys.type(handle) then
    if not handle:is_closed() then return handle end
    return nil, "EBADF: the handle is closed", "EBADF"
  end
  if type(handle) == "number" or io.type(handle) then return sys.dup(handle) end
  if type(handle) == "table" and handle.read and handle.write then return handle end
  local number = math.tointeger(number_method(handle)(handle)) or -1
  if number >= 0 then return sys.dup(number) end
  return nil, "EBADF: the handle is closed", "EBADF"
end

-- ---- the core ---------------------------------------------------------------------

--- What the kernel knows of a wheel. Subclasses keep their own fields in it.
---@class poe.wheel.core
---@field id integer
---@field name string  "poe.wheel.ReadWrite(3)"
---@field class table  the facade's
---@field session poe.session
---@field session_id integer
---@field alive boolean  false once it was destroyed
---@field events table<string, string?>  names, by option: "input_event"
---@field states table<string, string>  names of its states, by their suffix
---@field lazy? table<string, fun(core, ...)>  what else may be deferred or delayed
---@field timers? table<string, integer>  IDs of its timers, by suffix of state
---@field posted? table<string, true?>  deferred events under way
---@field handles table<any, boolean>
---@field peers? table<poe.wheel.core, true>  of its session, itself among them
local Core = {}
Core.__index = Core
Base.Core = Core

local last_id = 0

-- Which core a handle belongs to.
local owners = setmetatable({}, { __mode = "k" })

-- By the ID of a session its core, or a set of them that each keeps as `peers`:
-- most sessions have one wheel, and that one costs no table.
local cores_of = setmetatable({}, { __mode = "v" })
local SET = { __mode = "k" }

--- Whether there still is a session to send events to. Asking for one that has
--- gone is no mistake here, whatever is asserted.
---@return boolean
function Core:has_session()
  local ok, session = pcall(kernel.ID_id_to_session, kernel, self.session_id)
  return ok and session ~= nil
end

--- Calls `fn(...)` in the wheel's session, whichever is active.
---@return any ...  what it returned; nil, message, "ESRCH" if the session has gone
function Core:inside(fn, ...)
  if kernel.session == self.session then return fn(...) end
  if not self:has_session() then return nil, "ESRCH: the session has gone", "ESRCH" end
  return kernel:call(self.session, self.states["do"], fn, ...)
end

--- Whether the wheel has gone; with its session, when a handler may have ended it.
---@return boolean
function Core:is_over()
  if self.alive and kernel.session ~= self.session and not self:has_session() then
    self:destroy()
  end
  return not self.alive
end

--- Sends the user's event for `option`, at once, if it has a name.
---@param option string  "input_event"
---@param ... any
function Core:emit(option, ...)
  local event = self.events[option]
  if not event then return end
  binding.offer(kernel, self.session, event, ...)
  self:is_over()
end

--- Sends error_event, or what the class calls it: (operation, code, text, ID, ...).
---@param operation string  "read"
---@param message string  "CODE: text", as functions that fail return it
---@param code string|0  0 with an empty message: the end of the file
---@param ... any
function Core:report(operation, message, code, ...)
  local text = message:match "^E[%w_]+: (.*)$" or message
  self:emit(self.class.failure or "error_event", operation, code, text, self.id, ...)
end

--- Adds a state of the wheel's own to its session. The handler must not refer to
--- the facade.
---@param suffix string  "read"
---@param handler poe.handler
---@return string name  "poe.wheel.ReadWrite(3) -> read"
function Core:state(suffix, handler)
  local name = self.name .. " -> " .. suffix
  self.states[suffix] = name
  kernel:state(name, handler)
  return name
end

local function remove_state(self, suffix)
  kernel:state(self.states[suffix])
  self.states[suffix] = nil
end

--- Adds a state for `defer`. Its handler is not called once the wheel has gone.
---@param suffix string
---@param handler fun()
function Core:deferred(suffix, handler)
  self:state(suffix, function()
    self.posted[suffix] = nil
    if self.alive then return handler() end
    remove_state(self, suffix)
  end)
end

-- Most wheels never need most of their states: those in core.lazy are added by the
-- first `defer` or `delay`.
local function add_lazy(self, suffix, add)
  if self.states[suffix] then return end
  local handler = self.lazy[suffix]
  add(self, suffix, function(...) return handler(self, ...) end)
end

--- Posts an event to a deferred state; one, until it has come. In any session.
---@param suffix string
function Core:defer(suffix)
  local posted = self.posted or {}
  if posted[suffix] or self:is_over() then return end
  if not self.states[suffix] then
    self:inside(add_lazy, self, suffix, self.deferred)
  end
  posted[suffix] = kernel:post(self.session, self.states[suffix])
  self.posted = posted
end

--- Adds a state for `delay`.
---@param suffix string
---@param handler fun(...: any)
function Core:timer(suffix, handler)
  self:state(suffix, function(_, _, ...)
    self.timers[suffix] = nil
    return handler(...)
  end)
end

--- Sends the event of a timer after some seconds, instead of the one that was to
--- come; nil, or destroyed: not at all. In the wheel's session.
---@param suffix string
---@param seconds? number
---@param ... any  for its handler
function Core:delay(suffix, seconds, ...)
  if self.alive and self:is_over() then return end
  local timers = self.timers
  local id = timers and timers[suffix]
  if id then
    kernel:alarm_remove(id)
    timers[suffix] = nil
  end
  if not seconds or not self.alive then return end
  add_lazy(self, suffix, self.timer)
  timers = timers or {}
  timers[suffix] = kernel:delay_set(self.states[suffix], seconds, ...)
  self.timers = timers
end

--- Makes the wheel the owner of a handle.
---@param handle poe.handle
function Core:own(handle)
  local before = owners[handle]
  if before and before ~= self then before.handles[handle] = nil end
  owners[handle] = self
  self.handles[handle] = true
end

--- Lets go of a handle: it is neither unwatched nor closed at the end.
---@param handle poe.handle
function Core:disown(handle)
  self.handles[handle] = nil
  if owners[handle] == self then owners[handle] = nil end
end

-- What can be done only in the wheel's session, so only while there is one. A
-- state that an event is under way to stays until it has come, so that
-- _default does not get it.
local function leave(self)
  if self.class.on_leave then self.class.on_leave(self) end
  for suffix in pairs(self.timers or {}) do self:delay(suffix) end
  for handle in pairs(self.handles) do kernel:select(handle) end
  local posted = self.posted or {}
  for suffix in pairs(self.states) do
    if not posted[suffix] then remove_state(self, suffix) end
  end
end

-- A handle is about to be closed, by somebody else if a core still owns it.
binding.on_close(function(handle)
  local core = owners[handle]
  if not core or core:is_over() then return end
  core:disown(handle)
  if core.class.on_lost then core.class.on_lost(core, handle) end
end)

--- Closes what it owns, which unwatches it.
function Core:close_handles()
  for handle in pairs(self.handles) do
    self:disown(handle)
    if sys.type(handle) then handle:close() end
  end
end

--- Ends the wheel: no event of it is sent from now on.
---@param keeps_handles? boolean  unwatched, but left open
function Core:destroy(keeps_handles)
  if not self.alive then return end
  self.alive, self.events = false, {}
  if self:has_session() then self:inside(leave, self) else self.timers = nil end
  if keeps_handles then
    for handle in pairs(self.handles) do self:disown(handle) end
  else
    self:close_handles()
  end
  if self.class.on_gone then self.class.on_gone(self) end
end

local function join(self)
  local id, found = self.session_id, cores_of[self.session_id]
  local is_set = getmetatable(found) == SET
  if not (is_set or found and found.alive) then
    cores_of[id] = self
    return
  end
  local peers = is_set and found or setmetatable({ [found] = true }, SET)
  if not is_set then found.peers, cores_of[id] = peers, peers end
  peers[self], self.peers = true, peers
end

-- One that gives out records writes first what was put meanwhile.
local function end_with_session(core)
  if core.is_delivering then
    setmetatable(core, getmetatable(core).ended)
  else
    core:close_handles()
  end
end

-- With a session its wheels end. What they own is closed at once; the rest comes
-- when they are asked next, or collected, so that others' calls still are no error.
binding.on_end(cores_of, function(found)
  if getmetatable(found) ~= SET then found = { [found] = true } end
  for core in pairs(found) do pcall(end_with_session, core) end
end)

-- ---- the facade ---------------------------------------------------------------------

--- What the user has. Dropped, it is collected, and the wheel is gone.
---@class poe.wheel
---@field core poe.wheel.core  not for users
local Wheel = {}

--- A number that no other wheel ever has.
---@return integer
function Wheel:ID()
  return self.core.id
end

--- Renames events, or with false stops them: `event { input_event = "other" }`.
---@param names table<string, string|false>
function Wheel:event(names)
  local core = Base.check_alive(self, "event")
  local class = core.class
  if type(names) == "table" and next(names) == nil then
    options.blame "event: no event is named (it is false that takes one away, not nil)"
  end
  for option, name in pairs(options.check("event", names, class.event_kinds)) do
    if name == true then
      options.blame(("event: parameter '%s' must be a string or false, got true")
        :format(option))
    elseif not name and class.parameters[option].required then
      options.blame(("event: parameter '%s' cannot be false"):format(option))
    end
    core.events[option] = name or nil
  end
  if class.on_event then core:inside(class.on_event, core) end
end

--- Ends the wheel, and closes what it owns. Once is enough.
function Wheel:destroy()
  self.core:destroy()
end

--- Ends the wheel, but leaves its handles open.
function Wheel:detach()
  self.core:destroy(true)
end

local function tell(self)
  return self.core.name .. (self.core.alive and "" or " (destroyed)")
end

-- A collected wheel may outlive its kernel, at the end of the program.
local function collect(self)
  pcall(self.core.destroy, self.core)
end

-- ---- classes --------------------------------------------------------------------------

local METHODS = {
  ID = Wheel.ID, event = Wheel.event, destroy = Wheel.destroy,
  close = Wheel.destroy, detach = Wheel.detach, __close = Wheel.destroy,
  __gc = collect, __tostring = tell,
}

--- A class of wheels. It may have on_leave(core), called at the end in the
--- wheel's session if there still is one; on_gone(core), called after it, always,
--- in any session or none; on_event(core), in its session after `event`;
--- on_lost(core, handle), in any session, when somebody else closes its handle.
---@param name string  "ReadWrite"
---@param parameters table<string, poe.options.parameter>  those of `new`; what
---  ends in "_event" is the name of one
---@return table
function Base.class(name, parameters)
  local class = { __name = "poe.wheel." .. name, short_name = name,
    parameters = parameters, event_kinds = {} }
  for key, method in pairs(METHODS) do class[key] = method end
  for option in pairs(parameters) do
    if option:find "_event$" then
      class.event_kinds[option] = { "text|boolean" }
    end
  end
  class.__index = class
  return class
end

local function execute(_, _, fn, ...)
  return fn(...)
end

local function check_session(where)
  local session = kernel.session
  if session == kernel then
    options.blame(where .. ": a wheel is made in a session's handler")
  end
  return session
end

--- The core of a new wheel, for `new`, and its checked parameters. Raises for
--- wrong ones, and outside of sessions. class.check(where, checked), if there is
--- one, may raise for what does not fit together.
---@param class table
---@param given? table
---@return poe.wheel.core
---@return table checked
function Base.core(class, given)
  local where = class.short_name .. ".new"
  local checked = options.check(where, given, class.parameters)
  if class.check then class.check(where, checked) end
  local session = check_session(where)
  last_id = last_id + 1
  local core = setmetatable({
    id = last_id, name = ("%s(%d)"):format(class.__name, last_id),
    class = class, session = session, session_id = session:ID(), alive = true,
    events = {}, states = {}, handles = {},
  }, Core)
  for option in pairs(class.event_kinds) do core.events[option] = checked[option] end
  core:state("do", execute)
  join(core)
  return core, checked
end

--- The facade of a core that is ready.
---@param core poe.wheel.core
---@return poe.wheel
function Base.wheel(core)
  return setmetatable({ core = core }, core.class)
end

--- The core of a facade; raises if it was destroyed.
---@param wheel poe.wheel
---@param method string
---@return poe.wheel.core
function Base.check_alive(wheel, method)
  local core = wheel.core
  if not core.alive then
    options.blame(("attempt to call '%s' of a destroyed wheel"):format(method))
  end
  return core
end

return Base
