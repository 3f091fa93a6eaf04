-- SPDX-License-Identifier: MIT
-- Lua data as MessagePack, https://msgpack.org, and back.
--
-- A table whose keys are 1 to n is an array, and so is an empty one; every
-- other is a map. A string that is valid UTF-8 is a str, every other a bin; a
-- float stays a float. Nothing that comes can run, and what it makes is bounded
-- by its length.
local pack, unpack, byte, sub = string.pack, string.unpack, string.byte, string.sub
local math_type, valid_utf8 = math.type, utf8.len

local MAX_DEPTH = 100 -- of tables in tables, both ways

---@class poe.filter.msgpack
local msgpack = {}

-- ---- encode ---------------------------------------------------------------------

local function encode_integer(n)
  if n >= 0 then
    return n < 0x80 and pack("B", n) or n < 0x100 and pack("BB", 0xcc, n)
      or n < 0x10000 and pack(">BI2", 0xcd, n)
      or n < 0x100000000 and pack(">BI4", 0xce, n) or pack(">BI8", 0xcf, n)
  end
  return n >= -0x20 and pack("b", n) or n >= -0x80 and pack("Bb", 0xd0, n)
    or n >= -0x8000 and pack(">Bi2", 0xd1, n)
    or n >= -0x80000000 and pack(">Bi4", 0xd2, n) or pack(">Bi8", 0xd3, n)
end

local function encode_number(value)
  if math_type(value) == "integer" then return encode_integer(value) end
  return pack(">Bd", 0xcb, value)
end

local function encode_string(text)
  local n = #text
  if valid_utf8(text) then
    if n < 0x20 then return pack("B", 0xa0 | n) .. text end
    return n < 0x100 and pack(">Bs1", 0xd9, text)
      or n < 0x10000 and pack(">Bs2", 0xda, text) or pack(">Bs4", 0xdb, text)
  end
  return n < 0x100 and pack(">Bs1", 0xc4, text)
    or n < 0x10000 and pack(">Bs2", 0xc5, text) or pack(">Bs4", 0xc6, text)
end

--- The length of a table that is an array; else nil, and how many keys it has.
local function measure(t)
  local n, count = rawlen(t), 0
  local is_array = true
  for key in next, t do
    count = count + 1
    if math_type(key) ~= "integer" or key < 1 or key > n then is_array = false end
  end
  return is_array and count == n and n or nil, count
end

local function encode_head(n, short, head16, head32)
  return n < 16 and pack("B", short | n) or n < 0x10000 and pack(">BI2", head16, n)
    or pack(">BI4", head32, n)
end

local encode_value

