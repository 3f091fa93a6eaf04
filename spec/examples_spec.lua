-- Each example is run by the host and by plain Lua, with real peers where it
-- is a server, and must print the same.

local lfs = require "lfs"
local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local eventually, keep = fixture.eventually, fixture.keep
local PATIENCE = tonumber(os.getenv "PATIENCE" or 60) -- seconds, after which an example is given up

local host = os.getenv("POE_BIN") or "build/bin/poe"

-- What comes before the example's name on the command line, on the real clock
-- and on the virtual one.
local RUNNERS = {
  ["the host"] = { real = host, virtual = host .. " --virtual-time" },
}
if host == "build/bin/poe" then
  local lua = "env 'LUA_PATH=lua/?.lua;lua/?/init.lua;;' " ..
    "'LUA_CPATH=build/lib/?.so;;' " .. (os.getenv("LUA") or "lua5.4")
  RUNNERS["plain Lua"] = { real = lua, virtual = lua ..
    [[ -e 'require("poe").configure { virtual_time = true }']] }
end

---@class spec.program
---@field pid integer
local Program = {}
Program.__index = Program

--- Starts an example.  `after` comes after its name on the command line,
--- `before` before all.
local function start(runner, name, after, before)
  local self = setmetatable({}, Program)
  self.pipe = assert(io.popen(table.concat({
    before or "exec",
    "timeout", PATIENCE, [[sh -c 'echo $$; exec "$0" "$@"']],
    runner, "examples/" .. name .. ".lua", after }, " ")))
  self.pid = assert(tonumber(self.pipe:read("l")))
  return self
end

function Program:line()
  return self.pipe:read("l")
end

function Program:signal(name)
  assert(sys.kill(self.pid, name))
end

--- The rest of the output; asserts that the program ended well.
function Program:finish()
  local output = self.pipe:read("a")
  local _, kind, code = self.pipe:close()
  assert.same({ "exit", 0 }, { kind, code }, output)
  return output
end

local function lines(list)
  return table.concat(list, "\n") .. "\n"
end

