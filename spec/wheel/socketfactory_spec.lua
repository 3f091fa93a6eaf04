-- poe.wheel.socketfactory and poe.wheel.listenaccept: sockets made and accepted.

local ListenAccept = require "poe.wheel.listenaccept"
local SocketFactory = require "poe.wheel.socketfactory"
local fixture = require "spec.wheel.fixture"
local helper = require "spec.helper"
local lfs = require "lfs"
local poe = require "poe"
local quote = require "poe.options".quote
local sockets = require "spec.sys.fixture"
local sys = require "poe.sys"

local keep, free_path = sockets.keep, sockets.free_path
local finish = fixture.finish

local EVENTS = { "made", "failed" }

--- A session that makes a factory, then runs `begin`. Sockets are "socket" in the
--- log and the factory's ID is #; sockets that were made are closed at the end.
local function scenario(options, states)
  local id
  local handlers = {}
  for name, handler in pairs(states or {}) do handlers[name] = handler end
  handlers.made = function(kernel, heap, socket, ...)
    keep(socket)
    local more = states and states.made or finish
    more(kernel, heap, socket, ...)
  end
  handlers.failed = states and states.failed or finish
  function handlers._start(kernel, heap)
    local all = { success_event = "made", failure_event = "failed" }
    for name, value in pairs(options) do all[name] = value end
    heap.wheel = SocketFactory.new(all)
    id = heap.wheel:ID()
    if states and states.begin then states.begin(kernel, heap) end
  end
  local log = fixture.run(EVENTS, handlers)
  for i, line in ipairs(log) do
    log[i] = line:gsub("%(socket %d+", "(socket"):gsub("%f[%d]" .. id .. "%)$", "#)")
  end
  return log
end

local function listener(options)
  local socket = keep(assert(sys.tcp.listen(options or {})))
  local _, port = socket:getsockname()
  return socket, port
end

--- A port at which nobody listens, nor will: it is bound, by a client of another.
--- (At one that is free another process may listen by now; one that the system
--- gives to a client may become the far and the near end of a connection.)
local function dead_port()
  local _, port = listener()
  local client = keep(assert(sys.tcp.connect { port = port,
    bind_host = "127.0.0.1" }))
  return select(2, client:getsockname())
end

local function connect_to(heap, options)
  local all = options or {}
  all.host, all.port = heap.wheel:getsockname()
  return keep(assert(sys.tcp.connect(all)))
end

