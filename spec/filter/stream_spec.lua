-- poe.filter.stream: bytes as they are.

local Stream = require "poe.filter.stream"
local cuts = require "spec.filter.cuts"

describe("Stream", function()
  it("passes all bytes on, whatever they are, however cut", function()
    local corpus = cuts.garbage("ab\r\n\0\255", 500)
    for _, how in pairs { cuts.by_get, cuts.by_get_one, cuts.at_once } do
      for size = 1, 500, 83 do
        local pieces = {}
        for at = 1, #corpus, size do
          pieces[#pieces + 1] = corpus:sub(at, at + size - 1)
        end
        local records, pending = how(Stream.new(), pieces)
        assert.equal(corpus, table.concat(records))
        assert.is_nil(pending)
      end
    end
  end)

  it("makes one record of what has come since the last", function()
    local stream = Stream.new()
    stream:get_one_start { "a", "", "b" }
    stream:get_one_start { "c" }
    assert.same({ "abc" }, stream:get_pending())
    assert.same({ "abc" }, stream:get_one())
    assert.same({}, stream:get_one())
    assert.is_nil(stream:get_pending())
    assert.same({}, stream:get { "" })
  end)

  it("puts what it is given, into a list of its own", function()
    local chunks = { "a", "", "b" }
    local put = Stream.new():put(chunks)
    assert.same(chunks, put)
    assert.not_equal(chunks, put)
    assert.has_error(function() Stream.new():put { true } end, "bad argument " ..
      "#1 to 'put' (element 1 must be a string or a number, got a boolean)")
  end)

  it("has clones with nothing in them", function()
    local stream = Stream.new()
    stream:get_one_start { "a" }
    local clone = stream:clone()
    assert.same({}, clone:get_one())
    assert.same({ "b" }, clone:get { "b" })
    assert.same({ "a" }, stream:get_one())
  end)

  it("takes no parameters", function()
    assert.has_error(function() Stream.new { size = 1 } end,
      "Stream.new: unknown parameter 'size' (it takes none)")
  end)
end)
