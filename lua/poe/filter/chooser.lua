-- SPDX-License-Identifier: MIT
-- What Map and Grep share: records that wait for a function, one for each
-- direction.
local Base = require "poe.filter.base"
local Queue = require "poe.filter.queue"
local options = require "poe.options"

---@class poe.filter.chooser: poe.filter
---@field on_get fun(record: any): any
---@field on_put fun(record: any): any
---@field queue poe.filter.queue
local Chooser = {}

---@class poe.filter.chooser.options
---@field code? fun(record: any): any  both get and put
---@field get? fun(record: any): any
---@field put? fun(record: any): any

local PARAMETERS = {
  code = { "function" }, get = { "function" }, put = { "function" },
}
local SEPARATE = {
  get = { "function", required = true }, put = { "function", required = true },
}

local function make(class, on_get, on_put)
  return setmetatable({ on_get = on_get, on_put = on_put, queue = Queue.new() },
    class)
end

--- A class with all but get_one and put.
---@param name string  "poe.filter.map"
---@param where string  for messages: "Map.new"
---@return table
function Chooser.class(name, where)
  local class = Base.class(name)
  for key, method in pairs(Chooser) do
    if key ~= "class" then class[key] = method end
  end
  function class.new(given)
    local checked = options.check(where, given, PARAMETERS)
    options.exclude(where, checked, "code", "get")
    options.exclude(where, checked, "code", "put")
    if not checked.code then options.check(where, checked, SEPARATE) end
    return make(class, checked.code or checked.get, checked.code or checked.put)
  end
  return class
end

function Chooser:clone()
  return make(getmetatable(self), self.on_get, self.on_put)
end

--- Other functions from now on, also for what is pending.
---@param given poe.filter.chooser.options
function Chooser:modify(given)
  local checked = options.check("modify", given, PARAMETERS)
  self.on_get = checked.get or checked.code or self.on_get
  self.on_put = checked.put or checked.code or self.on_put
end

---@param records any[]
function Chooser:get_one_start(records)
  self.queue:add(records)
end

---@return any[]? records
function Chooser:get_pending()
  return self.queue:pending()
end

return Chooser
