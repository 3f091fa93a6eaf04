-- SPDX-License-Identifier: MIT
-- Lua data: each record a value, with the length of its bytes before it.
-- POE::Filter::Reference.
--
-- Bytes are never run: they are MessagePack, or what a serializer of the user's
-- takes them for.
local Base = require "poe.filter.base"
local Block = require "poe.filter.block"
local msgpack = require "poe.filter.msgpack"
local options = require "poe.options"

local MAX_LENGTH = 1 << 20
local STEP = 256 -- compressed bytes at a time: no more than 256 KiB come of it

---@class poe.filter.reference: poe.filter
local Reference = Base.class "poe.filter.reference"

--- freeze: a value to bytes. thaw: bytes to a value; nil and why if they are
--- none, or it raises.
---@class poe.filter.reference.serializer
---@field freeze fun(value: any): string?, string?
---@field thaw fun(bytes: string): any, string?

---@class poe.filter.reference.options
---@field serializer? poe.filter.reference.serializer  MessagePack
---@field compression? boolean  by zlib; needs lua-zlib
---@field max_length? integer  of a value's bytes, as sent and as unpacked; 1048576

local PARAMETERS = {
  serializer = { "table" },
  compression = { "boolean", default = false },
  max_length = { "size", default = MAX_LENGTH, also = "MaxBuffer" },
}
local SERIALIZER_PARAMETERS = {
  freeze = { "function", required = true },
  thaw = { "function", required = true },
}

local usual = { freeze = msgpack.encode, thaw = msgpack.decode }

-- ---- new ------------------------------------------------------------------------

local function load_zlib()
  local ok, zlib = pcall(require, "zlib")
  if not ok then
    options.blame("Reference.new: parameter 'compression' needs the module " ..
      "'zlib' (Debian: lua-zlib), which is not here")
  end
  return zlib
end

---@return poe.filter.reference
local function make(serializer, zlib, max_length)
  return setmetatable({ serializer = serializer, zlib = zlib,
    max_length = max_length, block = Block.new { max_length = max_length },
  }, Reference)
end

---@param given? poe.filter.reference.options
---@return poe.filter.reference
function Reference.new(given)
  local checked = options.check("Reference.new", given, PARAMETERS)
  local serializer = usual
  if checked.serializer then
    serializer = options.check("Reference.new: serializer", checked.serializer,
      SERIALIZER_PARAMETERS)
  end
  return make(serializer, checked.compression and load_zlib(), checked.max_length)
end

---@return poe.filter.reference
function Reference:clone()
  return make(self.serializer, self.zlib, self.max_length)
end

-- ---- bytes to values --------------------------------------------------------------

---@param chunks string[]
function Reference:get_one_start(chunks)
  self.block:get_one_start(chunks)
end

--- The bytes that were compressed; nil, code and why. They are looked at as
--- they come, so that few bytes cannot become very many.
local function inflate(self, block)
  local stream, parts, size = self.zlib.inflate(), {}, 0
  for at = 1, #block, STEP do
    local ok, part, at_end, used = pcall(stream, block:sub(at, at + STEP - 1))
    if not ok then return nil, "EBADMSG", "value that zlib does not know" end
    parts[#parts + 1], size = part, size + #part
    if size > self.max_length then
      return nil, "EMSGSIZE", ("value of more than %d bytes"):format(
        self.max_length)
    end
    if at_end then
      if used < #block then break end
      return table.concat(parts)
    end
  end
  return nil, "EBADMSG", "value that zlib does not know"
end

--- The value of a block; nil, code and why.
local function thaw(self, block)
  if self.zlib then
    local bytes, code, text = inflate(self, block)
    if not bytes then return nil, code, text end
    block = bytes
  end
  local ok, value, why = pcall(self.serializer.thaw, block)
  if ok and value ~= nil then return value end
  if not ok then why = value end
  return nil, "EBADMSG", tostring(why or "nil is no record")
end

---@return any[]? values  one or none
---@return string? message
---@return string? code  EMSGSIZE or EBADMSG, again and again
function Reference:get_one()
  if self.code then return Base.fail(self.code, self.why) end
  local got, message, code = self.block:get_one()
  if not got then return nil, message, code end
  if #got == 0 then return got end
  local value
  value, self.code, self.why = thaw(self, got[1])
  if self.code then return Base.fail(self.code, self.why) end
  return { value }
end

--- The length of a value of which some is still to come is among it.
---@return string[]? chunks
function Reference:get_pending()
  return self.block:get_pending()
end

-- ---- values to bytes ----------------------------------------------------------------

local function freeze(self, value, index)
  local bytes, why = nil, "nil"
  if value ~= nil then bytes, why = self.serializer.freeze(value) end
  if type(bytes) ~= "string" then
    options.blame(("bad argument #1 to 'put' (element %d cannot be sent: %s)")
      :format(index, why or "serializer.freeze returned no string"))
  end
  return self.zlib and self.zlib.deflate()(bytes, "finish") or bytes
end

--- Raises if a value cannot be sent: there is a function in it, or itself.
---@param values any[]
---@return string[] chunks
function Reference:put(values)
  options.check_list("put", 1, values)
  local blocks = {}
  for i = 1, #values do
    blocks[i] = freeze(self, values[i], i)
  end
  return self.block:put(blocks)
end

return Reference
