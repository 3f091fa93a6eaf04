-- SPDX-License-Identifier: MIT
-- Tables of named parameters, checked: each known, each of its kind, each that
-- must be there. What is wrong is raised, and blamed on the innermost line that
-- is not of this library, however deep in it the mistake was found.

---@class poe.options
local options = {}

--- What a parameter must be like.
---@class poe.options.parameter
---@field [1] string  names of kinds, with "|" between: "text|function"
---@field required? boolean
---@field default? any  not checked
---@field also? string  what POE calls it, if that is another word

---@class poe.options.kind
---@field text string  what it is called: "a positive integer"
---@field accepts fun(value: any): boolean
---@field shows? boolean  a string that is refused is told

-- Where the files of this library are: "@/usr/share/lua/5.4/poe/".
local HOME = debug.getinfo(1, "S").source:match "^(.*)options%.lua$"

-- ---- blame ------------------------------------------------------------------

local function is_ours(info)
  return info.currentline < 0 or info.source:sub(1, #HOME) == HOME
end

--- Raises `message` at the innermost line outside this library.
---@param message string
function options.blame(message)
  local level = 2
  local info = debug.getinfo(level, "Sl")
  while info and is_ours(info) do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  error(message, info and level or 2)
end

local blame = options.blame

-- ---- the nearest name -------------------------------------------------------

--- MaxLength, max-length and max_length are the same word.
local function plain(name)
  return name:lower():gsub("[^%w]", "")
end

--- In how many single letters two words differ (Levenshtein).
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local least = math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      diagonal, row[j] = row[j], least
    end
  end
  return row[#b]
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

--- Of a key and its name in POE, if it has one of its own, the nearer one counts.
local function distance_to(word, key, parameter)
  local d = distance(word, plain(key))
  local also = type(parameter) == "table" and parameter.also
  return also and math.min(d, distance(word, plain(also))) or d
end

--- The key of `known` that is most like `name`; of equals the first as sorted.
---@param name string
---@param known table<string, any>
---@return string?
---@return boolean? is_near  half of it is the same, or more
function options.nearest(name, known)
  local best, least
  local word = plain(name):sub(1, 64)
  for _, key in ipairs(sorted_keys(known)) do
    local d = distance_to(word, key, known[key])
    if not least or d < least then best, least = key, d end
  end
  return best, best and 2 * least <= #word + 1
end

-- ---- kinds --------------------------------------------------------------------

local function integer_of(value)
  return math.type(value) and math.tointeger(value)
end

--- The kinds beside Lua's types; modules may add theirs.
---@type table<string, poe.options.kind>
options.kinds = {
  any = { text = "a value", accepts = function() return true end },
  text = {
    text = "a string that is not empty",
    accepts = function(value) return type(value) == "string" and value ~= "" end,
  },
  integer = {
    text = "an integer",
    accepts = function(value) return integer_of(value) ~= nil end,
  },
  size = {
    text = "a positive integer",
    accepts = function(value) return (integer_of(value) or 0) > 0 end,
  },
  seconds = {
    text = "a number of seconds",
    accepts = function(value)
      return type(value) == "number" and value >= 0 and value < math.huge
    end,
  },
}

local LUA_TYPES = {
  string = "a string", number = "a number", boolean = "a boolean",
  table = "a table", ["function"] = "a function", userdata = "a userdata",
}

--- The names in "text|function", split once.
local split = setmetatable({}, { __index = function(known, kinds)
  local list = {}
  for kind in kinds:gmatch "[^|]+" do list[#list + 1] = kind end
  known[kinds] = list
  return list
end })

local function accepts(kinds, value)
  local list = split[kinds]
  for i = 1, #list do
    local own = options.kinds[list[i]]
    if own and own.accepts(value) or type(value) == list[i] then return true end
  end
  return false
end

local function text_of(kinds)
  local texts = {}
  for _, kind in ipairs(split[kinds]) do
    local own = options.kinds[kind]
    texts[#texts + 1] = own and own.text or LUA_TYPES[kind] or kind
  end
  return table.concat(texts, " or ")
end

local SHOWN = 40

--- A string as a message tells it: in quotes, on one line, not too long.
---@param text string
---@return string
function options.quote(text)
  local shown = #text > SHOWN and text:sub(1, SHOWN) .. "..." or text
  return "'" .. shown:gsub("[%c\\']", function(c)
    return c:find "%c" and ("\\%d"):format(c:byte()) or "\\" .. c
  end) .. "'"
end

local function shows(kinds)
  for _, kind in ipairs(kinds and split[kinds] or {}) do
    local own = options.kinds[kind]
    if own and own.shows then return true end
  end
  return false
end

--- Whether it is a class, not one of its objects.
---@param value any
---@return boolean
function options.is_class(value)
  return type(value) == "table" and type(rawget(value, "new")) == "function"
end

local function describe(value, kinds)
  if options.is_class(value) then return "got a class (call its 'new')" end
  if type(value) == "number" then return ("got %s"):format(value) end
  if value == "" then return "got an empty one" end
  if type(value) == "string" and shows(kinds) then
    return "got " .. options.quote(value)
  end
  return value == nil and "got nil" or "got a " .. type(value)
end

-- ---- checking ---------------------------------------------------------------

local LISTED = 12 -- names in a message, at most

--- What to take in place of a name that is not known.
local function advice(name, parameters)
  local nearest, is_near = options.nearest(name, parameters)
  if not nearest then return "it takes none" end
  if is_near then return "did you mean '" .. nearest .. "'?" end
  local keys = sorted_keys(parameters)
  if #keys > LISTED then return "there is nothing like it" end
  return "known: " .. table.concat(keys, ", ")
end

local function check_known(where, given, parameters)
  for _, key in ipairs(sorted_keys(given)) do
    if type(key) ~= "string" then
      blame(("%s: unknown parameter [%s] (a named parameter expected)")
        :format(where, key))
    elseif not parameters[key] then
      blame(("%s: unknown parameter '%s' (%s)"):format(where, key,
        advice(key, parameters)))
    end
  end
end

--- Whether neither check has anything to say: nothing is sorted for that.
local function is_right(given, parameters)
  for key in pairs(given) do
    if parameters[key] == nil then return false end
  end
  for key, parameter in pairs(parameters) do
    local value = given[key]
    if value == nil and parameter.required or
      value ~= nil and not accepts(parameter[1], value) then
      return false
    end
  end
  return true
end

local function check_value(where, key, value, parameter)
  if value == nil then
    if parameter.required then
      blame(("%s: parameter '%s' is missing (%s)"):format(where, key,
        text_of(parameter[1])))
    end
  elseif not accepts(parameter[1], value) then
    blame(("%s: parameter '%s' must be %s, %s"):format(where, key,
      text_of(parameter[1]), describe(value, parameter[1])))
  end
end

--- A copy of `given` with the defaults filled in; integers that came as floats
--- are integers in it. `given` may be nil: an empty table.
---@param where string  for the message: "Line.new"
---@param given? table
---@param parameters table<string, poe.options.parameter>
---@return table
function options.check(where, given, parameters)
  if given == nil then given = {} end
  if type(given) ~= "table" then
    blame(("bad argument #1 to '%s' (table of named parameters expected, %s)")
      :format(where, describe(given)))
  end
  if options.is_class(given) then
    blame(("%s: call it with '.', not with ':'"):format(where))
  end
  if not is_right(given, parameters) then
    check_known(where, given, parameters)
    for _, key in ipairs(sorted_keys(parameters)) do
      check_value(where, key, given[key], parameters[key])
    end
  end
  local checked = {}
  for key, parameter in pairs(parameters) do
    local value = given[key]
    if value == nil then value = parameter.default end
    checked[key] = integer_of(value) or value
  end
  return checked
end

--- Raises if more than one of `names` was given.
---@param where string
---@param given table
---@param ... string
function options.exclude(where, given, ...)
  local first
  for _, name in ipairs { ... } do
    if given[name] ~= nil then
      if first then
        blame(("%s: parameter '%s' excludes '%s'"):format(where, first, name))
      end
      first = name
    end
  end
end

--- Raises unless argument `number` of a function is a list (a table).
---@param where string
---@param number integer
---@param value any
function options.check_list(where, number, value)
  if type(value) ~= "table" then
    blame(("bad argument #%d to '%s' (list expected, %s)"):format(number,
      where, describe(value)))
  end
end

--- Raises unless argument `number` of a function is of one of `kinds`.
---@param where string
---@param number integer
---@param value any
---@param kinds string
function options.check_argument(where, number, value, kinds)
  if not accepts(kinds, value) then
    blame(("bad argument #%d to '%s' (%s expected, %s)"):format(number, where,
      text_of(kinds), describe(value, kinds)))
  end
end

--- Raises unless `value` is an element that a list may have.
---@param where string
---@param index integer  in the list that is the first argument
---@param value any
---@param kinds string
function options.check_element(where, index, value, kinds)
  if not accepts(kinds, value) then
    blame(("bad argument #1 to '%s' (element %d must be %s, %s)"):format(where,
      index, text_of(kinds), describe(value, kinds)))
  end
end

return options
