-- poe.wheel.readwrite: what a session sees of its input and output.

local Block = require "poe.filter.block"
local Line = require "poe.filter.line"
local ReadWrite = require "poe.wheel.readwrite"
local Stream = require "poe.filter.stream"
local SysRW = require "poe.driver.sysrw"
local fixture = require "spec.wheel.fixture"
local helper = require "spec.helper"
local keep = require "spec.sys.fixture".keep
local close_kept = require "spec.sys.fixture".close_kept
local poe = require "poe"
local sys = require "poe.sys"

local finish = fixture.finish

local EVENTS = { "input", "other", "flushed", "failed", "high", "low" }

--- A session with a wheel on one end of a socket pair, the other end in
--- heap.peer. `options` are the wheel's; `states` the session's, of which `begin`
--- runs first. Returns the log, with the wheel's ID as #.
local function scenario(options, states)
  local id
  local handlers = { failed = finish }
  for name, handler in pairs(states) do handlers[name] = handler end
  function handlers._start(kernel, heap)
    local handle
    handle, heap.peer = assert(sys.socketpair())
    keep(handle, heap.peer)
    local all = { handle = handle, input_event = "input", error_event = "failed",
      flushed_event = "flushed" }
    for name, value in pairs(options) do all[name] = value or nil end
    if options.input_handle or options.output_handle then all.handle = nil end
    heap.handle, heap.wheel = all.handle, assert(ReadWrite.new(all))
    id = heap.wheel:ID()
    states.begin(kernel, heap)
  end
  local log = fixture.run(EVENTS, handlers)
  for i, line in ipairs(log) do
    log[i] = line:gsub("%f[%d]" .. id .. "%f[%D]%)$", "#)")
  end
  return log
end

