-- Guards: slow handlers, memory, events queued. All are off unless asked for.

local helper = require "spec.helper"
local poe = require "poe"

-- What a script needs to wait for its own standard error, a file.
local PRELUDE = [[
  local poe, sys = require "poe", require "poe.sys"
  local function told()
    local file <close> = io.open "/proc/self/fd/2"
    return file:read "a" ~= ""
  end
  local function crunch()
    local deadline = poe.monotime() + 20
    while not told() and poe.monotime() < deadline do end
  end
  local WAIT = ("while [ ! -s /proc/%d/fd/2 ]; do sleep 0.01; done")
    :format(sys.getpid())
]]

local function run(script, environment)
  return helper.run_poe(PRELUDE .. script, { environment = environment })
end

describe("poe --slow", function()
  local function assert_told(pattern, err)
    local _, count = err:gsub("poe: slow handler: ", "")
    assert.equal(1, count)
    assert.matches(pattern, err)
  end

  it("tells of a handler while it runs, with its stack and whence it came", function()
    local status, _, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:alias_set "worker"; kernel:yield "dig" end,
        dig = function() crunch() end,
      } }]], "POE_SLOW_MS=20")
    assert.equal(0, status)
    assert_told('^poe: slow handler: session 1 "worker" has been in its handler '
      .. "of 'dig' for %d+ ms\nstack traceback:\n\t.*in upvalue 'crunch'\n"
      .. "\t[^\n]+in function <[^\n]+\nwhere the event came from:\n"
      .. "\tevent 'dig' of session 1 \"worker\", posted by session 1 \"worker\" "
      .. "at %S+, in its handler of '_start'\n$", err)
    assert.is_true(tonumber(err:match "for (%d+) ms") >= 20)
  end)

  it("tells of one that is in C without a stack", function()
    local status, _, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "nap" end,
        nap = function() os.execute(WAIT) end,
      } }]], "POE_SLOW_MS=20")
    assert.equal(0, status)
    assert_told("^poe: slow handler: session 1 has been in its handler of 'nap' "
      .. "for %d+ ms, not in Lua %(a C function, or a coroutine of its own%): "
      .. "no stack\n$", err)
  end)

  it("tells of what a handler has called, once", function()
    local _, _, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "outer" end,
        outer = function(kernel) kernel:call(kernel.session, "inner") crunch() end,
        inner = function() crunch() end,
      } }]], "POE_SLOW_MS=20")
    assert_told("handler of 'inner' .*\n\tevent 'inner' of session 1, called "
      .. ".*\n\tevent 'outer' of session 1, posted", err)
  end)

  it("tells of each handler that is slow", function()
    local _, _, err = run([[
      local seen = 0
      local function wait_for_more()
        local deadline = poe.monotime() + 20
        repeat
          local file <close> = io.open "/proc/self/fd/2"
          local _, count = file:read("a"):gsub("slow handler", "")
        until count > seen or poe.monotime() > deadline
        seen = seen + 1
      end
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "a"; kernel:yield "b" end,
        a = wait_for_more, b = wait_for_more,
      } }]], "POE_SLOW_MS=20")
    local _, count = err:gsub("poe: slow handler: ", "")
    assert.equal(2, count)
    assert.matches("handler of 'a' .*handler of 'b' ", err)
  end)

  it("tells of none that was in time, and of none twice", function()
    local status, out, err = helper.run_poe(([[
      local poe = require "poe"
      local seed, count, took = os.time(), %d, {}
      math.randomseed(seed)
      local states = { _start = function(kernel) kernel:yield "h1" end }
      for i = 1, count do
        states["h" .. i] = function(kernel)
          local began, length = poe.monotime(), math.random() * 0.02
          while poe.monotime() - began < length do end
          took[i] = poe.monotime() - began
          if i < count then kernel:yield("h" .. i + 1) end
        end
      end
      poe.session.create { inline_states = states }
      poe.run()
      print(seed, table.concat(took, " "))]]):format(os.getenv "HANDLERS" or 50),
      { environment = "POE_SLOW_MS=5" })
    assert.equal(0, status)
    local seed, list = out:match "^(%d+)\t(.*)\n$"
    local took, missed = {}, 0
    for seconds in list:gmatch "%S+" do took[#took + 1] = tonumber(seconds) end
    for name in err:gmatch "been in its handler of 'h(%d+)'" do
      local i = tonumber(name)
      assert.is_true(took[i] > 0.005, "seed " .. seed)
      took[i] = 0 -- another time would be too early
    end
    for _, seconds in ipairs(took) do
      missed = missed + (seconds > 0.015 and 1 or 0)
    end
    assert.is_true(missed < #took / 4, ("seed %s: %d missed"):format(seed, missed))
  end)

  it("leaves alone what waits, and handlers in time", function()
    helper.assert_prints("100", [[
      local poe = require "poe"
      poe.configure { slow_ms = 20 }
      local n = 0
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:delay("tick", 0.03) end,
        tick = function(kernel) -- slices of its own, one waits and waits
          kernel:delay("inner", 0.15)
          repeat kernel:run_one_timeslice() until n == 1
          for _ = 1, 99 do kernel:yield "inner" end
        end,
        inner = function() n = n + 1 end,
        _stop = function() print(n) end,
      } }
      poe.run()]])
  end)

  it("lets a hook of the script be", function()
    local _, out = run([[
      local calls = 0
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "dig" end,
        dig = function()
          debug.sethook(function() calls = calls + 1 end, "c")
          crunch()
          print((select(2, debug.gethook())))
          calls = 0
          math.abs(1)
          print(calls > 0)
          debug.sethook()
        end,
      } }]], "POE_SLOW_MS=20")
    assert.equal("c\ntrue\n", out)
  end)

  it("goes on in the child of a fork", function()
    local status, _, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel)
          local pid = kernel:fork()
          if pid == 0 then kernel:yield "dig" else kernel:sig_child(pid, "ended") end
        end,
        dig = function() crunch() end,
        ended = function() end,
      } }]], "POE_SLOW_MS=20")
    assert.equal(0, status)
    assert_told("handler of 'dig'", err)
  end)

  it("is an option, and a switch that can be set and taken back", function()
    local script = [[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "dig" end,
        dig = function(kernel)
          crunch()
          poe.configure { slow_ms = false }
          kernel:yield "fine"
        end,
        fine = function() poe.configure { slow_ms = 0 } end,
      } }]]
    local _, _, err = helper.run_poe(PRELUDE .. script,
      { interpreter = helper.POE .. " --slow=20" })
    assert_told("handler of 'dig'", err)
    assert.error_matches(function() poe.configure { slow_ms = "x" } end,
      "configure: 'slow_ms' must be a number of milliseconds or false, got x")
    assert.error_matches(function() poe.configure { slow_ms = -1 } end, "got %-1")
    assert.error_matches(function() poe.configure { slow_ms = true } end, "got true")
  end)

  it("refuses what is no number of milliseconds", function()
    local status, _, err = helper.run_poe("", { interpreter = helper.POE .. " --slow=fast" })
    assert.equal(2, status)
    assert.matches("^poe: '%-%-slow' must be a number of milliseconds, not 'fast'\n", err)
    status, _, err = helper.run_poe("require 'poe'", { environment = "POE_SLOW_MS=x" })
    assert.equal(1, status)
    assert.matches("POE_SLOW_MS must be a number of milliseconds, got x", err)
  end)
