-- SPDX-License-Identifier: MIT
-- Several filters as one. POE::Filter::Stackable.
--
-- What comes goes through the first, then the second, and so on; what is put
-- goes the other way. A filter is given something only when the later ones have
-- nothing left to give, so as much as can be stays what it was.
local Base = require "poe.filter.base"
local Queue = require "poe.filter.queue"
local options = require "poe.options"

---@class poe.filter.stackable: poe.filter
local Stackable = Base.class "poe.filter.stackable"

---@class poe.filter.stackable.options
---@field filters? poe.filter[]  the first is nearest to the bytes

local PARAMETERS = { filters = { "table", default = {} } }

local function check_filters(where, list, n)
  for i = 1, n do options.check_element(where, i, list[i], "filter") end
  return list
end

--- Gives the first filter what came, also while there was none.
local function hand_over(self)
  local first, waiting = self.list[1], self.queue:pending()
  if first and waiting then
    self.queue = Queue.new()
    first:get_one_start(waiting)
  end
end

---@return poe.filter.stackable
local function make(list)
  return setmetatable({ list = list, queue = Queue.new() }, Stackable)
end

---@param given? poe.filter.stackable.options
---@return poe.filter.stackable
function Stackable.new(given)
  local filters = options.check("Stackable.new", given, PARAMETERS).filters
  check_filters("Stackable.new", filters, #filters)
  return make(table.move(filters, 1, #filters, 1, {}))
end

---@return poe.filter.stackable
function Stackable:clone()
  local list = {}
  for i, filter in ipairs(self.list) do list[i] = filter:clone() end
  return make(list)
end

-- ---- the stack --------------------------------------------------------------------

--- The filters in their order, in a list of its own.
---@return poe.filter[]
function Stackable:filters()
  return table.move(self.list, 1, #self.list, 1, {})
end

--- The names of their classes.
---@return string[]
function Stackable:filter_types()
  local names = {}
  for i, filter in ipairs(self.list) do
    local meta = getmetatable(filter)
    names[i] = type(meta) == "table" and meta.__name or type(filter)
  end
  return names
end

--- Adds filters farthest from the bytes.
---@param ... poe.filter
function Stackable:push(...)
  local list = check_filters("push", { ... }, select("#", ...))
  table.move(list, 1, #list, #self.list + 1, self.list)
end

--- Adds filters nearest to the bytes; the first is first.
---@param ... poe.filter
function Stackable:unshift(...)
  local list = check_filters("unshift", { ... }, select("#", ...))
  self.list = table.move(self.list, 1, #self.list, #list + 1, list)
end

--- Removes the one farthest from the bytes. It keeps what it has pending.
---@return poe.filter?
function Stackable:pop()
  return table.remove(self.list)
end

--- Removes the one nearest to the bytes. What it has pending goes to the next
--- one, and is kept if there is none.
---@return poe.filter?
function Stackable:shift()
  local filter = table.remove(self.list, 1)
  local pending = filter and filter:get_pending()
  if pending then self:get_one_start(pending) end
  return filter
end

-- ---- bytes to records -----------------------------------------------------------------

---@param chunks any[]
function Stackable:get_one_start(chunks)
  self.queue:add(chunks)
  hand_over(self)
end

--- One record from filter `i`, given what those before it have.
local function pull(list, i)
  while true do
    local got, message, code = list[i]:get_one()
    if not got or got[1] ~= nil or i == 1 then return got, message, code end
    got, message, code = pull(list, i - 1)
    if not got or got[1] == nil then return got, message, code end
    list[i]:get_one_start(got)
  end
end

---@return any[]? records  one or none; with no filters, chunks as they came
---@return string? message  of the filter that failed
---@return string? code
function Stackable:get_one()
  hand_over(self)
  if #self.list > 0 then return pull(self.list, #self.list) end
  if self.queue:count() == 0 then return {} end
  return { self.queue:take() }
end

--- What came and was not used, as it came: what is pending in later filters is
--- put back through those before them.
---@return any[]? chunks
---@return string? message
---@return string? code
function Stackable:get_pending()
  local pending = {}
  for i = #self.list, 1, -1 do
    local own = self.list[i]:get_pending() or {}
    table.move(own, 1, #own, #pending + 1, pending)
    if i > 1 and #pending > 0 then
      local message, code
      pending, message, code = self.list[i - 1]:clone():put(pending)
      if not pending then return nil, message, code end
    end
  end
  local waiting = self.queue:pending() or {}
  table.move(waiting, 1, #waiting, #pending + 1, pending)
  return #pending > 0 and pending or nil
end

-- ---- records to bytes -----------------------------------------------------------------

---@param records any[]
---@return any[]? chunks
---@return string? message
---@return string? code
function Stackable:put(records)
  options.check_list("put", 1, records)
  local message, code
  for i = #self.list, 1, -1 do
    records, message, code = self.list[i]:put(records)
    if not records then return nil, message, code end
  end
  return records
end

return Stackable
