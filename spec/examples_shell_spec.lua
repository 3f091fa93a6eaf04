-- examples/shell.lua, by the host and by plain Lua: somebody at a terminal, and
-- the server he talks to.

local Vt = require "spec.wheel.readline.vt"
local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local keep, eventually = fixture.keep, fixture.eventually

local EXAMPLE = "shell"

local host = os.getenv "POE_BIN" or "build/bin/poe"
local RUNNERS = { ["the host"] = { { host }, {} } }
if host == "build/bin/poe" then
  RUNNERS["plain Lua"] = { { os.getenv "LUA" or "lua5.4" }, {
    LUA_PATH = "lua/?.lua;lua/?/init.lua;;", LUA_CPATH = "build/lib/?.so;;",
  } }
end

for where, runner in pairs(RUNNERS) do
  describe("by " .. where .. ", the example shell", function()
    local listener, port, master, vt

    before_each(function()
      listener = keep(assert(sys.tcp.listen {}))
      port = select(2, listener:getsockname())
    end)

    after_each(fixture.close_kept)

    --- Starts the example on a new terminal.
    local function start()
      local slave
      master, slave = keep(assert(sys.openpty()))
      sys.set_winsize(master, 20, 40)
      vt = Vt.new(40, 20)
      local env = { TERM = "xterm" }
      for name, value in pairs(runner[2]) do env[name] = value end
      local program = { table.unpack(runner[1]) }
      table.move({ "examples/" .. EXAMPLE .. ".lua", port }, 1, 2, #program + 1,
        program)
      assert(sys.spawn { program = program, env = env, setsid = true,
        terminal = true, stdin = slave, stdout = slave, stderr = slave })
      slave:close()
    end

    local function accept()
      return keep(eventually(listener.accept, listener))
    end

    --- Waits until this is all there is on the screen.
    local function sees(expected)
      eventually(function()
        local bytes = master:read()
        if bytes then vt:feed(bytes) end
        if vt:see() == expected then return true end
        return nil, nil, "EAGAIN"
      end)
    end

    it("sends what is typed, and shows what comes above it", function()
      start()
      local server = accept()
      sees "127.0.0.1> |"
      master:write "hello\r"
      assert.equal("hello\r\n", eventually(server.read, server))
      sees "127.0.0.1> hello\n127.0.0.1> |"
      master:write "half a li"
      sees "127.0.0.1> hello\n127.0.0.1> half a li|"
      server:write "an answer\r\n"
      sees "127.0.0.1> hello\nan answer\n127.0.0.1> half a li|"
      master:write "ne\r"
      assert.equal("half a line\r\n", eventually(server.read, server))
      master:write "\27[A\27[A\r"
      assert.equal("hello\r\n", eventually(server.read, server))
      master:write "\4"
      assert.equal("", eventually(server.read, server))
    end)

    it("has commands, which Tab completes", function()
      start()
      accept()
      sees "127.0.0.1> |"
      master:write "/c\t\r"
      sees "127.0.0.1> /connect\nthere is no need to\n127.0.0.1> |"
      master:write "/q\t\r"
      sees("127.0.0.1> /connect\nthere is no need to\n127.0.0.1> /quit\n|")
    end)

    it("goes on without a server, and connects again", function()
      start()
      accept():close()
      local screen = "the server has closed the connection\n"
      sees(screen .. "(offline) |")
      master:write "x\r"
      screen = screen .. "(offline) x\nthere is no server: /connect or /quit\n"
      sees(screen .. "(offline) |")
      master:write "/connect\r"
      local server = accept()
      screen = screen .. "(offline) /connect\n"
      sees(screen .. "127.0.0.1> |")
      server:write "again\n"
      sees(screen .. "again\n127.0.0.1> |")
      master:write "/connect\r"
      screen = screen .. "again\n127.0.0.1> /connect\nthere is no need to\n"
      sees(screen .. "127.0.0.1> |")
      listener:close()
      server:close()
      screen = screen .. "the server has closed the connection\n"
      sees(screen .. "(offline) |")
      master:write "/connect\r"
      screen = screen .. "(offline) /connect\n"
      sees(screen .. ("Connection refused: 127.0.0.1 port %d\n(offline) |"):format(port))
      master:write "\3"
    end)

    it("passes a pipe through a real server", function()
      listener:close()
      local variables = ""
      for name, value in pairs(runner[2]) do
        variables = ("%s%s='%s' "):format(variables, name, value)
      end
      local pipe = assert(io.popen(([[
        socat -d -d TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr EXEC:'tr a-z A-Z' \
          2>&1 | { while read x; do case $x in *listening*) break;; esac; done
          printf 'one\ntwo\nthree\n' |
            env %s timeout 20 %s examples/shell.lua %d; cat >/dev/null; } 2>&1
      ]]):format(port, variables, table.concat(runner[1], " "), port)))
      local output = pipe:read "a"
      pipe:close()
      assert.equal("ONE\nTWO\nTHREE\n", output)
    end)
  end)
end
