-- examples/jobs.lua and examples/follow.lua, by the host and by plain Lua: real
-- processes, real files that are rotated, real signals.

local lfs = require "lfs"
local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local PATIENCE = tonumber(os.getenv "PATIENCE" or 60) -- seconds, after which an example is given up

local host = os.getenv "POE_BIN" or "build/bin/poe"
local RUNNERS = { ["the host"] = host }
if host == "build/bin/poe" then
  RUNNERS["plain Lua"] = "env 'LUA_PATH=lua/?.lua;lua/?/init.lua;;' " ..
    "'LUA_CPATH=build/lib/?.so;;' " .. (os.getenv "LUA" or "lua5.4")
end

local function append(path, text)
  local file <close> = assert(io.open(path, "a"))
  file:write(text)
end

for where, runner in pairs(RUNNERS) do
  describe("by " .. where .. ", the example", function()
    local program, pid, path

    local function start(name, arguments, output)
      program = assert(io.popen(("exec timeout %d sh -c 'echo $$ >&2; "
        .. "exec \"$0\" \"$@\"' %s examples/%s.lua %s 2>&1 %s"):format(PATIENCE,
        runner, name, arguments, output or "")))
      pid = assert(tonumber(program:read "l"))
    end

    --- The rest of the output, and the exit status.
    local function finish()
      local output = program:read "a"
      local _, kind, code = program:close()
      assert.equal("exit", kind)
      return output, code
    end

    before_each(function()
      path = fixture.free_path()
    end)

    after_each(function()
      for _, suffix in ipairs { "", ".1", ".state" } do os.remove(path .. suffix) end
    end)

    describe("jobs", function()
      local TIME = "%d+%.%d s"

      --- The lines that match, without times.
      local function pick(output, pattern)
        local lines = {}
        for line in output:gmatch "[^\n]+" do
          if line:find(pattern) then
            lines[#lines + 1] = line:gsub(TIME, "T"):gsub("%[%d+", "[N")
          end
        end
        table.sort(lines)
        return lines
      end

      it("runs each, shows what they write and how they ended", function()
        append(path, "echo one\n# two\n\nexit 3\necho a; echo b >&2\nkill -KILL $$\n"
          .. "/nowhere/at/all 2>/dev/null\n")
        start("jobs", "-j 2 " .. path)
        local output, code = finish()
        assert.equal(1, code)
        assert.same({ "1: one", "3: a", "3: b" }, pick(output, "^%d: "))
        assert.same({
          "[N/5] SIGKILL after T: kill -KILL $$",
          "[N/5] done after T: echo a; echo b >&2",
          "[N/5] done after T: echo one",
          "[N/5] exit 127 after T: /nowhere/at/all 2>/dev/null",
          "[N/5] exit 3 after T: exit 3",
        }, pick(output, "^%["))
        assert.same({ "5 jobs: 2 well, 3 not, T" }, pick(output, "jobs"))
        assert.equal(3, #pick(output, "^  "))
      end)

      it("keeps so many running, and no more", function()
        local busy = path .. ".1"
        assert(lfs.mkdir(busy))
        -- Each runs until all three have been seen, once.
        local job = ("mkdir %s/$$; until [ -e %s ] || [ $(ls %s | wc -l) -gt 2 ]; "
          .. "do sleep 0.01; done; ls %s | wc -l; echo >%s; rmdir %s/$$\n"):format(
          busy, path .. ".state", busy, busy, path .. ".state", busy)
        append(path, job:rep(12))
        start("jobs", "-j 3 " .. path)
        local output, code = finish()
        assert(lfs.rmdir(busy))
        assert.equal(0, code)
        local most, seen = 0, 0
        for count in ("\n" .. output):gmatch "\n%d+: (%d+)" do
          most, seen = math.max(most, tonumber(count)), seen + 1
        end
        assert.same({ 3, 12 }, { most, seen })
      end)

      it("ends on SIGINT with all that runs, stubborn ones too", function()
        append(path, "echo ready; sleep 60\n"
          .. "trap '' TERM; echo ready; while :; do sleep 0.1; done\nnever\n")
        start("jobs", "-j 2 " .. path)
        assert.matches("^%d: ready$", program:read "l")
        assert.matches("^%d: ready$", program:read "l")
        assert(sys.kill(pid, "INT"))
        local output, code = finish()
        assert.equal(1, code)
        assert.matches("SIGTERM after [%d.]+ s: echo ready; sleep 60\n", output)
        assert.matches("SIGKILL after [%d.]+ s: trap", output)
        assert.matches("2 jobs: 0 well, 2 not, 1 left out, ", output, 1, true)
      end)

      it("does nothing for no commands, and says what it expects", function()
        start("jobs", "/dev/null")
        local output, code = finish()
        assert.equal("0 jobs: 0 well, 0 not, T\n", (output:gsub(TIME, "T")))
        assert.equal(0, code)
        start("jobs", "-j 0 /dev/null")
        output, code = finish()
        assert.equal("usage: jobs.lua [-j number] [file]\n", output)
        assert.equal(2, code)
      end)
    end)

    describe("follow", function()
      --- Where the program is in the file at `path`, if it has it open.
      local function position()
        local files <close> = assert(io.popen("ls -l /proc/" .. pid ..
          "/fd 2>/dev/null"))
        local at = files:read("a"):match("(%d+) %-> " .. path:gsub("%p", "%%%0")
          .. "\n")
        local info <close> = at and io.open(("/proc/%d/fdinfo/%s"):format(pid, at))
        return info and tonumber(info:read("a"):match "pos:%s*(%d+)")
      end

      --- Waits until the file at `path`, which is there, is followed: it looks for
      --- the end more than once before it waits there.
      local function wait_until_followed()
        local size = lfs.attributes(path, "size")
        fixture.wait_until(function()
          return fixture.time_when_asleep(pid) and position() == size
        end)
      end

      it("shows lines across a rotation, and ends on SIGINT", function()
        append(path, "old\n")
        start("follow", path)
        wait_until_followed()
        append(path, "one\n")
        assert.equal("one", program:read "l")
        assert(os.rename(path, path .. ".1"))
        append(path .. ".1", "two\n")
        append(path, "three\n")
        assert.equal("two", program:read "l")
        assert.matches("^%-%- .* is another file", program:read "l")
        assert.equal("three", program:read "l")
        assert(sys.kill(pid, "INT"))
        assert.same({ "3 lines\n", 0 }, { finish() })
      end)

      it("goes on where it was, and waits for a file", function()
        append(path, "old\n")
        start("follow", ("-s %s.state %s.1 %s"):format(path, path, path))
        wait_until_followed()
        append(path .. ".1", "one\n")
        assert.equal("-- " .. path .. ".1 is another file, or begins anew --",
          program:read "l")
        assert.equal(path .. ".1: one", program:read "l")
        assert(sys.kill(pid, "TERM"))
        assert.same({ "1 lines\n", 0 }, { finish() })
        append(path .. ".1", "two\nthree\n")
        start("follow", ("-s %s.state %s.1"):format(path, path))
        assert.equal("two", program:read "l")
        assert.equal("three", program:read "l")
        assert(sys.kill(pid, "INT"))
        assert.same({ "2 lines\n", 0 }, { finish() })
      end)

      it("ends when nobody reads what it writes", function()
        append(path, "")
        start("follow", path, ">/dev/full")
        fixture.wait_until(function()
          append(path, "line\n")
          return not sys.kill(pid, 0)
        end)
        assert.matches("^%d+ lines\n", (finish()))
      end)

      it("says what it expects", function()
        start("follow", "")
        assert.same({ "usage: follow.lua [-s state] file...\n", 2 }, { finish() })
      end)
    end)
  end)
end
