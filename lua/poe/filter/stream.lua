-- SPDX-License-Identifier: MIT
-- Bytes as they are: a record is what has come. POE::Filter::Stream.
local Base = require "poe.filter.base"
local Bytes = require "poe.filter.bytes"
local options = require "poe.options"

---@class poe.filter.stream: poe.filter
local Stream = Base.class "poe.filter.stream"

---@return poe.filter.stream
function Stream.new(given)
  options.check("Stream.new", given, {})
  return setmetatable({ bytes = Bytes.new() }, Stream)
end

---@return poe.filter.stream
function Stream:clone()
  return setmetatable({ bytes = Bytes.new() }, getmetatable(self))
end

---@param chunks string[]
function Stream:get_one_start(chunks)
  self.bytes:add(chunks)
end

---@return string[] chunks  all that has come as one, or none
function Stream:get_one()
  local bytes = self.bytes
  if bytes.size == 0 then return {} end
  return { bytes:take(bytes.size) }
end

---@return string[]? chunks
function Stream:get_pending()
  return self.bytes:pending()
end

---@param _ poe.filter.stream
---@param chunks string[]
---@return string[] chunks
function Stream.put(_, chunks)
  options.check_list("put", 1, chunks)
  local copy = {}
  for i = 1, #chunks do
    options.check_element("put", i, chunks[i], "string|number")
    copy[i] = tostring(chunks[i])
  end
  return copy
end

return Stream
