-- poe.wheel.readline on a pseudo-terminal, and where there is none.

local ReadLine = require "poe.wheel.readline"
local fixture = require "spec.wheel.fixture"
local helper = require "spec.helper"
local poe = require "poe"
local run = require "spec.wheel.readline.session"
local sys = require "poe.sys"

local getenv = os.getenv

--- What TERM is from now on.
local function set_term(name)
  os.getenv = function(variable) -- luacheck: ignore 122
    if variable == "TERM" then return name end
    return getenv(variable)
  end
end

--- The modes of a terminal, as stty tells them.
local function modes_of(path)
  local pipe <close> = assert(io.popen("stty -g <" .. path))
  return pipe:read "a"
end

local function has_mode(path, mode)
  local pipe <close> = assert(io.popen("stty -a <" .. path))
  return pipe:read "a":find("%s" .. mode:gsub("%-", "%%-") .. "[%s;]") ~= nil
end

local NONBLOCK = 2048 -- of Linux

local function flags_of(fd)
  local info <close> = assert(io.open("/proc/self/fdinfo/" .. fd))
  return tonumber(info:read "a":match "flags:%s*(%d+)", 8)
end

--- The number of the next file that is opened.
local function first_free()
  local file <close> = assert(io.open "/dev/null")
  for fd = 0, 63 do
    local info = io.open("/proc/self/fdinfo/" .. fd)
    if info then info:close() end
    if not info then return fd - 1, file end
  end
end

