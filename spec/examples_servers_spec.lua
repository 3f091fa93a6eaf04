-- examples/chat.lua, keyvalue.lua and reconnect.lua, by the host and by plain Lua,
-- with nc, socat and sockets of this process as clients.

local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local eventually, keep = fixture.eventually, fixture.keep
local PATIENCE = tonumber(os.getenv "PATIENCE" or 60) -- seconds, after which an example is given up

local host = os.getenv "POE_BIN" or "build/bin/poe"
local RUNNERS = { ["the host"] = host }
if host == "build/bin/poe" then
  RUNNERS["plain Lua"] = "env 'LUA_PATH=lua/?.lua;lua/?/init.lua;;' " ..
    "'LUA_CPATH=build/lib/?.so;;' " .. (os.getenv "LUA" or "lua5.4")
end

local function shell(format, ...)
  local pipe <close> = assert(io.popen(format:format(...)))
  return pipe:read "a"
end

for where, runner in pairs(RUNNERS) do
  describe("by " .. where .. ",", function()
    local programs

    --- Starts an example; its standard error is in the output, too.
    local function start(name, after)
      local pipe = assert(io.popen(("exec timeout %d sh -c 'echo $$; exec \"$0\" \"$@\"' "
        .. "%s examples/%s.lua %s 2>&1"):format(PATIENCE, runner, name, after or "")))
      local program = { pipe = pipe, pid = assert(tonumber(pipe:read "l")) }
      programs[#programs + 1] = program
      return program
    end

    local function start_server(name, after)
      local program = start(name, after)
      program.port = assert(tonumber(program.pipe:read "l"
        :match "^listening on port (%d+)$"))
      return program
    end

    --- Waits for a program's end; the rest of what it wrote.
    local function finish(program)
      local output = program.pipe:read "a"
      local _, kind, code = program.pipe:close()
      program.pipe = nil
      assert.same({ "exit", 0 }, { kind, code }, output)
      return output
    end

    local function stop(program)
      assert(sys.kill(program.pid, "INT"))
      return finish(program)
    end

    before_each(function() programs = {} end)

    after_each(function()
      fixture.close_kept()
      for _, program in ipairs(programs) do
        if program.pipe then
          sys.kill(program.pid, "KILL")
          program.pipe:close()
        end
      end
    end)

    local Guest = {}
    Guest.__index = Guest

    local function connect(server)
      return setmetatable({ got = "",
        socket = keep(assert(sys.tcp.connect { port = server.port })) }, Guest)
    end

    function Guest:say(line)
      assert.equal(#line + 1, (eventually(self.socket.write, self.socket, line .. "\n")))
    end

    --- The next line that comes; nil at the end.
    function Guest:line()
      while not self.got:find("\n", 1, true) do
        local bytes = eventually(self.socket.read, self.socket)
        if not bytes or bytes == "" then return nil end
        self.got = self.got .. bytes
      end
      local line, rest = self.got:match "^(.-)\r?\n(.*)$"
      self.got = rest
      return line
    end

    local function expect(guest, ...)
      for _, line in ipairs { ... } do assert.equal(line, guest:line()) end
    end

    describe("chat", function()
      local HELLO = "* you are guest%d; /nick, /who, /quit"

      it("brings people together", function()
        local server = start_server "chat"
        local ann = connect(server)
        expect(ann, HELLO:format(1))
        local bob = connect(server)
        expect(bob, HELLO:format(2))
        expect(ann, "* guest2 comes in")
        ann:say "/nick ann"
        expect(ann, "* guest1 is now ann")
        bob:say "/nick ann"
        expect(bob, "* guest1 is now ann", "* there is a ann already")
        bob:say "hello"
        expect(ann, "guest2: hello")
        ann:say "/who"
        expect(ann, "* here: ann, guest2")
        ann:say "/dance"
        expect(ann, "* no such command: /dance")
        bob:say "/quit"
        assert.equal("* bye", bob:line())
        assert.is_nil(bob:line())
        expect(ann, "* guest2 leaves")
        local output = stop(server)
        expect(ann, "* closing time")
        assert.is_nil(ann:line())
        assert.equal("2 guests were here\n", output)
      end)

      it("talks to nc and socat", function()
        local server = start_server "chat"
        local ann = connect(server)
        expect(ann, HELLO:format(1))
        local told = shell("printf 'hi\\n/quit\\n' | nc 127.0.0.1 %d", server.port)
        assert.equal(HELLO:format(2) .. "\r\n* bye\r\n", told)
        expect(ann, "* guest2 comes in", "guest2: hi", "* guest2 leaves")
        shell("echo ho | socat - TCP:127.0.0.1:%d", server.port)
        expect(ann, "* guest3 comes in", "guest3: ho", "* guest3 leaves")
        stop(server)
      end)

      it("does not wait for one who does not read", function()
        local server = start_server "chat"
        local ann, bob = connect(server), connect(server)
        expect(ann, HELLO:format(1))
        connect(server) -- and does not read
        expect(ann, "* guest2 comes in", "* guest3 comes in")
        expect(bob, HELLO:format(2), "* guest3 comes in")
        local line, said = ("x"):rep(60000), 0
        repeat
          bob:say(line)
          said = said + 1
          local heard = ann:line()
        until heard == "* guest3 leaves" or said == 1000
        assert.is_true(said < 1000)
        stop(server)
      end)
    end)

    describe("keyvalue", function()
      local function ask(server, text)
        return shell("printf '%s' | nc -N 127.0.0.1 %d", text, server.port)
      end

      it("keeps values", function()
        local server = start_server "keyvalue"
        assert.equal("none\r\nok\r\nvalue one two\r\nok\r\nnone\r\n", ask(server,
          "get a\\nset a one two\\nget a\\ndel a\\ndel a\\n"))
        assert.equal("value 1\r\nvalue 6\r\nvalue 4\r\n", ask(server,
          "incr n\\nincr n 5\\nincr n -2\\n"))
        assert.equal("ok\r\nkeys n z\r\n", ask(server, "set z 1\\nkeys\\n"))
        assert.equal("bye\r\n", ask(server, "quit\\nget z\\n"))
        assert.equal("the store is closed\n", stop(server))
      end)

      it("says what it does not understand", function()
        local server = start_server "keyvalue"
        assert.equal("error no such command\r\nerror set KEY VALUE\r\nok\r\n"
          .. "error incr KEY [BY], with integers\r\n",
          ask(server, "dump\\nset a\\nset a b\\nincr a\\n"))
        stop(server)
      end)

      it("makes the store again from its file", function()
        local path = fixture.free_path()
        local server = start_server("keyvalue", "0 127.0.0.1 " .. path)
        ask(server, "set a 1\\nset b two words\\nincr a\\nset c 3\\ndel c\\n")
        stop(server)
        local file = assert(io.open(path, "a"))
        file:write "set b half a li"
        file:close()
        server = start_server("keyvalue", "0 127.0.0.1 " .. path)
        assert.equal("keys a b\r\nvalue 2\r\nvalue two words\r\n",
          ask(server, "keys\\nget a\\nget b\\n"))
        stop(server)
        os.remove(path)
      end)
    end)

    describe("reconnect", function()
      --- A fifo to write what the client is to read as its standard input.
      local function start_client(port)
        local path = fixture.free_path()
        assert(os.execute("mkfifo " .. path))
        local client = start("reconnect", port .. " <> " .. path)
        client.input = keep(assert(sys.open(path, "w")))
        os.remove(path)
        return client
      end

      local function free_port()
        local socket <close> = assert(sys.tcp.listen {})
        return select(2, socket:getsockname())
      end

      it("asks and answers as a pipe", function()
        local server = start_server "keyvalue"
        assert.equal("* connected\nok\nvalue 6\n* disconnected\n", shell(
          "printf 'set a 1\\nincr a 5\\n' | %s examples/reconnect.lua %d 2>&1",
          runner, server.port))
        stop(server)
      end)

      it("comes back, and brings what was typed meanwhile", function()
        local port = free_port()
        local client = start_client(port)
        assert.equal("* connect ECONNREFUSED", client.pipe:read "l")
        client.input:write "set a 1\nget a\n"
        local server = start_server("keyvalue", port)
        local line
        repeat line = client.pipe:read "l" until line ~= "* connect ECONNREFUSED"
        assert.equal("* connected", line)
        assert.equal("ok", client.pipe:read "l")
        assert.equal("value 1", client.pipe:read "l")
        stop(server)
        assert.equal("* disconnected", client.pipe:read "l")
        server = start_server("keyvalue", port)
        repeat line = client.pipe:read "l" until line ~= "* connect ECONNREFUSED"
        assert.equal("* connected", line)
        client.input:write "get a\n"
        assert.equal("none", client.pipe:read "l")
        assert.equal("* disconnected\n", stop(client))
        stop(server)
      end)
    end)
  end)
end
