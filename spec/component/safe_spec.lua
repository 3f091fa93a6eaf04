-- Server.TCP is safe by default: real servers, each in a process of its own, and
-- real clients: nc, socat, curl, and sockets of this process.

local fixture = require "spec.sys.fixture"
local helper = require "spec.helper"
local lfs = require "lfs"
local poe = require "poe"
local sys = require "poe.sys"

local eventually, keep = fixture.eventually, fixture.keep

local PATIENCE = tonumber(os.getenv "PATIENCE" or 30) -- seconds

--- A program that is one server. `options` is the inside of its table; it prints
--- its port, then whatever it likes; its errors are in the output, too.
local function start(options, limits, before)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write([[
    local Server = require "poe.component.server.tcp"
    local Stream = require "poe.filter.stream"
    local poe, sys = require "poe", require "poe.sys"
    io.stdout:setvbuf "line"
    local function say(...) print(table.concat({ ... }, " ")) end
    ]], before or "", [[
    Server.new {
      alias = "server",
      started = function(kernel, heap)
        local host, port = heap.listener:getsockname()
        kernel:sig("TERM", "term")
        kernel:state("term", function()
          print(("cpu %.3f"):format(os.clock()))
          os.exit(0, true) -- all is closed
        end)
        print(port or host) -- from now on it may be told to end
      end,
      ]], options, [[
    }
    poe.run()
  ]])
  file:close()
  local pipe = assert(io.popen(("exec 2>&1; %s; echo $$; exec timeout %d %s %s"):format(
    limits or ":", PATIENCE, helper.POE, path)))
  local pid = tonumber(pipe:read "l")
  local first = pipe:read "l"
  os.remove(path)
  return { pipe = pipe, pid = pid, port = tonumber(first), path = first }
end

--- Ends a server; what it wrote since, and the CPU time it took, in seconds.
local function stop(server)
  assert(sys.kill(server.pid, "TERM"))
  local text = server.pipe:read "a"
  server.pipe:close()
  local rest, cpu = text:match "^(.*)cpu (%S+)\n$"
  assert(rest, text)
  return rest, tonumber(cpu)
end

local function connect(server)
  return keep(assert(sys.tcp.connect { port = server.port }))
end

--- Sends all of it; what does not go at once waits for room.
local function send(client, text)
  local first = 1
  while first <= #text do
    local n, _, code = client:write(text, first)
    if not n and code ~= "EAGAIN" and code ~= "ENOTCONN" then return code end
    first = first + (n or 0)
  end
end

local function receive(client)
  local bytes, _, code = eventually(client.read, client)
  return bytes or code
end

