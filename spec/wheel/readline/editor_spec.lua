-- poe.wheel.readline.editor: what each key does to a line.

local fixture = require "spec.wheel.readline.fixture"

--- Given a line ("|" is the cursor), keys make it another one.
local function assert_edit(before, bytes, after, history)
  local typist = fixture.editor(history)
  local at = before:find("|", 1, true)
  typist:type(before:gsub("|", ""))
  typist.editor:set_offset(at - 1)
  typist.editor.buffer.undos = {}
  assert.equal(after, typist:type(bytes):see(), ("%q"):format(bytes))
  return typist
end

describe("doc/wheels.md", function()
  local text = assert(io.open "doc/wheels.md"):read "a"
  local defaults = require "poe.wheel.readline.commands"

  it("names every command that can be bound", function()
    local others = { ["self-insert"] = true, ["insert-paste"] = true,
      ["delete-char-or-eot"] = true }
    for name in pairs(defaults.commands) do
      assert.is_truthy(others[name] or text:find("`" .. name .. "`", 1, true), name)
    end
    for _, name in pairs(defaults.emacs) do
      assert.is_function(defaults.commands[name], name)
    end
  end)
end)

describe("The editor", function()
  describe("moves", function()
    for bytes, case in pairs {
      ["\1"] = { "ab|c", "|abc" }, ["\5"] = { "a|bc", "abc|" },
      ["\27[H"] = { "ab|c", "|abc" }, ["\27[F"] = { "a|bc", "abc|" },
      ["\6"] = { "a|éc", "aé|c" }, ["\2"] = { "aé|c", "a|éc" },
      ["\27[C\27[C"] = { "|e\u{301}中x", "e\u{301}中|x" },
      ["\27[D"] = { "a中|", "a|中" },
      ["\27f"] = { "a|b, cd", "ab|, cd" }, ["\27b"] = { "ab, c|d", "ab, |cd" },
      ["\27[1;5C"] = { "ab| cd", "ab cd|" }, ["\27[1;5D"] = { "ab |cd", "|ab cd" },
    } do
      it(("%s by %q"):format(case[1], bytes), function()
        assert_edit(case[1], bytes, case[2])
      end)
    end

    it("no further than the ends, and says so", function()
      local typist = assert_edit("|ab", "\2", "|ab")
      assert.same({ "bell" }, typist:asked())
      typist = assert_edit("ab|", "\6", "ab|")
      assert.same({ "bell" }, typist:asked())
    end)
  end)

  describe("changes", function()
    for bytes, case in pairs {
      ["x"] = { "a|b", "ax|b" }, ["é中"] = { "a|b", "aé中|b" },
      ["\4"] = { "a|é", "a|" }, ["\27[3~"] = { "|ab", "|b" },
      ["\127"] = { "ae\u{301}|b", "a|b" }, ["\8"] = { "ab|", "a|" },
      ["\20"] = { "abc|", "acb|" }, ["\20\20"] = { "a|bc", "bca|" },
      ["\27t"] = { "one, two|", "two, one|" },
      ["\27t\27b"] = { "one| two three", "two |one three" },
      ["\27u"] = { "a|bc dé", "aBC| dé" }, ["\27l"] = { "|ABÉ x", "abÉ| x" },
      ["\27c"] = { "| ab-CD", " Ab|-CD" }, ["\27c\27c"] = { "|ab cD", "Ab Cd|" },
      ["\27\\"] = { "a  |  b", "a|b" },
      ["\17\1"] = { "a|", "a\1|" }, ["\22\27[A"] = { "a|", "a\27[A|" },
      ["\27[200~x\ry\27[201~"] = { "a|b", "ax\ny|b" },
    } do
      it(("%s by %q"):format(case[1], bytes), function()
        assert_edit(case[1], bytes, case[2])
      end)
    end

    it("nothing where nothing can be changed, and says so", function()
      for bytes, before in pairs {
        ["\4"] = "ab|", ["\127"] = "|ab", ["\20"] = "|ab", ["\27t"] = "one|",
        ["\25"] = "|", ["\27y"] = "a|", ["\31"] = "|", ["\27."] = "a|",
        ["\27[5~"] = "a|", ["\16"] = "|", ["\14"] = "|", ["\15"] = "|",
        ["\24a"] = "|",
      } do
        local typist = assert_edit(before, bytes, before)
        assert.same({ "bell" }, typist:asked(), ("%q"):format(bytes))
      end
    end)

    it("a line that is full", function()
      local full = ("x"):rep(200)
      local typist = assert_edit(full .. "|", "y", full .. "|")
      assert.same({ "bell" }, typist:asked())
      typist:type("\27[200~yy\27[201~")
      assert.same({ "bell" }, typist:asked())
      typist:type("\1\17\1")
      assert.same({ "bell" }, typist:asked())
      assert.equal("|" .. full, typist:see())
    end)
  end)

  it("undoes", function()
    assert_edit("|", "abc \23\31", "abc |")
    assert_edit("|", "abc \23\31\31", "|")
    assert_edit("|", "abc \23\24\21", "abc |")
    assert_edit("|", "abc \23def\27r", "|")
  end)

  it("kills and yanks", function()
    assert_edit("ab|cd", "\11\1\25", "cd|ab")
    assert_edit("ab|cd", "\21\5\25", "cdab|")
    assert_edit("one two|", "\23\23\25", "one two|")
    assert_edit("one| two", "\27d\27\127\25", "one two|")
    assert_edit("a-b c|", "\27\127\27\127\25\25", "a-b cb c|")
    assert_edit("x /usr/a|", "\23", "x |")
    assert_edit("one two three|", "\27\127\1\27d\25", "one| two ")
    assert_edit("one two three|", "\27\127\1\27d\25\27y", "three| two ")
    assert_edit("one two three|", "\27\127\1\27d\25\27y\27y", "one| two ")
    assert_edit("a b|", "\23\2\25", "ab| ")
  end)

  it("repeats", function()
    assert_edit("abcdef|", "\0273\2", "abc|def")
    assert_edit("|", "\0271\48x", "xxxxxxxxxx|")
    assert_edit("|", "\0271\0272x", "xxxxxxxxxxxx|")
    assert_edit("a b c d|", "\0273\27\127\25", "a b c d|")
    assert_edit("abc|", "\0272\24\127", "|") -- once is enough
    local typist = fixture.editor():type "\0274\50"
    assert.equal("(arg: 42) |", typist:see())
    assert.equal("|", typist:type("\7"):see())
  end)

  describe("ends a line", function()
    for bytes, asked in pairs {
      ["ab\r"] = "finish ab", ["\n"] = "finish ", ["ab\3"] = "finish interrupt",
      ["\4"] = "finish eot", ["ab\7"] = "finish cancel", ["\0275\r"] = "finish ",
    } do
      it(("by %q"):format(bytes), function()
        local typist = fixture.editor()
        function typist.editor.host.finish(line, exception)
          typist.did[#typist.did + 1] = "finish " .. (line or exception)
        end
        assert.same({ asked }, typist:type(bytes):asked())
      end)
    end

    it("and begins the next one empty", function()
      local typist = fixture.editor { "old" }
      typist:type("ab\16\18o\r")
      typist.editor:start()
      assert.equal("|", typist:see())
      assert.equal("old|", typist:type("\16"):see())
    end)
  end)

  it("asks the terminal for what only that can do", function()
    assert.same({ "suspend", "clear" }, fixture.editor():type("\26\12"):asked())
  end)

  it("has commands of others, also behind prefixes", function()
    local typist = fixture.editor()
    local seen = {}
    typist.editor:bind("C-x a b", function(editor, key, raw)
      seen[#seen + 1] = { editor == typist.editor, key, raw }
    end)
    typist.editor:bind("x", "end-of-line")
    typist:type("ax\24abc")
    assert.same({ { true, "b", "b" } }, seen)
    assert.equal("ac|", typist:see())
    assert.same({ "bell" }, typist:type("\24az"):asked())
    assert.error_matches(function() typist.editor:command("bind_key", "end-of-lin") end,
      "bind_key: no command 'end%-of%-lin' %(did you mean 'end%-of%-line'%?%)")
  end)

  describe("in the history", function()
    local LINES = { "make test", "git log", "make bench", "echo é" }

    it("goes back and forth, and keeps what was edited", function()
      assert_edit("new|", "\16", "echo é|", LINES)
      assert_edit("new|", "\27[A\27[A", "make bench|", LINES)
      assert_edit("new|", "\16\16\14\14", "new|", LINES)
      assert_edit("new|", "\16x\16\14", "echo éx|", LINES)
      assert_edit("new|", "\27<", "make test|", LINES)
      assert_edit("new|", "\27<\27>", "new|", LINES)
      assert_edit("n|ew", "\27>", "n|ew", LINES)
      assert_edit("|", "\16\31", "echo é|", LINES)
    end)

    it("finds lines that begin alike", function()
      assert_edit("ma|", "\27[5~", "ma|ke bench", LINES)
      assert_edit("ma|", "\27[5~\27[5~", "ma|ke test", LINES)
      assert_edit("ma|", "\27[5~\27[5~\27[6~", "ma|ke bench", LINES)
      local typist = assert_edit("x|", "\27[5~", "x|", LINES)
      assert.same({ "bell" }, typist:asked())
    end)

    it("has the last words of lines", function()
      assert_edit("ls |", "\27.", "ls é|", LINES)
      assert_edit("ls |", "\27.\27.", "ls bench|", LINES)
      assert_edit("|", "\16\16 \27.", "make bench log|", LINES)
      assert_edit("ls |", "\27.\27.\27.\27.", "ls test|", LINES)
      local typist = assert_edit("|", ("\27."):rep(5), "test|", LINES)
      assert.same({ "bell" }, typist:asked())
    end)

    it("searches backwards as one types", function()
      assert_edit("new|", "\18", "(reverse-i-search)`': new|", LINES)
      assert_edit("|", "\18be", "(reverse-i-search)`be': make |bench", LINES)
      assert_edit("|", "\18t", "(reverse-i-search)`t': gi|t log", LINES)
      local typist = assert_edit("|", "\18ma\r", "|make bench", LINES)
      assert.same({ "finish make bench" }, typist:asked())
    end)

    it("goes from place to place", function()
      assert_edit("|", "\18t\18", "(reverse-i-search)`t': make tes|t", LINES)
      assert_edit("|", "\18t\18\18", "(reverse-i-search)`t': make |test", LINES)
      assert_edit("t|t", "\18t", "(reverse-i-search)`t': t|t", LINES)
      assert_edit("t|t", "\18t\18", "(reverse-i-search)`t': |tt", LINES)
      assert_edit("|at", "\18t", "(reverse-i-search)`t': gi|t log", LINES)
    end)

    it("searches forwards", function()
      assert_edit("|", "\27<\19lo", "(i-search)`lo': git |log", LINES)
      assert_edit("|", "\18ma\18\19", "(i-search)`ma': |make bench", LINES)
      assert_edit("|", "\27<\19e\19", "(i-search)`e': make b|ench", LINES)
      assert_edit("ne|w", "\16\16\19w", "(i-search)`w': ne|w", LINES)
    end)

    it("shows no line twice in a row", function()
      assert_edit("|", "\18b\18", "(reverse-i-search)`b': a|b", { "ab", "b", "b" })
    end)

    it("says that it finds nothing", function()
      local typist = assert_edit("|", "\18maz", "(failed reverse-i-search)`maz': "
        .. "|make bench", LINES)
      assert.same({ "bell" }, typist:asked())
      assert.equal("(reverse-i-search)`ma': |make bench",
        typist:type("\127"):see())
    end)

    it("ends a search with what it found, and does the key", function()
      assert_edit("|", "\18be\1", "|make bench", LINES)
      assert_edit("|", "\18be\5!", "make bench!|", LINES)
      assert_edit("|", "\18be\27[C", "make b|ench", LINES)
    end)

    it("gives a search up", function()
      assert_edit("n|ew", "\18be\7", "n|ew", LINES)
      local typist = assert_edit("n|ew", "\18zz\7", "n|ew", LINES)
      assert.equal("ne|w", typist:type("\6"):see())
    end)

    it("searches again for the same", function()
      assert_edit("|", "\18be\5\27>\18\18",
        "(reverse-i-search)`be': make |bench", LINES)
    end)
  end)

  describe("completes", function()
    local WORDS = { "alpha", "alpine", "beta", "dir/", "größe", "größer" }
    local calls

    local function completing(attribs)
      calls = {}
      local all = {
        completion_function = function(word, line, start)
          calls[#calls + 1] = { word, line, start }
          local found = {}
          for _, candidate in ipairs(WORDS) do
            if candidate:sub(1, #word) == word then found[#found + 1] = candidate end
          end
          return found
        end,
      }
      for name, value in pairs(attribs or {}) do all[name] = value end
      return fixture.editor({}, all)
    end

    it("the only candidate", function()
      local typist = completing()
      assert.equal("x beta |", typist:type("x b\t"):see())
      assert.same({ { "b", "x b", 3 } }, calls)
      assert.equal("x beta dir/|", typist:type("d\t"):see())
      assert.same({}, typist:asked())
    end)

    it("what candidates have in common, then lists them", function()
      local typist = completing()
      assert.equal("alp|", typist:type("a\t"):see())
      assert.same({}, typist:asked())
      assert.equal("alp|", typist:type("\t"):see())
      assert.same({ "list alpha   alpine" }, typist:asked())
      assert.equal("größe|", typist:type("\21gr\t"):see())
      assert.same({}, typist:asked())
      assert.equal("alp|", typist:type("\21alp\t"):see())
      assert.same({ "bell" }, typist:asked())
    end)

    it("in the middle of a line", function()
      local typist = completing()
      typist:type("é b c\2\2\t")
      assert.equal("é beta | c", typist:see())
      assert.same({ { "b", "é b c", 4 } }, calls)
    end)

    it("lists at once if that is wanted", function()
      local typist = completing { show_all_if_ambiguous = true }
      assert.same({ "list alpha   alpine" }, typist:type("a\t"):asked())
      assert.same({ "list alpha   alpine" }, typist:type("\27?"):asked())
    end)

    it("asks before it lists many", function()
      local many = {}
      for i = 1, 11 do many[i] = ("x%02d"):format(i) end
      local typist = completing { completion_function = function() return many end }
      local question = "Display all 11 possibilities? (y or n) x|"
      assert.equal(question, typist:type("x\27?"):see())
      assert.equal(question, typist:type("z"):see())
      assert.equal("x|", typist:type("n"):see())
      assert.same({ "bell" }, typist:asked())
      typist:type("\27?y")
      assert.equal("x|", typist:see())
      assert.same({ "list x01  x03  x05  x07  x09  x11\nx02  x04  x06  x08  x10" },
        typist:asked())
    end)

    it("lists in rows if that is wanted", function()
      local typist = completing { print_completions_horizontally = true,
        completion_function = function()
          return { "a", "b\27", "中", "d", "e", "f", "g", "h", "i", "j" }
        end }
      typist:type("\27?")
      assert.same({ "list a    b^[  中   d    e    f    g\nh    i    j" },
        typist:asked())
    end)

    it("with all of them", function()
      assert.equal("alpha alpine |", completing():type("al\27*"):see())
    end)

    it("nothing, and says so", function()
      local typist = completing()
      assert.same({ "bell" }, typist:type("z\t"):asked())
      assert.same({ "bell" }, fixture.editor():type("a\t"):asked())
    end)

    it("words that end where it is told", function()
      local typist = completing { word_break_characters = ",;" }
      typist:type("a b;c\t")
      assert.same({ { "c", "a b;c", 5 } }, calls)
    end)

    it("no characters in parts", function()
      local typist = completing { completion_function = function()
        return { "\u{E9}", "\u{E8}" }
      end }
      assert.equal("|", typist:type("\t"):see())
    end)

    it("and says what the function did wrong", function()
      for _, wrong in ipairs { 1, { 1 } } do
        local typist = completing { completion_function = function()
          return wrong
        end }
        assert.error_matches(function() typist:type("a\t") end,
          "completion_function must return a list of strings")
      end
    end)
  end)
end)
