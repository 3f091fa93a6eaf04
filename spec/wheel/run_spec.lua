-- poe.wheel.run: processes, their standard descriptors and their end.

local Line = require "poe.filter.line"
local Run = require "poe.wheel.run"
local Stream = require "poe.filter.stream"
local SysRW = require "poe.driver.sysrw"
local fixture = require "spec.wheel.fixture"
local free_path = require "spec.sys.fixture".free_path
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local finish = fixture.finish

local EVENTS = { "stdin", "stdout", "stderr", "failed", "closed", "exited", "watched" }

--- A session with a process in heap.wheel that tells all its events, and ends
--- when it has exited. `begin` runs first. Returns the log, with # for the ID of
--- the wheel and PID for that of the process.
local function scenario(options, states)
  local id, pid
  local handlers = { exited = finish }
  for name, handler in pairs(states or {}) do handlers[name] = handler end
  function handlers._start(kernel, heap)
    local all = { stdout_event = "stdout", error_event = "failed",
      close_event = "closed", exit_event = "exited" }
    for name, value in pairs(options) do all[name] = value end
    for name, value in pairs(options) do
      if name:find "_event$" then all[name] = value or nil end
    end
    heap.wheel = assert(Run.new(all))
    id, pid = heap.wheel:ID(), heap.wheel:PID()
    if handlers.begin then handlers.begin(kernel, heap) end
  end
  local log = fixture.run(EVENTS, handlers)
  for i, line in ipairs(log) do
    -- The ID of the wheel comes last, or before the name of a conduit.
    log[i] = line:gsub("%f[%d]" .. pid .. "%f[%D]", "PID")
      :gsub("%f[%d]" .. id .. "(,? ?[A-Z]*%))$", "#%1")
  end
  return log
end

