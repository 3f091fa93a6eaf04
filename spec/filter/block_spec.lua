-- poe.filter.block: blocks of one size, with their length, with a codec.

local Block = require "poe.filter.block"
local Stream = require "poe.filter.stream"
local cuts = require "spec.filter.cuts"

local function maker(given)
  return function() return Block.new(given) end
end

-- Two bytes of length, of the length and the block together.
local two_bytes = {
  encode = function(block) return string.pack(">I2", #block + 2) .. block end,
  decode = function(bytes)
    if #bytes < 2 then return nil end
    local length = string.unpack(">I2", bytes)
    if length < 2 then return nil, "length below two" end
    return length - 2, 2
  end,
}

describe("Block", function()
  it("cuts bytes into blocks of one size", function()
    cuts.assert_same(maker { block_size = 8 }, "abcdefghijklmnopqrstuvwxyz",
      { "abcdefgh", "ijklmnop", "qrstuvwx" }, "yz")
    cuts.assert_same(maker { block_size = 1 }, "a\0\n", { "a", "\0", "\n" })
    cuts.assert_same(maker { block_size = 4 }, "", {})
  end)

  it("finds the length before a block", function()
    cuts.assert_same(maker(), "3\0abc0\0" .. "12\0hello\0\n\0wor" .. "007\0ld",
      { "abc", "", "hello\0\n\0wor0" }, "07\0ld")
    cuts.assert_same(maker(), "5\0abc", {}, "5\0abc")
    cuts.assert_same(maker(), "12", {}, "12")
  end)

  it("asks a codec for the length", function()
    local make = maker { length_codec = two_bytes }
    cuts.assert_same(make, "\0\5abc\0\2\0\4de\0", { "abc", "", "de" }, "\0")
    assert.same({ "\0\5abc", "\0\2" }, make():put { "abc", "" })
  end)

  it("gets back what it put", function()
    local blocks = { "", "a", "1\0a", ("x"):rep(300), "\0\0" }
    for _, given in ipairs { {}, { length_codec = two_bytes } } do
      cuts.assert_same(maker(given), table.concat(Block.new(given):put(blocks)),
        blocks)
    end
    local fixed = Block.new { block_size = 3 }
    assert.same({ "abc", "def" }, fixed:get(fixed:put { "abc", "def" }))
  end)

  it("fails over what is no length, after the blocks before it", function()
    for _, wrong in ipairs { "x", "\0", "12x", "-1\0a", " 1\0a", "1.5\0ab",
      ("1"):rep(17) } do
      cuts.assert_same(maker(), "1\0a" .. wrong, { "a" }, nil, "EBADMSG")
    end
    cuts.assert_same(maker { length_codec = two_bytes }, "\0\3a\0\1b", { "a" },
      nil, "EBADMSG")
    local _, message = Block.new { length_codec = two_bytes }:get { "\0\1" }
    assert.equal("EBADMSG: length below two", message)
  end)

  it("fails over a codec that finds no length in 4096 bytes", function()
    local filter = Block.new {
      length_codec = { encode = print, decode = function() end },
    }
    assert.same({}, filter:get { ("x"):rep(4095) })
    local got, _, code = filter:get { "x" }
    assert.is_nil(got)
    assert.equal("EBADMSG", code)
  end)

  it("shows a codec no more than 4096 bytes", function()
    local most = 0
    local filter = Block.new { length_codec = { encode = print,
      decode = function(bytes) most = math.max(most, #bytes) return 1, 0 end } }
    assert.equal(10000, #filter:get { ("x"):rep(10000) })
    assert.equal(4096, most)
  end)

  it("raises over a codec that answers anything else", function()
    for _, answer in ipairs { { 1 }, { 1, -1 }, { -1, 1 }, { 0.5, 1 } } do
      local filter = Block.new { length_codec = { encode = print,
        decode = function() return table.unpack(answer) end } }
      assert.has_error(function() filter:get { "x" } end, "length_codec.decode: " ..
        "length and size expected, integers and not negative")
    end
  end)

  describe("has a limit", function()
    it("that a block may reach and not exceed", function()
      local make = maker { max_length = 5 }
      cuts.assert_same(make, "5\0abcde5\0", { "abcde" }, "5\0")
      cuts.assert_same(make, "1\0a6\0abcdef", { "a" }, nil, "EMSGSIZE")
      cuts.assert_same(make, "9999999999999999\0a", {}, nil, "EMSGSIZE")
    end)

    it("of 1 MiB if nothing is said", function()
      local filter = Block.new()
      local most = ("x"):rep(1 << 20)
      assert.equal(most, filter:get { "1048576\0", most }[1])
      local got, message, code, before = filter:get { "1\0a1048577\0" }
      assert.is_nil(got)
      assert.equal("EMSGSIZE: block of more than 1048576 bytes", message)
      assert.equal("EMSGSIZE", code)
      assert.same({ "a" }, before)
    end)
  end)

  it("takes a block that comes byte by byte in linear time", function()
    local filter, n = Block.new(), 400000
    local begun = os.clock()
    filter:get { n .. "\0" }
    for _ = 1, n - 1 do
      filter:get_one_start { "x" }
      assert(#filter:get_one() == 0)
    end
    assert.equal(n, #filter:get { "x" }[1])
    assert.is_true(os.clock() - begun < 20) -- joined each time: minutes
  end)

  it("loses no byte when another filter takes over, length included", function()
    local corpus = "2\0ab4\0cdef"
    for at = 4, #corpus do
      local filter, stream = Block.new(), Stream.new()
      filter:get_one_start { corpus:sub(1, at) }
      assert.same({ "ab" }, filter:get_one())
      if at < #corpus then assert.same({}, filter:get_one()) end
      stream:get_one_start(filter:get_pending() or {})
      stream:get_one_start { corpus:sub(at + 1) }
      assert.same({ "4\0cdef" }, stream:get_one())
    end
  end)

  it("has clones that share nothing but the parameters", function()
    for _, given in ipairs { { max_length = 9 }, { length_codec = two_bytes } } do
      local filter = Block.new(given)
      local bytes = filter:put { "abc" }[1]
      filter:get { bytes:sub(1, -2) }
      local clone = filter:clone()
      assert.is_nil(clone:get_pending())
      assert.same({ "abc" }, clone:get { bytes })
      assert.same({ "abc" }, filter:get { "c" })
    end
    local clone = Block.new { block_size = 2 }:clone()
    assert.same({ "ab" }, clone:get { "abc" })
    assert.is_nil(Block.new { max_length = 1 }:clone():get { "2\0" })
  end)

  it("refuses parameters that exclude each other, or are incomplete", function()
    assert.has_error(function() Block.new { block_size = 1, max_length = 2 } end,
      "Block.new: parameter 'block_size' excludes 'max_length'")
    assert.has_error(function()
      Block.new { block_size = 1, length_codec = two_bytes }
    end, "Block.new: parameter 'block_size' excludes 'length_codec'")
    assert.has_error(function()
      Block.new { length_codec = { encode = print } }
    end, "Block.new: length_codec: parameter 'decode' is missing (a function)")
    assert.has_error(function() Block.new { block_size = 0 } end,
      "Block.new: parameter 'block_size' must be a positive integer, got 0")
  end)
end)