describe("SocketFactory", function()
  local before

  before_each(function()
    helper.begin()
    before = sockets.count_fds()
  end)

  after_each(function()
    sockets.close_kept()
    -- A thread that looks up has its pipe for a moment more.
    sockets.wait_until(function() return sockets.count_fds() == before end)
    helper.finish()
  end)

  describe("as a client", function()
    it("connects", function()
      local server, port = listener()
      assert.same({ ("made(socket, 127.0.0.1, %d, #)"):format(port) },
        scenario { remote_address = "127.0.0.1", remote_port = port })
      assert.truthy(keep(sockets.eventually(server.accept, server)))
    end)

    it("tells of a port that nobody listens at", function()
      local port = dead_port()
      assert.same({ ("failed(connect, ECONNREFUSED, Connection refused: 127.0.0.1 "
        .. "port %d, #)"):format(port) },
        scenario { remote_address = "127.0.0.1", remote_port = port })
    end)

    it("tells of a failure when it is seen, as of success", function()
      local order = {}
      scenario({ remote_address = "127.0.0.1", remote_port = dead_port() }, {
        begin = function(kernel) kernel:yield "later" end,
        later = function() order[#order + 1] = "later" end,
        failed = function(kernel, heap)
          order[#order + 1] = "failed"
          finish(kernel, heap)
        end,
      })
      assert.same({ "failed", "later" }, order)
    end)

    it("looks names up, and tries all addresses", function()
      local _, port = listener()
      local log = scenario { remote_address = "localhost", remote_port = port }
      assert.same({ ("made(socket, 127.0.0.1, %d, #)"):format(port) }, log)
    end)

    it("tells of a name that has no address", function()
      local log = scenario { remote_address = "127.0.0.1", remote_port = "no-service" }
      assert.matches("^failed%(resolve, EAI_%u+, .*: no%-service, #%)$", log[1])
      assert.equal(1, #log)
    end)

    describe("with a name of several addresses", function()
      local resolve = sys.resolve
      after_each(function() sys.resolve = resolve end)

      --- From now on every name has these addresses.
      local function answer(text)
        sys.resolve = function()
          local r, w = assert(sys.pipe())
          w:write(text)
          w:close()
          return r
        end
      end

      it("takes the first at which somebody listens", function()
        local _, port = listener()
        answer(("127.0.0.1 %d\n::1 %d\n127.0.0.1 %d\nend\n"):format(
          dead_port(), dead_port(), port))
        assert.same({ ("made(socket, 127.0.0.1, %d, #)"):format(port) },
          scenario { remote_address = "name", remote_port = port })
      end)

      it("tells of the last when there is none", function()
        local port = dead_port()
        answer(("::1 %d\n127.0.0.1 %d\nend\n"):format(dead_port(), port))
        assert.same({ ("failed(connect, ECONNREFUSED, Connection refused: 127.0.0.1 "
          .. "port %d, #)"):format(port) },
          scenario { remote_address = "name", remote_port = 1 })
      end)

      --- The log, and the longest time in which nothing ran.
      local function connect_within(seconds, port)
        local last, longest = poe.monotime(), 0
        local function look()
          local now = poe.monotime()
          last, longest = now, math.max(longest, now - last)
        end
        local function tick(kernel, heap)
          look()
          if heap.wheel then kernel:delay("tick", seconds / 20) end
        end
        local log = scenario({ remote_address = "name", remote_port = port,
          connect_timeout = seconds }, { begin = tick, tick = tick })
        look()
        return log, longest
      end

      it("gives each its share of the time", function()
        local _, full = listener { backlog = 0 }
        for _ = 1, 3 do keep(sys.tcp.connect { port = full }) end
        local _, port = listener()
        local function try(seconds)
          answer(("127.0.0.1 %d\n127.0.0.1 %d\nend\n"):format(full, port))
          return connect_within(seconds, port)
        end
        local seconds = 0.1
        local log, longest = try(seconds)
        while longest > seconds / 4 do -- there was no time to share
          seconds = 3 * seconds
          log, longest = try(seconds)
        end
        assert.same({ ("made(socket, 127.0.0.1, %d, #)"):format(port) }, log)
      end)

      it("waits for the name no longer than for the rest", function()
        local r, w = assert(sys.pipe())
        keep(w)
        sys.resolve = function() return r end
        assert.same({ "failed(resolve, ETIMEDOUT, no connection in 0.02 seconds, #)" },
          scenario { remote_address = "name", remote_port = 1, connect_timeout = 0.02 })
        assert.is_true(r:is_closed())
      end)

      it("tells that there is none in what it was told", function()
        answer ""
        assert.same({ "failed(resolve, EAI_NODATA, no address: name, #)" },
          scenario { remote_address = "name", remote_port = 1 })
      end)
    end)

    it("connects over IPv6", function()
      local _, port = listener { host = "::1" }
      assert.same({ ("made(socket, ::1, %d, #)"):format(port) },
        scenario { remote_address = "::1", remote_port = port })
    end)

    it("connects from the address it is told", function()
      local server, port = listener()
      scenario { remote_address = "127.0.0.1", remote_port = port,
        bind_address = "127.0.0.2" }
      local client, host = sockets.eventually(server.accept, server)
      keep(client)
      assert.equal("127.0.0.2", host)
    end)

    it("tells which step has failed, and when new has returned", function()
      local made
      assert.same({ "failed(bind, EADDRNOTAVAIL, Cannot assign requested address: "
        .. "203.0.113.1 port 0, #)" },
        scenario({ remote_address = "127.0.0.1", remote_port = 9,
          bind_address = "203.0.113.1" }, {
          begin = function() made = true end,
          failed = function(kernel, heap)
            assert.is_true(made)
            finish(kernel, heap)
          end,
        }))
    end)

    it("gives up at its deadline", function()
      -- Nobody accepts, and the queue is full.
      local _, port = listener { backlog = 0 }
      for _ = 1, 3 do keep(sys.tcp.connect { port = port }) end
      assert.same({ ("failed(connect, ETIMEDOUT, no connection in 0.03 seconds: "
        .. "127.0.0.1 port %d, #)"):format(port) },
        scenario { remote_address = "127.0.0.1", remote_port = port,
          connect_timeout = 0.03 })
    end)

    it("is destroyed while it looks up or connects", function()
      local _, port = listener()
      for _, host in ipairs { "localhost", "127.0.0.1" } do
        assert.same({}, scenario({ remote_address = host, remote_port = port }, {
          begin = finish }))
      end
    end)
  end)

  describe("as a server", function()
    it("accepts on the loopback address, on a port of the system's", function()
      local clients, hosts = {}, {}
      local log = scenario({}, {
        begin = function(_, heap)
          for i = 1, 2 do clients[i] = connect_to(heap) end
          hosts[1] = heap.wheel:getsockname()
        end,
        made = function(kernel, heap)
          heap.count = (heap.count or 0) + 1
          if heap.count == 2 then finish(kernel, heap) end
        end,
      })
      assert.same({ "127.0.0.1" }, hosts)
      for i, client in ipairs(clients) do
        local _, port = client:getsockname()
        assert.equal(("made(socket, 127.0.0.1, %d, #)"):format(port), log[i])
      end
      assert.equal(2, #log)
    end)

    it("stops when it is destroyed in between", function()
      assert.equal(1, #scenario({}, {
        begin = function(_, heap)
          connect_to(heap)
          connect_to(heap)
        end,
        made = finish,
      }))
    end)

    it("tells of an address that is taken, or not here", function()
      local _, port = listener()
      assert.same({ ("failed(bind, EADDRINUSE, Address already in use: 127.0.0.1 "
        .. "port %d, #)"):format(port) }, scenario { bind_port = port })
      assert.same({ "failed(bind, EADDRNOTAVAIL, Cannot assign requested address: "
        .. "203.0.113.1 port 0, #)" },
        scenario { bind_address = "203.0.113.1", bind_port = 0 })
    end)

    it("reuses an address only when told so", function()
      local server, port = listener()
      local client = keep(sys.tcp.connect { port = port })
      local accepted = keep(sockets.eventually(server.accept, server))
      server:close()
      accepted:close() -- this side is in TIME_WAIT from now on
      client:close()
      assert.matches("^failed%(bind, EADDRINUSE, Address already in use: ",
        scenario { bind_port = port }[1])
      assert.same({}, scenario({ bind_port = port, reuse = true }, {
        begin = finish }))
    end)

    it("listens where a name says, and over IPv6", function()
      assert.equal(1, #scenario({ bind_address = "localhost" }, {
        begin = function(kernel) kernel:yield "look" end,
        look = function(kernel, heap)
          if heap.wheel:getsockname() then return connect_to(heap) end
          kernel:yield "look"
        end,
      }))
      local host
      scenario({ socket_domain = "inet6" }, { begin = function(kernel, heap)
        host = heap.wheel:getsockname()
        finish(kernel, heap)
      end })
      assert.equal("::1", host)
    end)

    it("rests and goes on", function()
      local paused
      assert.equal(1, #scenario({}, {
        begin = function(kernel, heap)
          connect_to(heap)
          heap.wheel:pause_accept()
          paused = true
          helper.later(kernel, "resume")
        end,
        resume = function(_, heap)
          paused = false
          heap.wheel:resume_accept()
        end,
        made = function(kernel, heap)
          assert.is_false(paused)
          finish(kernel, heap)
        end,
      }))
    end)

    it("gives descriptors that are closed on exec", function()
      scenario({}, {
        begin = function(_, heap) connect_to(heap) end,
        made = function(kernel, heap, socket)
          local info = assert(io.open("/proc/self/fdinfo/" .. socket:fileno())):read "a"
          local flags = tonumber(info:match "flags:%s*(%d+)", 8)
          assert.equal(tonumber("2000000", 8), flags & tonumber("2000000", 8))
          finish(kernel, heap)
        end,
      })
    end)
  end)

  describe("with Unix sockets", function()
    it("listens, its owner's alone, and connects", function()
      local path = free_path()
      local client
      assert.same({ "made(socket, , nil, #)" }, scenario(
        { socket_domain = "unix", bind_address = path }, {
          begin = function()
            assert.equal("rw-------", lfs.attributes(path, "permissions"))
            client = SocketFactory.new { socket_domain = "unix", remote_address = path,
              success_event = "client", failure_event = "failed" }
          end,
          client = function(_, _, socket, address, port, id)
            keep(socket)
            assert.equal(path, address)
            assert.is_nil(port)
            assert.equal(client:ID(), id)
          end,
        }))
      os.remove(path)
    end)

    it("replaces a dead one, never a live one", function()
      local path = free_path()
      local live = keep(sys.unix.listen { path = path })
      local options = { socket_domain = "unix", bind_address = path }
      assert.same({ ("failed(bind, EADDRINUSE, Address already in use: %s, #)")
        :format(path) }, scenario(options))
      live:close()
      assert.same({}, scenario(options, { begin = finish }))
      os.remove(path)
    end)

    it("tells of a path at which there is none", function()
      local path = free_path()
      assert.same({ ("failed(connect, ENOENT, No such file or directory: %s, #)")
        :format(path) }, scenario { socket_domain = "unix", remote_address = path })
    end)
  end)

  describe("with datagrams", function()
    it("binds", function()
      assert.same({ "made(socket, nil, nil, #)" }, scenario({ socket_protocol = "udp" }, {
        made = function(kernel, heap, socket)
          assert.equal("127.0.0.1", (socket:getsockname()))
          finish(kernel, heap)
        end,
      }))
    end)

    it("connects", function()
      local peer = keep(sys.udp.bind {})
      local _, port = peer:getsockname()
      assert.same({ ("made(socket, 127.0.0.1, %d, #)"):format(port) },
        scenario({ socket_type = "dgram", remote_address = "127.0.0.1",
          remote_port = port }, {
          made = function(kernel, heap, socket)
            socket:write "x"
            finish(kernel, heap)
          end,
        }))
      assert.equal("x", sockets.eventually(peer.read, peer))
    end)
  end)

  it("waits while there are no descriptors, and goes on when there are", function()
    local status, out, err = helper.run_poe([[
      local SocketFactory = require "poe.wheel.socketfactory"
      local poe, sys = require "poe", require "poe.sys"
      local held, clients, accepted = {}, {}, {}
      poe.session.create { inline_states = {
        _start = function(kernel, heap)
          heap.wheel = SocketFactory.new { success_event = "made",
            failure_event = "failed" }
          local _, port = heap.wheel:getsockname()
          for i = 1, 3 do clients[i] = assert(sys.tcp.connect { port = port }) end
          while true do
            local more = sys.dup(0)
            if not more then break end
            held[#held + 1] = more
          end
          kernel:delay("free", 0.35)
        end,
        free = function()
          print("cpu", os.clock() < 0.2, "accepted", #accepted)
          for _, fd in ipairs(held) do fd:close() end
        end,
        made = function(kernel, heap, socket)
          accepted[#accepted + 1] = socket
          if #accepted == 3 then
            print "all"
            heap.wheel:destroy()
          end
        end,
        failed = print,
      } }
      poe.run()
    ]], { environment = "prlimit --nofile=40" })
    assert.equal("", err)
    assert.equal("cpu\ttrue\taccepted\t0\nall\n", out)
    assert.equal(0, status)
  end)

  it("wants parameters that fit together", function()
    local function refuses(message, given)
      given.success_event = given.success_event or "s"
      given.failure_event = given.failure_event or "f"
      assert.has_error(function() SocketFactory.new(given) end,
        "SocketFactory.new: " .. message)
    end
    refuses("parameter 'remote_port' is missing", { remote_address = "x" })
    refuses("parameter 'remote_port' needs 'remote_address'", { remote_port = 1 })
    refuses("parameter 'connect_timeout' needs 'remote_address'", { connect_timeout = 1 })
    refuses("parameter 'remote_address' excludes 'listen_queue'",
      { remote_address = "x", remote_port = 1, listen_queue = 1 })
    refuses("parameter 'socket_protocol' does not fit 'socket_type'",
      { socket_protocol = "udp", socket_type = "stream" })
    refuses("parameter 'bind_address' or 'remote_address' is missing",
      { socket_domain = "unix" })
    refuses("parameter 'bind_port' is not for Unix sockets",
      { socket_domain = "unix", bind_address = "/x", bind_port = 1 })
    refuses("parameter 'socket_domain' must be 'inet', 'inet6' or 'unix', got 'AF_INET'",
      { socket_domain = "AF_INET" })
    refuses("parameter 'bind_port' must be a port (0 to 65535, or the name of a " ..
      "service), got 65536", { bind_port = 65536 })
    for _, port in ipairs { "echo!", "no service", "65536", "-1", "+", "a\0" } do
      refuses("parameter 'bind_port' must be a port (0 to 65535, or the name of a " ..
        "service), got " .. quote(port), { bind_port = port })
    end
    for _, host in ipairs { "localhost:80", "[::1]", "1.2.3.400", "a b", "a\n",
      "http://a", ":1", "1::2::3", "::12345", "1:2:3:4:5:6:7:8:9", ("a"):rep(254) } do
      refuses("parameter 'remote_address' must be the name or address of a host, " ..
        "got " .. quote(host), { remote_address = host, remote_port = 1 })
    end
    refuses("parameter 'bind_address' must be the name or IPv6 address of a host, " ..
      "got '127.0.0.1'", { socket_domain = "inet6", bind_address = "127.0.0.1" })
    refuses("parameter 'bind_address' must be the name or IPv4 address of a host, " ..
      "got '::1'", { socket_domain = "inet", bind_address = "::1" })
    refuses("parameter 'bind_address' must be a path, got '/a\\0'",
      { socket_domain = "unix", bind_address = "/a\0" })
    assert.has_error(function() SocketFactory.new { success_event = "s" } end,
      "SocketFactory.new: parameter 'failure_event' is missing (a string that is " ..
      "not empty)")
  end)
end)

describe("ListenAccept", function()
  before_each(helper.begin)
  after_each(function()
    sockets.close_kept()
    helper.finish()
  end)

  it("accepts on a socket that listens, and closes it at the end", function()
    local server, port = listener()
    local client = keep(sys.tcp.connect { port = port })
    local id
    local log = fixture.run({ "accepted" }, {
      _start = function(_, heap)
        heap.wheel = ListenAccept.new { handle = server, accept_event = "accepted" }
        id = heap.wheel:ID()
      end,
      accepted = function(kernel, heap, socket)
        keep(socket)
        finish(kernel, heap)
      end,
    })
    local _, from = client:getsockname()
    assert.equal(("127.0.0.1, %d, %d)"):format(id, from), log[1]:match "127.*")
    assert.is_true(server:is_closed())
  end)

  it("borrows a descriptor", function()
    local server, port = listener()
    keep(sys.tcp.connect { port = port })
    fixture.run({ "accepted" }, {
      _start = function(_, heap)
        heap.wheel = ListenAccept.new { handle = server:fileno(),
          accept_event = "accepted" }
      end,
      accepted = function(kernel, heap, socket)
        keep(socket)
        finish(kernel, heap)
      end,
    })
    assert.is_false(server:is_closed())
  end)

  it("tells of a socket that does not listen, once", function()
    local handle = keep(sys.socketpair())
    local id
    local log = fixture.run({ "failed" }, {
      _start = function(_, heap)
        handle:shutdown "rw" -- so that it can be read
        heap.wheel = ListenAccept.new { handle = handle, accept_event = "accepted",
          error_event = "failed" }
        id = heap.wheel:ID()
      end,
      failed = function(kernel) helper.later(kernel, "done") end,
      done = finish,
    })
    assert.same({ ("failed(accept, EINVAL, Invalid argument, %d)"):format(id) }, log)
    assert.is_true(handle:is_closed())
  end)

  it("wants a socket", function()
    local r = keep(sys.pipe())
    poe.session.create { inline_states = { _start = function()
      assert.same({ nil, "ENOTSOCK: the handle is no socket", "ENOTSOCK" },
        { ListenAccept.new { handle = r, accept_event = "a" } })
    end } }
    poe.run()
    assert.is_false(r:is_closed())
  end)
end)
