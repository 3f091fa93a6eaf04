-- Guards: slow handlers, memory, events queued. All are off unless asked for.

local helper = require "spec.helper"
local poe = require "poe"

-- What a script needs to wait until it is told of, on its own standard error, a
-- file.  On a busy machine any handler may turn out slow, and one that means to
-- be may be told of before it comes to what it is about: it takes another turn.
local PRELUDE = [[
  local poe, sys = require "poe", require "poe.sys"
  local turns = 0
  local function told(pattern)
    local file <close> = io.open "/proc/self/fd/2"
    return select(2, file:read("a"):gsub(pattern, ""))
  end
  local function crunch(name)
    local deadline = poe.monotime() + 20
    repeat until told("been in its handler of '" .. name) >= turns or poe.monotime() > deadline
  end
  local function again_until(pattern, kernel)
    if told(pattern) == 0 and turns < 20 then kernel:yield(kernel.event) end
  end
]]

local function run(script, environment)
  return helper.run_poe(PRELUDE .. script, { environment = environment })
end

describe("poe --slow", function()
  --- The handler was told of in each of its turns, once; in one of them so.
  local function assert_told(pattern, name, turns, err)
    local count, found = 0, false
    for report in (err:gsub("poe: slow ", "\0poe: slow ")):gmatch "%z(%Z+)" do
      if report:find("been in its handler of '" .. name) then
        count, found = count + 1, found or report:find(pattern) ~= nil
      end
    end
    assert.equal(tonumber(turns), count, err)
    assert.is_true(found, err)
  end

  it("tells of a handler while it runs, with its stack and whence it came", function()
    local status, out, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:alias_set "worker"; kernel:yield "dig" end,
        dig = function(kernel)
          turns = turns + 1
          crunch "dig"
          again_until("in upvalue 'crunch'", kernel)
        end,
      } }
      poe.run()
      print(turns)]], "POE_SLOW_MS=20")
    assert.equal(0, status)
    assert_told('^poe: slow handler: session 1 "worker" has been in its handler '
      .. "of 'dig' for %d+ ms\nstack traceback:\n\t.*in upvalue 'crunch'\n"
      .. "\t[^\n]+in function <[^\n]+\nwhere the event came from:\n"
      .. "\tevent 'dig' of session 1 \"worker\", posted by session 1 \"worker\" "
      .. "at %S+, in its handler of '[^\n]+'\n$", "dig", out, err)
    for ms in err:gmatch "for (%d+) ms" do
      assert.is_true(tonumber(ms) >= 20)
    end
  end)

  it("tells of one that is in C without a stack", function()
    local status, out, err = run([[
      local WAIT = "until [ $(grep -c 'been in its handler of .nap' /proc/%d/fd/2) -ge %d ]; "
        .. "do sleep 0.01; done"
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "nap" end,
        nap = function(kernel)
          turns = turns + 1
          os.execute(WAIT:format(sys.getpid(), turns))
          again_until("not in Lua", kernel)
        end,
      } }
      poe.run()
      print(turns)]], "POE_SLOW_MS=20")
    assert.equal(0, status)
    assert_told("^poe: slow handler: session 1 has been in its handler of 'nap' "
      .. "for %d+ ms, not in Lua %(a C function, or a coroutine of its own%): "
      .. "no stack\n$", "nap", out, err)
  end)

  it("tells of what a handler has called, once", function()
    local _, out, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "outer" end,
        outer = function(kernel)
          turns = turns + 1
          kernel:call(kernel.session, "inner")
          local known = poe.monotime()
          repeat until poe.monotime() - known > 0.06
          again_until("been in its handler of 'inner'", kernel)
        end,
        inner = function() crunch "[io][nu]" end,
      } }
      poe.run()
      print(turns)]], "POE_SLOW_MS=20")
    assert_told("handler of 'inner' .*\n\tevent 'inner' of session 1, called "
      .. ".*\n\tevent 'outer' of session 1, posted", "[io][nu]", out, err)
  end)

  it("tells of each handler that is slow", function()
    local _, _, err = run([[
      turns = 1
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "a"; kernel:yield "b" end,
        a = function() crunch "a" end,
        b = function() crunch "b" end,
      } }]], "POE_SLOW_MS=20")
    assert_told("", "a", 1, err)
    assert_told("", "b", 1, err)
    assert.matches("handler of 'a' .*handler of 'b' ", err)
  end)

  -- The kernel is held by a handler at most from when the one before ends until
  -- the one after begins.
  it("tells of none that was in time, and of none twice", function()
    local status, out, err = helper.run_poe(([[
      local poe = require "poe"
      local seed, count = os.time(), %d
      local began, ended, waited = {}, { [0] = poe.monotime() }, {}
      math.randomseed(seed)
      local told, look_at = {}, io.open "/proc/self/fd/2"
      local function is_told(i)
        look_at:seek("cur", 0) -- there may be more by now
        for line in look_at:lines() do
          local name = line:match "been in its handler of 'h(%%d+)'"
          if name then told[tonumber(name)] = true end
        end
        return told[i]
      end
      local states = { _start = function(kernel) kernel:yield "h1" end }
      for i = 1, count do
        states["h" .. i] = function(kernel)
          began[i] = poe.monotime()
          if i %% 4 == 0 then
            repeat until is_told(i) or poe.monotime() - began[i] > 20
          end
          local length, since = math.random() * 0.02, poe.monotime()
          repeat until poe.monotime() - since > length
          if i < count then kernel:yield("h" .. i + 1) end
          ended[i] = poe.monotime()
        end
      end
      poe.session.create { inline_states = states }
      poe.run()
      began[count + 1] = poe.monotime()
      for i = 1, count do waited[i] = began[i + 1] - ended[i - 1] end
      print(seed, table.concat(waited, " "))]]):format(os.getenv "HANDLERS" or 50),
      { environment = "POE_SLOW_MS=5" })
    assert.equal(0, status)
    local seed, list = out:match "^(%d+)\t(.*)\n$"
    local most, told = {}, {}
    for seconds in list:gmatch "%S+" do most[#most + 1] = tonumber(seconds) end
    for name in err:gmatch "been in its handler of 'h(%d+)'" do
      local i = tonumber(name)
      assert.is_true(most[i] > 0.005, "seed " .. seed)
      assert.is_nil(told[i], "seed " .. seed)
      told[i] = true
    end
    for i = 4, #most, 4 do
      assert.is_true(told[i], "seed " .. seed)
    end
  end)

  -- On a busy machine it may become slow while it runs slices, not each time.  If
  -- it is prodded while it waits, a signal ends that slice.
  it("leaves alone what waits", function()
    local _, out = run([[
      poe.configure { slow_ms = 20 }
      local function wait_in_vain(kernel) -- slices of its own, one waits and waits
        local before, is_over = told "been in its handler of 'tick'", false
        local slices = 0
        kernel:state("inner", function() is_over = true end)
        kernel:delay("inner", 0.15)
        repeat
          kernel:run_one_timeslice()
          slices = slices + 1
        until is_over
        return slices < 4 and told "been in its handler of 'tick'" == before
      end
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:delay("tick", 0.03) end,
        tick = function(kernel)
          turns = turns + 1
          if wait_in_vain(kernel) then
            print "never told of"
          elseif turns < 100 then
            kernel:yield "tick" -- it may not be told of twice
          end
        end,
      } }]])
    assert.equal("never told of\n", out)
  end)

  it("lets a hook of the script be", function()
    local _, out = run([[
      local calls = 0
      turns = 1
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "dig" end,
        dig = function()
          debug.sethook(function() calls = calls + 1 end, "c")
          crunch "dig"
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
      turns = 1
      poe.session.create { inline_states = {
        _start = function(kernel)
          local pid = kernel:fork()
          if pid == 0 then kernel:yield "dig" else kernel:sig_child(pid, "ended") end
        end,
        dig = function() crunch "dig" end,
        ended = function() end,
      } }]], "POE_SLOW_MS=20")
    assert.equal(0, status)
    assert_told("", "dig", 1, err)
  end)

  it("is an option, and a switch that can be set and taken back", function()
    local script = [[
      turns = 1
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:yield "dig" end,
        dig = function(kernel)
          crunch "dig"
          poe.configure { slow_ms = false }
          kernel:yield "fine"
        end,
        fine = function() poe.configure { slow_ms = 0 } end,
      } }]]
    local _, _, err = helper.run_poe(PRELUDE .. script,
      { interpreter = helper.POE .. " --slow=20" })
    assert_told("", "dig", 1, err)
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

  for what, way in pairs {
    strings = "heap.kept[i] = i .. 'th'", tables = "heap.kept = { heap.kept }",
    events = "kernel:yield('x', i)",
  } do
    it("is told by DIE though a session keeps all of it; others live on: " .. what,
      function()
        local status, out, err = poe_with("--max-memory=4M", ([[
          poe.session.create { inline_states = {
            _start = function(kernel, heap)
              heap.kept = {}
              kernel:sig("DIE", "died")
              kernel:yield "eat"
            end,
            eat = function(kernel, heap) for i = 1, 1e9 do %s end end,
            x = function() end,
            died = function(kernel, heap, _, ex)
              print(ex.event, ex.error_str)
              heap.kept = nil
              kernel:sig_handled()
              kernel:post("other", "later")
            end,
            _stop = function() print "stopped" end,
          } }
          poe.session.create { inline_states = {
            _start = function(kernel) kernel:alias_set "other" kernel:yield "meanwhile" end,
            meanwhile = function()
              local t = {}
              for i = 1, 100 do t[i] = i .. "th" end
              print("lives", #t)
            end,
            later = function() print(#("x"):rep(1000000)) end,
          } }]]):format(way))
        assert.equal("", err)
        assert.equal("lives\t100\neat\tnot enough memory (max_memory is 4194304 bytes)\n"
          .. "1000000\nstopped\n", (out:gsub("\t/%S+: ", "\t")))
        assert.equal(0, status)
      end)
  end

  it("is what is said to lack where a handler's stack cannot grow", function()
    local status, out, err = poe_with("--max-memory=4M", [[
      local object = { method = function() end }
      poe.session.create { object_states = { [object] = { "method" } }, inline_states = {
        _start = function(kernel) kernel:yield "fill" end,
        plain = function() end,
        fill = function(kernel, heap)
          kernel:call(kernel.session, "plain")
          pcall(function() while true do heap.kept = { heap.kept } end end)
          local ok, message = pcall(kernel.call, kernel, kernel.session, "method")
          heap.kept = nil
          print(ok, message)
        end,
      } }]])
    assert.equal("", err)
    assert.equal("false\tnot enough memory\n", out)
    assert.equal(0, status)
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