describe("ReadLine", function()
  before_each(function()
    helper.begin()
    set_term "xterm"
  end)

  after_each(function()
    os.getenv = getenv -- luacheck: ignore 122
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
      run({ given = { put_mode = "after" } }, function(self, wheel)
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
        self:type "a"
        self:sees "> a|"
        local typed = poe.monotime()
        wheel:put("one", "two")
        self:sees "one\ntwo\n> a|"
        assert.is_true(poe.monotime() - typed > 0.05)
        wheel:put "three"
        assert.is_true(poe.monotime() - typed > 0.05)
        self:sees "one\ntwo\nthree\n> a|"
        self:type "b"
        self:sees "one\ntwo\nthree\n> ab|"
        wheel:put "four"
        self:type "\r"
        self:gets "line(ab, nil)"
        self:sees "one\ntwo\nthree\n> ab\nfour\n|"
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

  describe("leaves a terminal", function()
    it("as it was, when it is destroyed", function()
      run({}, function(self, wheel)
        wheel:get "> "
        self:type "ab"
        self:sees "> ab|"
        assert.is_true(has_mode(self.path, "-echo"))
        assert.is_true(has_mode(self.path, "-isig"))
        assert.is_true(has_mode(self.path, "opost"))
        self:type "\r"
        self:gets "line(ab, nil)"
        assert.is_true(has_mode(self.path, "isig")) -- nobody reads keys now
        assert.is_true(has_mode(self.path, "-icanon"))
        wheel:get "> "
        wheel:put "above"
        wheel:destroy()
        self:sees "> ab\nabove\n>\n|"
        assert.is_true(has_mode(self.path, "echo"))
        assert.is_true(has_mode(self.path, "icanon"))
        assert.is_false(self.vt.modes["2004"])
        assert.has_error(function() wheel:get() end)
      end)
    end)

    it("with no mode changed, and blocking if it was", function()
      local master, slave, path = assert(sys.openpty())
      local fd = first_free()
      local file = assert(io.open(path, "r+"))
      local before = modes_of(path)
      local log = fixture.run({}, {
        _start = function(kernel, heap)
          heap.wheel = ReadLine.new { input_handle = file, output_handle = file,
            input_event = "line" }
          heap.wheel:get "> "
          assert.not_equal(before, modes_of(path))
          kernel:yield "done"
        end,
        done = function(kernel, heap)
          assert.equal(0, flags_of(fd) & NONBLOCK)
          fixture.finish(kernel, heap)
          assert.equal(before, modes_of(path))
        end,
      })
      assert.same({}, log)
      file:close()
      slave:close()
      master:close()
    end)

    it("when it is forgotten", function()
      run({}, function(self, wheel)
        wheel:get "> "
        self:sees "> |"
        self.wheel, wheel = { core = {} }, nil -- luacheck: ignore 311
        self:wait(function()
          collectgarbage()
          self.kernel:yield "step"
          return has_mode(self.path, "echo")
        end)
        self:sees ">\n|"
      end)
    end)

    it("when its handler destroys it", function()
      run({}, function(self, wheel)
        function self.on_line() wheel:destroy() end
        wheel:get "> "
        self:type "a\rb\r"
        self:gets "line(a, nil)"
        self:pause()
        assert.same({}, self.log)
        assert.is_true(has_mode(self.path, "echo"))
      end)
    end)

    it("when its session has ended", function()
      local script
      run({}, function(self, wheel)
        script = self
        wheel:get "> "
        self:sees "> |"
        self.kernel:signal(self.kernel.session, "KILL")
        coroutine.yield()
      end)
      assert.is_true(has_mode(script.path, "echo"))
      assert.is_false(script.wheel.core.alive)
      script.master:close()
    end)

    it("when it has nothing to do any more", function()
      local script
      run({}, function(self, wheel)
        script = self
        wheel:put "done"
        self:sees "done\n|"
        self.kernel:select_read(self.master)
        self.kernel:delay "hung"
        coroutine.yield()
      end)
      assert.is_true(has_mode(script.path, "echo"))
      script.master:close()
    end)
  end)

  describe("where there is no terminal", function()
    local LINES = "one\r\ntwo\n\nfour\nfive"

    --- What becomes of input from a pipe.
    local function read_pipe(text, given)
      local input, writer = assert(sys.pipe())
      local reader, output = assert(sys.pipe())
      assert.equal(#text, writer:write(text))
      writer:close()
      local log = fixture.run({ "line", "failed" }, {
        _start = function(_, heap)
          given.input_handle, given.output_handle = input, output
          given.input_event = "line"
          heap.wheel = assert(ReadLine.new(given))
          heap.id = heap.wheel:ID()
          heap.wheel:put "hello"
          heap.wheel:get "> "
        end,
        line = function(kernel, heap, line, _, id)
          assert.equal(heap.id, id)
          heap.wheel:put("got " .. tostring(line))
          if not line then return fixture.finish(kernel, heap) end
          heap.wheel:get "> "
        end,
        failed = fixture.finish,
      })
      local written = reader:read()
      reader:close()
      for i = 1, #log do log[i] = log[i]:gsub(", %d+%)$", ")") end
      return log, written
    end

    it("reads lines, the last one too, and shows no prompt", function()
      local log, written = read_pipe(LINES, {})
      assert.same({ "line(one, nil)", "line(two, nil)", "line(, nil)",
        "line(four, nil)", "line(five, nil)", "line(nil, eot)" }, log)
      assert.equal("hello\ngot one\ngot two\ngot \ngot four\ngot five\ngot nil\n",
        written)
    end)

    it("reads files", function()
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      file:write(LINES)
      file:close()
      local input = assert(io.open(path))
      local seen = {}
      fixture.run({}, {
        _start = function(_, heap)
          heap.wheel = assert(ReadLine.new { input_handle = input,
            output_handle = assert(sys.open "/dev/null"), input_event = "line" })
          heap.wheel:get()
        end,
        line = function(kernel, heap, line, why)
          seen[#seen + 1] = line or why
          if not line then return fixture.finish(kernel, heap) end
          heap.wheel:get()
        end,
      })
      assert.same({ "one", "two", "", "four", "five", "eot" }, seen)
      assert.equal("file", io.type(input))
      input:close()
      os.remove(path)
    end)

    it("refuses lines that are too long", function()
      local log = read_pipe("ab\nabcd\n", { max_length = 3, error_event = "failed" })
      assert.same({ "line(ab, nil)",
        "failed(read, EMSGSIZE, line of more than 3 bytes)" }, log)
      log = read_pipe("abcd\n", { max_length = 3 })
      assert.same({ "line(nil, eot)" }, log)
    end)

    it("has what can be had of the rest", function()
      fixture.run({}, {
        _start = function(kernel, heap)
          local input, writer = assert(sys.pipe())
          local wheel = assert(ReadLine.new { input_handle = input,
            output_handle = assert(sys.open "/dev/null"), input_event = "line" })
          heap.wheel = wheel
          assert.same({ 80, 24 }, { wheel:terminal_size() })
          wheel:clear()
          wheel:bind_key("C-a", "yank")
          wheel:add_defun("name", print, "C-b")
          assert.same({ "", 0 }, { wheel:get_line() })
          assert.is_false(wheel:set_line "x")
          wheel:add_history "x"
          assert.same({ "x" }, wheel:get_history())
          wheel:option("bell_style", "none")
          writer:close()
          fixture.finish(kernel, heap)
        end,
      })
    end)

    for _, term in ipairs { "dumb", "" } do
      it("leaves a terminal as it is whose TERM is '" .. term .. "'", function()
        set_term(term)
        run({}, function(self, wheel)
          assert.is_true(has_mode(self.path, "echo"))
          wheel:get "> "
          self:sees "> |"
          self:type "ab\n"
          self:gets "line(ab, nil)"
          self:sees "> ab\n|"
          wheel:get "> "
          self:sees "> ab\n> |"
          wheel:put("above", "it")
          self:sees "> ab\n>\nabove\nit\n> |"
          wheel:get "? "
          self:sees "> ab\n>\nabove\nit\n> ? |"
          self:type "\4"
          self:gets "line(nil, eot)"
          assert.is_true(has_mode(self.path, "echo"))
        end)
      end)
    end
  end)

  it("checks its parameters", function()
    fixture.run({}, { _start = function(kernel, heap)
      for message, given in pairs {
        ["parameter 'input_event' is missing"] = {},
        ["parameter 'put_mode' cannot be 'later' (did you mean 'after'?)"] =
          { input_event = "line", put_mode = "later" },
        ["unknown parameter 'idle_tme' (did you mean 'idle_time'?)"] =
          { input_event = "line", idle_tme = 1 },
        ["parameter 'handle' excludes 'input_handle'"] =
          { input_event = "line", handle = 0, input_handle = 0 },
      } do
        local ok, got = pcall(ReadLine.new, given)
        assert.is_false(ok)
        assert.matches("ReadLine.new: " .. message, got, 1, true)
      end
      local closed = assert(sys.open "/dev/null")
      closed:close()
      assert.equal("EBADF", select(3, ReadLine.new { input_event = "line",
        handle = closed }))
      fixture.finish(kernel, heap)
    end })
    assert.error_matches(function() ReadLine.new { input_event = "line" } end,
      "a wheel is made in a session's handler")
  end)
end)
