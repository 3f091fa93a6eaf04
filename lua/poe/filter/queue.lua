-- SPDX-License-Identifier: MIT
-- The records that a filter of records has been given and not yet used.
local options = require "poe.options"

---@class poe.filter.queue
---@field first integer
---@field last integer
local Queue = {}
Queue.__index = Queue

---@return poe.filter.queue
function Queue.new()
  return setmetatable({ first = 1, last = 0 }, Queue)
end

---@param list any[]
function Queue:add(list)
  options.check_list("get_one_start", 1, list)
  table.move(list, 1, #list, self.last + 1, self)
  self.last = self.last + #list
end

---@return integer
function Queue:count()
  return self.last - self.first + 1
end

--- The next record, which there must be.
---@return any
function Queue:take()
  local first = self.first
  local record = self[first]
  self[first] = nil
  if first == self.last then
    self.first, self.last = 1, 0
  else
    self.first = first + 1
  end
  return record
end

--- All, which stays, as a filter's get_pending returns it.
---@return any[]?
function Queue:pending()
  if self:count() == 0 then return nil end
  return table.move(self, self.first, self.last, 1, {})
end

return Queue
