-- SPDX-License-Identifier: MIT
-- Records of which functions choose those that pass. POE::Filter::Grep.
local Chooser = require "poe.filter.chooser"
local options = require "poe.options"

--- Functions get a record, and say whether it passes.
---@class poe.filter.grep: poe.filter.chooser
---@field new fun(given: poe.filter.chooser.options): poe.filter.grep
local Grep = Chooser.class("poe.filter.grep", "Grep.new")

---@return any[] records  one or none
function Grep:get_one()
  local queue = self.queue
  while queue:count() > 0 do
    local record = queue:take()
    if self.on_get(record) then return { record } end
  end
  return {}
end

---@param records any[]
---@return any[] records
function Grep:put(records)
  options.check_list("put", 1, records)
  local passed = {}
  for i = 1, #records do
    if self.on_put(records[i]) then passed[#passed + 1] = records[i] end
  end
  return passed
end

return Grep
