-- SPDX-License-Identifier: MIT
-- The bytes that a filter has been given and not yet used.
--
-- `text` from `first` on is one string in which filters search; what came later
-- waits in `parts` and is joined to it only when somebody needs it in one piece.
-- So a record that comes in n pieces is copied once, not n times. `size` counts
-- all of it.
local options = require "poe.options"

local concat, type = table.concat, type

---@class poe.filter.bytes
---@field text string
---@field first integer
---@field parts string[]
---@field count integer  of parts
---@field seen integer  parts that a filter has looked at, and left
---@field size integer
local Bytes = {}
Bytes.__index = Bytes

---@return poe.filter.bytes
function Bytes.new()
  return setmetatable({ text = "", first = 1, parts = {}, count = 0, seen = 0,
    size = 0 }, Bytes)
end

---@param list string[]
function Bytes:add(list)
  if type(list) ~= "table" then options.check_list("get_one_start", 1, list) end
  local parts, count, size = self.parts, self.count, self.size
  for i = 1, #list do
    local chunk = list[i]
    if type(chunk) ~= "string" then
      options.check_element("get_one_start", i, chunk, "string")
    end
    if chunk ~= "" then
      count = count + 1
      parts[count] = chunk
      size = size + #chunk
    end
  end
  self.count, self.size = count, size
end

--- Makes one string of all.
function Bytes:join()
  local parts, count = self.parts, self.count
  if count == 0 then return end
  local rest = self.first > #self.text and "" or self.text:sub(self.first)
  if rest == "" and count == 1 then
    self.text = parts[1]
  else
    self.text = rest .. concat(parts, "", 1, count)
  end
  for i = 1, count do parts[i] = nil end
  self.first, self.count, self.seen = 1, 0, 0
end

--- The next `n` bytes, which there must be.
---@param n integer
---@return string
function Bytes:take(n)
  local first = self.first
  if #self.text - first + 1 < n then
    self:join()
    first = self.first
  end
  self.first = first + n
  self.size = self.size - n
  if first == 1 and n == #self.text then
    local all = self.text
    self.text, self.first = "", 1
    return all
  end
  return self.text:sub(first, first + n - 1)
end

--- Up to `n` of the next bytes, which stay.
---@param n integer
---@return string
function Bytes:peek(n)
  local first = self.first
  if #self.text - first + 1 < n and self.count > 0 then
    self:join()
    first = self.first
  end
  return self.text:sub(first, first + n - 1)
end

--- All, which stays, as a filter's get_pending returns it.
---@return string[]?
function Bytes:pending()
  if self.size == 0 then return nil end
  self:join()
  return { self.text:sub(self.first) }
end

return Bytes
