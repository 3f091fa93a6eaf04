-- SPDX-License-Identifier: MIT
-- Headers of a request or a response: names and values in their order, names
-- found whatever their case. HTTP::Headers.
--
-- What add and set take can be written as one line, and as no second one: a
-- value with a CR or LF in it is an error.
local options = require "poe.options"

---@class poe.http.headers
local Headers = { __name = "poe.http.headers" }
Headers.__index = Headers

local SPACE, TAB = 32, 9
local NAME = "^[%w!#$%%&'*+%-.^_`|~]+$"

local function check(where, name, value)
  if type(name) ~= "string" or not name:find(NAME) then
    options.blame(("bad argument #1 to '%s' (not the name of a header: %q)")
      :format(where, tostring(name)))
  end
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then
    options.blame(("bad argument #2 to '%s' (value of '%s': a string or a " ..
      "number expected, got a %s)"):format(where, name, type(value)))
  end
  if value:find "%c" and value:find "[\0-\8\10-\31\127]" then
    options.blame(("bad argument #2 to '%s' (value of '%s': control " ..
      "characters)"):format(where, name))
  end
  return value
end

local function append(self, name, value)
  local n = self.count + 1
  self.keys[n], self.names[n], self.values[n] = name:lower(), name, value
  self.count = n
end

local function add_all(self, where, name, value)
  if type(value) ~= "table" then value = { value } end
  for _, one in ipairs(value) do append(self, name, check(where, name, one)) end
end

local function sorted_names(given)
  local names = {}
  for name in pairs(given) do
    if math.type(name) ~= "integer" then names[#names + 1] = name end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  return names
end

---@return poe.http.headers
local function empty()
  return setmetatable({ count = 0, keys = {}, names = {}, values = {} }, Headers)
end

--- Of a table of names and values (a value may be a list of them), of a list of
--- { name, value }, of both; or a copy of other headers.
---@param given? table
---@return poe.http.headers
function Headers.new(given)
  local self = empty()
  if given == nil then return self end
  options.check_list("Headers.new", 1, given)
  if getmetatable(given) == Headers then
    for name, value in given:each() do append(self, name, value) end
    return self
  end
  for _, pair in ipairs(given) do
    options.check_list("Headers.new", 1, pair)
    add_all(self, "Headers.new", pair[1], pair[2])
  end
  for _, name in ipairs(sorted_names(given)) do
    add_all(self, "Headers.new", name, given[name])
  end
  return self
end

--- What a parser found: name, value, name, value...
---@param list string[]
---@return poe.http.headers
function Headers.parsed(list)
  local self = empty()
  for i = 1, #list, 2 do
    local value = list[i + 1]
    local last = value:byte(-1)
    if last == SPACE or last == TAB then value = value:match "^(.-)[ \t]*$" end
    append(self, list[i], value)
  end
  return self
end

--- All values of one name.
---@param name string
---@return string[]
function Headers:all(name)
  local key, list = name:lower(), {}
  for i = 1, self.count do
    if self.keys[i] == key then list[#list + 1] = self.values[i] end
  end
  return list
end

--- The value; several as one, with ", " between, as HTTP has it; nil if there
--- is none.
---@param name string
---@return string?
function Headers:get(name)
  local keys, key, found = self.keys, name:lower(), nil
  for i = 1, self.count do
    if keys[i] == key then
      found = found and found .. ", " .. self.values[i] or self.values[i]
    end
  end
  return found
end

--- One more value after those that are there.
---@param name string
---@param value string|number|(string|number)[]
function Headers:add(name, value)
  add_all(self, "add", name, value)
end

--- In place of all values there are.
---@param name string
---@param value string|number|(string|number)[]
function Headers:set(name, value)
  local new = empty()
  add_all(new, "set", name, value)
  self:remove(name)
  for i = 1, new.count do append(self, name, new.values[i]) end
end

---@param name string
---@return string[] removed  its values
function Headers:remove(name)
  local old, key, removed = Headers.new(self), name:lower(), {}
  self.count, self.keys, self.names, self.values = 0, {}, {}, {}
  for i = 1, old.count do
    if old.keys[i] == key then
      removed[#removed + 1] = old.values[i]
    else
      append(self, old.names[i], old.values[i])
    end
  end
  return removed
end

--- for name, value in headers:each() do
---@return fun(): string?, string?
function Headers:each()
  local i = 0
  return function()
    i = i + 1
    return self.names[i], self.values[i]
  end
end

return Headers