--- Reads to the end, whatever it is.
local function drain(client)
  local parts = {}
  repeat
    local bytes = eventually(client.read, client)
    parts[#parts + 1] = bytes
  until not bytes or bytes == ""
  return table.concat(parts)
end

--- What a shell command writes.
local function shell(command, ...)
  local pipe <close> = assert(io.popen(command:format(...)))
  return pipe:read "a"
end

local ECHO = [[client_input = function(_, heap, line) heap.client:put(line) end,]]
local TELL = [[
  client_error = function(_, _, operation, code) say("error", operation, code) end,
  client_disconnected = function() say "gone" end,
]]

describe("A server", function()
  after_each(fixture.close_kept)

  it("listens on 127.0.0.1 alone", function()
    local server = start(ECHO)
    local addresses = {}
    local port = ("%04X"):format(server.port)
    for _, name in ipairs { "tcp", "tcp6" } do
      for line in io.lines("/proc/net/" .. name) do
        local address, state = line:match("^ *%d+: (%x+):" .. port .. " %S+ (%x%x)")
        if state == "0A" then addresses[#addresses + 1] = address end
      end
    end
    assert.same({ "0100007F" }, addresses)
    stop(server)
  end)

  it("serves nc, socat and curl", function()
    local server = start [[
      client_input = function(kernel, heap, line)
        heap.is_http = heap.is_http or line:find "^GET"
        if not heap.is_http then return heap.client:put("you said " .. line) end
        if line ~= "" then return end
        heap.client:put("HTTP/1.0 200 OK", "", "page")
        kernel:yield "shutdown"
      end,
    ]]
    assert.equal("you said hello\r\n",
      shell("echo hello | nc -N 127.0.0.1 %d", server.port))
    assert.equal("you said hello\r\n",
      shell("echo hello | socat - TCP:127.0.0.1:%d", server.port))
    assert.equal("page\r\n",
      shell("curl -s --max-time 10 http://127.0.0.1:%d/", server.port))
    assert.equal("", (stop(server)))
  end)

  it("ends a connection that sends a line of more than 64 KiB", function()
    local server = start(ECHO .. TELL)
    local out = shell("{ echo ok; head -c 70000 /dev/zero; } | "
      .. "timeout 10 nc 127.0.0.1 %d", server.port)
    assert.equal("ok\r\n", out)
    assert.equal("error read EMSGSIZE\ngone\n", (stop(server)))
  end)

  it("ends a connection that sends a block of more than 1 MiB", function()
    local server = start([[client_filter = "poe.filter.block",]] .. ECHO .. TELL)
    local client = connect(server)
    send(client, "1048577\0")
    assert.equal("", drain(client))
    assert.equal("error read EMSGSIZE\ngone\n", (stop(server)))
  end)

  it("has no more connections than descriptors, 32 aside; others wait", function()
    local server = start([[
      client_connected = function(_, heap) heap.client:put "hello" end,
    ]] .. ECHO, "ulimit -n 40")
    local clients = {}
    for i = 1, 12 do clients[i] = connect(server) end
    for i = 1, 8 do assert.equal("hello\r\n", receive(clients[i])) end
    send(clients[1], "a\n")
    assert.equal("a\r\n", receive(clients[1]))
    for i = 9, 12 do assert.is_nil(clients[i]:read()) end
    clients[1]:close()
    assert.equal("hello\r\n", receive(clients[9]))
    local out, cpu = stop(server)
    assert.equal("", out)
    assert.is_true(cpu < 0.5)
  end)

  it("has no more than 1,024 connections", function()
    local most = os.getenv "POE_EVENT_LOOP" == "select" and 1024 - 32 or 1024
    local server = start([[
      client_connected = function(_, heap) heap.client:put "hello" end,
    ]] .. ECHO, "ulimit -n 3000")
    local clients = {}
    for i = 1, most + 6 do clients[i] = connect(server) end
    for i = 1, most do assert.equal("hello\r\n", receive(clients[i])) end
    for i = most + 1, most + 6 do assert.is_nil(clients[i]:read()) end
    clients[7]:close()
    assert.equal("hello\r\n", receive(clients[most + 1]))
    assert.is_nil(clients[most + 2]:read())
    assert.equal("", (stop(server)))
  end)

  it("rests when descriptors run out: it does not spin, says nothing, goes on",
    function()
      local server = start([[
        client_connected = function(_, heap)
          hoard_all_but(2)
          heap.client:put "hello"
        end,
      ]] .. ECHO .. TELL, "ulimit -n 48", [[
        local hoard = {}
        local function hoard_all_but(n)
          if hoard[1] then return end
          repeat
            local handle = sys.open "/dev/null"
            hoard[#hoard + 1] = handle
          until not handle
          for _ = 1, n do table.remove(hoard):close() end
        end
      ]])
      local clients = {}
      for i = 1, 12 do clients[i] = connect(server) end
      for i = 1, 3 do assert.equal("hello\r\n", receive(clients[i])) end
      for i = 1, 400 do
        send(clients[1], i .. "\n")
        assert.equal(i .. "\r\n", receive(clients[1]))
      end
      for i = 4, 12 do assert.is_nil(clients[i]:read()) end
      for i = 1, 3 do clients[i]:close() end
      for i = 4, 6 do assert.equal("hello\r\n", receive(clients[i])) end
      local out, cpu = stop(server)
      assert.same({ "", 6 }, { (out:gsub("error read 0\n", ""):gsub("gone\n", "")),
        select(2, out:gsub("\n", "")) })
      assert.is_true(cpu < 0.2, cpu)
    end)

  it("lets go who is idle", function()
    local timeout = 0.05
    local server = start(("idle_timeout = %g,"):format(timeout) .. ECHO .. TELL)
    local clients = 0
    local function talk(line)
      local began = poe.monotime()
      local client = connect(server)
      if line then send(client, line) end
      local seconds = poe.monotime() - began
      clients = clients + 1
      return drain(client), seconds
    end
    assert.equal("", (talk()))
    local answer, seconds = talk "a\n"
    while answer == "" and seconds >= timeout do -- nobody let us send
      answer, seconds = talk "a\n"
    end
    assert.equal("a\r\n", answer)
    assert.equal(("error read ETIMEDOUT\ngone\n"):rep(clients), (stop(server)))
  end)

  local FLOOD = [[
    client_connected = function(kernel) kernel:yield "more" end,
    client_flushed = function(kernel) kernel:yield "more" end,
    inline_states = { more = function(_, heap)
      if heap.client then heap.client:put(("x"):rep(100000)) end
    end },
  ]]

  it("gives up who takes nothing", function()
    local server = start("write_timeout = 0.05, client_filter = Stream," .. FLOOD
      .. ECHO .. TELL)
    local client = connect(server)
    local line = server.pipe:read "l"
    assert.equal("error write ETIMEDOUT", line)
    assert.equal("gone", server.pipe:read "l")
    assert.is_true(#drain(client) > 0)
    assert.equal("", (stop(server)))
  end)

  --- Reads a long answer slowly, for three times what the server waits; what the
  --- server said, and the longest time that nothing was read.
  local function read_slowly(timeout)
    local server = start(("write_timeout = %g,"):format(timeout) .. [[
      client_filter = Stream, max_output = 1e7,
      client_connected = function(_, heap) heap.client:put(("x"):rep(1e7)) end,
      client_pre_connect = function(_, _, socket)
        socket:setsockopt("SO_SNDBUF", 100000)
        return socket
      end,
    ]] .. ECHO .. TELL)
    local client, longest = connect(server), 0
    local began = poe.monotime()
    local last = began
    repeat
      eventually(client.read, client)
      local now = poe.monotime()
      last, longest = now, math.max(longest, now - last)
      shell("sleep %g", timeout / 10)
    until last - began > 3 * timeout
    local said = stop(server)
    return said, math.max(longest, poe.monotime() - last)
  end

  it("goes on with a slow reader", function()
    local timeout = 0.2
    local said, longest = read_slowly(timeout)
    while longest > timeout / 2 do -- nobody let us read
      timeout = 3 * timeout
      said, longest = read_slowly(timeout)
    end
    assert.equal("", said)
  end)

  it("keeps a bounded amount for who does not read", function()
    local server = start([[
      client_connected = function(kernel, heap)
        repeat until not kernel.session or heap.client:put(("x"):rep(50000)) == nil
      end,
    ]] .. ECHO .. TELL)
    local client = connect(server)
    assert.equal("error write ENOBUFS", server.pipe:read "l")
    assert.equal("gone", server.pipe:read "l")
    local status = assert(io.open(("/proc/%d/status"):format(server.pid))):read "a"
    assert.is_true(tonumber(status:match "VmHWM:%s*(%d+)") < 32000, status)
    drain(client)
    stop(server)
  end)

  it("does not read what it cannot answer", function()
    local server = start("client_filter = Stream, high_mark = 100000, low_mark = 1000,"
      .. ECHO)
    local client, sent = connect(server), 0
    local stuck = 0
    while stuck < 200 do
      local n = client:write(("x"):rep(65536))
      sent, stuck = sent + (n or 0), n and 0 or stuck + 1
      if not n then shell "sleep 0.001" end
    end
    local other = connect(server)
    send(other, "alive")
    assert.equal("alive", receive(other))
    client:shutdown "w"
    assert.equal(sent, #drain(client))
    assert.equal("", (stop(server)))
  end)

  describe("on a Unix socket", function()
    local path
    before_each(function() path = fixture.free_path() end)
    after_each(function() os.remove(path) end)

    local function options()
      return ("domain = 'unix', address = %q,"):format(path) .. ECHO
    end

    it("keeps it to its owner, and serves nc and socat there", function()
      local server = start(options())
      assert.equal(path, server.path)
      assert.equal("rw-------", lfs.attributes(path, "permissions"))
      assert.equal("a\r\n", shell("echo a | nc -N -U %s", path))
      assert.equal("b\r\n", shell("echo b | socat - UNIX-CONNECT:%s", path))
      stop(server)
    end)

    it("takes the place of a dead one, of nothing else", function()
      local server = start(options())
      assert.equal("poe: server server: bind: EADDRINUSE: Address already in use: "
        .. path .. "\n", start(options() .. "started = print,").pipe:read "a")
      stop(server)
      assert.equal("socket", lfs.attributes(path, "mode"))
      local heir = start(options())
      assert.equal("a\r\n", shell("echo a | nc -N -U %s", path))
      stop(heir)
      os.remove(path)
      assert(io.open(path, "w")):close()
      assert.matches("EADDRINUSE",
        start(options() .. "started = print,").pipe:read "a")
      assert.equal("file", lfs.attributes(path, "mode"))
    end)
  end)

  it("leaves no descriptor to the programs it starts", function()
    local server = start([[
      client_filter = Stream,
      client_input = function(kernel, heap)
        heap.client:put(descriptors(), before)
        kernel:yield "shutdown"
      end,
    ]], nil, [[
      local function descriptors()
        local pipe <close> = io.popen "ls /proc/self/fd"
        return (pipe:read "a":gsub("\n", " "))
      end
      local before = descriptors()
    ]])
    local client = connect(server)
    send(client, "?")
    local text = drain(client)
    assert.equal(text:sub(1, #text // 2), text:sub(#text // 2 + 1))
    stop(server)
  end)
end)
