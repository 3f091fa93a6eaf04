-- poe.filter.msgpack: fixed bytes, the same that the reference implementation
-- for Python (msgpack 1.0.3) makes of these values; and what is refused.

local msgpack = require "poe.filter.msgpack"

local function unhex(text)
  return (text:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local function hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

-- Value and bytes, both ways.
local VECTORS = {
  { 0, "00" }, { 127, "7f" }, { 128, "cc80" }, { 255, "ccff" },
  { 256, "cd0100" }, { 65535, "cdffff" }, { 65536, "ce00010000" },
  { 4294967295, "ceffffffff" }, { 4294967296, "cf0000000100000000" },
  { math.maxinteger, "cf7fffffffffffffff" },
  { -1, "ff" }, { -32, "e0" }, { -33, "d0df" }, { -128, "d080" },
  { -129, "d1ff7f" }, { -32768, "d18000" }, { -32769, "d2ffff7fff" },
  { -2147483648, "d280000000" }, { -2147483649, "d3ffffffff7fffffff" },
  { math.mininteger, "d38000000000000000" },
  { 1.5, "cb3ff8000000000000" }, { -0.0, "cb8000000000000000" },
  { 1.0, "cb3ff0000000000000" }, { math.huge, "cb7ff0000000000000" },
  { true, "c3" }, { false, "c2" },
  { "", "a0" }, { "abc", "a3616263" }, { "\u{e4}", "a2c3a4" }, { "\0", "a100" },
  { ("x"):rep(31), "bf" .. ("78"):rep(31) },
  { ("x"):rep(32), "d920" .. ("78"):rep(32) },
  { ("x"):rep(255), "d9ff" .. ("78"):rep(255) },
  { ("x"):rep(256), "da0100" .. ("78"):rep(256) },
  { ("x"):rep(65536), "db00010000" .. ("78"):rep(65536) },
  { "\xff", "c401ff" }, { "\xed\xa0\x80", "c403eda080" },
  { ("\xff"):rep(256), "c50100" .. ("ff"):rep(256) },
  { ("\xff"):rep(65536), "c600010000" .. ("ff"):rep(65536) },
  { {}, "90" }, { { 1, 2, 3 }, "93010203" }, { { {} }, "9190" },
  { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
    "dc0010000102030405060708090a0b0c0d0e0f" },
  { { a = 1 }, "81a16101" }, { { [1.5] = true }, "81cb3ff8000000000000c3" },
  { { [2] = "x" }, "8102a178" }, { { [0] = false }, "8100c2" },
}

-- Bytes of others that we make otherwise.
local FOREIGN = {
  ["ca3fc00000"] = 1.5, ["d90161"] = "a", ["c40161"] = "a", ["cc05"] = 5,
  ["d305" .. ("00"):rep(7)] = 5 << 56, ["80"] = {}, ["dd00000001c3"] = { true },
  ["df00000001a16107"] = { a = 7 }, ["de0001a16107"] = { a = 7 },
  ["82a16101a16102"] = { a = 2 }, ["93c0c007"] = { nil, nil, 7 },
}

local WRONG = {
  [""] = "bytes cut short", ["cc"] = "bytes cut short",
  ["a36162"] = "bytes cut short", ["cd01"] = "bytes cut short",
  ["cb00"] = "bytes cut short", ["cf00"] = "bytes cut short",
  ["ddffffffff00"] = "bytes cut short", ["dfffffffff0000"] = "bytes cut short",
  ["c6ffffffff"] = "bytes cut short", ["91"] = "bytes cut short",
  ["81a161"] = "bytes cut short", ["dc00"] = "bytes cut short",
  ["0000"] = "bytes after the value",
  ["cfffffffffffffffff"] = "an integer of more than 63 bits",
  ["c1"] = "type 0xc1, which is not known",
  ["d60000000000"] = "type 0xd6, which is not known",
  ["81c001"] = "a key that is nil or NaN",
  ["81cb7ff800000000000001"] = "a key that is nil or NaN",
}

describe("MessagePack", function()
  it("is what others make, both ways", function()
    for _, vector in ipairs(VECTORS) do
      local value, bytes = vector[1], unhex(vector[2])
      assert.equal(hex(bytes), hex(assert(msgpack.encode(value))))
      local got, why = msgpack.decode(bytes)
      assert.is_nil(why)
      assert.same(value, got)
      assert.equal(math.type(value), math.type(got))
    end
    assert.equal("-0.0", tostring(msgpack.decode(unhex "cb8000000000000000")))
  end)

  it("is understood where others choose longer bytes", function()
    for bytes, value in pairs(FOREIGN) do
      local got, why = msgpack.decode(unhex(bytes))
      assert.is_nil(why)
      assert.same(value, got)
    end
  end)

  it("has nil, and numbers that are none", function()
    assert.equal("\xc0", msgpack.encode(nil))
    assert.same({ n = 1 }, table.pack(msgpack.decode "\xc0"))
    local nan = msgpack.decode(assert(msgpack.encode(0 / 0)))
    assert.is_true(nan ~= nan)
  end)

  it("keeps keys apart that a map has", function()
    local t = { 1, 2, nil, 4, x = "y", [-1] = {}, [2.5] = { a = { b = false } } }
    assert.same(t, msgpack.decode(assert(msgpack.encode(t))))
    assert.same({ 1, nil, 3 }, msgpack.decode(assert(msgpack.encode { 1, nil, 3 })))
  end)

  it("takes a table that is in another twice, but not in itself", function()
    local shared = { 1 }
    assert.same({ { 1 }, { 1 } },
      msgpack.decode(assert(msgpack.encode { shared, shared })))
    local cyclic = { a = {} }
    cyclic.a.b = { cyclic }
    assert.same({ nil, "a table that contains itself" }, { msgpack.encode(cyclic) })
  end)

  it("calls no metamethod", function()
    local t = setmetatable({ 1 }, { __len = error, __pairs = error,
      __index = error, __name = "x" })
    assert.equal("\x91\1", msgpack.encode(t))
  end)

  it("refuses what no bytes stand for", function()
    for kind, value in pairs {
      ["function"] = print, userdata = io.stdout,
      thread = coroutine.create(print),
    } do
      assert.same({ nil, "a " .. kind }, { msgpack.encode(value) })
      assert.same({ nil, "a " .. kind }, { msgpack.encode { { [value] = 1 } } })
    end
  end)

  it("has a hundred tables in each other, and no more, both ways", function()
    local deep, bytes = {}, ("\x91"):rep(99) .. "\x90"
    for _ = 1, 99 do deep = { deep } end
    assert.equal(bytes, msgpack.encode(deep))
    assert.same(deep, msgpack.decode(bytes))
    assert.same({ nil, "tables nested more than 100 deep" },
      { msgpack.encode { deep } })
    for _, head in ipairs { "\x91", "\x81\1" } do
      assert.same({ nil, "arrays and maps nested too deep" },
        { msgpack.decode(head:rep(100) .. "\x90") })
      assert.same({ nil, "arrays and maps nested too deep" },
        { msgpack.decode(head:rep(500000)) })
    end
  end)

  it("refuses bytes that are no value", function()
    for bytes, why in pairs(WRONG) do
      assert.same({ nil, why }, { msgpack.decode(unhex(bytes)) }, bytes)
    end
  end)

  it("makes no more of a count than there are bytes", function()
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    for _ = 1, 100 do msgpack.decode "\xdd\x7f\xff\xff\xff\0\0" end
    local grown = collectgarbage "count" - before
    collectgarbage "restart"
    assert.is_true(grown < 1000, grown .. " KiB")
  end)
end)
