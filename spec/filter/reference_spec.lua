-- poe.filter.reference: Lua data, however the bytes were cut; zlib; limits.

local Reference = require "poe.filter.reference"
local Stream = require "poe.filter.stream"
local cuts = require "spec.filter.cuts"

local zlib = require "zlib"

local function maker(given)
  return function() return Reference.new(given) end
end

local function framed(bytes)
  return #bytes .. "\0" .. bytes
end

local VALUES = {
  1, "two", { 3, "three", { x = 3.5 } }, false, "", {}, ("long "):rep(200),
  { ["\xff\0"] = -1, [7] = true }, math.huge,
}

-- A serializer of integers: decimal digits.
local DIGITS = {
  freeze = function(value)
    if math.type(value) ~= "integer" then return nil, "not an integer" end
    return tostring(value)
  end,
  thaw = function(bytes)
    if bytes == "boom" then error("boom", 0) end
    return math.tointeger(tonumber(bytes)), "not digits"
  end,
}

describe("Reference", function()
  it("gets back what it put", function()
    for _, given in ipairs { {}, { compression = true } } do
      local corpus = table.concat(Reference.new(given):put(VALUES))
      cuts.assert_same(maker(given), corpus, VALUES)
    end
  end)

  it("puts the length in digits, a zero byte, MessagePack", function()
    assert.same({ "3\0\x92\1\2", "4\0\xa3abc" },
      Reference.new():put { { 1, 2 }, "abc" })
    cuts.assert_same(maker(), "3\0\x92\1\0023\0\x92\1", { { 1, 2 } }, "3\0\x92\1")
  end)

  it("fails over bytes that are no value, after the values before them", function()
    for _, wrong in ipairs { "x", framed "", framed "\xc1", framed "\0\0",
      framed "\xc0", framed(("\x91"):rep(1000)), framed "\x92\1" } do
      cuts.assert_same(maker(), framed "\7" .. wrong .. framed "\7", { 7 }, nil,
        "EBADMSG")
    end
    local _, message = Reference.new():get { framed "\xc0" }
    assert.equal("EBADMSG: nil is no record", message)
    _, message = Reference.new():get { framed "\xc1" }
    assert.equal("EBADMSG: type 0xc1, which is not known", message)
  end)

  it("never runs what comes", function()
    local code = "os.exit(1)"
    assert.same({ code }, Reference.new():get(Reference.new():put { code }))
    assert.is_nil(Reference.new():get { framed("return " .. code) })
    assert.is_nil(Reference.new():get { framed(string.dump(load(code))) })
  end)

  it("raises over what cannot be sent, and blames the caller", function()
    local filter = Reference.new()
    local cyclic = {}
    cyclic[1] = cyclic
    for why, value in pairs {
      ["a function"] = print, ["a userdata"] = { io.stdout },
      ["a table that contains itself"] = cyclic,
    } do
      assert.has_error(function() filter:put { 1, value } end, "bad argument #1 " ..
        "to 'put' (element 2 cannot be sent: " .. why .. ")")
    end
    local _, where = pcall(function() filter:put { print } end)
    assert.matches("^[^:]*reference_spec.lua:%d+: ", where)
    assert.has_error(function() filter:put(5) end,
      "bad argument #1 to 'put' (list expected, got 5)")
  end)

  describe("with compression", function()
    local make = maker { compression = true }

    it("sends what zlib makes", function()
      local text = ("x"):rep(5000)
      local chunk = make():put { text }[1]
      assert.is_true(#chunk < 100)
      local length, bytes = chunk:match "^(%d+)%z(.*)$"
      assert.equal(tonumber(length), #bytes)
      assert.equal("\xda\x13\x88" .. text, (zlib.inflate()(bytes)))
    end)

    it("fails over what zlib does not know", function()
      local good = zlib.deflate()("\7", "finish")
      for _, wrong in ipairs { "", "\7", good:sub(1, -2), good .. "x",
        good .. ("x"):rep(1000), good:sub(1, -2) .. "\0" } do
        cuts.assert_same(make, framed(good) .. framed(wrong), { 7 }, nil,
          "EBADMSG")
      end
    end)

    it("does not unpack more than the limit", function()
      local bomb = zlib.deflate()(("\0"):rep(64 << 20), "finish")
      assert.is_true(#bomb < 1 << 17)
      local filter = make()
      collectgarbage()
      collectgarbage "stop"
      local before = collectgarbage "count"
      local got, message, code = filter:get { framed(bomb) }
      local grown = collectgarbage "count" - before
      collectgarbage "restart"
      assert.is_nil(got)
      assert.equal("EMSGSIZE: value of more than 1048576 bytes", message)
      assert.equal("EMSGSIZE", code)
      assert.is_true(grown < 8192, grown .. " KiB")
    end)

    it("says what is missing where zlib is", function()
      local loaded, path, cpath = package.loaded.zlib, package.path, package.cpath
      package.loaded.zlib, package.path, package.cpath = nil, "", ""
      local ok, message = pcall(make)
      package.loaded.zlib, package.path, package.cpath = loaded, path, cpath
      assert.is_false(ok)
      assert.matches("needs the module 'zlib' %(Debian: lua%-zlib%)", message)
    end)
  end)

  describe("has a limit", function()
    it("that a value may reach and not exceed", function()
      local make = maker { max_length = 4 }
      cuts.assert_same(make, framed "\xa3abc" .. "4\0", { "abc" }, "4\0")
      cuts.assert_same(make, framed "\7" .. framed "\xa4abcd", { 7 }, nil,
        "EMSGSIZE")
    end)

    it("of 1 MiB if nothing is said", function()
      assert.same({}, Reference.new():get { "1048576\0" })
      local _, _, code = Reference.new():get { "1048577\0" }
      assert.equal("EMSGSIZE", code)
    end)
  end)

  describe("with a serializer", function()
    local make = maker { serializer = DIGITS }

    it("asks it", function()
      assert.same({ "2\00012" }, make():put { 12 })
      cuts.assert_same(make, framed "12" .. framed "-5", { 12, -5 })
    end)

    it("fails or raises when that does", function()
      for wrong, why in pairs { x = "not digits", boom = "boom" } do
        cuts.assert_same(make, framed "1" .. framed(wrong), { 1 }, nil, "EBADMSG")
        local _, message = make():get { framed(wrong) }
        assert.equal("EBADMSG: " .. why, message)
      end
      assert.has_error(function() make():put { 0.5 } end, "bad argument #1 to " ..
        "'put' (element 1 cannot be sent: not an integer)")
      local lazy = { freeze = function() return 5 end, thaw = print }
      assert.has_error(function() Reference.new { serializer = lazy }:put { 1 } end,
        "bad argument #1 to 'put' (element 1 cannot be sent: " ..
        "serializer.freeze returned no string)")
    end)

    it("refuses half of one", function()
      assert.has_error(function()
        Reference.new { serializer = { freeze = print } }
      end, "Reference.new: serializer: parameter 'thaw' is missing (a function)")
    end)
  end)

  it("loses no byte when another filter takes over, length included", function()
    local corpus = framed "\7" .. framed "\xa3abc"
    for at = 3, #corpus do
      local filter, stream = Reference.new(), Stream.new()
      filter:get_one_start { corpus:sub(1, at) }
      assert.same({ 7 }, filter:get_one())
      if at < #corpus then assert.same({}, filter:get_one()) end
      stream:get_one_start(filter:get_pending() or {})
      stream:get_one_start { corpus:sub(at + 1) }
      assert.same({ "4\0\xa3abc" }, stream:get_one())
    end
  end)

  it("has clones that share nothing but the parameters", function()
    for _, given in ipairs {
      { max_length = 9 }, { serializer = DIGITS }, { compression = true },
    } do
      local filter = Reference.new(given)
      local bytes = filter:put { 77 }[1]
      filter:get { bytes:sub(1, -2) }
      local clone = filter:clone()
      assert.is_nil(clone:get_pending())
      assert.same({ 77 }, clone:get { bytes })
      assert.same({ 77 }, filter:get { bytes:sub(-1) })
      assert.same({ bytes }, clone:put { 77 })
    end
    assert.is_nil(Reference.new { max_length = 1 }:clone():get { "2\0" })
    local broken = Reference.new()
    assert.is_nil(broken:get { framed "\xc1" })
    assert.same({ 7 }, broken:clone():get { framed "\7" })
  end)
end)
