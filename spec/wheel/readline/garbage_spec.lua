-- poe.wheel.readline: whatever is typed, nothing breaks, and what is seen is the
-- line.

local Screen = require "poe.wheel.readline.screen"
local Text = require "poe.wheel.readline.text"
local Vt = require "spec.wheel.readline.vt"
local fixture = require "spec.wheel.readline.fixture"

local PIECES = {
  "a", "b ", "é", "中", "e\u{301}", "\xFF", "\xE4\xB8", "\0", "\27", "\27[", "\27[A",
  "\27[B", "\27[1;5D", "\27[3~", "\27[200~x\ry\27[201~", "\27[99;99R", "\9", "\127",
  "\27\127", "\0272", "\27?", "\27*", "\27.", "\27<", "\27>", "\27t", "\27u", "\27c",
  "\27\\", "\27r", "\24\21", "\24", "\22", "y", "n",
}
for code = 1, 31 do
  if not ("\3\4\7\10\13"):find(string.char(code), 1, true) then
    PIECES[#PIECES + 1] = string.char(code)
  end
end

local function complete(word)
  if word == "" then return {} end
  return { word .. "x", word .. "é", word .. "中中" }
end

--- What somebody sees who has not seen anything before.
local function clean(columns, lines, editor)
  local vt = Vt.new(columns, lines)
  vt:feed(Screen.new(columns, lines):draw(editor:view()))
  return vt:see()
end

describe("Garbage", function()
  it("is edited, and shown as what it is", function()
    for _ = 1, 20 do
      local columns = math.random(8, 40)
      local typist = fixture.editor({ "one", "twö", "three three" },
        { completion_function = complete, completion_query_items = 2 })
      local editor, screen, vt = typist.editor, Screen.new(columns, 40),
        Vt.new(columns, 40)
      for _ = 1, 60 do
        typist:type(PIECES[math.random(#PIECES)])
        local buffer = editor.buffer
        local text = buffer:text()
        assert.same(Text.split(text), buffer.units)
        assert.equal(#text, buffer.size)
        assert.is_true(buffer.at >= 0 and buffer.at <= #buffer.units)
        assert.is_true(#text <= 200)
        vt:feed(screen:draw(editor:view()))
        assert.equal(clean(columns, 40, editor), vt:see())
      end
    end
  end)
end)
