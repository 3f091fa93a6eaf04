-- SPDX-License-Identifier: MIT
-- State machines: sessions whose handlers depend on the state they are in.
-- POE::NFA. See doc/nfa.md.
--
-- A machine is a session of its own kind, so kernel.session is the machine. All
-- transitions are events to itself: they run in the order they were asked for,
-- and "leave" and the entry event are calls inside of them.
local core = require "poe.core"
local options = require "poe.options"

local kernel = core.kernel
local inherited = core.session_class

local GOTO, PUSH = "poe_nfa_goto_state", "poe_nfa_push_state"
local POP, STOP = "poe_nfa_pop_state", "poe_nfa_stop"

-- What the kernel tells sessions by itself: not everybody wants to know.
local NEWS = { _start = true, _stop = true, _child = true, _parent = true }

---@alias poe.nfa.methods table<table|userdata|string, poe.methods>

---@class poe.nfa.options
---@field inline_states? table<string, table<string, poe.handler>>
---@field object_states? table<string, poe.nfa.methods>
---@field package_states? table<string, poe.nfa.methods>
---@field runstate? any  what handlers get beside the kernel; a new table if nil
---@field options? table<string, any>  trace, debug, immediate

local PARAMETERS = {
  inline_states = { "table" },
  object_states = { "table" },
  package_states = { "table" },
  runstate = { "any", also = "heap" },
  options = { "table", default = {} },
}

--- A state machine. Events and answers are addressed to it as to any session.
---@class poe.nfa: poe.session, poe.custom
local NFA = {
  postback = inherited.postback,
  callback = inherited.callback,
  option = inherited.option,
}
NFA.__index = NFA
NFA.__name = "poe.nfa"

function NFA:__tostring()
  return "session " .. self.id
end

-- ---- spawn: which state has which handler -------------------------------------

local function bad(format, ...)
  options.blame("NFA.spawn: " .. format:format(...))
end

local function check_table(value, format, ...)
  if type(value) ~= "table" then
    bad(format .. " must be a table, got a %s", ..., type(value))
  end
end

--- The table of a state's handlers, made if there is none.
local function state_of(states, name)
  if type(name) ~= "string" then
    bad("names of states must be strings, got a %s", type(name))
  end
  states[name] = states[name] or {}
  return states[name]
end

--- Adds a handler: a function, or { object, method }.
local function add(states, name, event, handler)
  local events = state_of(states, name)
  if type(event) ~= "string" then
    bad("names of events must be strings, got a %s in state '%s'", type(event),
      name)
  elseif event == "_start" or event == "_stop" then
    bad("state '%s' cannot handle '%s': a machine starts and stops in none",
      name, event)
  elseif event:find "^poe_nfa_" then
    bad("state '%s' cannot handle '%s': that is the machine's own", name, event)
  end
  if events[event] then
    bad("state '%s' has two handlers for '%s'", name, event)
  end
  events[event] = handler
end

local function add_inline(states, group)
  for name, events in pairs(group) do
    state_of(states, name)
    check_table(events, "inline_states['%s']", name)
    for event, handler in pairs(events) do
      if type(handler) ~= "function" then
        bad("inline_states['%s']['%s'] must be a function, got a %s", name,
          event, type(handler))
      end
      add(states, name, event, handler)
    end
  end
end

--- The object of which methods are handlers: itself, or a module.
local function object_of(key, group)
  if group == "package_states" and type(key) == "string" then
    key = require(key)
  end
  if type(key) ~= "table" and type(key) ~= "userdata" then
    bad("keys in %s must be %s, got a %s", group, group == "package_states"
      and "modules or their names" or "objects", type(key))
  end
  return key
end

local function add_methods(states, given, group)
  for name, objects in pairs(given) do
    state_of(states, name)
    check_table(objects, group .. "['%s']", name)
    for key, methods in pairs(objects) do
      local object = object_of(key, group)
      check_table(methods, "lists of methods in " .. group .. "['%s']", name)
      for event, method in pairs(methods) do
        if type(method) ~= "string" then
          bad("method names in %s must be strings, got a %s", group,
            type(method))
        end
        if math.type(event) == "integer" then event = method end
        add(states, name, event, { object, method })
      end
    end
  end
end

local function collect(checked)
  local states = {}
  add_inline(states, checked.inline_states or {})
  add_methods(states, checked.object_states or {}, "object_states")
  add_methods(states, checked.package_states or {}, "package_states")
  if not next(states) then
    bad "it has no states (inline_states, object_states or package_states)"
  end
  return states
end

--- Starts a machine, in no state yet: goto_state puts it into its first.
---@param given poe.nfa.options
---@return poe.nfa
function NFA.spawn(given)
  local checked = options.check("NFA.spawn", given, PARAMETERS)
  local self = setmetatable({
    states = collect(checked), registered = {}, stack = {},
    runstate = checked.runstate == nil and {} or checked.runstate,
  }, NFA)
  kernel:session_alloc(self)
  for name, value in pairs(checked.options) do self:option(name, value) end
  return self
end

-- ---- dispatch -------------------------------------------------------------------

