-- poe.wheel.readline: units of text, the edited line, the kill ring.

local Buffer = require "poe.wheel.readline.buffer"
local Kills = require "poe.wheel.readline.kills"
local Text = require "poe.wheel.readline.text"
local width = require "poe.wheel.readline.width"

describe("The width of a character", function()
  for columns, characters in pairs {
    [0] = "\u{300}\u{36F}\u{200B}\u{200D}\u{20DD}\u{FE0F}\u{1160}\u{E0100}",
    [1] = "a~\u{A0}é\u{2014}\u{2FF}\u{370}\u{10FFFF}\u{FFFD}",
    [2] = "\1\127中日한\u{3000}\u{FF21}\u{1F600}\u{20000}\u{3FFFD}\u{1100}",
  } do
    it("is " .. columns .. " for some", function()
      for _, code in utf8.codes(characters) do
        assert.equal(columns, width.of(code), ("U+%04X"):format(code))
      end
    end)
  end
end)

describe("Text", function()
  it("is split into characters with their marks", function()
    assert.same({ "a", "é", "e\u{301}\u{302}", "中", "\u{1F600}" },
      Text.split "aée\u{301}\u{302}中\u{1F600}")
    assert.same({}, Text.split "")
    assert.same({ "x", "a\u{301}" }, Text.split("\u{301}", Text.split "xa"))
  end)

  it("has a unit for each byte that is no character", function()
    assert.same({ "a", "\xFF", "\xC3", "b", "\xE4", "\xB8", "\xC0", "\x80" },
      Text.split "a\xFF\xC3b\xE4\xB8\xC0\x80")
    assert.same({ "\xED", "\xA0", "\x80" }, Text.split "\xED\xA0\x80")
    assert.same({ "ö", "\xB8", "中", "\x80" }, Text.split "ö\xB8中\x80")
  end)

  it("has marks of their own where nothing can have them", function()
    assert.same({ "\u{301}", "a" }, Text.split "\u{301}a")
    assert.same({ "\27", "\u{301}" }, Text.split "\27\u{301}")
    assert.same({ "\xFF", "\u{301}" }, Text.split "\xFF\u{301}")
  end)

  it("is shown so that no terminal takes it for a command", function()
    for unit, shown in pairs {
      ["\27"] = { "^[", 2 }, ["\0"] = { "^@", 2 }, ["\127"] = { "^?", 2 },
      ["\n"] = { "^J", 2 }, ["\xFF"] = { "\\xFF", 4 },
      ["\u{9B}"] = { "\\x9B", 4 }, ["é"] = { "é", 1 },
      ["e\u{301}"] = { "e\u{301}", 1 }, ["中"] = { "中", 2 },
      ["\u{301}\u{302}"] = { "\u{25CC}\u{301}\u{302}", 1 },
    } do
      assert.same(shown, { Text.show(unit) })
    end
    assert.equal(8, Text.columns "a中é\xFF")
  end)
end)