--- `above` has the tables that this one is in.
local function encode_table(t, out, above, depth)
  if above[t] then error("a table that contains itself", 0) end
  if depth == MAX_DEPTH then
    error(("tables nested more than %d deep"):format(MAX_DEPTH), 0)
  end
  above[t] = true
  local length, count = measure(t)
  if length then
    out[#out + 1] = encode_head(length, 0x90, 0xdc, 0xdd)
    for i = 1, length do encode_value(rawget(t, i), out, above, depth + 1) end
  else
    out[#out + 1] = encode_head(count, 0x80, 0xde, 0xdf)
    for key, value in next, t do
      encode_value(key, out, above, depth + 1)
      encode_value(value, out, above, depth + 1)
    end
  end
  above[t] = nil
end

function encode_value(value, out, above, depth)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = encode_string(value)
  elseif kind == "number" then
    out[#out + 1] = encode_number(value)
  elseif kind == "table" then
    encode_table(value, out, above, depth)
  elseif kind == "boolean" then
    out[#out + 1] = value and "\xc3" or "\xc2"
  elseif kind == "nil" then
    out[#out + 1] = "\xc0"
  else
    error("a " .. kind, 0)
  end
end

--- The bytes of a value; nil and why if there are none: it has a function, a
--- userdata or a coroutine in it, or itself, or is nested too deep.
---@param value any
---@return string? bytes
---@return string? why  "a function"
function msgpack.encode(value)
  local out = {}
  local ok, why = pcall(encode_value, value, out, {}, 0)
  if not ok then return nil, tostring(why) end
  return table.concat(out)
end

-- ---- decode ---------------------------------------------------------------------

local function cut_short()
  error("bytes cut short", 0)
end

local function take(bytes, at, n)
  if #bytes - at + 1 < n then cut_short() end
  return sub(bytes, at, at + n - 1), at + n
end

local decode_value

--- `n` values cannot be in fewer bytes; so no count alone makes much.
local function decode_array(bytes, at, n, depth)
  if depth == MAX_DEPTH then error("arrays and maps nested too deep", 0) end
  if #bytes - at + 1 < n then cut_short() end
  local t = {}
  for i = 1, n do t[i], at = decode_value(bytes, at, depth + 1) end
  return t, at
end

local function decode_map(bytes, at, n, depth)
  if depth == MAX_DEPTH then error("arrays and maps nested too deep", 0) end
  if #bytes - at + 1 < 2 * n then cut_short() end
  local t = {}
  for _ = 1, n do
    local key
    key, at = decode_value(bytes, at, depth + 1)
    if key == nil or key ~= key then error("a key that is nil or NaN", 0) end
    t[key], at = decode_value(bytes, at, depth + 1)
  end
  return t, at
end

local function constant(value)
  return function(_, at) return value, at end
end

local function number(format)
  local size = string.packsize(format)
  return function(bytes, at)
    if #bytes - at + 1 < size then cut_short() end
    return unpack(format, bytes, at)
  end
end

local function unsigned64(bytes, at)
  if #bytes - at + 1 < 8 then cut_short() end
  if byte(bytes, at) > 0x7f then error("an integer of more than 63 bits", 0) end
  return unpack(">I8", bytes, at)
end

--- With the length in front, `size` bytes of it.
local function counted(size, read)
  local length = number(">I" .. size)
  return function(bytes, at, depth)
    local n
    n, at = length(bytes, at)
    return read(bytes, at, n, depth)
  end
end

--- By the first byte, what reads the rest: function(bytes, at, depth). Those
--- that are not here have their length or value in the byte itself; 0xc1 and
--- the extension types are nobody's.
local readers = {
  [0xc0] = constant(nil), [0xc2] = constant(false), [0xc3] = constant(true),
  [0xc4] = counted(1, take), [0xc5] = counted(2, take), [0xc6] = counted(4, take),
  [0xca] = number ">f", [0xcb] = number ">d",
  [0xcc] = number "B", [0xcd] = number ">I2", [0xce] = number ">I4",
  [0xcf] = unsigned64,
  [0xd0] = number "b", [0xd1] = number ">i2", [0xd2] = number ">i4",
  [0xd3] = number ">i8",
  [0xd9] = counted(1, take), [0xda] = counted(2, take), [0xdb] = counted(4, take),
  [0xdc] = counted(2, decode_array), [0xdd] = counted(4, decode_array),
  [0xde] = counted(2, decode_map), [0xdf] = counted(4, decode_map),
}

function decode_value(bytes, at, depth)
  local head = byte(bytes, at)
  if not head then cut_short() end
  at = at + 1
  if head < 0x80 then return head, at end
  if head < 0x90 then return decode_map(bytes, at, head & 15, depth) end
  if head < 0xa0 then return decode_array(bytes, at, head & 15, depth) end
  if head < 0xc0 then return take(bytes, at, head & 31) end
  if head >= 0xe0 then return head - 0x100, at end
  local read = readers[head]
  if not read then error(("type 0x%x, which is not known"):format(head), 0) end
  return read(bytes, at, depth)
end

--- The value that `bytes` are, all of them; nil and why if they are none.
---@param bytes string
---@return any value  nil also if that is the value
---@return string? why
function msgpack.decode(bytes)
  local ok, value, at = pcall(decode_value, bytes, 1, 0)
  if not ok then return nil, value end
  if at <= #bytes then return nil, "bytes after the value" end
  return value
end

return msgpack
