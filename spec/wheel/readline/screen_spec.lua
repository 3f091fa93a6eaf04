-- poe.wheel.readline.screen: what somebody sees, on a terminal of spec/vt.lua.

local Screen = require "poe.wheel.readline.screen"
local Text = require "poe.wheel.readline.text"
local Vt = require "spec.wheel.readline.vt"

local function both(columns, lines)
  return Screen.new(columns, lines), Vt.new(columns, lines)
end

local function draw(screen, vt, prompt, text, at)
  local units = Text.split(text)
  vt:feed(screen:draw(prompt, units, at or #units))
end

describe("A line on a screen", function()
  it("is the prompt, the text and the cursor", function()
    local screen, vt = both(10, 4)
    draw(screen, vt, "> ", "")
    assert.equal("> |", vt:see())
    draw(screen, vt, "> ", "ab")
    assert.equal("> ab|", vt:see())
    draw(screen, vt, "> ", "ab", 0)
    assert.equal("> |ab", vt:see())
    draw(screen, vt, "? ", "x")
    assert.equal("? x|", vt:see())
  end)

  it("writes no more than what has changed", function()
    local screen = Screen.new(80, 24)
    screen:draw("> ", { "a", "b" }, 2)
    assert.equal("c", screen:draw("> ", { "a", "b", "c" }, 3))
    assert.equal("", screen:draw("> ", { "a", "b", "c" }, 3))
    assert.equal("\27[1D\27[K", screen:draw("> ", { "a", "b" }, 2))
  end)

  it("goes on in the next row", function()
    local screen, vt = both(10, 4)
    draw(screen, vt, "> ", "abcdefgh")
    assert.equal("> abcdefgh\n|", vt:see())
    draw(screen, vt, "> ", "abcdefghi", 8)
    assert.equal("> abcdefgh\n|i", vt:see())
    draw(screen, vt, "> ", "abcdefghi", 0)
    assert.equal("> |abcdefgh\ni", vt:see())
    draw(screen, vt, "> ", "abcdefg日")
    assert.equal("> abcdefg\n日|", vt:see())
    draw(screen, vt, "> ", "")
    assert.equal("> |", vt:see())
  end)

  it("scrolls the terminal when it is at the bottom", function()
    local screen, vt = both(10, 3)
    vt:feed "one\r\ntwo\r\n"
    draw(screen, vt, "> ", "abcdefghijkl")
    assert.equal("two\n> abcdefgh\nijkl|", vt:see())
    draw(screen, vt, "> ", "")
    assert.equal("two\n> |", vt:see())
  end)

  it("shows the rows around the cursor when there are too many", function()
    local screen, vt = both(5, 3)
    draw(screen, vt, "> ", "abc01234567890abcde")
    assert.equal("56789\n0abcd\ne|", vt:see())
    draw(screen, vt, "> ", "abc01234567890abcde", 4)
    assert.equal("0|1234\n56789\n0abcd", vt:see())
    draw(screen, vt, "> ", "abc01234567890abcde", 0)
    assert.equal("> |abc\n01234\n56789", vt:see())
  end)

  it("is taken away, or left", function()
    local screen, vt = both(10, 5)
    vt:feed "out\r\n"
    draw(screen, vt, "> ", "abcdefghij")
    vt:feed(screen:erase())
    assert.equal("out\n|", vt:see())
    draw(screen, vt, "> ", "abcdefghij", 2)
    vt:feed(screen:finish())
    assert.equal("out\n> abcdefgh\nij\n|", vt:see())
    vt:feed(screen:clear())
    assert.equal("|", vt:see())
  end)

  it("may have prompts of several rows, and in colours", function()
    local screen, vt = both(10, 5)
    local prompt = "\27[1mone\n\1\27[0;32m\2two\27[0m> "
    draw(screen, vt, prompt, "ab")
    assert.equal("one\ntwo> ab|", vt:see())
    draw(screen, vt, prompt, "abcdef", 1)
    assert.equal("one\ntwo> a|bcde\nf", vt:see())
    draw(screen, vt, "\27]0;title\7p> ", "")
    assert.equal("p> |", (vt:see()))
  end)

  it("finds its place again when the terminal has another size", function()
    for _, case in ipairs {
      -- Before and after; what the terminal made of the two rows "> abcdefgh",
      -- "ijkl" with the cursor behind them.
      { 10, 5, { "> abc", "defgh", "ijkl" }, "> abc\ndefgh\nijkl|" },
      { 10, 20, { "> abcdefgh", "ijkl" }, "> abcdefghijkl|" },
      { 10, 7, { "> abcde", "fgh", "ijkl" }, "> abcde\nfghijkl\n|" },
    } do
      local screen, vt = both(case[1], 8)
      draw(screen, vt, "> ", "abcdefghijkl")
      local after = Vt.new(case[2], 8)
      after:feed("above\r\n" .. table.concat(case[3], "\r\n"))
      after:feed(screen:resize(case[2], 8))
      assert.equal("above\n|", after:see())
      draw(screen, after, "> ", "abcdefghijkl")
      assert.equal("above\n" .. case[4], after:see())
    end
  end)

  it("is the same as if it were drawn anew, whatever was there", function()
    local pieces = { "a", "b", "é", "中", "e\u{301}", "\27", "\xFF", " " }
    for _ = 1, 20 do
      local columns, lines = math.random(4, 12), math.random(3, 6)
      local screen, vt = both(columns, lines)
      for _ = 1, 40 do
        local units = {}
        for i = 1, math.random(0, columns * (lines - 1) // 4) do
          units[i] = pieces[math.random(#pieces)]
        end
        local prompt = math.random(4) == 1 and "?? " or "> "
        local at = math.random(0, #units)
        vt:feed(screen:draw(prompt, units, at))
        local fresh, clean = both(columns, lines)
        clean:feed(fresh:draw(prompt, units, at))
        assert.equal(clean:see(), vt:see():gsub("^\n+", ""))
      end
    end
  end)
end)
