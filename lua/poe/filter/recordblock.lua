-- SPDX-License-Identifier: MIT
-- Records in lists of one length. POE::Filter::RecordBlock.
local Base = require "poe.filter.base"
local Queue = require "poe.filter.queue"
local options = require "poe.options"

---@class poe.filter.recordblock: poe.filter
local RecordBlock = Base.class "poe.filter.recordblock"

---@class poe.filter.recordblock.options
---@field block_size integer  records in a list
---@field check_put? boolean  put passes on whole lists only, and keeps the rest

local PARAMETERS = {
  block_size = { "size", required = true },
  check_put = { "boolean", default = false },
}

---@return poe.filter.recordblock
local function make(size, checks_put)
  return setmetatable({ size = size, checks_put = checks_put,
    queue = Queue.new(), outgoing = Queue.new() }, RecordBlock)
end

---@param given poe.filter.recordblock.options
---@return poe.filter.recordblock
function RecordBlock.new(given)
  local checked = options.check("RecordBlock.new", given, PARAMETERS)
  return make(checked.block_size, checked.check_put)
end

---@return poe.filter.recordblock
function RecordBlock:clone()
  return make(self.size, self.checks_put)
end

--- The length of lists; another one from now on, if given.
---@param size? integer
---@return integer
function RecordBlock:blocksize(size)
  if size ~= nil then
    self.size = options.check("blocksize", { block_size = size }, PARAMETERS)
      .block_size
  end
  return self.size
end

--- Whether put passes on whole lists only; changes that, if told.
---@param checks? boolean
---@return boolean
function RecordBlock:checkput(checks)
  if checks ~= nil then self.checks_put = not not checks end
  return self.checks_put
end

---@param records any[]
function RecordBlock:get_one_start(records)
  self.queue:add(records)
end

---@return any[][] lists  one or none
function RecordBlock:get_one()
  local queue = self.queue
  if queue:count() < self.size then return {} end
  local list = {}
  for i = 1, self.size do list[i] = queue:take() end
  return { list }
end

---@return any[]? records
function RecordBlock:get_pending()
  return self.queue:pending()
end

---@param lists any[][]
---@return any[] records
function RecordBlock:put(lists)
  options.check_list("put", 1, lists)
  local outgoing, records = self.outgoing, {}
  for i = 1, #lists do
    options.check_element("put", i, lists[i], "table")
    outgoing:add(lists[i])
  end
  local count = outgoing:count()
  if self.checks_put then count = count - count % self.size end
  for i = 1, count do records[i] = outgoing:take() end
  return records
end

--- What put has kept.
---@return any[]? records
function RecordBlock:put_pending()
  if not self.checks_put then return nil end
  return self.outgoing:pending()
end

return RecordBlock
