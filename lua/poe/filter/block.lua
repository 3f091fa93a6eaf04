-- SPDX-License-Identifier: MIT
-- Blocks: records of one size, or with their length before them.
-- POE::Filter::Block.
local Base = require "poe.filter.base"
local Bytes = require "poe.filter.bytes"
local options = require "poe.options"

local MAX_LENGTH = 1 << 20
local WINDOW = 4096 -- a decoder is shown no more bytes

---@class poe.filter.block: poe.filter
local Block = Base.class "poe.filter.block"

---@class poe.filter.block.options
---@field block_size? integer  all blocks have so many bytes
---@field length_codec? poe.filter.block.codec
---@field max_length? integer  of a block that comes, in bytes; 1048576

--- encode: a block to what is sent for it, length and all. decode: the bytes at
--- hand to the length of the next block and the size of what stands before it;
--- nil if these bytes are too few; nil and why if no length can come of them.
---@class poe.filter.block.codec
---@field encode fun(block: string): string
---@field decode fun(bytes: string): integer?, integer|string|nil

local PARAMETERS = {
  block_size = { "size" },
  length_codec = { "table" },
  max_length = { "size", also = "MaxBuffer" },
}
local CODEC_PARAMETERS = {
  encode = { "function", required = true },
  decode = { "function", required = true },
}

-- ---- the usual codec: the length in decimal digits, and a zero byte ----------------

local MAX_DIGITS = 16

local usual = { window = MAX_DIGITS + 1 }

function usual.encode(block)
  return #block .. "\0" .. block
end

function usual.decode(bytes)
  local digits = bytes:match "^%d*"
  if #digits > MAX_DIGITS then return nil, "length of too many digits" end
  if #digits == #bytes then return nil end
  if digits == "" or bytes:byte(#digits + 1) ~= 0 then
    return nil, "no length before a block"
  end
  return math.tointeger(tonumber(digits)), #digits + 1
end

-- ---- new ------------------------------------------------------------------------

---@return poe.filter.block
local function make(size, codec, max_length)
  return setmetatable({ size = size, codec = codec, max_length = max_length,
    bytes = Bytes.new() }, Block)
end

---@param given? poe.filter.block.options
---@return poe.filter.block
function Block.new(given)
  local checked = options.check("Block.new", given, PARAMETERS)
  options.exclude("Block.new", checked, "block_size", "length_codec")
  options.exclude("Block.new", checked, "block_size", "max_length")
  local codec = usual
  if checked.length_codec then
    codec = options.check("Block.new: length_codec", checked.length_codec,
      CODEC_PARAMETERS)
  end
  return make(checked.block_size, codec, checked.max_length or MAX_LENGTH)
end

---@return poe.filter.block
function Block:clone()
  return make(self.size, self.codec, self.max_length)
end

-- ---- bytes to blocks --------------------------------------------------------------

---@param chunks string[]
function Block:get_one_start(chunks)
  self.bytes:add(chunks)
end

--- Asks the codec. Returns the length and the size of what is before it; nil if
--- it is not there yet, and code and text if it never will be.
local function decode(self)
  local bytes = self.bytes
  if bytes.size == 0 then return nil end
  local window = self.codec.window or WINDOW
  local length, before = self.codec.decode(bytes:peek(window))
  if not length then
    if before == nil and bytes.size >= window then
      before = "no length before a block"
    end
    return nil, before and "EBADMSG", before
  end
  before = math.tointeger(before)
  length = math.tointeger(length)
  if not length or length < 0 or not before or before < 0 then
    options.blame("length_codec.decode: length and size expected, " ..
      "integers and not negative")
  end
  if length > self.max_length then
    return nil, "EMSGSIZE", ("block of more than %d bytes"):format(
      self.max_length)
  end
  return length, before
end

---@return string[]? blocks  one or none
---@return string? message
---@return string? code  EMSGSIZE or EBADMSG, again and again
function Block:get_one()
  local bytes = self.bytes
  if self.size then
    if bytes.size < self.size then return {} end
    return { bytes:take(self.size) }
  end
  local length, before = self.length, self.before
  if not length then
    local text
    length, before, text = decode(self)
    if text then return Base.fail(before, text) end
    if not length then return {} end
  end
  if bytes.size < before + length then
    self.length, self.before = length, before
    return {}
  end
  self.length = nil
  bytes:take(before)
  return { bytes:take(length) }
end

--- The length of a block of which some is still to come is among it.
---@return string[]? chunks
function Block:get_pending()
  return self.bytes:pending()
end

-- ---- blocks to bytes ----------------------------------------------------------------

--- Blocks of one size are passed on: nobody checks theirs.
---@param blocks string[]
---@return string[] chunks
function Block:put(blocks)
  options.check_list("put", 1, blocks)
  local chunks, encode = {}, not self.size and self.codec.encode
  for i = 1, #blocks do
    options.check_element("put", i, blocks[i], "string|number")
    local block = tostring(blocks[i])
    chunks[i] = encode and encode(block) or block
  end
  return chunks
end

return Block