end)

describe("max_events", function()
  setup(function() poe.configure { trace_filename = "/dev/null" } end)
  teardown(function() poe.configure { trace_filename = false } end)
  before_each(helper.begin)
  after_each(function()
    poe.configure { max_events = false, when_full = "reject" }
    helper.finish()
  end)

  --- Posts 1 to 5 to a session with these options; what comes of it.
  local function post_five(options, dropped)
    local got, results = {}, {}
    poe.session.create { inline_states = {
      _start = function(kernel)
        local child = poe.session.create {
          options = options,
          inline_states = {
            _start = function() end,
            x = function(_, _, n) got[#got + 1] = n end,
          },
        }
        for i = 1, 5 do results[i] = table.pack(kernel:post(child, "x", i)) end
        if dropped then
          assert.equal(dropped, child:option "dropped_events")
        end
      end,
    } }
    poe.run()
    return table.concat(got, " "), results
  end

  it("is the number of events that may wait for a session", function()
    local got, results = post_five({ max_events = 3 }, 2)
    assert.equal("1 2 3", got)
    assert.same({ true, n = 1 }, results[3])
    for i = 4, 5 do
      local none, message, code = table.unpack(results[i], 1, 3)
      assert.is_nil(none)
      assert.equal("ENOBUFS", code)
      assert.matches("^ENOBUFS: session %d+ has as many events waiting as it may$",
        message)
    end
  end)

  it("drops the newest, or the oldest, and tells nobody", function()
    local got, results = post_five({ max_events = 3, when_full = "drop_newest" }, 2)
    assert.equal("1 2 3", got)
    assert.same({ true, n = 1 }, results[5])
    got, results = post_five({ when_full = "drop_oldest", max_events = 3 }, 2)
    assert.equal("3 4 5", got)
    assert.same({ true, n = 1 }, results[5])
  end)

  it("is of all sessions that have none of their own, if configured", function()
    poe.configure { max_events = 2 }
    assert.equal("1 2", (post_five({}, 3)))
    assert.equal("1 2 3 4", (post_five({ max_events = 4 }, 1)))
    assert.equal("1 2 3 4 5", (post_five({ max_events = false }, 0)))
    poe.configure { when_full = "drop_oldest" }
    assert.equal("4 5", (post_five({}, 3)))
    poe.configure { max_events = false }
    assert.equal("1 2 3 4 5", (post_five({}, 0)))
  end)

  it("holds in _start, for yield and for postbacks", function()
    local seen = {}
    poe.session.create {
      options = { max_events = 2 },
      inline_states = {
        _start = function(kernel)
          local postback <close> = kernel.session:postback "x"
          seen[1] = select("#", kernel:yield "x")
          seen[2] = postback()
          seen[3] = select(3, kernel:yield "x")
          seen[4] = select(3, postback())
          seen[5] = kernel:delay("x", 0)
          seen[6] = kernel:signal(kernel.session, "BENIGN")
        end,
        x = function() end,
      },
    }
    poe.run()
    assert.same({ 0, true, "ENOBUFS", "ENOBUFS", true, true }, seen)
  end)

  it("can be set, read and taken away at any time", function()
    local seen = {}
    poe.session.create { inline_states = {
      _start = function(kernel)
        local me = kernel.session
        seen[1] = me:option "max_events" == nil
        me:option("max_events", 1)
        kernel:yield "x"
        seen[2] = kernel:yield "x" == nil and me:option "dropped_events"
        seen[3] = me:option("max_events", nil)
        kernel:yield "x"
        seen[4] = me:option "dropped_events"
      end,
      x = function() end,
    } }
    poe.run()
    assert.same({ true, 1, 1, 1 }, seen)
  end)

  it("gives back what it drops", function()
    local weak = setmetatable({}, { __mode = "v" })
    poe.session.create {
      options = { max_events = 1, when_full = "drop_oldest" },
      inline_states = {
        _start = function(kernel)
          weak[1] = {}
          kernel:yield("x", weak[1])
          kernel:yield("x", {})
          collectgarbage()
          collectgarbage()
          assert.is_nil(weak[1])
        end,
        x = function() end,
      },
    }
    poe.run()
  end)

  it("is told of when it is reached, once, with what fills the queue", function()
    local _, out, err = helper.run_poe [[
      local poe = require "poe"
      poe.session.create {
        options = { max_events = 3 },
        inline_states = {
          _start = function(kernel)
            kernel:yield "other"
            for _ = 1, 5 do kernel:yield "x" end
          end,
          x = function() end,
        },
      }]]
    assert.equal("", out)
    assert.matches("^=== %d+ === <ev> session 1 has 3 events waiting, its limit: "
      .. "more are rejected; 2 are ``x'' from session 1 at %S+:7\n$", err)
  end)

  it("knows its values", function()
    local function create(options)
      return function()
        poe.session.create { options = options, inline_states = { _start = function() end } }
      end
    end
    for _, bad in ipairs { 0, -1, 1.5, "many", true } do
      assert.error_matches(create { max_events = bad },
        "create: 'max_events' must be a positive integer or false, got ")
      assert.error_matches(function() poe.configure { max_events = bad } end,
        "configure: 'max_events' must be a positive integer or false, got ")
    end
    assert.error_matches(create { when_full = "panic" }, "create: 'when_full' must be "
      .. "'reject', 'drop_oldest' or 'drop_newest', got 'panic'")
    assert.error_matches(create { dropped_events = 1 },
      "create: 'dropped_events' cannot be set")
  end)
end)

describe("poe --max-memory", function()
  local function poe_with(options, script)
    return helper.run_poe(PRELUDE .. script,
      { interpreter = helper.POE .. " " .. options })
  end

  it("ends a program that needs more, and names the limit", function()
    local status, _, err = poe_with("--max-memory=4M", [[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "eat" end,
        eat = function() local t = {} for i = 1, 1e9 do t[i] = i .. "th" end end,
      } }]])
    assert.equal(1, status)
    assert.matches("^poe: not enough memory %(max_memory is 4194304 bytes%)\n"
      .. "stack traceback:\n.*where the event came from:\n\tevent 'eat'", err)
  end)

  it("is an exception like others, after which there is memory again", function()
    local status, out, err = poe_with("--max-memory 4M", [[
      local again = 0
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:sig("DIE", "died") kernel:yield "eat" end,
        eat = function() local t = {} for i = 1, 1e9 do t[i] = i .. "th" end end,
        died = function(kernel, _, _, ex)
          print(ex.error, ex.error_str, ex.event)
          kernel:sig_handled()
          again = again + 1
          if again < 5 then kernel:yield "eat" end
        end,
      } }]])
    assert.equal("", err)
    assert.equal(0, status)
    assert.equal(("not enough memory\tnot enough memory (max_memory is 4194304 "
      .. "bytes)\teat\n"):rep(5), out)
  end)

  it("counts what waits in the kernel's queue", function()
    local status, out, err = poe_with("--max-memory=4M", [[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "fill" end,
        fill = function(kernel)
          local n = 0
          print(pcall(function() while true do kernel:yield("x", n); n = n + 1 end end))
          assert(n < 100000)
        end,
        x = function() end,
      } }]])
    assert.equal("", err)
    assert.matches("^false\t%S+ not enough memory\n$", out)
    assert.equal(0, status)
  end)

  it("lets the collector work first", function()
    local status, out, err = poe_with("--max-memory=4M", [[
      collectgarbage "stop"
      for i = 1, 1e6 do local _ = { i } end
      print "done"]])
    assert.equal("", err)
    assert.equal("done\n", out)
    assert.equal(0, status)
  end)

  it("is a switch that can be changed and taken away", function()
    local status, out, err = helper.run_poe(PRELUDE .. [[
      local core = require "poe.core"
      local function eat() return ("x"):rep(3000000) end
      poe.configure { max_memory = "2M" }
      print((pcall(eat)), select(2, core.memory()))
      poe.configure { max_memory = 8 * 1024 * 1024 }
      print((pcall(eat)), select(2, core.memory()))
      poe.configure { max_memory = false }
      print((pcall(eat)), core.memory())]])
    assert.equal("", err)
    assert.equal("false\t2097152\t1\ntrue\t8388608\t1\ntrue\n",
      out:gsub("\t%d+\t8388608", "\t8388608"))
    assert.equal(0, status)
  end)

  it("knows its values", function()
    for _, bad in ipairs { "8Q", "-1", "M", "0", "1e6", "99999999999G", "" } do
      local status, _, err = poe_with("--max-memory='" .. bad .. "'", "")
      assert.equal(2, status)
      assert.matches("^poe: '%-%-max%-memory': 'max_memory' must be a number of bytes, or "
        .. "with K, M or G behind it, got '", err)
    end
    local status, _, err = poe_with("--max-memory=90K", "")
    assert.equal(2, status)
    assert.matches("^poe: '%-%-max%-memory': 92160 bytes of memory are too few: %d+ are "
      .. "used already, and 65536 kept in reserve\n$", err)
    status, _, err = helper.run_poe("require 'poe'", { environment = "POE_MAX_MEMORY=x" })
    assert.equal(1, status)
    assert.matches("POE_MAX_MEMORY must be a number of bytes", err)
  end)

  it("is survived wherever it strikes", function()
    local moments = tonumber(os.getenv "MOMENTS") or 20
    for i = 1, moments do
      local kib = 450 + 2500 * i // moments
      local status, _, err = poe_with("--max-memory=" .. kib .. "K", [[
        local kept = {}
        poe.session.create { inline_states = {
          _start = function(kernel) kernel:sig("DIE", "died") kernel:yield "go" end,
          go = function(kernel, heap)
            for i = 1, 10000 do
              kept[i] = kernel.session:postback("back" .. i, {})
              kernel:delay_add("tick" .. i, 100, i)
              kernel:yield("x", { i })
              poe.session.create { inline_states = { _start = function(_, _, ...)
                kernel:alias_set("alias" .. i)
                kernel:refcount_increment(kernel.session:ID(), "tag" .. i)
              end } }
            end
          end,
          died = function(kernel) kept = {} kernel:sig_handled() kernel:stop() end,
        } }]])
      assert.is_true(status == 0 or status == 1, err)
      assert.is_true(err == "" or err:find("not enough memory", 1, true) ~= nil, err)
    end
  end)
end)
