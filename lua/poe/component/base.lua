-- SPDX-License-Identifier: MIT
-- What the components have in common: filters by example, class or name, and
-- sessions that are partly ours and partly the user's.
local Filter = require "poe.filter.base"
local options = require "poe.options"
local poe = require "poe"

---@class poe.component.base
local Base = {}

-- ---- filters ------------------------------------------------------------------

--- What a filter may be given as: one that is cloned, a class, or the name of a
--- class's module.
---@alias poe.component.filter poe.filter|{ new: fun(): poe.filter }|string

options.kinds.filter_source = {
  text = "a filter, its class, or the name of its module",
  accepts = function(value)
    return type(value) == "string" or options.is_class(value) or Filter.is_filter(value)
  end,
}

local function class_of(name)
  local ok, class = pcall(require, name)
  return ok and options.is_class(class) and class or nil
end

--- POE::Filter::Stream is poe.filter.stream.
local function refuse_name(where, key, name)
  local ours = name:gsub("::", "."):lower()
  options.blame(("%s: parameter '%s' names no module of a filter: '%s'%s")
    :format(where, key, name, ours ~= name and class_of(ours)
      and " (did you mean '" .. ours .. "'?)" or ""))
end

--- A function that makes one filter after the other.
---@param where string
---@param key string  of the parameter
---@param source poe.component.filter
---@return fun(): poe.filter
local function maker(where, key, source)
  if type(source) == "string" then
    source = class_of(source) or refuse_name(where, key, source)
  end
  if options.is_class(source) then return source.new end
  return function() return source:clone() end
end

--- A function that makes the filters of one connection, for input and output.
---@param where string
---@param checked table  the parameters
---@param both string  the name of the parameter for both
---@param input string
---@param output string
---@return fun(): poe.filter, poe.filter
function Base.filters(where, checked, both, input, output)
  if (checked[input] == nil) ~= (checked[output] == nil) then
    options.blame(("%s: parameters '%s' and '%s' need each other"):format(where,
      input, output))
  end
  options.exclude(where, checked, both, input)
  if checked[input] then
    local make_input = maker(where, input, checked[input])
    local make_output = maker(where, output, checked[output])
    return function() return make_input(), make_output() end
  end
  local make = maker(where, both, checked[both] or "poe.filter.line")
  return function()
    local filter = make()
    return filter, filter
  end
end

-- ---- sessions -----------------------------------------------------------------

--- The parameters of the sessions that users may add to.
---@type table<string, poe.options.parameter>
Base.session_parameters = {
  inline_states = { "table", default = {} },
  object_states = { "table" },
  package_states = { "table" },
  session_params = { "table", default = {} },
  session_type = { "function", default = poe.session.create },
}

local SESSION_PARAMS = { options = { "table" } }

local function refuse(where, key, event, own)
  if own[event] then
    options.blame(("%s: parameter '%s' has '%s', which is the component's own")
      :format(where, key, tostring(event)))
  end
end

--- What `create` would say of the first connection is said at once.
local function check_object(where, key, object)
  local kind = type(object)
  if kind == "table" or kind == "userdata"
    or kind == "string" and key == "package_states" then
    return
  end
  options.blame(("%s: keys of '%s' must be %s, got a %s"):format(where, key,
    key == "package_states" and "modules or their names" or "objects", kind))
end

local function check_methods(where, key, objects, own)
  for object, methods in pairs(objects or {}) do
    check_object(where, key, object)
    for index, name in pairs(type(methods) == "table" and methods or {}) do
      refuse(where, key, math.type(index) and name or index, own)
    end
  end
end

--- The parameters of `create` for sessions with handlers of ours and, for other
--- events, of the user's.
---@param where string
---@param checked table  parameters, session_parameters among them
---@param own table<string, poe.handler>
---@return table
function Base.session(where, checked, own)
  local inline = {}
  for event, handler in pairs(checked.inline_states) do
    refuse(where, "inline_states", event, own)
    inline[event] = handler
  end
  check_methods(where, "object_states", checked.object_states, own)
  check_methods(where, "package_states", checked.package_states, own)
  for event, handler in pairs(own) do inline[event] = handler end
  local more = options.check(where .. ": session_params", checked.session_params,
    SESSION_PARAMS)
  return {
    inline_states = inline, object_states = checked.object_states,
    package_states = checked.package_states, options = more.options,
  }
end

-- ---- handlers -----------------------------------------------------------------

--- A line on stderr about an error that nobody wants to know.
---@param what string  "client 127.0.0.1"
---@param operation string
---@param code string
---@param text string
function Base.log(what, operation, code, text)
  io.stderr:write(("poe: %s: %s: %s: %s\n"):format(what, operation, code, text))
end

--- Whether a session has an alias. That none has is no mistake here, whatever is
--- asserted.
---@param alias string
---@return boolean
function Base.is_taken(alias)
  local ok, session = pcall(poe.kernel.alias_resolve, poe.kernel, alias)
  return ok and session ~= nil
end

--- Whether the callback that was called last has stopped the kernel.
---@return boolean
function Base.is_stopped()
  return poe.kernel.session == poe.kernel
end

--- Does nothing: the handler of what nobody asked for.
function Base.ignore() end

return Base
