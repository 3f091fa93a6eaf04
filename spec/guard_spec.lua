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

  it("leaves alone what waits, and handlers in time", function()
    helper.assert_prints("100", [[
      local poe = require "poe"
      poe.configure { slow_ms = 20 }
      local n = 0
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:delay("tick", 0.03) end,
        tick = function(kernel) -- a slice of its own, that waits
          kernel:delay("inner", 0.03)
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