--- POE: an event that the state does not know is an error of the machine.
local function unhandled(self, event, file, line)
  error(("a '%s' event was sent from %s at %s to %s, which has neither a"
    .. " handler for it nor one for _default in %s"):format(event, file or "?",
    line or "?", self, self.current and "its state '" .. self.current .. "'"
    or "no state"), 0)
end

local function run(self, handler, ...)
  if type(handler) == "function" then
    return handler(kernel, self.runstate, ...)
  end
  local object, name = handler[1], handler[2]
  local method = object[name]
  if not method then error(("object has no method '%s'"):format(name), 0) end
  return method(object, kernel, self.runstate, ...)
end

local function enter(self, name, event, ...)
  local events = self.events
  if events and events.leave then kernel:call(self, "leave") end
  self.current, self.events = name, self.states[name]
  if event ~= nil then kernel:call(self, event, ...) end
  return true
end

local transitions = {}

transitions[GOTO] = enter

transitions[PUSH] = function(self, return_event, ...)
  if not self.current then
    error("call_state: the machine is in no state to return to", 0)
  elseif return_event ~= nil and not self.events[return_event] then
    error(("call_state: state '%s' has no event '%s' to return to")
      :format(self.current, return_event), 0)
  end
  table.insert(self.stack, { self.current, return_event })
  return enter(self, ...)
end

transitions[POP] = function(self, ...)
  local from = table.remove(self.stack)
  if not from then
    error("return_state: no state was called", 0)
  end
  return enter(self, from[1], from[2], ...)
end

transitions[STOP] = function(self)
  return core.stop_session(self)
end

---@private
function NFA:_invoke_state(_, event, args, file, line)
  local transition = transitions[event]
  if transition then
    return transition(self, table.unpack(args, 1, args.n))
  end
  if event == "_start" then self.id = inherited.ID(self) end
  local events = self.events or {}
  local handler = events[event] or self.registered[event]
  if handler then
    return run(self, handler, table.unpack(args, 1, args.n))
  elseif event ~= "_start" and event ~= "_stop" and events._default then
    return run(self, events._default, event, args)
  elseif not NEWS[event] then
    unhandled(self, event, file, line)
  end
end

--- What kernel:state does in a machine: a handler in all its states (wheels
--- have such), but for those that have one of their own.
---@private
function NFA:_register_state(event, handler, method)
  if handler ~= nil and type(handler) ~= "function" then
    handler = { handler, method or event }
  end
  self.registered[event] = handler
end

-- ---- transitions ------------------------------------------------------------------

local function check_name(method, number, what, value)
  if type(value) ~= "string" then
    options.blame(("bad argument #%d to '%s' (%s expected, got %s)"):format(
      number, method, what, value == nil and "nil" or type(value)))
  end
end

--- Raises unless there is such a state and it has such an event, if one is
--- wanted. They begin at argument `number`.
local function check_entry(self, method, number, name, event)
  check_name(method, number, "name of a state", name)
  local events = self.states[name]
  if not events then
    options.blame(("bad argument #%d to '%s' (no state '%s'; did you mean '%s'?)")
      :format(number, method, name, options.nearest(name, self.states)))
  end
  if event == nil then return end
  check_name(method, number + 1, "event name", event)
  if not events[event] then
    local nearest = options.nearest(event, events)
    options.blame(("bad argument #%d to '%s' (state '%s' has no event '%s'%s)")
      :format(number + 1, method, name, event, nearest
        and "; did you mean '" .. nearest .. "'?" or ""))
  end
end

local function send(self, is_immediate, event, ...)
  if is_immediate then return kernel:call(self, event, ...) end
  return kernel:post(self, event, ...)
end

--- Puts the machine into a state, after what is queued already (the first one
--- at once), and then calls one of that state's events.
---@param name string
---@param event? string
---@param ... any  its arguments
---@return true?
---@return string? message
---@return poe.code? code
function NFA:goto_state(name, event, ...)
  check_entry(self, "goto_state", 1, name, event)
  return send(self, not self.current or self:option "immediate", GOTO, name,
    event, ...)
end

--- The same, and return_state comes back: then `return_event` of the state of
--- now is called.
---@param return_event string?
---@param name string
---@param event? string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function NFA:call_state(return_event, name, event, ...)
  if return_event ~= nil then
    check_name("call_state", 1, "event name", return_event)
  end
  check_entry(self, "call_state", 2, name, event)
  return send(self, self:option "immediate", PUSH, return_event, name, event,
    ...)
end

--- Goes back to the state that has called this one.
---@param ... any  for its return event
---@return true?
---@return string? message
---@return poe.code? code
function NFA:return_state(...)
  return send(self, self:option "immediate", POP, ...)
end

--- Ends the machine, after what is queued already, whatever it still waits for.
---@return true?
---@return string? message
---@return poe.code? code
function NFA:stop()
  return kernel:post(self, STOP)
end

-- ---- looking --------------------------------------------------------------------

---@return integer
function NFA:ID()
  return self.id
end

---@return string? name  nil before the first goto_state
function NFA:get_current_state()
  return self.current
end

---@return any
function NFA:get_runstate()
  return self.runstate
end

--- What wheels and others that know sessions ask for.
NFA.get_heap = NFA.get_runstate

return NFA
