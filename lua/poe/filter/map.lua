-- SPDX-License-Identifier: MIT
-- Records made into others by functions. POE::Filter::Map.
local Chooser = require "poe.filter.chooser"
local options = require "poe.options"

--- Functions get a record and return another, or nil: then there is none.
---@class poe.filter.map: poe.filter.chooser
---@field new fun(given: poe.filter.chooser.options): poe.filter.map
local Map = Chooser.class("poe.filter.map", "Map.new")

---@return any[] records  one or none
function Map:get_one()
  local queue = self.queue
  while queue:count() > 0 do
    local record = self.on_get(queue:take())
    if record ~= nil then return { record } end
  end
  return {}
end

---@param records any[]
---@return any[] records
function Map:put(records)
  options.check_list("put", 1, records)
  local made = {}
  for i = 1, #records do
    made[#made + 1] = self.on_put(records[i])
  end
  return made
end

return Map
