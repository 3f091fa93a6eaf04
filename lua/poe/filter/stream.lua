-- SPDX-License-Identifier: MIT
-- Bytes as they are: a record is what has come. POE::Filter::Stream.
local Base = require "poe.filter.base"
local options = require "poe.options"

local type = type

---@class poe.filter.stream: poe.filter
---@field chunks? string[]  what has come; nil if nothing
---@field count integer  of chunks
local Stream = Base.class "poe.filter.stream"

local function make()
  return setmetatable({ count = 0 }, Stream)
end

---@return poe.filter.stream
function Stream.new(given)
  options.check("Stream.new", given, {})
  return make()
end

---@return poe.filter.stream
function Stream.clone()
  return make()
end

---@param list string[]
function Stream:get_one_start(list)
  if type(list) ~= "table" then options.check_list("get_one_start", 1, list) end
  local chunks, count = self.chunks or {}, self.count
  for i = 1, #list do
    local chunk = list[i]
    if type(chunk) ~= "string" then
      options.check_element("get_one_start", i, chunk, "string")
    end
    if chunk ~= "" then
      count = count + 1
      chunks[count] = chunk
    end
  end
  self.chunks, self.count = chunks, count
end

---@return string[] chunks  all that has come as one, or none
function Stream:get_one()
  local chunks, count = self.chunks, self.count
  if count == 0 then return {} end
  self.chunks, self.count = nil, 0
  if count > 1 then return { table.concat(chunks, "", 1, count) } end
  return chunks
end

--- Bytes that are one record, and no others are there; else nil.
---@param bytes string
---@return string?
function Stream:get_single(bytes)
  if self.count == 0 and bytes ~= "" then return bytes end
end

---@return string[]? chunks
function Stream:get_pending()
  if self.count == 0 then return nil end
  return { table.concat(self.chunks, "", 1, self.count) }
end

---@param _ poe.filter.stream
---@param chunks string[]
---@return string[] chunks
function Stream.put(_, chunks)
  if type(chunks) ~= "table" then options.check_list("put", 1, chunks) end
  local copy = {}
  for i = 1, #chunks do
    local chunk = chunks[i]
    if type(chunk) ~= "string" then
      options.check_element("put", i, chunk, "string|number")
      chunk = tostring(chunk)
    end
    copy[i] = chunk
  end
  return copy
end

--- The chunk for one record, if it is a string with something in it; else nil.
---@param _ poe.filter.stream
---@param record any
---@return string?
function Stream.put_single(_, record)
  if type(record) == "string" and record ~= "" then return record end
end

return Stream