describe("The edited line", function()
  local buffer

  before_each(function() buffer = Buffer.new(20) end)

  --- The text with "|" for the cursor.
  local function see()
    return buffer:text(0, buffer.at) .. "|" .. buffer:text(buffer.at)
  end

  local function set(text)
    local at = text:find("|", 1, true)
    assert(buffer:set(text:gsub("|", "")))
    buffer.at = #Text.split(text:sub(1, at - 1))
  end

  it("takes text where the cursor is", function()
    buffer:insert "ab"
    buffer.at = 1
    buffer:insert "é中"
    assert.equal("aé中|b", see())
    assert.equal(7, buffer.size)
    assert.equal(6, buffer:offset())
  end)

  it("joins a mark with what is before it", function()
    set "ae|x"
    buffer:insert "\u{301}"
    assert.equal("ae\u{301}|x", see())
    assert.equal(3, buffer:length())
    set "a|\u{301}" -- deleting what was between
    assert.equal(1, buffer:length())
  end)

  it("joins what follows a deletion", function()
    buffer:insert "a\27\u{301}b"
    assert.equal(4, buffer:length())
    buffer:delete(1, 2)
    assert.equal(2, buffer:length())
    assert.equal("a\u{301}b", buffer:text())
  end)

  it("is no longer than it may be", function()
    assert.is_true(buffer:insert(("x"):rep(20)))
    assert.is_false(buffer:insert "y")
    assert.is_false(buffer:replace(0, 1, "yy"))
    assert.is_true(buffer:replace(0, 2, "yy"))
    assert.equal("yy" .. ("x"):rep(18), buffer:text())
  end)

  it("has words", function()
    for at, text in pairs { [2] = "|ab, cd", [6] = "ab|, cd", [3] = "a-|b-c" } do
      set(text)
      assert.equal(at, buffer:word_end(buffer.at))
    end
    for at, text in pairs { [0] = "ab| cd", [4] = "ab, cd|", [1] = ",éa|" } do
      set(text)
      assert.equal(at, buffer:word_start(buffer.at))
    end
  end)

  it("undoes change by change, typing by the piece", function()
    for letter in ("typed"):gmatch "." do buffer:type(letter) end
    buffer:delete(0, 1)
    buffer.at = 0
    buffer:type "x"
    assert.equal("x|yped", see())
    buffer:undo()
    assert.equal("|yped", see())
    buffer:undo()
    assert.equal("typed|", see())
    buffer:undo()
    assert.equal("|", see())
    assert.is_false(buffer:undo())
    assert.equal(0, buffer.size)
  end)

  it("undoes all at once", function()
    buffer:insert "one"
    buffer:insert "two"
    assert.is_true(buffer:undo(true))
    assert.equal("|", see())
    assert.is_false(buffer:undo(true))
  end)

  it("breaks typing where the cursor was moved, and after a while", function()
    buffer:type "a"
    buffer.at = 0
    buffer:type "b"
    buffer:undo()
    assert.equal("|a", see())
    local long = Buffer.new(100)
    for _ = 1, 30 do long:type "x" end
    long:undo()
    assert.equal(20, long:length())
  end)

  it("is what a plain string is, whatever is done", function()
    local pieces = { "a", "é", "\u{301}", "中", "\xFF", " ", "ab" }
    for _ = 1, 300 do
      local text = buffer:text()
      local from = math.random(0, buffer:length())
      local to = math.random(from, buffer:length())
      local new = pieces[math.random(#pieces)]
      local expected = buffer:text(0, from) .. new .. buffer:text(to)
      local ok = buffer:replace(from, to, new)
      assert.equal(#expected <= 20, ok)
      assert.equal(ok and expected or text, buffer:text())
      assert.equal(#buffer:text(), buffer.size)
      assert.same(Text.split(buffer:text()), buffer.units)
      if ok then assert.is_true(buffer:offset() >= #buffer:text(0, from)) end
    end
  end)
end)

describe("The kill ring", function()
  it("gives the latest, then the ones before it, in turns", function()
    local kills = Kills.new()
    assert.is_nil(kills:top())
    for _, text in ipairs { "a", "b", "", "c" } do kills:push(text) end
    local seen = {}
    for i = 1, 4 do
      seen[i] = kills:top()
      kills:rotate()
    end
    assert.same({ "c", "b", "a", "c" }, seen)
  end)

  it("joins kills in a row", function()
    local kills = Kills.new()
    kills:push "b"
    kills:push("c", "after")
    kills:push("a", "before")
    assert.equal("abc", kills:top())
    kills:push("x", nil)
    assert.equal("x", kills:top())
  end)

  it("forgets the oldest", function()
    local kills = Kills.new()
    for i = 1, 40 do kills:push(tostring(i)) end
    for _ = 1, 29 do kills:rotate() end
    assert.equal("11", kills:top())
  end)
end)
