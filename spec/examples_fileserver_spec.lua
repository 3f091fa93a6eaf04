-- examples/fileserver.lua, by the host and by plain Lua: what curl gets from it,
-- and what nobody gets; many requests on a connection, slow clients.

local lfs = require "lfs"
local fixture = require "spec.sys.fixture"
local poe = require "poe"
local sys = require "poe.sys"

local eventually, keep = fixture.eventually, fixture.keep
local PATIENCE = tonumber(os.getenv "PATIENCE" or 60) -- seconds, after which the server is given up
local EXAMPLE = "fileserver"

local host = os.getenv "POE_BIN" or "build/bin/poe"
local RUNNERS = { ["the host"] = host }
if host == "build/bin/poe" then
  RUNNERS["plain Lua"] = "env 'LUA_PATH=lua/?.lua;lua/?/init.lua;;' " ..
    "'LUA_CPATH=build/lib/?.so;;' " .. (os.getenv "LUA" or "lua5.4")
end

local TEXT = "hello, world\n"
local LONG = ("0123456789abcdef"):rep(65536) -- 1 MiB

local function shell(format, ...)
  local pipe = assert(io.popen(format:format(...)))
  local output = pipe:read "a"
  pipe:close()
  return output
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

for where, runner in pairs(RUNNERS) do
  describe("by " .. where .. ", the example " .. EXAMPLE, function()
    local dir, server, pid, port

    local function start(patience)
      server = assert(io.popen(("exec timeout %d sh -c 'echo $$; exec \"$0\" \"$@\"' "
        .. "%s examples/%s.lua %s/root 0 127.0.0.1 %s 2>&1"):format(PATIENCE,
        runner, EXAMPLE, dir, patience or "")))
      pid = assert(tonumber(server:read "l"))
      port = assert(server:read("l"):match "^listening on port (%d+)$")
    end

    local function stop()
      assert(sys.kill(pid, "INT"))
      local output = server:read "a"
      local _, kind, code = server:close()
      server = nil
      assert.same({ "exit", 0 }, { kind, code }, output)
      return output
    end

    before_each(function()
      dir = fixture.free_path()
      for _, name in ipairs { "", "/root", "/root/sub", "/root/.hidden" } do
        assert(lfs.mkdir(dir .. name))
      end
      for name, text in pairs {
        ["secret"] = "secret", ["root/a.txt"] = TEXT, ["root/long"] = LONG,
        ["root/.dot"] = "dot", ["root/.hidden/x"] = "x",
        ["root/sub/index.html"] = "<p>", ["root/a b"] = "space",
      } do
        write(dir .. "/" .. name, text)
      end
      assert(lfs.link("../secret", dir .. "/root/out", true))
      assert(lfs.link("a.txt", dir .. "/root/in", true))
      assert(lfs.link("..", dir .. "/root/up", true))
      assert(os.execute("mkfifo " .. dir .. "/root/fifo"))
      start()
    end)

    after_each(function()
      fixture.close_kept()
      if server then
        sys.kill(pid, "KILL")
        server:close()
      end
      shell("rm -rf %s", dir)
    end)

    --- Status, headers as one text, body.
    local function curl(path, options)
      local got = shell("curl -s -i -m 20 --path-as-is %s 'http://127.0.0.1:%s%s'",
        options or "", port, path)
      local status, head, body = got:match "^HTTP/1.1 (%d+) [^\r]*\r\n(.-)\r\n\r\n(.*)$"
      return tonumber(status), head, body
    end

    it("sends files, and says what they are", function()
      local status, head, body = curl "/a.txt?query"
      assert.same({ 200, TEXT }, { status, body })
      assert.matches("Content%-Type: text/plain\r\n", head)
      assert.matches("Date: %a+, %d%d %a+ %d+ [%d:]+ GMT", head)
      status, head, body = curl "/long"
      assert.same({ 200, true }, { status, body == LONG })
      assert.matches("Content%-Length: 1048576\r\n", head)
      assert.same({ 200, "space" }, { select(1, curl "/a%20b"),
        select(3, curl "/a%20b") })
      assert.matches("GET /a%.txt%?query 200\n", stop())
    end)

    it("sends a directory's index", function()
      assert.same({ 200, "<p>" }, { (curl "/sub/"), (select(3, curl "/sub/")) })
      local status, head = curl "//sub?x"
      assert.equal(301, status)
      assert.matches("Location: /sub/\r\n", head)
      assert.equal(404, (curl "/"))
    end)

    it("sends nothing else", function()
      for _, path in ipairs {
        "/../secret", "/%2e%2e/secret", "/sub/../../secret", "/..%2fsecret",
        "/sub/%2e%2e/a.txt", "/out", "/in", "/up/secret", "/up/root/a.txt",
        "/.dot", "/.hidden/x", "/%2edot", "/fifo", "/a.txt/", "/a.txt/x", "/none",
        "/a.txt%00", "/etc/passwd", "//etc/passwd",
      } do
        assert.equal(404, (curl(path)), path)
      end
      assert.equal(405, (curl("/a.txt", "-d x")))
      local _, head = curl("/a.txt", "-X DELETE")
      assert.matches("Allow: GET, HEAD\r\n", head)
    end)

    it("sends heads, ranges, and what is new", function()
      local status, head, body = curl("/a.txt", "-I")
      assert.same({ 200, "" }, { status, body })
      assert.matches("Content%-Length: 13\r\n", head)
      local modified = head:match "Last%-Modified: ([^\r]+)"
      local function since(name, value)
        return ("-H '%s: %s'"):format(name, value)
      end
      assert.equal(304, (curl("/a.txt", since("If-Modified-Since", modified))))
      assert.equal(200, (curl("/a.txt", since("If-Modified-Since", "x"))))
      for range, expected in pairs {
        ["0-0"] = "h", ["7-"] = "world\n", ["-6"] = "world\n", ["7-99"] = "world\n",
        ["-99"] = TEXT,
      } do
        status, head, body = curl("/a.txt", "-r " .. range)
        assert.same({ 206, expected }, { status, body })
        assert.matches("Content%-Range: bytes %d+%-%d+/13\r\n", head)
      end
      for _, range in ipairs { "13-", "-0", "99-100", "5-2" } do
        status, head = curl("/a.txt", since("Range", "bytes=" .. range))
        assert.equal(416, status, range)
        assert.matches("Content%-Range: bytes %*/13\r\n", head)
      end
      for _, range in ipairs { "lines=1-2", "bytes=0-1,3-4", "bytes=-", "bytes=a" } do
        assert.equal(200, (curl("/a.txt", since("Range", range))), range)
      end
      local old = since("If-Range", "Sun, 06 Nov 1994 08:49:37 GMT")
      assert.equal(200, (curl("/a.txt", "-r 0-0 " .. old)))
      assert.equal(206, (curl("/a.txt", "-r 0-0 " .. since("If-Range", modified))))
    end)

    it("keeps the connection as long as a client wants", function()
      local url = ("http://127.0.0.1:%s/a.txt"):format(port)
      local function connects(options)
        return shell("curl -s -m 20 -o /dev/null -w '%%{num_connects}' %s " ..
          "%s -o /dev/null %s -o /dev/null %s", options, url, url, url)
      end
      assert.equal("100", connects "")
      assert.equal("111", connects "-H 'Connection: close'")
      assert.equal("111", connects "--http1.0")
      assert.equal("100", connects "--http1.0 -H 'Connection: keep-alive'")
      assert.matches("served 8 clients\n$", stop())
    end)

    local function connect()
      return keep(assert(sys.tcp.connect { port = tonumber(port) }))
    end

    --- Sends all of it, unless the other side has gone; whether it did.
    local function try_send(client, text)
      local at = 1
      while at <= #text do
        local n, _, code = client:write(text, at)
        if code == "EPIPE" or code == "ECONNRESET" then return false end
        assert(n or code == "EAGAIN" or code == "ENOTCONN", code)
        at = at + (n or 0)
      end
      return true
    end

    local function send(client, text)
      assert(try_send(client, text), "the server has gone")
    end

    local function request(path, ...)
      return ("GET %s HTTP/1.1\r\nHost: a\r\n"):format(path) ..
        table.concat({ ... }) .. "\r\n"
    end

    it("answers requests in their order, however many come at once", function()
      local clients, count = {}, 50
      local burst = {}
      for i = 1, count do
        burst[i] = i % 10 == 0 and request("/long", "Range: bytes=0-99999\r\n")
          or request "/a.txt"
      end
      burst[count + 1] = request("/none", "Connection: close\r\n")
      for i = 1, 20 do
        clients[i] = connect()
        send(clients[i], table.concat(burst))
      end
      for _, client in ipairs(clients) do
        local got = fixture.read_all(client)
        local _, short = got:gsub(TEXT, "")
        local _, long = got:gsub(LONG:sub(1, 100000):gsub("%W", "%%%0"), "")
        assert.same({ 45, 5 }, { short, long })
        assert.matches("404 Not Found\n$", got)
      end
      fixture.close_kept()
      assert.matches("served 20 clients\n$", stop())
    end)

    it("answers before it closes, also a client that has closed its side", function()
      local client = connect()
      send(client, request "/long")
      client:shutdown "w"
      local got = fixture.read_all(client)
      assert.equal(LONG, got:sub(-#LONG))
      client = connect()
      send(client, "GET / HTTP/1.1\nHost: a\r\n\r\n")
      assert.matches("^HTTP/1.1 400 Bad Request\r\n", fixture.read_all(client))
      assert.matches("bad request 400\n", stop())
    end)

    local function rss()
      local file <close> = assert(io.open(("/proc/%d/status"):format(pid)))
      return tonumber(file:read("a"):match "VmRSS:%s*(%d+)")
    end

    it("reads no more of a file than the client takes", function()
      local size = 1 << 30
      local file = assert(sys.open(dir .. "/root/huge", "w,creat"))
      assert(file:seek("set", size - 1))
      file:write "x"
      file:close()
      curl "/long"
      local before = rss()
      local clients = {}
      for i = 1, 10 do
        clients[i] = connect()
        send(clients[i], request "/huge")
        assert.matches("^HTTP/1.1 200 OK",
          eventually(clients[i].read, clients[i]))
      end
      assert.equal(200, (curl "/a.txt"))
      assert.is_true(rss() - before < 65536, rss() - before .. " KiB")
      fixture.close_kept()
      assert.equal(200, (curl "/a.txt"))
      assert.matches("served 13 clients\n$", stop())
    end)

    it("hangs up when a file has become shorter", function()
      local client = connect()
      write(dir .. "/root/shrinks", LONG:rep(32))
      send(client, request "/shrinks")
      local first = eventually(client.read, client)
      write(dir .. "/root/shrinks", "")
      assert.is_true(#first + #fixture.read_all(client) < 32 * #LONG)
      stop()
    end)

    it("waits for nobody for ever", function()
      local patience, clients = 0.2, 0
      stop()
      start(patience)
      --- A client that has sent this in time.
      local function client_with(text)
        repeat -- the server may have gone meanwhile, if nobody let us send
          local began = poe.monotime()
          local client = connect()
          clients = clients + 1
          local is_sent = try_send(client, text)
          local seconds = poe.monotime() - began
          assert(is_sent or seconds >= patience)
          if seconds < patience then return client end
        until false
      end
      client_with(request "/long" .. request "/long":rep(20)) -- takes nothing
      local silent = client_with ""
      local slow = client_with "GET / HTTP/1.1\r\nHost"
      local idle = client_with(request "/a.txt")
      assert.equal("", fixture.read_all(silent))
      assert.equal("", fixture.read_all(slow))
      assert.matches(TEXT .. "$", fixture.read_all(idle))
      fixture.wait_until(function() -- the server has no clients any more
        local list = shell("ls -l /proc/%d/fd | grep -c socket", pid)
        return tonumber(list) == 1
      end)
      assert.matches(("served %d clients\n$"):format(clients), stop())
    end)

    --- Where the server is in the file of that name, if it has it open.
    local function position(name)
      local process = ("/proc/%d/"):format(pid)
      for number in lfs.dir(process .. "fd") do
        local target = lfs.symlinkattributes(process .. "fd/" .. number, "target")
        if target and target:find(name, 1, true) then
          local info <close> = io.open(process .. "fdinfo/" .. number)
          local text = info and info:read "a" -- unless it closes it meanwhile
          return text and tonumber(text:match "pos:%s*(%d+)")
        end
      end
    end

    --- How much of a file the server reads for one who takes nothing: where it is
    --- when it has slept all the time between two looks.
    local function most_read()
      write(dir .. "/root/huge", LONG:rep(32))
      send(connect(), request "/huge")
      local before, now, at
      repeat
        shell "sleep 0.02"
        before, at, now = now, position "/huge", fixture.time_when_asleep(pid)
      until at and now and now == before
      return at
    end

    it("sends after SIGINT what it has read", function()
      local size = most_read() - 131072 -- it holds more than that in memory
      write(dir .. "/root/read", LONG:rep(32):sub(1, size))
      local client = connect()
      send(client, request "/read")
      local first = eventually(client.read, client)
      fixture.wait_until(function() return not position "/read" end)
      assert(sys.kill(pid, "INT"))
      local answer = first .. fixture.read_all(client)
      assert.equal(size, #answer:match "\r\n\r\n(.*)")
      client:close()
      fixture.close_kept()
      assert.matches("served 2 clients\n$", server:read "a")
      server:close()
      server = nil
    end)

    it("finishes on SIGINT what is under way", function()
      local client, idle = connect(), connect()
      send(idle, request "/a.txt")
      local answer = ""
      while not answer:find(TEXT, 1, true) do -- head and body may come apart
        local piece = eventually(idle.read, idle)
        assert.not_equal("", piece)
        answer = answer .. piece
      end
      send(client, request "/long")
      local first = eventually(client.read, client)
      assert(sys.kill(pid, "INT"))
      assert.equal(LONG, (first .. fixture.read_all(client)):sub(-#LONG))
      assert.equal("", fixture.read_all(idle))
      client:close()
      assert.matches("served 2 clients\n$", server:read "a")
      server:close()
      server = nil
    end)
  end)
end