for where, runners in pairs(RUNNERS) do
  local runner = runners.real

  describe("by " .. where .. ", the example", function()
    after_each(fixture.close_kept)

    local function run(name, after)
      return start(runner, name, after):finish()
    end

    local function run_virtually(name)
      return start(runners.virtual, name):finish()
    end

    it("tick keeps time", function()
      assert.equal(lines { "tick\t1", "tick\t2", "tick\t3", "done\t3" },
        run("tick", "3 0.02"))
    end)

    it("pingpong plays its rallies", function()
      assert.equal(lines {
        "ping\t1", "pong\t1", "ping\t2", "pong\t2",
        "the returner goes home", "the server goes home",
      }, run("pingpong", "2"))
    end)

    describe("logger", function()
      local path

      before_each(function()
        path = fixture.free_path()
      end)

      after_each(function()
        os.remove(path)
      end)

      --- Takes the times away, having checked that they are there.
      local function without_times(output)
        return (output:gsub("[^\n]+", function(line)
          return line:match("^%d%d:%d%d:%d%d (.*)$") or line
        end))
      end

      it("logs what is piped into it, the unfinished line too", function()
        local file = assert(io.open(path, "w"))
        file:write("one\n\nthree\nfour")
        file:close()
        assert.equal(lines { "one", "", "three", "four", "4 lines" },
          without_times(run("logger", "2>&1 < " .. path)))
        local piped = run("logger", "2>&1 < /dev/null")
        assert.equal("0 lines\n", piped)
      end)

      it("logs lines as they come, and ends on SIGINT", function()
        assert(os.execute("mkfifo " .. path))
        local program = start(runner, "logger", "2>&1 <> " .. path)
        local writer = keep(assert(sys.open(path, "w")))
        writer:write("first\nsec")
        assert.equal("first\n", without_times(program:line() .. "\n"))
        writer:write("ond\n")
        assert.equal("second\n", without_times(program:line() .. "\n"))
        program:signal("INT")
        assert.equal("2 lines\n", program:finish())
      end)

      it("follows a file through tail", function()
        local file <close> = assert(io.open(path, "w"))
        file:setvbuf("no")
        file:write("old\n")
        local program = start(runner, "logger", "2>&1",
          "tail -n +1 -f " .. path .. " |")
        assert.equal("old\n", without_times(program:line() .. "\n"))
        file:write("new\n")
        assert.equal("new\n", without_times(program:line() .. "\n"))
        program:signal("INT")
        assert.equal("2 lines\n", program:finish())
      end)

      it("ends when nobody reads what it writes", function()
        local pipe = assert(io.popen(([[exec 4>&1; yes 2>/dev/null | {
          timeout %d %s examples/logger.lua 2>&4
          echo "status $?" >&4; } | true]]):format(PATIENCE, runner)))
        assert.matches("^%d+ lines\nstatus 0\n$", pipe:read("a"))
        assert.is_true(pipe:close())
      end)
    end)

    describe("echo", function()
      local program, port

      before_each(function()
        program = start(runner, "echo", "2>&1")
        port = tonumber(program:line():match("^listening on port (%d+)$"))
      end)

      local function connect()
        return keep(assert(sys.tcp.connect { port = port }))
      end

      --- Sends all of it and reads as much back.
      local function exchange(client, bytes)
        local sent, parts, received = 0, {}, 0
        while received < #bytes do
          local n, _, code = client:write(bytes, sent + 1)
          assert(n or code == "EAGAIN" or code == "ENOTCONN", code)
          sent = sent + (n or 0)
          local part = client:read()
          if part then
            assert(part ~= "", "hung up")
            parts[#parts + 1] = part
            received = received + #part
          end
        end
        return table.concat(parts)
      end

      local function stop()
        program:signal("INT")
        return program:finish()
      end

      it("serves many clients at once", function()
        local clients = {}
        for i = 1, 50 do
          clients[i] = connect()
        end
        for round = 1, 3 do
          for i, client in ipairs(clients) do
            local text = ("client %d, round %d\n"):format(i, round)
            assert.equal(text, exchange(client, text))
          end
        end
        fixture.close_kept()
        assert.matches("served 50 clients, %d+ bytes\n", stop())
      end)

      it("sends in parts what a slow client cannot take at once", function()
        local slow, quick = connect(), connect()
        assert.equal("hello", exchange(slow, "hello"))
        repeat -- until the server reads no more from it
          local stuck = true
          while slow:write(("x"):rep(65536)) do
            stuck = false
          end
          assert.equal("still there", exchange(quick, "still there"))
        until stuck
        local bytes = ("0123456789"):rep(500000)
        assert.equal(bytes, exchange(quick, bytes))
        slow:shutdown("w")
        assert.equal("", (fixture.read_all(slow):gsub("x", "")))
        stop()
      end)

      it("answers all that was sent before a half close", function()
        local client = connect()
        client:write("last words")
        assert.equal("last words", eventually(client.read, client))
        client:shutdown("w")
        assert.equal("", eventually(client.read, client))
        assert.equal("served 1 clients, 10 bytes\n", stop())
      end)

      it("ends on SIGINT, and its clients see it", function()
        local client = connect()
        assert.equal("x", exchange(client, "x"))
        assert.equal("served 1 clients, 1 bytes\n", stop())
        assert.equal("", eventually(client.read, client))
      end)

      it("survives clients that vanish", function()
        for _ = 1, 20 do
          local client = connect()
          client:setsockopt("SO_LINGER", 0) -- so that close resets
          client:write(("x"):rep(10000))
          client:close()
        end
        assert.equal("alive", exchange(connect(), "alive"))
        stop()
      end)
    end)

    it("forkers adds up what its workers found", function()
      assert.equal(lines {
        "worker 1: 11", "worker 2: 7", "worker 3: 7",
        "25 primes below 100",
      }, run("forkers", "3 100"))
    end)

    it("forkers tells of workers that were killed", function()
      local program = start(runner, "forkers", "2 100000000 2>&1")
      local children = ("/proc/%d/task/%d/children"):format(program.pid,
        program.pid)
      fixture.wait_until(function()
        local file = io.open(children)
        local text = file and file:read("a") or ""
        if file then
          file:close()
        end
        return select(2, text:gsub("%d+", "")) == 2
      end)
      program:signal("INT")
      local output = program:finish()
      assert.matches("worker 1 failed: signal 15\n", output, 1, true)
      assert.matches("worker 2: no result\n", output, 1, true)
    end)

    it("supervisor restarts the flaky worker, then gives it up", function()
      local failure =
        "flaky failed: examples/supervisor.lua:30: job 3 is too hard"
      assert.equal(lines {
        failure, "flaky is restarted", failure, "flaky is restarted",
        failure, "steady finished after 20 jobs", "flaky is restarted",
        failure, "flaky is given up", "the supervisor ends",
      }, run_virtually("supervisor"))
    end)

    describe("signals", function()
      local program

      before_each(function()
        program = start(runner, "signals", "2>&1")
        assert.equal("ready, process " .. program.pid, program:line())
      end)

      for _, name in ipairs { "INT", "TERM" } do
        it("ends in good order on SIG" .. name, function()
          program:signal(name)
          assert.equal(lines {
            "worker B stops: got " .. name, "worker A stops: got " .. name,
            "a worker is gone", "a worker is gone", "the service ends",
          }, program:finish())
        end)
      end

      it("reads its settings again on SIGHUP, and lives", function()
        for _ = 1, 2 do
          program:signal("HUP")
          assert.equal("settings read again", program:line())
        end
        program:signal("USR1")
        assert.equal("worker B is at work", program:line())
        assert.equal("worker A is at work", program:line())
        assert.equal("2 workers, 2 reloads", program:line())
        program:signal("INT")
        program:finish()
      end)
    end)

    it("statemachine goes through its states", function()
      assert.equal(lines {
        "cars: green, people: red",
        "  (button: please wait)",
        "cars: yellow, people: red",
        "  (button: no need)",
        "cars: red, people: green",
        "  (button: no need)",
        "cars: green, people: red",
        "cars: yellow, people: red",
        "cars: red, people: green",
        "cars: green, people: red",
        "the lights go out",
      }, run_virtually("statemachine"))
    end)
  end)
end

it("there is no example that is not run", function()
  local source = ""
  for name in lfs.dir("spec") do
    if name:find("^examples.*_spec%.lua$") then
      source = source .. assert(io.open("spec/" .. name)):read("a")
    end
  end
  for name in lfs.dir("examples") do
    local example = name:match("^(.*)%.lua$")
    if example then
      assert.matches('["(]' .. example .. '["]', source, nil, example)
    end
  end
end)
