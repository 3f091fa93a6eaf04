-- SPDX-License-Identifier: MIT
-- What all filters have in common, POE::Filter's part: `get` in terms of
-- `get_one`, the check that something is a filter, the failure of one.
local options = require "poe.options"

--- Bytes to records and back, without I/O. Drivers read and write, wheels
--- bring the two together.
---@class poe.filter
---@field get_one_start fun(self, chunks: any[])  takes what came
---@field get_one fun(self): any[]?, string?, string?  a list of one record, or of none
---@field get fun(self, chunks: any[]): any[]?, string?, string?, any[]?  all records
---@field put fun(self, records: any[]): any[]?, string?, string?
---@field get_pending fun(self): any[]?  what was taken and not used
---@field clone fun(self): poe.filter  one as it was when new
local Base = {}

local METHODS = { "get_one_start", "get_one", "get", "put", "get_pending", "clone" }

--- A class has the methods of its filters, but is none.
local function is_class(value)
  return type(value) == "table" and rawget(value, "__index") == value
    and rawget(value, "new") ~= nil
end

--- Whether `value` has the methods of a filter; it need not be one of ours.
---@param value any
---@return boolean
function Base.is_filter(value)
  local kind = type(value)
  if kind ~= "table" and kind ~= "userdata" or is_class(value) then return false end
  for _, name in ipairs(METHODS) do
    local ok, method = pcall(function() return value[name] end)
    if not ok or method == nil then return false end
  end
  return true
end

options.kinds.filter = { text = "a filter", accepts = Base.is_filter }

--- A class with `get`. Its name is what tostring and filter_types tell.
---@param name string  "poe.filter.line"
---@return table
function Base.class(name)
  local class = { __name = name, get = Base.get }
  class.__index = class
  return class
end

--- What get_one returns when bytes are against the rules.
---@param code string  of errno
---@param text string
---@return nil, string message, string code
function Base.fail(code, text)
  return nil, code .. ": " .. text, code
end

--- All records there are. After a failure the records before it are the fourth
--- value.
---@param chunks any[]
---@return any[]? records
---@return string? message
---@return string? code
---@return any[]? before
function Base:get(chunks)
  self:get_one_start(chunks)
  local records, n = {}, 0
  while true do
    local got, message, code = self:get_one()
    if not got then return nil, message, code, records end
    if got[1] == nil then return records end
    for i = 1, #got do records[n + i] = got[i] end
    n = n + #got
  end
end

return Base