local function read_now(handle)
  local parts = {}
  while true do
    local bytes = handle:read()
    if not bytes or bytes == "" then return table.concat(parts), bytes end
    parts[#parts + 1] = bytes
  end
end

describe("ReadWrite", function()
  before_each(helper.begin)
  after_each(function()
    close_kept()
    helper.finish()
  end)

  describe("input", function()
    it("comes as records, then the end of the file", function()
      assert.same({ "input(one, #)", "input(two, #)", "failed(read, 0, , #)" },
        scenario({}, { begin = function(_, heap)
          heap.peer:write "one\ntwo\nthr"
          heap.peer:close()
        end }))
    end)

    it("is not read when there is no event for it, until there is one", function()
      assert.same({ "other(one, #)", "failed(read, 0, , #)" },
        scenario({ input_event = false }, {
          begin = function(kernel, heap)
            heap.peer:write "one\n"
            helper.later(kernel, "rename")
          end,
          rename = function(_, heap)
            heap.wheel:event { input_event = "other" }
            heap.peer:close()
          end,
        }))
    end)

    it("rests between two records, and nothing is lost", function()
      assert.same({ "input(one, #)", "input(two, #)", "input(three, #)",
        "failed(read, 0, , #)" }, scenario({}, {
        begin = function(_, heap)
          heap.peer:write "one\ntwo\nthree\n"
          heap.peer:close()
        end,
        input = function(kernel, heap, record)
          if record ~= "one" then return end
          heap.wheel:pause_input()
          helper.later(kernel, "resume")
        end,
        resume = function(_, heap) heap.wheel:resume_input() end,
      }))
    end)

    it("goes on after a rest though nothing new comes", function()
      assert.same({ "input(one, #)", "input(two, #)" }, scenario({}, {
        begin = function(_, heap) heap.peer:write "one\ntwo\n" end,
        input = function(kernel, heap, record)
          if record == "two" then return finish(kernel, heap) end
          heap.wheel:pause_input()
          helper.later(kernel, "resume")
        end,
        resume = function(_, heap) heap.wheel:resume_input() end,
      }))
    end)

    it("rests when its event is dropped, and goes on under another name", function()
      assert.same({ "input(one, #)", "other(two, #)", "other(three, #)",
        "failed(read, 0, , #)" }, scenario({}, {
        begin = function(_, heap)
          heap.peer:write "one\ntwo\nthree\n"
          heap.peer:close()
        end,
        input = function(kernel, heap)
          heap.wheel:event { input_event = false }
          helper.later(kernel, "rename")
        end,
        rename = function(_, heap)
          heap.wheel:event { input_event = "other" }
        end,
      }))
    end)

    it("ends with the wheel, in the middle of what was read", function()
      assert.same({ "input(one, #)" }, scenario({}, {
        begin = function(_, heap) heap.peer:write "one\ntwo\n" end,
        input = finish,
      }))
    end)

    it("ends with the wheel, in the middle of a filter's list", function()
      local pairs_of = setmetatable({
        get_one = function(self)
          local line = Line.get_one(self)[1]
          return line and { line, line } or {}
        end,
      }, { __index = Line.new() })
      assert.same({ "input(one, #)" }, scenario({ input_filter = pairs_of }, {
        begin = function(_, heap) heap.peer:write "one\n" end,
        input = finish,
      }))
    end)

    it("is handed from filter to filter between two records", function()
      assert.same({ "input(one, #)", "input(two\n, #)", "input(tail, #)",
        "input(3\r4, #)", "failed(read, 0, , #)" }, scenario({}, {
        begin = function(_, heap)
          heap.peer:write "one\ntwo\ntail3\r4\n"
          heap.peer:close()
        end,
        input = function(_, heap, record)
          if record == "one" then
            heap.wheel:set_input_filter(Block.new { block_size = 4 })
          elseif record == "tail" then
            assert.error_matches(function() heap.wheel:set_filter {} end,
              "bad argument #1 to 'set_filter' (a filter expected, got a table)", 1, true)
            heap.wheel:set_filter(Line.new())
          end
        end,
      }))
    end)

    it("is looked at anew when the filter is changed at another time", function()
      local before
      assert.same({ "input(one, #)", "input(twot, #)", "input(hree, #)",
        "failed(read, 0, , #)" }, scenario({}, {
        begin = function(kernel, heap)
          heap.peer:write "one\ntwothree"
          helper.later(kernel, "change")
        end,
        change = function(_, heap)
          heap.wheel:set_input_filter(Block.new { block_size = 4 })
          before = heap.seen
          heap.peer:close()
        end,
        input = function(_, heap, record) heap.seen = record end,
      }))
      assert.equal("hree", before)
    end)

    it("can be shut down", function()
      local count = 0
      scenario({}, {
        begin = function(kernel, heap)
          heap.peer:write "one\ntwo\n"
          helper.later(kernel, "done")
        end,
        input = function(_, heap)
          count = count + 1
          heap.wheel:shutdown_input()
        end,
        done = finish,
      })
      assert.equal(1, count)
    end)

    it("that breaks the filter's rules is an error, and the end", function()
      local handle, peer, put
      assert.same({ "input(ok, #)",
        "failed(read, EMSGSIZE, line of more than 65536 bytes, #)" }, scenario({}, {
        begin = function(kernel, heap)
          handle, peer = heap.handle, heap.peer
          heap.peer:write("ok\n" .. ("x"):rep(70000))
          kernel:yield "feed"
        end,
        feed = function(kernel, heap)
          if heap.is_over then return end
          heap.peer:write(("x"):rep(70000))
          kernel:yield "feed"
        end,
        failed = function(kernel, heap)
          heap.is_over = true
          assert.is_false(handle:is_closed())
          helper.later(kernel, "done")
        end,
        done = function(kernel, heap)
          assert.is_true(handle:is_closed())
          put = table.pack(heap.wheel:put "x")
          finish(kernel, heap)
        end,
      }))
      assert.same({ n = 3, nil, "EPIPE: the output has ended", "EPIPE" }, put)
      read_now(peer)
    end)

    it("goes on after a handler that raised", function()
      assert.same({ "input(one, #)", "flushed(#)", "input(two, #)",
        "failed(read, 0, , #)" },
        scenario({}, {
          begin = function(kernel, heap)
            kernel:sig("DIE", "die")
            heap.peer:write "one\ntwo\n"
          end,
          input = function(_, heap, record)
            if record == "two" then return heap.peer:close() end
            heap.wheel:put(record)
            error "no"
          end,
          flushed = function(_, heap) assert.equal("one\r\n", heap.peer:read()) end,
          die = function(kernel) kernel:sig_handled() end,
        }))
    end)
  end)

  it("lets the handler of DIE end it by an event before more comes", function()
    assert.same({ "input(one, #)" }, scenario({}, {
      begin = function(kernel, heap)
        kernel:sig("DIE", "die")
        heap.peer:write "one\ntwo\n"
      end,
      input = function() error "no" end,
      die = function(kernel)
        kernel:sig_handled()
        kernel:yield "shutdown"
      end,
      shutdown = finish,
    }))
  end)

  it("lets whoever is to know that a handler raised know it before more comes", function()
    local said = {}
    local function say(kernel, _, what)
      said[#said + 1] = ("%s %s"):format(kernel.event, what)
    end
    local log = scenario({}, {
      begin = function(kernel, heap)
        kernel:sig("DIE", "die")
        heap.peer:write "one\ntwo\n"
        heap.peer:close()
      end,
      input = function(kernel, heap, record)
        say(kernel, heap, record)
        error "no"
      end,
      die = function(kernel, heap, signal)
        say(kernel, heap, signal)
        if #said == 4 then finish(kernel, heap) end
        kernel:sig_handled()
      end,
    })
    assert.same({ "input one", "die DIE", "input two", "die DIE" }, said)
    assert.same({ "input(one, #)", "input(two, #)" }, log)
  end)

  describe("output", function()
    it("is written when its handlers have returned, in one go", function()
      local got
      assert.same({ "flushed(#)" }, scenario({}, {
        begin = function(_, heap)
          assert.is_false(heap.wheel:put("a", "b"))
          assert.is_false(heap.wheel:put "c")
          assert.equal(9, heap.wheel:get_driver_out_octets())
          assert.equal(3, heap.wheel:get_driver_out_messages())
          assert.is_nil(heap.peer:read())
        end,
        flushed = function(kernel, heap)
          got = heap.peer:read()
          finish(kernel, heap)
        end,
      }))
      assert.equal("a\r\nb\r\nc\r\n", got)
    end)

    it("follows the handler of the input", function()
      assert.same({ "input(ping, #)", "flushed(#)" }, scenario({}, {
        begin = function(_, heap) heap.peer:write "ping\n" end,
        input = function(_, heap) heap.wheel:put "pong" end,
        flushed = function(kernel, heap)
          assert.equal("pong\r\n", heap.peer:read())
          finish(kernel, heap)
        end,
      }))
    end)

    it("tells of the high mark once, and of the low mark once", function()
      local returned = {}
      assert.same({ "high(#)", "low(#)", "flushed(#)" }, scenario({
        high_mark = 10, low_mark = 5, high_event = "high", low_event = "low",
      }, {
        begin = function(_, heap)
          for i = 1, 4 do returned[i] = heap.wheel:put "aaaa" end
        end,
        flushed = finish,
      }))
      assert.same({ false, true, true, true }, returned)
    end)

    it("waits for a peer that does not read", function()
      local put, got = 0, {}
      local log = scenario({ high_mark = 400000, low_mark = 100000,
        high_event = "high", low_event = "low", filter = Stream.new() }, {
        begin = function(kernel, heap)
          repeat put = put + 1 until heap.wheel:put(("x"):rep(9999))
          helper.later(kernel, "read")
        end,
        read = function(kernel, heap)
          got[#got + 1] = heap.peer:read()
          if heap.wheel then kernel:yield "read" end
        end,
        flushed = finish,
      })
      assert.same({ "high(#)", "low(#)", "flushed(#)" }, log)
      assert.is_true(#table.concat(got) > 300000)
      assert.equal(math.ceil(400000 / 9999), put)
    end)

    it("can be written at once", function()
      assert.same({ "flushed(#)" }, scenario({}, { begin = function(kernel, heap)
        heap.wheel:put "now"
        heap.wheel:flush()
        assert.equal("now\r\n", heap.peer:read())
        helper.later(kernel, "done")
      end, done = finish }))
    end)

    it("ends when all of it is written", function()
      local got, last
      local text = ("x"):rep(300000)
      assert.same({ "flushed(#)", "failed(read, 0, , #)" },
        scenario({ output_filter = Stream.new() }, {
        begin = function(kernel, heap)
          heap.wheel:put(text)
          heap.wheel:shutdown_output()
          assert.same({ nil, "EPIPE: the output has ended", "EPIPE" },
            { heap.wheel:put "more" })
          got = {}
          kernel:yield "read"
        end,
        read = function(kernel, heap)
          last = heap.peer:read()
          got[#got + 1] = last
          if last ~= "" then return kernel:yield "read" end
          heap.peer:close()
        end,
      }))
      assert.equal(text, table.concat(got))
    end)

    it("that nobody takes ends in an error", function()
      local got
      local log = scenario({ max_output = 1000000 }, {
        begin = function(kernel) kernel:yield "more" end,
        more = function(kernel, heap)
          if not heap.wheel then return end
          got = table.pack(heap.wheel:put(("x"):rep(100000)))
          kernel:yield "more"
        end,
      })
      assert.matches("^failed%(write, ENOBUFS, 1%d+ bytes wait to be taken, #%)$",
        log[#log])
      for i = 1, #log - 1 do assert.equal("flushed(#)", log[i]) end
      assert.equal("ENOBUFS", got[3])
    end)

    it("may be as long as it likes in one record", function()
      assert.same({ "flushed(#)" }, scenario({ max_output = 10 }, {
        begin = function(_, heap) assert.is_false(heap.wheel:put(("x"):rep(100))) end,
        flushed = finish,
      }))
    end)

    it("that is taken too slowly ends in an error", function()
      assert.same({ "failed(write, ETIMEDOUT, nothing taken in 0.02 seconds, #)" },
        scenario({ stall_timeout = 0.02 }, { begin = function(_, heap)
          heap.wheel:put(("x"):rep(1000000))
        end }))
    end)

    --- Takes all of a long output, bit by bit; the log, the longest time for 16
    --- bits (a socket has room when three quarters of what it holds are taken,
    --- some 160,000 bytes), and how long it all took.
    local function take_slowly(stall_timeout)
      local times, longest = { poe.monotime() }, 0
      local function look()
        times[#times + 1] = poe.monotime()
        longest = math.max(longest, times[#times] - times[math.max(1, #times - 16)])
      end
      local log = scenario({ stall_timeout = stall_timeout }, {
        begin = function(kernel, heap)
          heap.wheel:put(("x"):rep(1500000))
          kernel:delay("read", stall_timeout / 50)
        end,
        read = function(kernel, heap)
          look()
          heap.peer:read(15000)
          if heap.wheel then kernel:delay("read", stall_timeout / 50) end
        end,
        flushed = finish,
      })
      look()
      return log, longest, times[#times] - times[1]
    end

    it("has time as long as something is taken", function()
      local stall_timeout = 0.2
      local log, longest, took = take_slowly(stall_timeout)
      while longest > stall_timeout * 3 / 4 do -- nobody let us take it
        stall_timeout = 3 * stall_timeout
        log, longest, took = take_slowly(stall_timeout)
      end
      assert.same({ "flushed(#)" }, log)
      assert.is_true(took > stall_timeout)
    end)

    it("uses the filter of its time", function()
      local got
      scenario({}, {
        begin = function(_, heap)
          heap.wheel:put "line"
          heap.wheel:set_output_filter(Stream.new())
          heap.wheel:put "bytes"
        end,
        flushed = function(kernel, heap)
          got = heap.peer:read()
          finish(kernel, heap)
        end,
      })
      assert.equal("line\r\nbytes", got)
    end)
  end)

  describe("with two handles", function()
    it("reads one and writes the other", function()
      local r1, w1 = keep(sys.pipe())
      local r2, w2 = keep(sys.pipe())
      assert.same({ "input(ping, #)", "flushed(#)", "failed(read, 0, , #)" },
        scenario({ input_handle = r1, output_handle = w2 }, {
          begin = function(_, heap)
            assert.equal(r1, heap.wheel:get_input_handle())
            assert.equal(w2, heap.wheel:get_output_handle())
            w1:write "ping\n"
          end,
          input = function(_, heap) heap.wheel:put "pong" end,
          flushed = function() w1:close() end,
        }))
      assert.equal("pong\r\n", r2:read())
      assert.equal("", r2:read())
    end)

    it("goes on reading after an error of its output", function()
      local r1, w1 = keep(sys.pipe())
      local r2, w2 = keep(sys.pipe())
      assert.same({ "failed(write, EPIPE, Broken pipe, #)", "input(x, #)",
        "failed(read, 0, , #)" },
        scenario({ input_handle = r1, output_handle = w2 }, {
          begin = function(_, heap)
            r2:close()
            heap.wheel:put "lost"
          end,
          failed = function(kernel, heap, operation)
            if operation == "read" then return finish(kernel, heap) end
            w1:write "x\n"
            w1:close()
          end,
        }))
    end)

    it("closes its output to end it", function()
      local r, w = keep(sys.pipe())
      scenario({ output_handle = w }, {
        begin = function(_, heap)
          heap.wheel:put "last"
          heap.wheel:shutdown_output()
        end,
        flushed = finish,
      })
      assert.equal("last\r\n", r:read())
      assert.equal("", r:read())
    end)

    it("borrows descriptors and files", function()
      local r, w = keep(sys.pipe())
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      assert.same({ "input(to file, #)", "flushed(#)" },
        scenario({ input_handle = r:fileno(), output_handle = file }, {
          begin = function() w:write "to file\n" end,
          input = function(_, heap, record) heap.wheel:put(record) end,
          flushed = finish,
        }))
      assert.equal("file", io.type(file))
      assert.is_false(r:is_closed())
      file:close()
      assert.equal("to file\r\n", assert(io.open(path)):read "a")
      os.remove(path)
    end)
  end)

  describe("with handles of others", function()
    it("uses a table that reads and writes itself", function()
      local inner, peer = keep(assert(sys.socketpair()))
      local outer = {
        fileno = function() return inner:fileno() end,
        read = function(_, n)
          local bytes, message, code = inner:read(n)
          return bytes and bytes:upper(), message, code
        end,
        write = function(_, bytes, first) return inner:write(bytes:lower(), first) end,
      }
      assert.same({ "input(PING, #)", "flushed(#)" }, scenario(
        { input_handle = outer, output_handle = outer }, {
          begin = function() peer:write "ping\n" end,
          input = function(_, heap) heap.wheel:put "PONG" end,
          flushed = finish,
        }))
      assert.equal("pong\r\n", peer:read())
      assert.is_false(inner:is_closed())
    end)

    it("uses a duplicate of LuaSocket's", function()
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local client = assert(socket.connect("127.0.0.1", port))
      local accepted = assert(server:accept())
      assert.same({ "input(ping, #)", "flushed(#)" }, scenario(
        { input_handle = accepted, output_handle = accepted }, {
          begin = function() client:send "ping\n" end,
          input = function(_, heap) heap.wheel:put "pong" end,
          flushed = finish,
        }))
      assert.equal("pong\r", client:receive "*l" .. "\r")
      for _, each in ipairs { client, server, accepted } do each:close() end
    end)
  end)

  describe("fails", function()
    it("at its making, when a handle is closed", function()
      local r = sys.pipe()
      r:close()
      local closed = setmetatable({}, { __index = { fileno = function() return -1 end } })
      poe.session.create { inline_states = { _start = function()
        assert.same({ nil, "EBADF: the handle is closed", "EBADF" },
          { ReadWrite.new { handle = r } })
        assert.same({ nil, "EBADF: the handle is closed", "EBADF" },
          { ReadWrite.new { handle = closed } })
        local _, _, code = ReadWrite.new { handle = 9999 }
        assert.equal("EBADF", code)
      end } }
      poe.run()
    end)

    it("at its making, when there is no descriptor for a duplicate", function()
      helper.assert_prints("EMFILE\n0", [[
        local ReadWrite = require "poe.wheel.readwrite"
        local poe, sys = require "poe", require "poe.sys"
        poe.session.create { inline_states = { _start = function()
          local held = {}
          for i = 1, 40 do held[i] = sys.dup(0) end
          print(select(3, ReadWrite.new { handle = io.stdin, input_event = "x" }))
          print(require("poe.core").census().selects)
        end } }
        poe.run()
      ]], { environment = "prlimit --nofile=40" })
    end)

    it("with what the system says", function()
      local full = keep(assert(sys.open("/dev/full", "w")))
      assert.same({ "failed(write, ENOSPC, No space left on device, #)" },
        scenario({ output_handle = full }, { begin = function(_, heap)
          heap.wheel:put "x"
        end }))
      local directory = keep(assert(sys.open "/"))
      assert.same({ "failed(read, EISDIR, Is a directory, #)" },
        scenario({ input_handle = directory }, { begin = function() end }))
    end)

    it("once, when both directions do", function()
      assert.same({ "failed(write, EPIPE, Broken pipe, #)" },
        scenario({ input_event = false }, {
          begin = function(kernel, heap)
            heap.peer:close()
            heap.wheel:put "x"
            helper.later(kernel, "done")
          end,
          failed = function(_, heap) heap.wheel:event { input_event = "input" } end,
          done = finish,
        }))
    end)
  end)

  it("may have a driver of its own", function()
    assert.same({ "input(12, #)", "input(3, #)", "failed(read, 0, , #)" },
      scenario({ driver = SysRW.new { block_size = 2 }, filter = Stream.new() }, {
        begin = function(_, heap)
          heap.peer:write "123"
          heap.peer:close()
        end,
      }))
  end)

  it("is closed with the session's variable, and when it is collected", function()
    local handles = {}
    poe.session.create { inline_states = { _start = function(kernel)
      handles[1] = keep(sys.socketpair())
      handles[2] = keep(sys.socketpair())
      local a <close> = ReadWrite.new { handle = handles[1], input_event = "x" }
      ReadWrite.new { handle = handles[2], input_event = "x" }
      a:put "x"
      kernel:yield "collect"
    end, collect = function() collectgarbage() end } }
    poe.run()
    assert.is_true(handles[1]:is_closed())
    assert.is_true(handles[2]:is_closed())
  end)

  it("can be used from another session", function()
    local wheel
    assert.same({ "flushed(#)" }, scenario({}, {
      begin = function(_, heap)
        wheel = heap.wheel
        poe.session.create { inline_states = { _start = function()
          wheel:put "x"
          wheel:pause_input()
          wheel:resume_input()
        end } }
      end,
      flushed = finish,
    }))
  end)

  it("wants parameters that fit together", function()
    local function refuses(message, given)
      assert.has_error(function() ReadWrite.new(given) end, "ReadWrite.new: " .. message)
    end
    refuses("parameter 'handle' is missing", {})
    refuses("parameter 'handle' excludes 'output_handle'",
      { handle = 1, output_handle = 2 })
    refuses("parameter 'filter' excludes 'input_filter'",
      { handle = 1, filter = Line.new(), input_filter = Line.new() })
    refuses("parameter 'low_event' needs 'high_mark'", { handle = 1, low_event = "x" })
    refuses("parameter 'low_mark' is above 'high_mark'",
      { handle = 1, low_mark = 2, high_mark = 1 })
    refuses("parameter 'filter' must be a filter, got 2",
      { handle = 1, filter = 2 })
    refuses("parameter 'filter' must be a filter, got a class (call its 'new')",
      { handle = 1, filter = Line })
    refuses("parameter 'handle' must be a handle (a descriptor, an open file, or " ..
      "an object that has one), got a string", { handle = "x" })
    refuses("unknown parameter 'InputEvent' (did you mean 'input_event'?)",
      { handle = 1, InputEvent = "x" })
    refuses("a wheel is made in a session's handler", { handle = 1 })
  end)
end)