--- What the process writes on its standard output, as one text.
local function output_of(options)
  local parts = {}
  options.stdout_filter = Stream.new()
  scenario(options, {
    stdout = function(_, _, bytes) parts[#parts + 1] = bytes end,
  })
  return table.concat(parts)
end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

describe("Run", function()
  before_each(helper.begin)
  after_each(helper.finish)

  describe("events", function()
    it("come in the order of POE's, the exit status last", function()
      assert.same({
        "stdout(one, #)", "stdout(two, #)",
        "failed(read, 0, , #, STDOUT)", "closed(#)", "exited(3, nil, PID, #)",
      }, scenario { program = "echo one; echo two; exit 3" })
    end)

    it("of both outputs end in one close_event", function()
      local log = scenario { program = "echo out; echo err >&2",
        stderr_event = "stderr" }
      assert.same({ "closed(#)", "exited(0, nil, PID, #)" }, { log[5], log[6] })
      assert.equal(6, #log)
      log[5], log[6] = nil, nil
      table.sort(log)
      assert.same({ "failed(read, 0, , #, STDERR)", "failed(read, 0, , #, STDOUT)",
        "stderr(err, #)", "stdout(out, #)" }, log)
    end)

    it("tell when all input was written", function()
      assert.same({
        "stdin(#)", "stdout(hello, #)", "stdout(there, #)",
        "failed(read, 0, , #, STDOUT)", "closed(#)", "exited(0, nil, PID, #)",
      }, scenario({ program = { "cat" }, stdin_event = "stdin" }, {
        begin = function(_, heap)
          heap.wheel:put("hello", "there")
          assert.equal(12, heap.wheel:get_driver_out_octets())
          assert.equal(2, heap.wheel:get_driver_out_messages())
        end,
        stdin = function(_, heap) heap.wheel:shutdown_stdin() end,
      }))
    end)

    it("are sent under other names, or not at all", function()
      assert.same({ "stderr(one, #)", "stdin(#)", "exited(0, nil, PID, #)" },
        scenario({ program = "echo one; read x" }, {
          begin = function(_, heap)
            heap.wheel:event { stdout_event = "stderr", error_event = false,
              stdin_event = "stdin", close_event = false }
          end,
          stderr = function(_, heap)
            heap.wheel:event { stdout_event = "stdout" }
            heap.wheel:put "go on"
          end,
        }))
    end)

    it("come while the user watches the process himself", function()
      local log = scenario({ program = "exit 5" }, {
        begin = function(kernel, heap)
          kernel:sig_child(heap.wheel:PID(), "watched")
        end,
      })
      table.sort(log)
      assert.same({ "closed(#)", "exited(5, nil, PID, #)",
        "failed(read, 0, , #, STDOUT)", "watched(CHLD, PID, 1280)" }, log)
    end)

    it("name the signal that ended the process", function()
      assert.same({ "failed(read, 0, , #, STDOUT)", "closed(#)",
        "exited(nil, KILL, PID, #)" }, scenario { program = "kill -KILL $$" })
    end)

    it("say that it ended although it had no conduit", function()
      assert.same({ "exited(7, nil, PID, #)" }, scenario { program = "exit 7",
        stdout_event = false, no_stdin = true })
    end)
  end)

  describe("the exit status", function()
    it("comes after output that was still on its way", function()
      local lines = 0
      local log = scenario({ program = "seq 1 20000" }, {
        stdout = function(_, _, line)
          lines = lines + 1
          assert.equal(lines, tonumber(line))
        end,
        exited = function(...)
          assert.equal(20000, lines)
          finish(...)
        end,
      })
      assert.equal("exited(0, nil, PID, #)", log[#log])
    end)

    it("does not wait for those who inherited the output", function()
      for _, other in ipairs { "sleep 60", "yes" } do
        local log = scenario({ program = other .. " & echo early; exec true" }, {
          exited = function(kernel, heap, _, _, pid)
            assert.is_true(sys.kill(-pid, "KILL"))
            finish(kernel, heap)
          end,
        })
        assert.equal("exited(0, nil, PID, #)", log[#log])
        assert.truthy(table.concat(log, " "):find("stdout(early, #)", 1, true))
      end
    end)

    it("is what comes next when the output was closed long before", function()
      assert.same({ "failed(read, 0, , #, STDOUT)", "closed(#)",
        "exited(4, nil, PID, #)" }, scenario({
          program = "exec >&-; read x; exit 4" }, {
          closed = function(_, heap) heap.wheel:put "go on" end,
        }))
    end)

    it("waits for output that is paused", function()
      for _, name in ipairs { "stdout", "stderr" } do
        local log = scenario({ program = "echo one >/dev/" .. name,
          stdout_event = name == "stdout" and name,
          stderr_event = name == "stderr" and name }, {
          begin = function(kernel, heap)
            heap.wheel["pause_" .. name](heap.wheel)
            kernel:sig_child(heap.wheel:PID(), "watched")
          end,
          watched = function(kernel) helper.later(kernel, "resume") end,
          resume = function(_, heap) heap.wheel["resume_" .. name](heap.wheel) end,
        })
        assert.same({ "watched(CHLD, PID, 0)", name .. "(one, #)",
          ("failed(read, 0, , #, %s)"):format(name:upper()), "closed(#)",
          "exited(0, nil, PID, #)" }, log)
      end
    end)

    it("keeps the session alive, but not one that did not ask", function()
      local exited, stopped
      poe.session.create { inline_states = {
        _start = function(_, heap)
          heap.wheel = assert(Run.new { program = "exit 7", no_stdin = true,
            exit_event = "exited" })
        end,
        exited = function(_, _, code) exited = code end,
      } }
      poe.run()
      assert.equal(7, exited)
      poe.session.create { inline_states = {
        _start = function(_, heap)
          heap.wheel = assert(Run.new { program = { "sleep", "60" }, no_stdin = true,
            error_event = "failed" })
        end,
        _stop = function(_, heap)
          stopped = heap.wheel:kill()
        end,
      } }
      poe.run()
      assert.is_true(stopped)
    end)
  end)

  describe("a program", function()
    it("is a string for the shell, with arguments that are quoted", function()
      assert.equal("$x 'y' \"z\"\n;\n", output_of {
        program = "a=1; printf '%s\\n'", program_args = { "$x 'y' \"z\"", ";" } })
    end)

    it("is a list that no shell sees, and arguments", function()
      assert.equal("$x\n1 2\n", output_of {
        program = { "printf", "%s\n" }, program_args = { "$x", "1 2" } })
    end)

    it("is a function, with arguments", function()
      assert.equal("a\tnil\t2\ngot: line\n", output_of {
        program = function(...)
          print(...)
          print("got: " .. io.read())
          sys.kill(sys.getpid(), "KILL")
        end,
        program_args = { "a", nil, 2, n = 3 },
        redirect_stdin = (function()
          local r, w = sys.pipe()
          w:write "line\n"
          return r
        end)(),
      })
    end)

    it("that is a function ends with 0, or 255 and a message", function()
      assert.same({ "failed(read, 0, , #, STDOUT)", "closed(#)",
        "exited(0, nil, PID, #)" }, scenario { program = function() end })
      local log = scenario({ stderr_event = "stderr", stdout_event = false,
        program = function() error "oops" end })
      assert.matches("^stderr%(poe: .*run_spec.lua:%d+: oops, #%)$", log[1])
      assert.equal("exited(255, nil, PID, #)", log[#log])
      log = scenario({ stderr_event = "stderr", stdout_event = false,
        program = coroutine.yield })
      assert.matches("attempt to yield", log[1])
    end)

    it("that is a function has the signals of a new process", function()
      assert.same({ "stdout(ready, #)", "failed(read, 0, , #, STDOUT)",
        "closed(#)", "exited(nil, TERM, PID, #)" }, scenario({
        program = function()
          print "ready"
          while true do io.read() end
        end }, {
        begin = function(kernel) kernel:sig("TERM", "closed") end,
        stdout = function(kernel, heap)
          kernel:sig "TERM"
          assert.is_true(heap.wheel:kill())
        end,
      }))
    end)

    it("that is a function may run a kernel of its own", function()
      assert.equal("tick 1\ntick 2\nended\n", output_of {
        program = function()
          poe.kernel:stop()
          poe.session.create { inline_states = {
            _start = function(kernel) kernel:delay("tick", 0, 1) end,
            tick = function(kernel, _, n)
              print("tick " .. n)
              if n < 2 then kernel:delay("tick", 0, n + 1) end
            end,
          } }
          poe.run()
          print "ended"
        end,
      })
    end)
  end)

  describe("a process", function()
    local LIST = "ls /proc/self/fd | sort -n | tr '\\n' ' '"

    it("inherits no descriptor but 0, 1 and 2", function()
      local file <close> = assert(io.open "/dev/null") -- open across exec
      for _, conduit in ipairs { "pipe", "socketpair", "pty", "pty-pipe" } do
        -- The one beyond is of the listed directory itself.
        assert.equal("0 1 2 3 ", output_of { program = LIST, conduit = conduit },
          conduit)
      end
      assert.is_not_nil(file)
    end)

    it("that is a function keeps what is open, or not", function()
      local r <close>, w = assert(sys.pipe())
      local file <close> = assert(io.open "/dev/null") -- open across exec
      local function list()
        os.execute(LIST)
      end
      assert.equal("0 1 2 3 ", output_of { close_on_call = true, program = list })
      assert.not_equal("0 1 2 3 ", output_of { program = list })
      assert.is_not_nil(file)
      local seen = output_of { program = function()
        print(io.open("/proc/self/fd/" .. r:fileno()) ~= nil)
      end }
      w:close()
      assert.equal("true\n", seen)
    end)

    it("that is a function holds no conduit of another one", function()
      local first
      local log = scenario({ program = { "cat" } }, {
        begin = function(_, heap)
          first = heap.wheel
          heap.other = assert(Run.new { stdout_event = "stdout",
            program = function()
              print "ready"
              io.read()
            end })
        end,
        stdout = function() first:shutdown_stdin() end,
        exited = function(kernel, heap)
          heap.other:destroy()
          finish(kernel, heap)
        end,
      })
      assert.equal("exited(0, nil, PID, #)", log[#log])
    end)

    it("runs in a directory, an environment, a group of its own", function()
      assert.equal("/\nbar\n\n", output_of { program = "pwd; echo $FOO; echo $HOME",
        working_directory = "/", environment = { FOO = "bar", HOME = false } })
      assert.equal("A=b\n", output_of { program = { "/usr/bin/env" },
        clear_environment = true, environment = { A = "b", C = false } })
      assert.equal("/ bar\n", output_of { working_directory = "/",
        environment = { FOO = "bar" }, close_on_call = true, program = function()
          local pipe <close> = io.popen "pwd"
          print(pipe:read() .. " " .. os.getenv "FOO")
        end })
      local function stat(options)
        options.program = "cat /proc/$$/stat"
        local pid, group, session = output_of(options)
          :match "^(%d+) %(sh%) %S %d+ (%d+) (%d+)"
        return { pid == group, pid == session }
      end
      assert.same({ true, false }, stat {})
      assert.same({ false, false }, stat { setpgrp = false })
      assert.same({ true, true }, stat { setsid = true })
      assert.same({ true, true }, stat { conduit = "pty" })
    end)

    it("runs with another priority and as another user", function()
      local now = tonumber(output_of { program = "nice" })
      assert.equal(math.min(now + 2, 19),
        tonumber(output_of { program = "nice", priority = 2 }))
      if output_of { program = "id -u" } ~= "0\n" then return end
      local name = output_of { program = "id -nu 65534" }:match "%S+"
      assert.equal("65534 65534\n",
        output_of { program = "echo $(id -u) $(id -g)", user = name })
      assert.equal("65534 1\n",
        output_of { program = "echo $(id -u) $(id -g)", user = 65534, group = 1 })
      assert.equal("65534\n", output_of { user = name, close_on_call = true,
        program = function() os.execute "id -u" end })
    end)

    it("can be killed until it has ended", function()
      assert.same({ "failed(read, 0, , #, STDOUT)", "closed(#)",
        "exited(nil, TERM, PID, #)" }, scenario({ program = { "cat" } }, {
        begin = function(_, heap)
          assert.is_true(heap.wheel:kill(0))
          assert.is_true(heap.wheel:kill())
        end,
        exited = function(kernel, heap)
          assert.same({ nil, "ESRCH: the process has ended", "ESRCH" },
            { heap.wheel:kill "KILL" })
          finish(kernel, heap)
        end,
      }))
    end)
  end)

  describe("a terminal", function()
    it("is the process's own, as large as wanted", function()
      local text = output_of { conduit = "pty", winsize = { 33, 77 },
        program = "test -t 0 && test -t 1 && test -t 2 && stty size <&1;"
          .. " echo tty >/dev/tty" }
      assert.equal("33 77\ntty\n", text)
    end)

    it("carries input and output, and errors unless they have a pipe", function()
      local states = {
        begin = function(_, heap) heap.wheel:put "hello" end,
      }
      local program = "echo err >&2; read x; echo got $x"
      assert.same({ "stdout(err, #)", "stdout(got hello, #)",
        "failed(read, 0, , #, STDOUT)", "closed(#)", "exited(0, nil, PID, #)" },
        scenario({ conduit = "pty", program = program }, states))
      local log = scenario({ conduit = "pty-pipe", program = program,
        stderr_event = "stderr" }, states)
      table.sort(log)
      assert.same({ "closed(#)", "exited(0, nil, PID, #)",
        "failed(read, 0, , #, STDERR)", "failed(read, 0, , #, STDOUT)",
        "stderr(err, #)", "stdout(got hello, #)" }, log)
    end)
  end)

  it("runs over socket pairs", function()
    assert.same({ "stdin(#)", "stdout(hello, #)", "failed(read, 0, , #, STDOUT)",
      "closed(#)", "exited(0, nil, PID, #)" }, scenario({ program = { "cat" },
        conduit = "socketpair", stdin_event = "stdin" }, {
      begin = function(_, heap)
        heap.wheel:put "hello"
        heap.wheel:shutdown_stdin()
      end,
    }))
  end)

  describe("redirections", function()
    local path

    before_each(function()
      path = free_path()
    end)

    after_each(function()
      os.remove(path)
    end)

    it("are paths or descriptors", function()
      scenario { program = "echo out; echo err >&2", redirect_output = path,
        stdout_event = false }
      assert.equal("out\nerr\n", read_file(path))
      assert.equal("out\nerr\n", output_of { program = { "cat" },
        redirect_stdin = path })
      local file = assert(io.open(path, "a"))
      scenario { program = "echo more >&2", redirect_stderr = file,
        stdout_event = false }
      file:close()
      assert.equal("out\nerr\nmore\n", read_file(path))
      local null <close> = assert(sys.open("/dev/null", "w"))
      assert.same({ "stderr(err, #)", "failed(read, 0, , #, STDERR)", "closed(#)",
        "exited(0, nil, PID, #)" }, scenario { program = "echo out; echo err >&2",
        redirect_stdout = null, stdout_event = false, stderr_event = "stderr" })
    end)

    it("exclude events, conduits and each other", function()
      local function refuses(message, options)
        options.program = "true"
        poe.session.create { inline_states = {
          _start = function()
            assert.has_error(function() Run.new(options) end, message)
          end,
        } }
        poe.run()
      end
      refuses("Run.new: parameter 'redirect_stdout' excludes 'stdout_event'",
        { redirect_stdout = path, stdout_event = "x" })
      refuses("Run.new: parameter 'redirect_output' excludes 'stderr_event'",
        { redirect_output = path, stderr_event = "x" })
      refuses("Run.new: parameter 'redirect_output' excludes 'redirect_stdout'",
        { redirect_output = path, redirect_stdout = path })
      refuses("Run.new: parameter 'redirect_stdin' excludes conduit 'pty'",
        { redirect_stdin = path, conduit = "pty" })
      refuses("Run.new: parameter 'stderr_event' needs a conduit 'pty-pipe'",
        { stderr_event = "x", conduit = "pty" })
      refuses("Run.new: parameter 'winsize' needs a conduit 'pty' or 'pty-pipe'",
        { winsize = { 1, 2 } })
      refuses("Run.new: parameter 'stdio_filter' excludes 'stdout_filter'",
        { stdio_filter = Line.new(), stdout_filter = Line.new() })
    end)
  end)

  it("refuses parameters that are wrong", function()
    local function refuses(message, options)
      poe.session.create { inline_states = {
        _start = function()
          assert.has_error(function() Run.new(options) end, "Run.new: " .. message)
        end,
      } }
      poe.run()
    end
    refuses("parameter 'program' is missing "
      .. "(a command, a list of strings or a function)", {})
    for _, bad in ipairs { {}, { true }, { "a\0b" } } do
      refuses("parameter 'program' must be a command, a list of strings or a "
        .. "function, got a table", { program = bad })
    end
    refuses("parameter 'program' must be a command, a list of strings or a "
        .. "function, got a string", { program = "a\0b" })
    refuses("unknown parameter 'std_out_event' (did you mean 'stdout_event'?)",
      { program = "true", std_out_event = "x" })
    refuses("parameter 'conduit' must be 'pipe', 'socketpair', 'pty' or "
      .. "'pty-pipe', got 'inet'", { program = "true", conduit = "inet" })
    refuses("parameter 'program_args' must be a list of strings",
      { program = "true", program_args = { {} } })
    for key, bad in pairs { winsize = { 1 }, environment = { A = true },
      priority = 41, user = -1, working_directory = "", redirect_stdin = {},
      stdin_filter = {}, stdin_driver = {}, max_stdin = 0 } do
      poe.session.create { inline_states = {
        _start = function()
          local ok, message = pcall(Run.new, { program = "true", [key] = bad,
            conduit = key == "winsize" and "pty" or nil })
          assert.is_false(ok)
          assert.matches("parameter '" .. key .. "' must be", message, 1, true)
        end,
      } }
      poe.run()
    end
  end)

  it("has filters that may change, and drivers", function()
    local function upper(line) return line:upper() end
    local Map = require "poe.filter.map"
    local Stackable = require "poe.filter.stackable"
    assert.same({ "stdout(ONE, #)", "stdout(two, #)" }, { table.unpack(scenario({
      program = "cat", stdin_filter = Line.new { literal = "\n" },
      stdout_filter = Stackable.new { filters = { Line.new(), Map.new { code = upper } } },
      stdio_driver = SysRW.new { block_size = 3 },
    }, {
      begin = function(_, heap)
        assert.equal("poe.filter.stackable",
          getmetatable(heap.wheel:get_stdout_filter()).__name)
        heap.wheel:put("one", "two")
        heap.wheel:shutdown_stdin()
      end,
      stdout = function(_, heap)
        heap.wheel:set_stdio_filter(Line.new { literal = "\n" })
        heap.wheel:set_stderr_filter(Line.new())
        assert.equal(heap.wheel:get_stdin_filter(), heap.wheel:get_stdout_filter())
        assert.error_matches(function() heap.wheel:set_stdio_filter {} end,
          "bad argument #1 to 'set_stdio_filter' (a filter expected, got a table)", 1, true)
      end,
    }), 1, 2) })
  end)

  describe("when it goes", function()
    it("closes its conduits, and the process is reaped", function()
      local pid
      poe.session.create { inline_states = {
        _start = function()
          local wheel <close> = assert(Run.new { program = { "cat" },
            stdout_event = "x", exit_event = "x" })
          pid = wheel:PID()
        end,
      } }
      poe.run()
      assert.is_nil(io.open("/proc/" .. pid .. "/stat"))
    end)

    it("does so when it is collected", function()
      local pid
      poe.session.create { inline_states = {
        _start = function(kernel, heap)
          heap.wheel = assert(Run.new { program = { "cat" },
            stdout_event = "x", stderr_event = "x", exit_event = "x" })
          pid = heap.wheel:PID()
          kernel:yield "drop"
        end,
        drop = function(_, heap)
          heap.wheel = nil
          collectgarbage()
        end,
      } }
      poe.run()
      assert.is_nil(io.open("/proc/" .. pid .. "/stat"))
    end)

    it("need not be destroyed for its session to end", function()
      local wheel
      poe.session.create { inline_states = {
        _start = function()
          wheel = assert(Run.new { program = "true", stdout_event = "x" })
        end,
      } }
      poe.run()
      assert.same({ nil, "EPIPE" }, { wheel:put "x", (select(3, wheel:put "x")) })
      wheel:destroy()
    end)

    it("sends nothing any more", function()
      assert.same({ "stdout(one, #)" }, scenario({
        program = "echo one; echo two; exit 1" }, {
        stdout = finish,
      }))
    end)
  end)
end)
