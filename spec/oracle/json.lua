-- Reads the JSON of a scenario: what the oracle's cases need, no more.
--
-- An array becomes a table with its length in `n`, so that a null inside it
-- keeps its place; an object becomes a plain table, where a null is absent.
-- Numbers are Lua integers where they can be. Bad input raises, with the byte
-- where it was found.

local json = {}

local ESCAPES = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n",
  r = "\r", t = "\t",
}
local LITERALS = { ["true"] = true, ["false"] = false }

local read_value

local function fail(at, expected)
  error(("bad JSON at byte %d: %s expected"):format(at, expected), 0)
end

local function skip_space(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

local function read_escape(text, at)
  local hex = text:match("^u(%x%x%x%x)", at)
  if hex then
    return utf8.char(tonumber(hex, 16)), at + 5
  end
  local char = ESCAPES[text:sub(at, at)]
  if not char then
    fail(at, "escape")
  end
  return char, at + 1
end

local function read_string(text, at)
  local parts = {}
  at = at + 1
  while true do
    local plain, stop, after = text:match('^([^"\\]*)(["\\])()', at)
    if not plain then
      fail(at, "end of string")
    end
    parts[#parts + 1] = plain
    if stop == '"' then
      return table.concat(parts), after
    end
    parts[#parts + 1], at = read_escape(text, after)
  end
end

-- Calls read_item at each item up to `close`; it returns where its item ends.
local function read_items(text, at, close, read_item)
  at = skip_space(text, at + 1)
  if text:sub(at, at) == close then
    return at + 1
  end
  while true do
    at = skip_space(text, read_item(at))
    local mark = text:sub(at, at)
    if mark == close then
      return at + 1
    elseif mark ~= "," then
      fail(at, ("',' or '%s'"):format(close))
    end
    at = skip_space(text, at + 1)
  end
end

local function read_array(text, at)
  local list = { n = 0 }
  local after = read_items(text, at, "]", function(from)
    local value, stop = read_value(text, from)
    list.n = list.n + 1
    list[list.n] = value
    return stop
  end)
  return list, after
end

local function read_object(text, at)
  local object = {}
  local after = read_items(text, at, "}", function(from)
    if text:sub(from, from) ~= '"' then
      fail(from, "name")
    end
    local name, stop = read_string(text, from)
    local colon = text:match("^[ \t\r\n]*:()", stop)
    if not colon then
      fail(stop, "':'")
    end
    object[name], stop = read_value(text, colon)
    return stop
  end)
  return object, after
end

local function read_scalar(text, at)
  local word, after = text:match("^(%a+)()", at)
  if word == "null" then
    return nil, after
  elseif LITERALS[word] ~= nil then
    return LITERALS[word], after
  end
  local number
  number, after = text:match("^(-?%d[%d.eE+-]*)()", at)
  local value = math.tointeger(tonumber(number)) or tonumber(number)
  if not value then
    fail(at, "value")
  end
  return value, after
end

function read_value(text, at)
  at = skip_space(text, at)
  local first = text:sub(at, at)
  if first == "{" then
    return read_object(text, at)
  elseif first == "[" then
    return read_array(text, at)
  elseif first == '"' then
    return read_string(text, at)
  end
  return read_scalar(text, at)
end

--- The value that a JSON text stands for.
---@param text string
---@return any
function json.decode(text)
  local value, at = read_value(text, 1)
  at = skip_space(text, at)
  if at <= #text then
    fail(at, "end of text")
  end
  return value
end

return json
