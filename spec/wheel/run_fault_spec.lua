-- poe.wheel.run when things go wrong: no descriptors, no program, a process that
-- does not do what it should; and 200 at once.

local Run = require "poe.wheel.run"
local Stream = require "poe.filter.stream"
local fixture = require "spec.wheel.fixture"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"
local sys_fixture = require "spec.sys.fixture"

local finish = fixture.finish

--- Calls `fn` in a session.
local function in_session(fn)
  poe.session.create { inline_states = { _start = fn } }
  poe.run()
end

--- Processes of ours that nobody has waited for.
local function count_children()
  local path = ("/proc/self/task/%d/children"):format(sys.getpid())
  local file <close> = assert(io.open(path))
  return select(2, file:read("a"):gsub("%d+", ""))
end

describe("Run", function()
  local children

  before_each(function()
    helper.begin()
    children = count_children()
  end)

  after_each(function()
    helper.finish()
    assert.equal(children, count_children())
  end)

  it("says why a process could not be started", function()
    local function fails(code, text, options)
      in_session(function()
        options.stdout_event = "x"
        local wheel, message, got = Run.new(options)
        assert.same({ nil, code }, { wheel, got })
        assert.matches(text, message, 1, true)
      end)
    end
    local function empty() end
    fails("ENOENT", "exec: /nowhere/at/all", { program = { "/nowhere/at/all" } })
    fails("EACCES", "exec: /dev/null", { program = { "/dev/null" } })
    fails("ENOENT", "/nowhere", { program = "true", redirect_stdin = "/nowhere" })
    fails("EBADF", "redirection", { program = "true", redirect_stdin = 999 })
    for _, program in ipairs { "true", empty } do
      fails("ENOENT", "cwd: /nowhere",
        { program = program, working_directory = "/nowhere" })
      fails("ENOENT", "nobody-at-all", { program = program, user = "nobody-at-all" })
      fails("ENOENT", "cwd: /nowhere", { program = program, conduit = "pty-pipe",
        stderr_event = "x", working_directory = "/nowhere" })
    end
  end)

  it("waits for a function that could not begin", function()
    helper.assert_prints("ENOENT", [[
      local poe = require "poe"
      poe.session.create { inline_states = { _start = function()
        print((select(3, require "poe.wheel.run".new {
          program = print, working_directory = "/nowhere" })))
      end } }
      poe.run()
    ]])
  end)

  it("waits without haste on a virtual clock", function()
    local status, out = helper.run_virtual [[
      local poe = require "poe"
      local Run = require "poe.wheel.run"
      poe.session.create { inline_states = {
        _start = function(_, heap)
          heap.wheel = Run.new { program = { "sleep", "0.05" }, no_stdin = true,
            exit_event = "exited" }
          heap.since = poe.monotime()
        end,
        exited = function(_, heap) print(poe.monotime() - heap.since < 10) end,
      } }
      poe.run()
    ]]
    assert.same({ 0, "true\n" }, { status, out })
  end)

  it("needs descriptors, and gives those back that were not enough", function()
    local text, kind, code = sys_fixture.run([[
      local poe = require "poe"
      local Run = require "poe.wheel.run"
      local function count()
        local n = 0
        for fd = 0, 63 do
          local file <close> = io.open("/proc/self/fdinfo/" .. fd)
          if file then n = n + 1 end
        end
        return n
      end
      local function try(heap, left, options)
        local kept = {}
        repeat
          local file = sys.open "/dev/null"
          kept[#kept + 1] = file
        until not file
        for i = 1, left do table.remove(kept):close() end
        local wheel, message, code = Run.new(options)
        for _, file in ipairs(kept) do file:close() end
        return wheel, code
      end
      local tried = { program = { "cat" }, conduit = "pty-pipe",
        stdout_event = "got", stderr_event = "got", exit_event = "got" }
      poe.session.create { inline_states = {
        _start = function(kernel, heap)
          heap.n = 0
          assert(Run.new { program = "true", no_stdin = true }) -- warms up
          for _, conduit in ipairs { "pipe", "socketpair", "pty-pipe" } do
            for _, program in ipairs { { "cat" }, function() io.read() end } do
              tried.conduit, tried.program = conduit, program
              local before, left = count(), -1
              repeat
                left = left + 1
                local wheel, code = try(heap, left, tried)
                assert(wheel or code == "EMFILE" or code == "ECHILD", code)
                if wheel then wheel:destroy() end
                assert(count() == before, left)
              until wheel
              assert(left >= 4)
              heap.n = heap.n + 1
            end
          end
          print(heap.n)
        end,
      } }
      poe.run()
    ]], "ulimit -n 40; exec timeout 20")
    assert.same({ "6\n", "exit", 0 }, { text:match "[^\n]*\n$", kind, code })
  end)

  it("tells once that nobody reads the input", function()
    assert.same({ "failed(write, EPIPE, Broken pipe, 1, STDIN)",
      "exited(0, nil)" }, (function()
        local log = {}
        fixture.run({}, {
          _start = function(_, heap)
            heap.wheel = assert(Run.new { program = "exec <&-; echo ready; sleep 0.05",
              stdout_event = "ready", error_event = "failed", exit_event = "exited" })
          end,
          ready = function(_, heap)
            heap.wheel:put(("x"):rep(1000))
          end,
          failed = function(_, heap, operation, code, text, _, name)
            if operation == "read" then return end
            log[#log + 1] = ("failed(%s, %s, %s, 1, %s)"):format(operation, code,
              text, name)
            assert.same({ nil, "EPIPE" }, { heap.wheel:put "y", (select(3,
              heap.wheel:put "y")) })
          end,
          exited = function(kernel, heap, code, signal)
            log[#log + 1] = ("exited(%s, %s)"):format(code, signal)
            finish(kernel, heap)
          end,
        })
        return log
      end)())
  end)

  it("does not let input grow without bounds", function()
    local code
    fixture.run({}, {
      _start = function(_, heap)
        heap.wheel = assert(Run.new { program = { "sleep", "60" },
          max_stdin = 1 << 20, error_event = "failed", exit_event = "exited" })
        for _ = 1, 20 do
          code = code or select(3, heap.wheel:put(("x"):rep(100000)))
        end
        heap.wheel:kill()
      end,
      failed = function() end,
      exited = finish,
    })
    assert.equal("ENOBUFS", code)
  end)

  it("ends an output that breaks the rules of its filter", function()
    local seen = {}
    fixture.run({}, {
      _start = function(_, heap)
        heap.wheel = assert(Run.new {
          program = "head -c 70000 /dev/zero; exec sleep 60",
          stdout_event = "x", error_event = "failed", close_event = "closed",
          exit_event = "exited" })
      end,
      failed = function(_, _, operation, code)
        seen[#seen + 1] = operation .. " " .. code
      end,
      closed = function(_, heap)
        seen[#seen + 1] = "closed"
        heap.wheel:kill()
      end,
      exited = function(kernel, heap, _, signal)
        seen[#seen + 1] = signal
        finish(kernel, heap)
      end,
    })
    assert.same({ "read EMSGSIZE", "closed", "TERM" }, seen)
  end)

  it("kills for good what does not want to hear", function()
    local seen = {}
    fixture.run({}, {
      _start = function(_, heap)
        heap.wheel = assert(Run.new { stdout_event = "ready", exit_event = "exited",
          program = "trap '' TERM; echo ready; while read x; do echo $x; done" })
      end,
      ready = function(_, heap, line)
        seen[#seen + 1] = line
        if line == "ready" then
          heap.wheel:kill "TERM"
          heap.wheel:put "still there"
        else
          heap.wheel:kill "KILL"
        end
      end,
      exited = function(kernel, heap, code, signal)
        seen[#seen + 1] = tostring(code) .. " " .. signal
        finish(kernel, heap)
      end,
    })
    assert.same({ "ready", "still there", "nil KILL" }, seen)
  end)

  it("ends what waits for input when its session is killed, and reaps it", function()
    local pid, wheel
    poe.session.create { inline_states = {
      _start = function(kernel)
        wheel = assert(Run.new { program = { "cat" }, stdout_event = "x",
          exit_event = "x" })
        pid = wheel:PID()
        kernel:signal(kernel.session, "TERM")
      end,
    } }
    poe.run()
    assert.is_nil(io.open("/proc/" .. pid .. "/stat"))
    wheel:destroy()
  end)

  it("sees each process killed, wherever it was, exactly once", function()
    local COUNT = 100
    local seed = tonumber(os.getenv "SEED") or os.time()
    math.randomseed(seed)
    local jobs, left = {}, COUNT
    local function begin(limit)
      local wheel = assert(Run.new { program = { "yes" }, stdout_event = "out",
        error_event = "failed", close_event = "closed", exit_event = "exited",
        stdout_filter = Stream.new(), conduit = limit % 2 == 0 and "pipe" or "pty" })
      jobs[wheel:ID()] = { wheel = wheel, limit = limit, events = "" }
    end
    local function add(id, event)
      jobs[id].events = jobs[id].events .. event
    end
    fixture.run({}, {
      _start = function(kernel)
        kernel:delay("_hung", 60)
        for _ = 1, 10 do begin(math.random(0, 200000)) end
      end,
      out = function(_, _, bytes, id)
        local job = jobs[id]
        job.limit = job.limit - #bytes
        if job.limit <= 0 then job.wheel:kill "KILL" end
      end,
      failed = function(_, _, operation, code, _, id)
        add(id, operation .. " " .. code .. " ")
      end,
      closed = function(_, _, id) add(id, "closed ") end,
      exited = function(kernel, heap, _, signal, _, id)
        add(id, signal)
        assert.equal("read 0 closed KILL", jobs[id].events, "SEED=" .. seed)
        jobs[id].wheel:destroy()
        left = left - 1
        if left == 0 then return finish(kernel, heap) end
        if left >= 10 then begin(math.random(0, 200000)) end
      end,
    })
    assert.equal(0, left)
  end)

  it("runs 200 processes at once, and tells of each exactly how it ended", function()
    local COUNT = 200
    local statuses, outputs, wheels = {}, {}, {}
    local left = COUNT
    fixture.run({}, {
      _start = function(kernel)
        kernel:delay("_hung", 60)
        for i = 1, COUNT do
          local wheel = assert(Run.new {
            program = i % 3 == 0 and ("echo %d; kill -%d $$"):format(i, i % 2 == 0
              and 9 or 15) or ("echo %d; exit %d"):format(i, i % 256),
            stdout_event = "out", exit_event = "exited", no_stdin = i % 2 == 0,
          })
          wheels[wheel:ID()] = { wheel = wheel, number = i }
        end
      end,
      out = function(_, _, line, id)
        assert.is_nil(outputs[id])
        outputs[id] = line
      end,
      exited = function(kernel, heap, code, signal, pid, id)
        assert.is_nil(statuses[id])
        local number = wheels[id].number
        assert.equal(wheels[id].wheel:PID(), pid)
        assert.equal(tostring(number), outputs[id])
        statuses[id] = true
        if number % 3 == 0 then
          assert.same({ nil, number % 2 == 0 and "KILL" or "TERM" }, { code, signal })
        else
          assert.same({ number % 256 }, { code, signal })
        end
        left = left - 1
        if left == 0 then finish(kernel, heap) end
      end,
    })
    assert.equal(0, left)
    wheels = nil
    collectgarbage()
  end)
end)
