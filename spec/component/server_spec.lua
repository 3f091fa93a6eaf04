-- poe.component.server.tcp: what its callbacks see.

local Line = require "poe.filter.line"
local Server = require "poe.component.server.tcp"
local Stream = require "poe.filter.stream"
local fixture = require "spec.component.fixture"
local helper = require "spec.helper"
local lfs = require "lfs"
local poe = require "poe"
local sys = require "poe.sys"
local free_path = require "spec.sys.fixture".free_path

local serve = fixture.serve

local function echo(_, heap, record)
  heap.client:put(record)
end

describe("Server.TCP", function()
  local log

  before_each(function()
    helper.begin()
    log = fixture.log()
  end)
  after_each(helper.finish)

  local function has_logged(...)
    assert.same({ ... }, { table.unpack(log) })
  end

  describe("for the session that listens", function()
    it("has callbacks, and fields in its heap", function()
      local fields
      local id = serve({
        listener_args = { "a", nil, "c", n = 3 }, concurrency = 7,
        started = log:handler("started", function(kernel, heap)
          fields = { kernel.session:ID(), heap.alias, heap.concurrency,
            heap.connections, heap.listener:getsockname() }
        end),
        stopped = log:handler "stopped",
      }, { { { "close" } } })
      has_logged("started(a, nil, c)", "stopped()")
      assert.same({ id, "server", 7, 0, "127.0.0.1" }, { table.unpack(fields, 1, 5) })
      assert.is_true(fields[6] > 1023)
    end)

    it("tells that it cannot listen", function()
      local taken <close> = assert(sys.tcp.listen {})
      local _, port = taken:getsockname()
      Server.new {
        port = port, client_input = echo, stopped = log:handler "stopped",
        error = log:handler("error", function(kernel) kernel:yield "shutdown" end),
      }
      poe.run()
      has_logged(("error(bind, EADDRINUSE, Address already in use: 127.0.0.1 port "
        .. "%d)"):format(port), "stopped()")
    end)

    it("counts connections, and pauses when there are enough", function()
      local most, connections = 0, 0
      local function connect(kernel)
        connections = connections + 1
        local server = kernel:alias_resolve "server"
        most = math.max(most, server:get_heap().connections + 1)
      end
      local list = { { "send", "x\n" }, { "expect", "x\r\n" }, { "close" } }
      serve({ concurrency = 2, client_connected = connect },
        { list, list, list, list, list, list, list })
      assert.same({ 7, 2 }, { connections, most })
    end)

    it("can be told how many it may have", function()
      local set = function(n)
        return function() poe.kernel:post("server", "set_concurrency", n) end
      end
      local order = {}
      local function note(name)
        return { "run", function() order[#order + 1] = name end }
      end
      serve({ concurrency = 0 }, {
        { { "send", "a\n" }, { "wait", 0.01 }, note "nobody was served",
          { "run", set(1) }, { "expect", "a\r\n" }, note "one was", { "close" } },
        { { "send", "b\n" }, { "expect", "b\r\n" }, note "one was", { "close" } },
      })
      assert.same({ "nobody was served", "one was", "one was" }, order)
    end)

    it("leaves its clients alone when it is shut down", function()
      serve({ stays = true, client_disconnected = log:handler "gone",
        stopped = log:handler "stopped" }, {
        { { "send", "a\n" }, { "expect", "a\r\n" },
          { "run", function() fixture.stop(poe.kernel) end }, { "wait" },
          { "run", function() assert.is_nil(poe.kernel:alias_resolve "server") end },
          { "send", "b\n" }, { "expect", "b\r\n" }, { "close" } },
      })
      has_logged("gone()", "stopped()")
    end)

    it("gives connections to an acceptor", function()
      local counts = {}
      serve({ stays = true, concurrency = 1,
        acceptor = log:handler("accepted", function(kernel, heap, socket)
          counts[#counts + 1] = heap.connections
          socket:write "hello"
          socket:close()
          kernel:yield "disconnected"
          if #counts == 2 then fixture.stop(kernel) end
        end),
      }, { { { "expect", "hello" } }, { { "expect", "hello" } } })
      assert.same({ 1, 1 }, counts)
      assert.matches("^accepted%(socket %d+, 127%.0%.0%.1, %d+%)$",
        (log[1]:gsub("socket %d+", "socket 1"):gsub(", 127.0.0.1$", "")))
    end)
  end)

  it("makes no mistake of its own when a client never ends, if that is asserted", function()
    poe.configure { assert = { default = true } }
    local ended = false
    serve({
      client_connected = function(kernel) kernel:yield "shutdown" end,
      client_input = function() end,
      client_disconnected = log:handler "disconnected",
    }, { { { "wait", 2.5 }, { "run", function() ended = true end } } })
    assert.is_true(ended)
    has_logged "disconnected()"
  end)

  describe("for the session of a client", function()
    it("hands on every argument, nils too", function()
      local got
      serve({ client_args = { nil, 2, nil, n = 3 },
        client_connected = function(kernel, _, ...)
          got = table.pack(...)
          kernel:yield "shutdown"
        end,
        client_input = function() end,
      }, { { { "wait", 0.01 } } })
      assert.same({ nil, 2, nil, n = 3 }, got)
    end)

    it("has callbacks in POE's order", function()
      serve({
        client_args = { "a", "b" },
        client_pre_connect = log:handler("pre_connect", function(_, heap, socket)
          assert.equal("127.0.0.1", heap.remote_ip)
          assert.is_nil(heap.client)
          return socket
        end),
        client_connected = log:handler("connected", function(_, heap)
          heap.client:put "hello"
        end),
        client_input = log:handler("input", function(kernel, heap, line, id)
          assert.equal(heap.client:ID(), id)
          heap.client:put(line:upper())
          if line == "quit" then kernel:yield "shutdown" end
        end),
        client_flushed = log:handler "flushed",
        client_error = log:handler "error",
        client_disconnected = log:handler("disconnected", function(_, heap)
          assert.is_true(heap.shutdown)
          assert.truthy(heap.client)
        end),
        inline_states = { _stop = log:handler "_stop" },
      }, { { { "expect", "hello\r\n" }, { "send", "one\ntwo\n" },
        { "expect", "ONE\r\nTWO\r\n" }, { "send", "quit\n" },
        { "expect", "QUIT\r\n" }, { "finish" } } })
      log[1] = log[1]:gsub("socket %d+", "socket")
      has_logged("pre_connect(socket)", "connected(a, b)", "flushed(" .. log[3]:match "%d+"
        .. ")", "input(one)", "input(two)", log[6], "input(quit)", log[8],
        "disconnected()", "_stop()")
      assert.matches("^flushed", log[6])
      assert.matches("^flushed", log[8])
    end)

    for name, case in pairs {
      ["closes"] = { "half", "error(read, 0, )" },
      ["resets"] = { "reset", "error(read, ECONNRESET, Connection reset by peer)" },
    } do
      it("tells once that the peer " .. name, function()
        serve({
          client_input = log:handler "input", client_error = log:handler "error",
          client_disconnected = log:handler "disconnected",
        }, { { { "send", "a\nb" },
          { "until", function() return #log > 0 end }, { case[1] },
          case[1] == "half" and { "finish" } or nil } })
        has_logged("input(a)", case[2], "disconnected()")
      end)
    end

    it("sends all to a peer that has no more to say", function()
      local text, got = ("x"):rep(5000000), nil
      serve({ client_filter = Stream,
        client_input = function(_, heap) heap.client:put(text) end,
        client_error = log:handler "error",
      }, { { { "send", "go" }, { "half" },
        { "finish", function(all) got = all end } } })
      assert.is_true(got == text)
      has_logged "error(read, 0, )"
    end)

    it("throws away what comes after shutdown", function()
      local text = ("x"):rep(1000000)
      serve({
        client_connected = function(kernel, heap)
          heap.client:put(text)
          kernel:yield "shutdown"
        end,
        client_input = log:handler "input", client_error = log:handler "error",
        client_disconnected = log:handler "disconnected",
      }, { { { "send", "never\n" }, { "finish", function(got)
        assert.equal(#text + 2, #got)
      end } } })
      has_logged "disconnected()"
    end)

    it("may refuse a connection before it is one", function()
      serve({ stays = true,
        client_pre_connect = function(kernel) fixture.stop(kernel) end,
        client_connected = log:handler "connected",
        client_disconnected = log:handler "disconnected",
      }, { { { "finish", function(got) assert.equal("", got) end } } })
      has_logged()
    end)

    it("makes filters of a class, a module's name, or an example", function()
      local example = Line.new { literal = "!" }
      for _, filter in ipairs { Stream, "poe.filter.stream", Stream.new() } do
        serve({ client_filter = filter },
          { { { "send", "a\nb" }, { "expect", "a\nb" }, { "close" } } })
      end
      serve({ client_filter = example }, {
        { { "send", "a!b" }, { "expect", "a!" }, { "close" } },
        { { "send", "c!" }, { "expect", "c!" }, { "close" } },
      })
      assert.is_nil(example:get_pending())
      serve({ client_input_filter = Line, client_output_filter = example },
        { { { "send", "a\n" }, { "expect", "a!" }, { "close" } } })
    end)

    it("has the user's own states", function()
      local Object = {}
      function Object:seen(_, _, what) log[#log + 1] = self.name .. what end
      local object = setmetatable({ name = "object " }, { __index = Object })
      serve({
        inline_states = { inline = log:handler "inline" },
        object_states = { [object] = { "seen" } },
        package_states = { [Object] = { package = "seen" } },
        session_params = { options = { default = true } },
        client_input = function(kernel)
          assert.is_true(kernel.session:option "default")
          kernel:yield("inline", 1, nil)
          kernel:yield("seen", "here")
        end,
      }, { { { "send", "go\n" }, { "until", function() return #log == 2 end },
        { "close" } } })
      has_logged("inline(1, nil)", "object here")
    end)

    it("may be a session of another kind", function()
      local made = 0
      serve({ session_type = function(parameters)
        made = made + 1
        return poe.session.create(parameters)
      end }, { { { "close" } } })
      assert.equal(1, made)
    end)

    it("is up to the user after an error, if he wants that", function()
      serve({ client_shutdown_on_error = false,
        client_error = log:handler("error", function(kernel, heap)
          assert.is_false(heap.shutdown)
          kernel:delay("shutdown", 0.005)
        end),
        client_disconnected = log:handler "disconnected",
      }, { { { "half" }, { "finish" } } })
      has_logged("error(read, 0, )", "disconnected()")
    end)

    it("may go on after a handler that raised, or be ended then", function()
      serve({
        started = function(kernel)
          kernel:sig("DIE", "died")
          kernel:state("died", function(_, _, _, ex)
            kernel:sig_handled()
            log[#log + 1] = ex.error_str:match "oops"
            kernel:post(ex.dest_session, "shutdown")
          end)
        end,
        client_input = function() error "oops" end,
        client_disconnected = log:handler "disconnected",
      }, { { { "send", "x\n" }, { "finish" } } })
      has_logged("oops", "disconnected()")
    end)

    for name, step in pairs { ["is let go"] = "send", ["has ended"] = "half" } do
      it(("is over once when it %s and the handler raises"):format(name), function()
        serve({ stays = true,
          started = function(kernel)
            kernel:sig("DIE", "died")
            kernel:state("died", function(_, _, _, ex)
              kernel:sig_handled()
              log[#log + 1] = ex.error_str:match "oops" or ex.error_str
              if #log > 2 then return end
              kernel:post(ex.dest_session, "shutdown")
              fixture.stop(kernel)
            end)
          end,
          client_input = function(kernel) kernel:yield "shutdown" end,
          client_disconnected = log:handler("disconnected", function(_, heap)
            assert.truthy(heap.client)
            error "oops"
          end),
        }, { { { step, "x\n" }, { "finish" } } })
        has_logged("disconnected()", "oops")
      end)
    end
  end)

  describe("has deadlines:", function()
    --- Who is let go, one after the other, and the longest time in which the one
    --- who is busy sent nothing.
    local function let_go(idle_timeout)
      local ended, last, longest = {}, poe.monotime(), 0
      local function look()
        local now = poe.monotime()
        last, longest = now, math.max(longest, now - last)
      end
      local function note(name)
        return { "finish", function() ended[#ended + 1] = name end }
      end
      local busy = {}
      for i = 1, 8 do
        table.move({ { "run", look }, { "send", i .. "\n" },
          { "wait", idle_timeout / 3 } }, 1, 3, #busy + 1, busy)
      end
      busy[#busy + 1] = { "run", look }
      busy[#busy + 1] = note "busy"
      log = fixture.log()
      serve({ idle_timeout = idle_timeout, client_error = log:handler "error" },
        { { note "idle" }, busy, { { "send", "no end of line" }, note "slow" } })
      return ended, longest
    end

    it("idle clients are let go, others not", function()
      local idle_timeout = 0.06
      local ended, longest = let_go(idle_timeout)
      while longest > idle_timeout / 2 do -- nobody let him send
        idle_timeout = 3 * idle_timeout
        ended, longest = let_go(idle_timeout)
      end
      assert.equal("busy", ended[3])
      for i = 1, 3 do
        assert.equal(("error(read, ETIMEDOUT, nothing came for %g seconds)"):format(
          idle_timeout), log[i])
      end
    end)

    it("those who take nothing are given up", function()
      serve({ stays = true, write_timeout = 0.03, max_output = 1 << 24,
        client_connected = function(_, heap) heap.client:put(("x"):rep(1 << 23)) end,
        client_error = log:handler("error", fixture.abort),
      }, { { { "run", function()
        poe.kernel:select_pause_read(poe.kernel.session:get_heap().socket)
      end }, { "wait", 20 } } })
      assert.matches("^error%(write, ETIMEDOUT, nothing", log[1])
    end)
  end)

  it("bounds what waits for a client that does not read", function()
    serve({ stays = true, max_output = 1 << 20,
      client_connected = function(kernel) kernel:yield "more" end,
      inline_states = { more = function(kernel, heap)
        if heap.shutdown or not heap.client then return end
        heap.client:put(("x"):rep(1 << 16))
        assert.is_true(heap.client:get_driver_out_octets() < 2 << 20)
        kernel:yield "more"
      end },
      client_error = log:handler("error", fixture.abort),
    }, { { { "run", function()
      poe.kernel:select_pause_read(poe.kernel.session:get_heap().socket)
    end }, { "wait", 20 } } })
    assert.equal(1, #log)
    assert.matches("^error%(write, ENOBUFS", log[1])
  end)

  it("does not read from a client that does not read", function()
    local received = 0
    serve({ stays = true, high_mark = 1000, client_filter = Stream,
      client_input = function(_, heap, bytes)
        received = received + #bytes
        heap.client:put(bytes)
      end,
    }, { { { "run", function()
      local kernel, peer = poe.kernel, poe.kernel.session:get_heap()
      kernel:select_pause_read(peer.socket)
      kernel:state("flood", function()
        if peer.socket:write(("x"):rep(65536)) then
          peer.silent = 0
        else
          peer.silent = (peer.silent or 0) + 1
        end
        if peer.silent < 100 then return kernel:yield "flood" end
        fixture.abort(kernel)
      end)
      kernel:yield "flood"
    end }, { "wait", 20 } } })
    assert.is_true(received > 0)
  end)

  it("listens on a Unix socket of its owner's alone", function()
    local path = free_path()
    serve({ domain = "unix", address = path,
      started = function()
        assert.equal("rw-------", lfs.attributes(path, "permissions"))
      end,
      client_connected = function(_, heap) assert.is_nil(heap.remote_port) end,
    }, { { { "send", "a\n" }, { "expect", "a\r\n" }, { "close" } } })
    os.remove(path)
  end)

  describe("refuses", function()
    for text, options in pairs {
      ["unknown parameter 'ClientInput' (did you mean 'client_input'?)"] =
        { ClientInput = echo },
      ["parameter 'client_input' is missing (a function)"] = {},
      ["parameter 'acceptor' excludes 'client_input'"] =
        { client_input = echo, acceptor = echo },
      ["parameter 'address' excludes 'hostname'"] =
        { client_input = echo, address = "::1", hostname = "localhost" },
      ["parameters 'client_input_filter' and 'client_output_filter' need each other"] =
        { client_input = echo, client_input_filter = Line },
      ["parameter 'client_filter' names no module of a filter: 'Line'"] =
        { client_input = echo, client_filter = "Line" },
      ["parameter 'client_filter' names no module of a filter: 'POE::Filter::Stream' "
        .. "(did you mean 'poe.filter.stream'?)"] =
        { client_input = echo, client_filter = "POE::Filter::Stream" },
      ["parameter 'inline_states' has 'shutdown', which is the component's own"] =
        { client_input = echo, inline_states = { shutdown = echo } },
      ["parameter 'object_states' has '_start', which is the component's own"] =
        { client_input = echo, object_states = { [{}] = { "_start" } } },
      ["keys of 'object_states' must be objects, got a number"] =
        { client_input = echo, object_states = { {}, { "a" } } },
      ["keys of 'package_states' must be modules or their names, got a number"] =
        { client_input = echo, package_states = { "my.module", { "a" } } },
      ["unknown parameter 'Args' (did you mean 'client_args'?)"] =
        { client_input = echo, Args = {} },
      ["session_params: unknown parameter 'args' (known: options)"] =
        { client_input = echo, session_params = { args = {} } },
      ["parameter 'idle_timeout' must be a number of seconds, got -1"] =
        { client_input = echo, idle_timeout = -1 },
      ["parameter 'port' must be a port (0 to 65535, or the name of a service), "
        .. "got 'echo!'"] = { client_input = echo, port = "echo!" },
      ["parameter 'address' must be the name or address of a host, "
        .. "got '127.0.0.1:80'"] = { client_input = echo, address = "127.0.0.1:80" },
      ["parameter 'hostname' must be the name or IPv6 address of a host, "
        .. "got '127.0.0.1'"] =
        { client_input = echo, hostname = "127.0.0.1", domain = "inet6" },
      ["parameter 'address' is missing (a path)"] =
        { client_input = echo, domain = "unix" },
      ["parameter 'port' is not for Unix sockets"] =
        { client_input = echo, domain = "unix", address = "/x", port = 1 },
    } do
      it(text, function()
        local ok, message = pcall(Server.new, options)
        assert.is_false(ok)
        assert.matches("^%.?/?spec/component/server_spec%.lua:%d+: Server%.TCP%.new: ",
          message)
        assert.equal(text, message:match "Server%.TCP%.new: (.*)$")
      end)
    end

    it("an alias that is another session's", function()
      serve({ started = function()
        assert.has_error(function()
          Server.new { alias = "server", client_input = echo }
        end, "Server.TCP.new: parameter 'alias' is another session's: 'server'")
      end }, { { { "close" } } })
    end)
  end)
end)
