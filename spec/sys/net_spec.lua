local lfs = require "lfs"
local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local assert_failed, keep = fixture.assert_failed, fixture.keep
local eventually = fixture.eventually

describe("a socket", function()
  local before, path

  before_each(function()
    path = fixture.free_path()
    before = fixture.count_fds()
  end)

  after_each(function()
    fixture.close_kept()
    os.remove(path)
    assert.equal(before, fixture.count_fds())
  end)

  --- What connect_error says in the end.
  local function settle(client)
    local message, code
    fixture.wait_until(function()
      message, code = client:connect_error()
      return code ~= "EINPROGRESS"
    end)
    return message, code
  end

  --- Two ends of a TCP connection, and the listener.
  local function tcp_pair(host)
    local listener = keep(assert(sys.tcp.listen { host = host }))
    local _, port = listener:getsockname()
    local client = keep(assert(sys.tcp.connect { host = host, port = port }))
    local server = keep(assert(eventually(listener.accept, listener)))
    assert(not settle(client))
    return server, client, listener
  end

  describe("over TCP", function()
    it("listens on the loopback address, on a port of the system's", function()
      local listener = keep(assert(sys.tcp.listen {}))
      local host, port = listener:getsockname()
      assert.equal("127.0.0.1", host)
      assert.is_true(port > 0)
      assert.is_true(listener:getsockopt("SO_ACCEPTCONN"))
      assert.is_true(listener:getsockopt("SO_REUSEADDR"))
      assert_failed("EAGAIN", listener:accept())
    end)

    it("listens without SO_REUSEADDR when told so", function()
      local listener = keep(assert(sys.tcp.listen { reuse = false }))
      assert.is_false(listener:getsockopt("SO_REUSEADDR"))
      local _, port = listener:getsockname()
      assert_failed("EADDRINUSE", sys.tcp.listen { port = port })
    end)

    it("accepts a connection and tells the peer's address", function()
      local listener = keep(assert(sys.tcp.listen { backlog = 1 }))
      local _, port = listener:getsockname()
      local client = keep(assert(sys.tcp.connect { port = port }))
      local server, host, client_port = eventually(listener.accept, listener)
      keep(server)
      assert.equal("socket", sys.type(server))
      assert.equal("127.0.0.1", host)
      assert.same({ host, client_port }, { client:getsockname() })
      assert.same({ host, client_port }, { server:getpeername() })
      assert.same({ "127.0.0.1", port }, { client:getpeername() })
    end)

    it("carries bytes both ways, and a half close", function()
      local server, client = tcp_pair()
      assert.equal(4, client:write("ping"))
      assert.equal("ping", eventually(server.read, server))
      assert.is_true(client:shutdown("w"))
      assert.equal("", eventually(server.read, server))
      assert.equal(4, server:send("pong"))
      assert.equal("pong", eventually(client.recv, client))
    end)

    it("carries bytes over IPv6", function()
      if not sys.tcp.listen { host = "::1" } then
        pending("no IPv6 here")
        return
      end
      local server, client = tcp_pair("::1")
      assert.equal("::1", (client:getpeername()))
      client:write("six")
      assert.equal("six", eventually(server.read, server))
    end)

    it("keeps IPv6 to itself with v6only", function()
      local both = sys.tcp.listen { host = "::", v6only = false }
      if not both then
        pending("no IPv6 here")
        return
      end
      local only = keep(assert(sys.tcp.listen { host = "::", v6only = true }))
      assert.is_false(keep(both):getsockopt("IPV6_V6ONLY"))
      assert.is_true(only:getsockopt("IPV6_V6ONLY"))
    end)

    it("connects from the address that is asked for", function()
      local listener = keep(assert(sys.tcp.listen {}))
      local _, port = listener:getsockname()
      local client = keep(assert(sys.tcp.connect {
        port = port, bind_host = "127.0.0.2" }))
      local server, host = eventually(listener.accept, listener)
      keep(server)
      assert.equal("127.0.0.2", host)
      assert.equal("127.0.0.2", (client:getsockname()))
    end)

    it("tells later that nobody listens", function()
      local listener = assert(sys.tcp.listen {})
      local _, port = listener:getsockname()
      listener:close()
      local client, message, code = sys.tcp.connect { port = port }
      if client then
        message, code = settle(keep(client))
      end
      assert.equal("ECONNREFUSED", code)
      assert.matches("^ECONNREFUSED: ", message)
    end)

    it("is not connected before it connects", function()
      local sock = keep(assert(sys.udp.bind {}))
      local message, code = sock:connect_error()
      assert.equal("ENOTCONN", code)
      assert.matches("^ENOTCONN: ", message)
      assert_failed("ENOTCONN", sock:getpeername())
      assert_failed("ENOTCONN", sock:shutdown())
    end)

    it("has no error when the connection stands", function()
      local _, client = tcp_pair()
      assert.is_nil(client:connect_error())
      assert.is_false(client:getsockopt("SO_ERROR"))
    end)

    it("does not die of SIGPIPE", function()
      local server, client = tcp_pair()
      client:close()
      local function write()
        local done, message, code = server:write("x")
        if done then
          return nil, message, "EAGAIN"
        end
        return code
      end
      local code = eventually(write)
      assert.is_true(code == "EPIPE" or code == "ECONNRESET")
    end)

    it("sends out of band", function()
      local server, client = tcp_pair()
      assert_failed("EINVAL", server:recv(1, "oob"))
      assert.equal(1, client:send("!", "oob"))
      client:write("plain")
      local function oob()
        local bytes, message, code = server:recv(1, "oob")
        return bytes, message, code == "EINVAL" and "EAGAIN" or code
      end
      assert.equal("!", eventually(oob))
      assert.equal("plain", eventually(server.recv, server))
    end)

    it("receives out of band in line when asked to", function()
      local server, client = tcp_pair()
      assert.is_true(server:setsockopt("SO_OOBINLINE", true))
      client:send("!", "oob")
      assert.equal("!", eventually(server.recv, server))
    end)

    it("peeks", function()
      local server, client = tcp_pair()
      client:write("look")
      assert.equal("look", eventually(server.recv, server, 10, "peek"))
      assert.equal("look", server:recv(10))
    end)

    it("writes what fits and goes on when there is room", function()
      local server, client = tcp_pair()
      local bytes = ("0123456789"):rep(1000000)
      local sent, received, n = 0, 0, 0
      while received < #bytes do
        local done, _, code = client:write(bytes, sent + 1)
        assert.is_true(done ~= nil or code == "EAGAIN")
        n = n + (done and done < #bytes - sent and 1 or 0)
        sent = sent + (done or 0)
        received = received + #(server:read() or "")
      end
      assert.equal(#bytes, sent)
      assert.is_true(n > 0)
    end)
  end)

  describe("over UDP", function()
    it("sends to an address and tells where a datagram is from", function()
      local a = keep(assert(sys.udp.bind {}))
      local b = keep(assert(sys.udp.bind {}))
      local host, port = b:getsockname()
      assert.equal("127.0.0.1", host)
      assert.equal(5, a:sendto("hello", host, port))
      local bytes, from_host, from_port = eventually(b.recvfrom, b)
      assert.equal("hello", bytes)
      assert.same({ a:getsockname() }, { from_host, from_port })
      assert_failed("EAGAIN", b:recvfrom())
    end)

    it("keeps the borders of datagrams, empty ones too", function()
      local server = keep(assert(sys.udp.bind {}))
      local _, port = server:getsockname()
      local client = keep(assert(sys.udp.connect { port = port }))
      for _, bytes in ipairs { "one", "", "three" } do
        assert.equal(#bytes, client:write(bytes))
      end
      assert.equal("one", eventually(server.recv, server))
      assert.equal("", eventually(server.recv, server))
      assert.equal("thr", eventually(server.recv, server, 3))
      assert_failed("EAGAIN", server:recv())
    end)

    it("refuses a datagram that is too long", function()
      local a = keep(assert(sys.udp.bind {}))
      local host, port = a:getsockname()
      assert_failed("EMSGSIZE", a:sendto(("x"):rep(70000), host, port))
    end)

    it("does not share its port unless told so", function()
      local a = keep(assert(sys.udp.bind {}))
      local _, port = a:getsockname()
      assert_failed("EADDRINUSE", sys.udp.bind { port = port })
    end)
  end)

  describe("in the file system", function()
    it("connects, and its file is its owner's alone", function()
      local listener = keep(assert(sys.unix.listen { path = path }))
      assert.equal("rw-------", lfs.attributes(path, "permissions"))
      assert.equal(path, listener:getsockname())
      local client = keep(assert(sys.unix.connect { path = path }))
      local server, peer = eventually(listener.accept, listener)
      keep(server)
      assert.equal("", peer)
      assert.equal(path, client:getpeername())
      client:write("hi")
      assert.equal("hi", eventually(server.read, server))
    end)

    it("leaves the process's umask alone", function()
      keep(assert(sys.unix.listen { path = path }))
      local other = fixture.free_path()
      assert(io.open(other, "w")):close()
      local mode = lfs.attributes(other, "permissions")
      os.remove(other)
      keep(sys.unix.listen { path = path })
      assert(io.open(other, "w")):close()
      assert.equal(mode, lfs.attributes(other, "permissions"))
      os.remove(other)
    end)

    it("replaces a dead socket, never a live one or a file", function()
      local listener = assert(sys.unix.listen { path = path })
      assert_failed("EADDRINUSE", sys.unix.listen { path = path })
      listener:close()
      assert_failed("EADDRINUSE",
        sys.unix.listen { path = path, reuse = false })
      keep(assert(sys.unix.listen { path = path })):close()
      os.remove(path)
      assert(io.open(path, "w")):close()
      assert_failed("EADDRINUSE", sys.unix.listen { path = path })
      assert.equal("file", lfs.attributes(path, "mode"))
    end)

    it("sends datagrams by path", function()
      local mine = fixture.free_path()
      local a = keep(assert(sys.unix.bind { path = mine }))
      local b = keep(assert(sys.unix.bind { path = path }))
      assert.equal(3, a:sendto("abc", path))
      local bytes, from = eventually(b.recvfrom, b)
      os.remove(mine)
      assert.same({ "abc", mine }, { bytes, from })
    end)

    it("keeps the borders of packets with type seqpacket", function()
      local listener = keep(assert(
        sys.unix.listen { path = path, type = "seqpacket" }))
      local client = keep(assert(
        sys.unix.connect { path = path, type = "seqpacket" }))
      local server = keep(eventually(listener.accept, listener))
      client:write("one")
      client:write("two")
      assert.equal("one", eventually(server.read, server))
      assert.equal("two", eventually(server.read, server))
    end)

    it("fails with the path in the message", function()
      assert_failed("ENOENT", sys.unix.connect { path = path })
      assert_failed("ENAMETOOLONG",
        sys.unix.listen { path = "/" .. ("x"):rep(200) })
      local _, message = sys.unix.connect { path = path }
      assert.matches(path, message, 1, true)
    end)
  end)

  it("tells which step has failed", function()
    local taken = keep(sys.tcp.listen {})
    local _, port = taken:getsockname()
    local function step(made, _, code, failed)
      assert.is_nil(made)
      return ("%s %s"):format(failed, code)
    end
    assert.equal("resolve EINVAL", step(sys.tcp.connect { host = "x", port = 1 }))
    assert.equal("bind EADDRINUSE", step(sys.tcp.listen { port = port, reuse = false }))
    assert.equal("bind EADDRNOTAVAIL", step(sys.udp.bind { host = "203.0.113.1" }))
    assert.equal("bind EADDRNOTAVAIL", step(sys.tcp.connect {
      port = port, bind_host = "203.0.113.1" }))
    assert.equal("connect ENOENT", step(sys.unix.connect { path = path }))
    assert.equal("resolve ENAMETOOLONG", step(sys.unix.bind { path = ("x"):rep(200) }))
  end)

  describe("made in pairs", function()
    it("is a stream, unless another type is asked for", function()
      local a, b = keep(sys.socketpair())
      a:write("ab")
      a:write("cd")
      assert.equal("abcd", b:read())
      for _, kind in ipairs { "dgram", "seqpacket" } do
        local c, d = keep(sys.socketpair(kind))
        c:write("ab")
        c:write("cd")
        assert.equal("ab", d:read())
        assert.equal("cd", d:read())
      end
      assert.equal("", (a:getsockname()))
      assert.equal("", (b:getpeername()))
    end)

    it("shuts down each way", function()
      local a, b = keep(sys.socketpair())
      assert.is_true(a:shutdown("r"))
      assert_failed("EPIPE", b:write("x"))
      assert.is_true(a:shutdown("w"))
      assert.equal("", b:read())
      local c, d = keep(sys.socketpair())
      assert.is_true(c:shutdown())
      assert.equal("", d:read())
      assert_failed("EPIPE", c:write("x"))
      assert.has_error(function() a:shutdown("x") end)
    end)
  end)

  describe("has options", function()
    it("that are booleans", function()
      local server = tcp_pair()
      for _, name in ipairs { "SO_REUSEADDR", "SO_KEEPALIVE", "TCP_NODELAY",
        "SO_OOBINLINE", "SO_BROADCAST" } do
        for _, value in ipairs { true, false } do
          assert.is_true(server:setsockopt(name, value))
          assert.equal(value, server:getsockopt(name))
        end
        assert.has_error(function() server:setsockopt(name, 1) end)
        assert.has_error(function() server:setsockopt(name) end)
      end
    end)

    it("that are integers", function()
      local server = tcp_pair()
      assert.is_true(server:setsockopt("SO_RCVBUF", 20000))
      assert.is_true(server:getsockopt("SO_RCVBUF") >= 20000)
      assert.is_true(server:setsockopt("SO_SNDBUF", 20000))
      assert.is_true(server:getsockopt("SO_SNDBUF") >= 20000)
      assert.is_true(server:setsockopt("TCP_KEEPIDLE", 77))
      assert.equal(77, server:getsockopt("TCP_KEEPIDLE"))
      for _, bad in ipairs { -1, 1 << 31, 0.5, 0 / 0, "x", true, {} } do
        assert.has_error(function() server:setsockopt("SO_RCVBUF", bad) end)
      end
    end)

    it("that linger", function()
      local server = tcp_pair()
      assert.is_false(server:getsockopt("SO_LINGER"))
      assert.is_true(server:setsockopt("SO_LINGER", 3))
      assert.equal(3, server:getsockopt("SO_LINGER"))
      assert.is_true(server:setsockopt("SO_LINGER", 0))
      assert.equal(0, server:getsockopt("SO_LINGER"))
      assert.is_true(server:setsockopt("SO_LINGER", false))
      assert.is_false(server:getsockopt("SO_LINGER"))
      assert.has_error(function() server:setsockopt("SO_LINGER", true) end)
    end)

    it("that can only be read, are unknown, or do not fit", function()
      local server = tcp_pair()
      local a = keep(sys.socketpair())
      assert.has_error(function() server:setsockopt("SO_ERROR", 1) end,
        "bad argument #1 to 'setsockopt' (option can only be read)")
      assert.has_error(function() server:getsockopt("SO_NONSENSE") end,
        "bad argument #1 to 'getsockopt' (unknown option 'SO_NONSENSE')")
      assert.has_error(function() server:getsockopt() end)
      assert_failed("EOPNOTSUPP", a:getsockopt("TCP_NODELAY"))
      assert_failed("EOPNOTSUPP", server:getsockopt("IPV6_V6ONLY"))
    end)
  end)

  describe("refuses", function()
    local function raises(message, f, ...)
      local ok, err = pcall(f, ...)
      assert.is_false(ok)
      assert.matches(message, err, 1, true)
    end

    it("options it does not know, naming them", function()
      for _, f in ipairs { sys.tcp.listen, sys.tcp.connect, sys.udp.bind,
        sys.udp.connect, sys.unix.listen, sys.unix.bind, sys.unix.connect } do
        raises("unknown option 'prot'", f, { prot = 1 })
        raises("unknown option '1'", f, { "x" })
        raises("table expected, got no value", f)
        raises("table expected, got string", f, "x")
      end
    end)

    it("options of the wrong type or range, naming them", function()
      raises("port: integer expected, got string", sys.tcp.listen,
        { port = "80" })
      for _, port in ipairs { -1, 65536, 1.5, 0 / 0, math.mininteger } do
        raises("port: ", sys.tcp.listen, { port = port })
        raises("port: ", sys.udp.connect, { port = port })
      end
      raises("port: integer expected, got nil", sys.tcp.connect, {})
      raises("host: string expected, got number", sys.udp.bind, { host = 1 })
      raises("host: string without zero bytes", sys.udp.bind,
        { host = "127.0.0.1\0" })
      raises("reuse: boolean expected", sys.tcp.listen, { reuse = 1 })
      raises("v6only: boolean expected", sys.tcp.listen, { v6only = 1 })
      raises("backlog: ", sys.tcp.listen, { backlog = -1 })
      raises("path: string expected, got nil", sys.unix.listen, {})
      raises("path: string without zero bytes", sys.unix.connect,
        { path = "/tmp/\0" })
      raises("type: unknown socket type 'x'", sys.unix.connect,
        { path = "x", type = "x" })
      raises("unknown socket type 'x'", sys.socketpair, "x")
    end)

    it("hosts that are no numbers, without looking them up", function()
      for _, host in ipairs { "localhost", "", "127.0.0.1.5", "::g", "*" } do
        assert_failed("EINVAL", sys.tcp.listen { host = host })
        assert_failed("EINVAL", sys.tcp.connect { host = host, port = 1 })
        assert_failed("EINVAL", sys.udp.bind { host = host })
      end
      assert_failed("EINVAL",
        sys.tcp.connect { port = 1, bind_host = "localhost" })
    end)

    it("arguments of send and receive that are wrong", function()
      local a = keep(assert(sys.udp.bind {}))
      raises("unknown flag 'x'", a.send, a, "bytes", "x")
      raises("unknown flag 'x'", a.recv, a, 1, "peek", "x")
      raises("number of bytes must be positive", a.recv, a, 0)
      raises("number of bytes must be positive", a.recvfrom, a, -1)
      raises("string expected", a.send, a)
      raises("string expected", a.sendto, a, "x")
      raises("number expected", a.sendto, a, "x", "127.0.0.1")
      raises("port out of range", a.sendto, a, "x", "127.0.0.1", 65536)
      raises("zero byte", a.sendto, a, "x", "127.0.0.1\0", 1)
      assert_failed("EINVAL", a:sendto("x", "localhost", 1))
    end)

    it("to be used after its close", function()
      local a = keep(sys.socketpair())
      a:close()
      for name, method in pairs(getmetatable(a).__index) do
        if name ~= "close" and name ~= "fileno" and name ~= "is_closed" then
          raises("attempt to use a closed descriptor", method, a, "x", "x")
        end
      end
    end)
  end)
end)
