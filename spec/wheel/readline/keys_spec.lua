-- poe.wheel.readline.keys: bytes to keys, however they were cut; their names.

local Keys = require "poe.wheel.readline.keys"

--- The keys of some bytes, given in these pieces.
local function decode(...)
  local keys, names = Keys.new(10), {}
  for _, piece in ipairs { ... } do
    keys:feed(piece)
    for name, raw in keys.next, keys do
      names[#names + 1] = name == "paste" and name .. ":" .. raw or name
    end
  end
  return names
end

--- Whole, byte by byte, and in two pieces at each place.
local function assert_keys(expected, bytes)
  assert.same(expected, decode(bytes))
  local single = {}
  for i = 1, #bytes do single[i] = bytes:sub(i, i) end
  assert.same(expected, decode(table.unpack(single)))
  for i = 1, #bytes - 1 do
    assert.same(expected, decode(bytes:sub(1, i), bytes:sub(i + 1)))
  end
end

describe("Keys", function()
  it("are characters of UTF-8, and stray bytes", function()
    assert_keys({ "a", "é", "中", "\u{1F600}", "space", "~" }, "aé中\u{1F600} ~")
    assert_keys({ "\xFF", "a", "\x80", "\xE4", "b" }, "\xFFa\x80\xE4b")
    assert_keys({ "\xED", "\xA0", "\x80", "x" }, "\xED\xA0\x80x")
    assert.same({}, decode "\xE4\xB8")
  end)

  it("are control characters", function()
    assert_keys({ "C-a", "C-h", "tab", "C-j", "return", "C-z", "C-@", "C-_", "C-\\",
      "C-]", "C-^", "backspace" }, "\1\8\9\10\13\26\0\31\28\29\30\127")
  end)

  it("are those with Meta", function()
    assert_keys({ "M-f", "M-F", "M-é", "C-M-h", "M-backspace", "M-space", "M-<",
      "M-tab", "M-return" }, "\27f\27F\27é\27\8\27\127\27 \27<\27\t\27\r")
    assert_keys({ "M-f", "M-x" }, "\27\27f\27\27\27x")
    assert.same({}, decode "\27")
  end)

  it("are control sequences", function()
    assert_keys({ "up", "down", "right", "left", "home", "end", "S-tab" },
      "\27[A\27[B\27[C\27[D\27[H\27[F\27[Z")
    assert_keys({ "up", "home", "f1", "f4" }, "\27OA\27OH\27OP\27OS")
    assert_keys({ "home", "insert", "delete", "end", "pageup", "pagedown", "f5",
      "f12" }, "\27[1~\27[2~\27[3~\27[4~\27[5~\27[6~\27[15~\27[24~")
    assert_keys({ "C-right", "M-left", "S-up", "C-M-S-down", "C-delete", "M-up" },
      "\27[1;5C\27[1;3D\27[1;2A\27[1;8B\27[3;5~\27\27[A")
  end)

  it("are nothing where nobody knows the sequence", function()
    assert_keys({ "", "a" }, "\27[99~a")
    assert_keys({ "", "a" }, "\27[?1;2ca")
    assert_keys({ "", "a" }, "\27[97;5ua")
    assert_keys({ "", "C-a" }, "\27[1\1")
    assert.equal("", decode("\27[" .. ("1"):rep(100))[1])
  end)

  it("are what is pasted, its line ends as LF", function()
    assert_keys({ "a", "paste:b\nc\n\27[A", "d" },
      "a\27[200~b\rc\r\n\27[A\27[201~d")
    assert_keys({ "paste:" }, "\27[200~\27[201~")
    assert_keys({ "paste:\27[201" }, "\27[200~\27[201\27[201~")
    assert_keys({ "paste:12345678901", "x" }, "\27[200~12345678901234\27[201~x")
  end)

  it("come out of garbage, all of it", function()
    for _ = 1, 200 do
      local bytes = {}
      for i = 1, 40 do
        bytes[i] = ("\27[O;0Aa~\13\xC3\xA9\xFF"):sub(math.random(13)):sub(1, 1)
      end
      local text = table.concat(bytes)
      local cut = math.random(#text)
      assert.same(decode(text), decode(text:sub(1, cut), text:sub(cut + 1)))
    end
  end)

  it("have one name each", function()
    for given, name in pairs {
      ["C-a"] = "C-a", ["c-A"] = "C-a", ["Control-a"] = "C-a", ["\\C-a"] = "C-a",
      ["M-f"] = "M-f", ["M-F"] = "M-F", ["Meta-f"] = "M-f", ["\\M-f"] = "M-f",
      ["\\M-\\C-h"] = "C-M-h", ["Meta-Rubout"] = "M-backspace", DEL = "backspace",
      ["C-m"] = "return", RET = "return", LFD = "C-j", SPC = "space", a = "a",
      Up = "up", F1 = "f1", ["S-Tab"] = "S-tab", ["C-Space"] = "C-@",
      ["C-x   C-u"] = "C-x C-u", ["é"] = "é", [" f2 "] = "f2", ["M-->"] = nil,
    } do
      assert.equal(name, Keys.normal("bind_key", given))
    end
    for _, wrong in ipairs { "X-a", "f99", "", "Control-xP", "C-" } do
      assert.error_matches(function() Keys.normal("bind_key", wrong) end,
        "^bind_key: no key is ")
    end
  end)
end)
