-- poe.filter.map, grep and recordblock: filters whose input is records.

local Grep = require "poe.filter.grep"
local Map = require "poe.filter.map"
local RecordBlock = require "poe.filter.recordblock"

local function is_odd(n) return n % 2 == 1 end
local function double(n) return n * 2 end
local function halve(n) return n // 2 end

--- All records by get_one, and that it gives one at a time.
local function drain(filter)
  local records = {}
  while true do
    local got = filter:get_one()
    assert.is_true(#got <= 1)
    if #got == 0 then return records end
    records[#records + 1] = got[1]
  end
end

describe("Map", function()
  it("makes records of records, one for one", function()
    local map = Map.new { get = double, put = halve }
    assert.same({ 2, 4, 6 }, map:get { 1, 2, 3 })
    assert.same({ 1, 2 }, map:put { 2, 4 })
    map:get_one_start { 5 }
    map:get_one_start { 6, 7 }
    assert.same({ 10 }, map:get_one())
    assert.same({ 6, 7 }, map:get_pending())
    assert.same({ 12, 14 }, drain(map))
    assert.is_nil(map:get_pending())
  end)

  it("has no record where the function returns nil; false is one", function()
    local map = Map.new {
      code = function(x) if x ~= "drop" then return x == "yes" end end,
    }
    assert.same({ true, false, true }, map:get { "yes", "drop", "no", "yes" })
    assert.same({ false }, map:put { "drop", "no", "drop" })
    assert.same({}, map:get { "drop" })
  end)

  it("takes other functions, also for what is pending", function()
    local map = Map.new { code = double }
    map:get_one_start { 1, 2, 3 }
    assert.same({ 2 }, map:get_one())
    map:modify { get = halve }
    assert.same({ 1, 1 }, drain(map))
    assert.same({ 8 }, map:put { 4 })
    map:modify { put = halve }
    assert.same({ 2 }, map:put { 4 })
    map:modify { code = double }
    assert.same({ 8 }, map:put { 4 })
    assert.same({ 8 }, map:get { 4 })
  end)

  it("is used up in linear time", function()
    local map, list = Map.new { code = double }, {}
    for i = 1, 300000 do list[i] = i end
    map:get_one_start(list)
    local begun = os.clock()
    for _ = 1, #list do map:get_one() end
    assert.is_true(os.clock() - begun < 20) -- shifted each time: minutes
    assert.is_nil(map:get_pending())
  end)
end)

describe("Grep", function()
  it("passes the records that are chosen", function()
    local grep = Grep.new { get = is_odd, put = function(n) return n > 2 end }
    assert.same({ 1, 3 }, grep:get { 1, 2, 3, 4 })
    assert.same({ 3, 4 }, grep:put { 1, 2, 3, 4 })
    assert.same({}, grep:get { 2, 4 })
    grep:get_one_start { 2, 4, 5, 7, 8 }
    assert.same({ 5 }, grep:get_one())
    assert.same({ 7, 8 }, grep:get_pending())
    assert.same({ 7 }, drain(grep))
    assert.is_nil(grep:get_pending())
  end)

  it("takes other functions, also for what is pending", function()
    local grep = Grep.new { code = is_odd }
    grep:get_one_start { 1, 2, 3 }
    grep:modify { code = function(n) return not is_odd(n) end }
    assert.same({ 2 }, drain(grep))
    assert.same({ 4 }, grep:put { 3, 4 })
  end)
end)

for name, class in pairs { Map = Map, Grep = Grep } do
  describe(name, function()
    it("has clones with the same functions and nothing in them", function()
      local filter = class.new { code = is_odd }
      filter:get_one_start { 1 }
      local clone = filter:clone()
      assert.is_nil(clone:get_pending())
      assert.same(filter:put { 1, 3 }, clone:put { 1, 3 })
      clone:modify { code = function() end }
      assert.same({}, clone:get { 1 })
      assert.equal(1, #drain(filter))
    end)

    it("wants a function for both directions", function()
      assert.has_error(function() class.new { get = is_odd } end,
        name .. ".new: parameter 'put' is missing (a function)")
      assert.has_error(function() class.new {} end,
        name .. ".new: parameter 'get' is missing (a function)")
      assert.has_error(function() class.new { code = is_odd, put = is_odd } end,
        name .. ".new: parameter 'code' excludes 'put'")
      assert.has_error(function() class.new { gte = is_odd } end,
        name .. ".new: unknown parameter 'gte' (did you mean 'get'?)")
      assert.has_error(function() class.new { code = is_odd }:modify { put = 1 } end,
        "modify: parameter 'put' must be a function, got 1")
      assert.has_error(function() class.new { code = is_odd }:get(5) end,
        "bad argument #1 to 'get_one_start' (list expected, got 5)")
    end)
  end)
end

describe("RecordBlock", function()
  it("makes lists of records, however they come", function()
    local filter = RecordBlock.new { block_size = 3 }
    assert.same({}, filter:get { 1 })
    assert.same({ { 1, 2, 3 } }, filter:get { 2, 3, 4 })
    assert.same({ { 4, 5, 6 }, { 7, 8, 9 } }, filter:get { 5, 6, 7, 8, 9, 10 })
    assert.same({ 10 }, filter:get_pending())
    assert.same({ 10 }, filter:get_pending())
    filter:get_one_start { 11, 12, 13, 14, 15 }
    assert.same({ { 10, 11, 12 }, { 13, 14, 15 } }, drain(filter))
    assert.is_nil(filter:get_pending())
  end)

  it("puts the records of lists", function()
    local filter = RecordBlock.new { block_size = 2 }
    assert.same({ 1, 2, 3 }, filter:put { { 1 }, {}, { 2, 3 } })
    assert.is_nil(filter:put_pending())
  end)

  it("puts whole lists only, if told to check", function()
    local filter = RecordBlock.new { block_size = 2, check_put = true }
    assert.same({ 1, 2 }, filter:put { { 1 }, { 2, 3 } })
    assert.same({ 3 }, filter:put_pending())
    assert.same({ 3, 4, 5, 6 }, filter:put { { 4, 5, 6 } })
    assert.is_nil(filter:put_pending())
    assert.same({}, filter:put { { 7 } })
    assert.is_true(filter:checkput())
    assert.is_false(filter:checkput(false))
    assert.same({ 7, 8 }, filter:put { { 8 } })
  end)

  it("takes another size", function()
    local filter = RecordBlock.new { block_size = 2 }
    assert.equal(2, filter:blocksize())
    assert.equal(3, filter:blocksize(3))
    assert.same({ { 1, 2, 3 } }, filter:get { 1, 2, 3 })
    assert.has_error(function() filter:blocksize(0) end,
      "blocksize: parameter 'block_size' must be a positive integer, got 0")
  end)

  it("has clones with nothing in them", function()
    local filter = RecordBlock.new { block_size = 2, check_put = true }
    filter:get { 1 }
    filter:put { { 1 } }
    local clone = filter:clone()
    assert.is_nil(clone:get_pending())
    assert.is_nil(clone:put_pending())
    assert.same({ { 2, 3 } }, clone:get { 2, 3 })
    assert.is_true(clone:checkput())
    assert.same({ 1 }, filter:get_pending())
  end)

  it("wants a size, and lists", function()
    assert.has_error(function() RecordBlock.new() end,
      "RecordBlock.new: parameter 'block_size' is missing (a positive integer)")
    assert.has_error(function() RecordBlock.new { block_size = 1 }:put { 5 } end,
      "bad argument #1 to 'put' (element 1 must be a table, got 5)")
  end)
end)
