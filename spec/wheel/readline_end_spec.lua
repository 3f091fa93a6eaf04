-- poe.wheel.readline: what it leaves of a terminal, where there is none, what
-- it does not take.

local ReadLine = require "poe.wheel.readline"
local fixture = require "spec.wheel.fixture"
local helper = require "spec.helper"
local run = require "spec.wheel.readline.session"
local sys = require "poe.sys"
local terminal = require "spec.wheel.readline.terminal"

local NONBLOCK = 2048 -- of Linux

local function flags_of(fd)
  local info <close> = assert(io.open("/proc/self/fdinfo/" .. fd))
  return tonumber(info:read "a":match "flags:%s*(%d+)", 8)
end

--- The number of the next file that is opened.
local function next_descriptor()
  local file <close> = assert(sys.open "/dev/null")
  return file:fileno()
end

describe("ReadLine", function()
  before_each(function()
    helper.begin()
    terminal.set_term "xterm"
  end)

  after_each(function()
    terminal.set_term()
    helper.finish()
  end)

  describe("leaves a terminal", function()
    it("as it was, when it is destroyed", function()
      run({}, function(self, wheel)
        wheel:get "> "
        self:type "ab"
        self:sees "> ab|"
        assert.is_true(terminal.has_mode(self.path, "-echo"))
        assert.is_true(terminal.has_mode(self.path, "-isig"))
        assert.is_true(terminal.has_mode(self.path, "opost"))
        self:type "\r"
        self:gets "line(ab, nil)"
        assert.is_true(terminal.has_mode(self.path, "isig")) -- nobody reads keys now
        assert.is_true(terminal.has_mode(self.path, "-icanon"))
        wheel:get "> "
        wheel:put "above"
        wheel:destroy()
        self:sees "> ab\nabove\n>\n|"
        assert.is_true(terminal.has_mode(self.path, "echo"))
        assert.is_true(terminal.has_mode(self.path, "icanon"))
        assert.is_false(self.vt.modes["2004"])
        assert.is_true(self.slave:is_closed())
        assert.has_error(function() wheel:get() end)
      end)
    end)

    it("with all that was to be written", function()
      run({ given = { put_mode = "after" } }, function(self, wheel)
        wheel:get "> "
        wheel:put("one", "two")
        self:sees "> |"
        wheel:destroy()
        self:sees ">\none\ntwo\n|"
      end)
    end)

    it("with no mode changed, and blocking if it was", function()
      local master, slave, path = assert(sys.openpty())
      local fd = next_descriptor()
      local file = assert(io.open(path, "r+"))
      local before = terminal.modes_of(path)
      local log = fixture.run({}, {
        _start = function(kernel, heap)
          heap.wheel = ReadLine.new { input_handle = file, output_handle = file,
            input_event = "line" }
          heap.wheel:get "> "
          assert.not_equal(before, terminal.modes_of(path))
          kernel:yield "done"
        end,
        done = function(kernel, heap)
          assert.equal(0, flags_of(fd) & NONBLOCK)
          fixture.finish(kernel, heap)
          assert.equal(before, terminal.modes_of(path))
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
          return terminal.has_mode(self.path, "echo")
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
        assert.is_true(terminal.has_mode(self.path, "echo"))
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
      assert.is_true(terminal.has_mode(script.path, "echo"))
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
      assert.is_true(terminal.has_mode(script.path, "echo"))
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
        terminal.set_term(term)
        run({}, function(self, wheel)
          assert.is_true(terminal.has_mode(self.path, "echo"))
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
          assert.is_true(terminal.has_mode(self.path, "echo"))
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
