-- poe.wheel.readline on a pseudo-terminal: lines, keys, what is seen.

local helper = require "spec.helper"
local poe = require "poe"
local run = require "spec.wheel.readline.session"
local sys = require "poe.sys"
local terminal = require "spec.wheel.readline.terminal"

describe("ReadLine", function()
  before_each(function()
    helper.begin()
    terminal.set_term "xterm"
  end)

  after_each(function()
    terminal.set_term()
    helper.finish()
  end)

  describe("on a terminal", function()
    it("reads a line, and no other until it is asked again", function()
      run({}, function(self, wheel)
        wheel:get "> "
        self:sees "> |"
        self:type "hallo\2\2X"
        self:sees "> halX|lo"
        self:type "\rmore"
        self:gets "line(halXlo, nil)"
        self:sees "> halXlo\n|"
        self:pause()
        assert.equal("> halXlo\n|", self.vt:see())
        wheel:get()
        self:sees "> halXlo\n> more|"
        self:type "\r"
        self:gets "line(more, nil)"
      end)
    end)

    it("tells its ID, and what happened instead of a line", function()
      run({}, function(self, wheel)
        local id
        function self.on_line(_, _, given)
          id = given
          wheel:get "> "
        end
        wheel:get "> "
        self:type "abc\3"
        self:gets "line(nil, interrupt)"
        assert.equal(wheel:ID(), id)
        self:type "\4"
        self:gets "line(nil, eot)"
        self:type "abc\7"
        self:gets "line(nil, cancel)"
        self:type "\r\r"
        self:gets("line(, nil)", "line(, nil)")
      end)
    end)

    it("takes lines that come in one piece one by one", function()
      run({ rows = 20 }, function(self, wheel)
        local left = 3
        function self.on_line()
          left = left - 1
          if left > 0 then wheel:get "> " end
        end
        wheel:get "> "
        self:type "a\rb\rc\rd\r"
        self:gets("line(a, nil)", "line(b, nil)", "line(c, nil)")
        self:pause()
        assert.same({}, self.log)
        wheel:get "? "
        self:gets "line(d, nil)"
      end)
    end)

    it("writes above the line that is edited", function()
      run({}, function(self, wheel)
        wheel:put("before", 1)
        self:sees "before\n1\n|"
        wheel:get "> "
        self:type "abc\2"
        self:sees "before\n1\n> ab|c"
        wheel:put("one\ntwo\n", "")
        self:sees "before\n1\none\ntwo\n\n> ab|c"
        wheel:put(("x"):rep(40))
        self:type "d\r"
        self:gets "line(abdc, nil)"
        self:sees("1\none\ntwo\n\n" .. ("x"):rep(30) .. "\n" .. ("x"):rep(10)
          .. "\n> abdc\n|")
      end)
    end)

    it("writes after the line if that is wanted", function()
      run({ given = { put_mode = "after", idle_time = 0 } }, function(self, wheel)
        wheel:put "at once"
        wheel:get "> "
        self:type "abc"
        self:sees "at once\n> abc|"
        wheel:put("one", "two")
        self:pause()
        self:type "d\r"
        self:gets "line(abcd, nil)"
        self:sees "at once\n> abcd\none\ntwo\n|"
      end)
    end)

    it("writes when nothing is typed for a while if that is wanted", function()
      run({ given = { put_mode = "idle", idle_time = 0.1 } }, function(self, wheel)
        wheel:get "> "
        local typed = poe.monotime()
        self:type "a"
        self:sees "> a|"
        wheel:put("one", "two")
        self:sees "one\ntwo\n> a|"
        assert.is_true(poe.monotime() - typed >= 0.1)
        wheel:put "three" -- that while is over
        self:sees "one\ntwo\nthree\n> a|"
      end)
    end)

    it("writes at the end of the line, too, what waits for such a while", function()
      run({ given = { put_mode = "idle", idle_time = 1000 } }, function(self, wheel)
        wheel:get "> "
        self:type "a"
        self:sees "> a|"
        wheel:put "one"
        self:type "b"
        self:sees "> ab|"
        self:type "\r"
        self:gets "line(ab, nil)"
        self:sees "> ab\none\n|"
      end)
    end)

    it("changes the prompt of a line", function()
      run({}, function(self, wheel)
        wheel:get "> "
        self:type "abc"
        self:sees "> abc|"
        wheel:get "other: "
        self:sees "other: abc|"
        wheel:get()
        self:type "\r"
        self:gets "line(abc, nil)"
      end)
    end)

    it("clears the terminal", function()
      run({}, function(self, wheel)
        wheel:put "out"
        wheel:get "> "
        self:type "ab"
        self:sees "out\n> ab|"
        self:type "\12"
        self:sees "> ab|"
        wheel:put "out"
        self:sees "out\n> ab|"
        wheel:clear()
        self:sees "> ab|"
        self:type "\r"
        self:sees "> ab\n|"
        wheel:clear()
        self:sees "|"
      end)
    end)

    it("knows the terminal's size, and when it changes", function()
      run({ columns = 20 }, function(self, wheel)
        assert.same({ 20, 8 }, { wheel:terminal_size() })
        wheel:get "> "
        self:type "abcdefghijkl"
        self:sees "> abcdefghijkl|"
        sys.set_winsize(self.master, 6, 10)
        assert.same({ 10, 6 }, { wheel:terminal_size() })
        self.vt.columns, self.vt.lines, self.vt.rows[7], self.vt.rows[8] =
          10, 6, nil, nil
        -- As terminals do: the row that is too long now goes on in the next.
        self.vt.rows[1] = { table.unpack(self.vt.rows[1], 1, 10) }
        self.vt.row, self.vt.column = 1, 4
        sys.kill(sys.getpid(), "WINCH")
        self:sees "> abcdefgh\nijkl|"
        sys.set_winsize(self.master, 6, 20)
        self.vt.columns = 20
        self:type "m" -- which may come before the signal does
        self:sees "> abcdefghijklm|"
        sys.set_winsize(self.master, 0, 0)
        assert.same({ 80, 24 }, { wheel:terminal_size() })
      end)
    end)

    it("lets others watch the same signals", function()
      run({}, function(self)
        local got
        self.kernel:sig("WINCH", "resized")
        self.kernel:state("resized", function(kernel)
          got = true
          kernel:yield "step"
        end)
        sys.kill(sys.getpid(), "WINCH")
        self:wait(function() return got end)
        self.kernel:sig("WINCH")
      end)
    end)

    it("takes what is pasted as text", function()
      run({}, function(self, wheel)
        assert.is_nil(self.vt.modes["2004"])
        wheel:get "> "
        self:sees "> |"
        assert.is_true(self.vt.modes["2004"])
        self:type "\27[200~one\rtwo\t\27[201~"
        self:sees "> one^Jtwo^I|"
        self:type "\r"
        self:gets "line(one\ntwo\t, nil)"
        self:sees "> one^Jtwo^I\n|"
        assert.is_false(self.vt.modes["2004"])
        wheel:option("enable_bracketed_paste", false)
        wheel:get "> "
        self:sees "> one^Jtwo^I\n> |"
        assert.is_false(self.vt.modes["2004"])
      end)
    end)

    it("has a history, to which nothing is added by itself", function()
      run({}, function(self, wheel)
        wheel:add_history("first", "second")
        assert.same({ "first", "second" }, wheel:get_history())
        wheel:get "> "
        self:type "x\27[A\27[A"
        self:sees "> first|"
        self:type "\18c"
        self:sees "(failed reverse-i-search)`c':\nfirst|"
        self:type "\127\19o"
        self:sees "(i-search)`o': sec|ond"
        self:type "\r"
        self:gets "line(second, nil)"
        assert.same({ "first", "second" }, wheel:get_history())
        local path = os.tmpname()
        assert.is_true(wheel:write_history(path))
        assert.is_true(wheel:history_truncate_file(path, 1))
        assert.is_true(wheel:read_history(path))
        assert.same({ "first", "second", "second" }, wheel:get_history())
        os.remove(path)
        assert.equal("ENOENT", select(3, wheel:read_history(path)))
      end)
    end)

    it("completes, and lists above the line", function()
      run({ given = { completion_function = function(word, line, start)
        assert.same({ "a", "x ay", 3 }, { word, line, start })
        return { "alpha", "atom" }
      end } }, function(self, wheel)
        wheel:get "> "
        self:type "x ay\2\t\t"
        self:sees "> x ay\nalpha  atom\n> x a|y"
        wheel:attribs().completion_function = function() return { "done" } end
        self:type "\t"
        self:sees "> x ay\nalpha  atom\n> x done |y"
        self:type "\r"
        self:gets "line(x done y, nil)"
      end)
    end)

    it("has commands and keys of its user", function()
      run({}, function(self, wheel)
        local seen
        wheel:add_defun("reverse-line", function(got, key, raw)
          seen = { got == wheel, key, raw }
          local line, offset = got:get_line()
          assert.equal(2, offset)
          assert.is_true(got:set_line(line:reverse(), 1))
          assert.is_false(got:set_line(("x"):rep(70000)))
        end, "C-x r")
        wheel:bind_key("f2", "reverse-line")
        wheel:bind_key("Control-o", function(got) got:set_line "" end)
        assert.is_false(wheel:set_line "none is read")
        wheel:get "> "
        self:type "abc\2\24r"
        self:sees "> c|ba"
        assert.same({ true, "r", "r" }, seen)
        self:type "\6\27[12~"
        self:sees "> a|bc"
        self:type "\15"
        self:sees "> |"
        for _, wrong in ipairs {
          { "bind_key", "no-key", "yank" }, { "bind_key", "C-a", "no-command" },
          { "bind_key", "C-a", 1 }, { "add_defun", "name", "no function" },
        } do
          assert.has_error(function() wheel[wrong[1]](wheel, wrong[2], wrong[3]) end)
        end
      end)
    end)

    it("has attributes", function()
      run({}, function(self, wheel)
        wheel:get "> "
        self:type "\127"
        self:wait(function() return self.vt.bells == 1 end)
        assert.equal("audible", wheel:option("bell_style", "none"))
        assert.equal("none", wheel:attribs().bell_style)
        self:type "\127a"
        self:sees "> a|"
        assert.equal(1, self.vt.bells)
        assert.error_matches(function() wheel:option "bell_stile" end,
          "no attribute 'bell_stile' %(did you mean 'bell_style'%?%)")
        assert.error_matches(function()
          wheel:attribs().completion_function = 1
        end, "parameter 'completion_function' must be a function")
      end)
    end)

    it("says when the terminal goes", function()
      run({ given = { error_event = "failed" } }, function(self, wheel)
        wheel:get "> "
        self:sees "> |"
        self.kernel:select_read(self.master)
        self.master:close()
        self:gets "line(nil, eot)"
        wheel:put "into the void"
        wheel:get "> "
        self:gets "line(nil, eot)"
      end)
    end)

    it("writes as fast as the terminal takes it, and others go on", function()
      run({ columns = 80 }, function(self, wheel)
        local row = ("x"):rep(79)
        self.kernel:select_read(self.master)
        local rows = {}
        for i = 1, 2000 do rows[i] = row end
        wheel:put(table.unpack(rows))
        wheel:put "last"
        self:pause() -- nobody reads, and the session goes on
        wheel:get "> "
        self:pause()
        self.kernel:select_read(self.master, "shown")
        self:sees(((row .. "\n"):rep(6)) .. "last\n> |")
        assert.equal(1994, #self.vt.scrolled)
      end)
    end)
  end)
end)
