-- Map, Grep, Stackable, RecordBlock.

local Grep = require "poe.filter.grep"
local Line = require "poe.filter.line"
local Map = require "poe.filter.map"
local RecordBlock = require "poe.filter.recordblock"
local Stackable = require "poe.filter.stackable"

local stack = Stackable.new {
  filters = {
    Line.new { literal = "\n" },
    Grep.new { code = function(line) return line ~= "" end },
    Map.new { code = function(line) return line .. "!" end },
    RecordBlock.new { block_size = 2 },
  },
}
stack:get { "one\n\ntwo\nthree\n" }
stack:put { { "four", "five" } }
stack:clone()
