-- poe.filter.stackable: several filters as one.

local Base = require "poe.filter.base"
local Block = require "poe.filter.block"
local Grep = require "poe.filter.grep"
local Line = require "poe.filter.line"
local Map = require "poe.filter.map"
local RecordBlock = require "poe.filter.recordblock"
local Stackable = require "poe.filter.stackable"
local Stream = require "poe.filter.stream"
local cuts = require "spec.filter.cuts"

local function lines() return Line.new { literal = "\n" } end

local function maker(...)
  local stack = Stackable.new { filters = { ... } }
  return function() return stack:clone() end
end

describe("Stackable", function()
  it("passes bytes from the first filter to the last", function()
    local make = maker(lines(),
      Grep.new { code = function(line) return line:find "^[^#]" end },
      Map.new { get = string.upper, put = string.lower })
    cuts.assert_same(make, "one\n# no\n\ntwo\nthr", { "ONE", "TWO" }, "thr")
    assert.same({ "one\n", "two\n" }, make():put { "ONE", "#", "TWO" })
  end)

  it("takes filters that need several records, or make several", function()
    local make = maker(lines(), RecordBlock.new { block_size = 2 })
    cuts.assert_same(make, "a\nb\nc\nd\ne\nf",
      { { "a", "b" }, { "c", "d" } }, "e\nf")
    -- A line is bytes to the next filter; there are many records in one.
    cuts.assert_same(maker(lines(), Line.new { literal = "," }), "a,b,\nc\n,d",
      { "a", "b" }, "c\n,d")
    cuts.assert_same(maker(Block.new(), lines()), "4\0a\nb\n2\0\n\n3\0x\ny",
      { "a", "b", "", "", "x" }, "1\0y")
  end)

  it("stacks stacks", function()
    local double = Map.new { code = function(s) return s .. s end }
    cuts.assert_same(maker(Block.new(), Stackable.new { filters = { lines(),
      double } }), "5\0a\nb\nc2\0\nd", { "aa", "bb", "cc" }, "1\0d")
  end)

  it("gives a filter nothing while a later one has a record left", function()
    local stack = Stackable.new { filters = { lines(),
      Map.new { code = function(line) return line end } } }
    stack:get_one_start { "a\nb\nc" }
    assert.same({ "a" }, stack:get_one())
    assert.same({ "b\nc" }, stack:get_pending())
  end)

  it("loses no byte when another filter takes over", function()
    local corpus = "a\nb\nc\nd\ne"
    for at = 1, #corpus do
      local stack = maker(lines(), RecordBlock.new { block_size = 3 })()
      local records = stack:get { corpus:sub(1, at) }
      local out = {}
      for _, list in ipairs(records) do
        out[#out + 1] = table.concat(list, "\n") .. "\n"
      end
      local stream = Stream.new()
      stream:get_one_start(stack:get_pending() or {})
      stream:get_one_start { corpus:sub(at + 1) }
      out[#out + 1] = stream:get_one()[1]
      assert.equal(corpus, table.concat(out), "cut at " .. at)
    end
  end)

  it("leaves what it puts alone when asked what is pending", function()
    local block = RecordBlock.new { block_size = 2, check_put = true }
    local lists = Map.new { get = function(list) return list end,
      put = function(list) return { list[1] } end }
    local stack = Stackable.new { filters = { block, lists } }
    stack:get_one_start { 1, 2, 3 }
    lists:get_one_start { { 4 } }
    stack:get_pending()
    assert.is_nil(block:put_pending())
  end)

  it("fails as its filters do, after the records before", function()
    local make = maker(Line.new { literal = "\n", max_length = 3 },
      Map.new { code = string.upper })
    cuts.assert_same(make, "a\nb\nlong\nc\n", { "A", "B" }, nil, "EMSGSIZE")
    cuts.assert_same(maker(lines(), Block.new()), "1\0a\nx\n", { "a" }, nil,
      "EBADMSG")
  end)

  it("hands on the failure of a put", function()
    local failing = Stream.new()
    failing.put = function() return Base.fail("EMSGSIZE", "no") end
    local got, message, code =
      Stackable.new { filters = { lines(), failing } }:put { "a" }
    assert.is_nil(got)
    assert.equal("EMSGSIZE: no", message)
    assert.equal("EMSGSIZE", code)
  end)

  it("with no filters gives and puts what it gets", function()
    local stack = Stackable.new()
    assert.same({ "a", "b" }, stack:get { "a", "b" })
    assert.same({ "a", "b" }, stack:put { "a", "b" })
    assert.is_nil(stack:get_pending())
    stack:get_one_start { "a\nb" }
    assert.same({ "a\nb" }, stack:get_pending())
    stack:push(lines())
    assert.same({ "a\nb" }, stack:get_pending())
    assert.same({ "a" }, stack:get_one())
    assert.same({ "bc" }, stack:get { "c\n" })
  end)

  it("is pushed, popped, shifted and unshifted", function()
    local a, b, c, d = lines(), Block.new(), Stream.new(), Stream.new()
    local stack = Stackable.new { filters = { a } }
    stack:push(b, c)
    stack:unshift(d)
    assert.same({ "poe.filter.stream", "poe.filter.line", "poe.filter.block",
      "poe.filter.stream" }, stack:filter_types())
    local filters = stack:filters()
    for i, filter in ipairs { d, a, b, c } do
      assert.equal(filter, filters[i])
    end
    filters[1] = nil
    assert.equal(4, #stack:filters())
    assert.equal(c, stack:pop())
    assert.equal(d, stack:shift())
    assert.equal(2, #stack:filters())
    stack:pop()
    stack:pop()
    assert.is_nil(stack:pop())
    assert.is_nil(stack:shift())
  end)

  it("gives what a shifted filter has pending to the next", function()
    local stack = Stackable.new { filters = { Block.new(), lines() } }
    assert.same({}, stack:get { "9\0a\nb" })
    stack:shift()
    assert.same({ "9\0a" }, stack:get_one())
    stack:shift()
    assert.same({ "b" }, stack:get_one())
  end)

  it("has clones of its filters, and a list of its own", function()
    local line, list = lines(), {}
    list[1] = line
    local stack = Stackable.new { filters = list }
    list[2] = Block.new()
    assert.equal(1, #stack:filters())
    stack:get_one_start { "a" }
    local clone = stack:clone()
    assert.not_equal(line, clone:filters()[1])
    assert.same({ "b" }, clone:get { "b\n" })
    assert.same({ "a" }, stack:get { "\n" })
    clone:push(Stream.new())
    assert.equal(1, #stack:filters())
  end)

  it("takes filters only, of any making", function()
    local own = setmetatable({}, { __index = Stream.new() })
    assert.same({ "table" }, Stackable.new { filters = { own } }:filter_types())
    for name, wrong in pairs {
      ["Stackable.new"] = function() Stackable.new { filters = { 5 } } end,
      push = function() Stackable.new():push(5) end,
      unshift = function() Stackable.new():unshift(5) end,
    } do
      assert.has_error(wrong, ("bad argument #1 to '%s' " ..
        "(element 1 must be a filter, got 5)"):format(name))
    end
    assert.has_error(function() Stackable.new():push(nil) end)
    assert.has_error(function() Stackable.new():push { get = print } end)
  end)
end)
