-- The little JSON the bench needs: objects with string keys, arrays, strings,
-- numbers, booleans. Keys are written sorted, so that files differ only where
-- their content does.

local json = {}

local encode

local function encode_string(s)
  return '"' .. s:gsub('[%c"\\]', function(c)
    return ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function encode_list(list, indent)
  local items = {}
  for i, value in ipairs(list) do items[i] = encode(value, indent) end
  return "[" .. table.concat(items, ", ") .. "]"
end

local function encode_object(object, indent)
  local keys, inner = {}, indent .. "  "
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do
    keys[i] = inner .. encode_string(key) .. ": " .. encode(object[key], inner)
  end
  return "{\n" .. table.concat(keys, ",\n") .. "\n" .. indent .. "}"
end

function encode(value, indent)
  if type(value) == "string" then return encode_string(value) end
  if type(value) == "number" then return ("%.10g"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  if #value > 0 then return encode_list(value, indent) end
  return encode_object(value, indent)
end

--- Any value of the kinds above as text.
---@return string
function json.encode(value) return encode(value, "") .. "\n" end

local decode

local function decode_string(text, at)
  local stop = text:find('"', at + 1, true)
  local s = text:sub(at + 1, stop - 1):gsub("\\u(%x%x%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return s, stop + 1
end

local function decode_list(text, at)
  local list = {}
  at = text:match("^%s*()", at + 1)
  while text:sub(at, at) ~= "]" do
    list[#list + 1], at = decode(text, at)
    at = text:match("^%s*,?%s*()", at)
  end
  return list, at + 1
end

local function decode_object(text, at)
  local object = {}
  at = text:match("^%s*()", at + 1)
  while text:sub(at, at) ~= "}" do
    local key
    key, at = decode_string(text, at)
    at = text:match("^%s*:%s*()", at)
    object[key], at = decode(text, at)
    at = text:match("^%s*,?%s*()", at)
  end
  return object, at + 1
end

local words = { ["true"] = true, ["false"] = false }

function decode(text, at)
  at = text:match("^%s*()", at)
  local c = text:sub(at, at)
  if c == '"' then return decode_string(text, at) end
  if c == "[" then return decode_list(text, at) end
  if c == "{" then return decode_object(text, at) end
  local word, stop = text:match("^([%w%.%-%+]+)()", at)
  if not word then error("bad JSON at byte " .. at) end
  if words[word] ~= nil then return words[word], stop end
  return tonumber(word), stop
end

--- The value that text written by `encode` stands for.
---@param text string
function json.decode(text) return (decode(text, 1)) end

return json
