-- Section D of the semantics: child processes.

local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local TERM = sys.signals.TERM

describe("D. Child processes", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  --- A child process that runs `body` and ends with the status it returns.
  local function fork(kernel, body)
    local pid = assert(kernel:fork())
    if pid == 0 then
      local ok, status = pcall(body)
      sys._exit(ok and status or 99)
    end
    return pid
  end

  local function exits(status)
    return function() return status end
  end

  local function sleeps(seconds)
    return function() sys.exec { "sleep", tostring(seconds) } end
  end

  it("60 tells of an exit: sig_child's event, then CHLD to all who watch it "
    .. "(D22_sigchld_sig_child)", function()
    local pid
    local function name(given)
      return given == pid and "pid" or given
    end
    t:session("b", {
      _start = function(kernel)
        kernel:sig("CHLD", "blanket", "extra")
        kernel:delay("d", 100) -- keeps it until then
      end,
      blanket = function(kernel, _, signal, which, status, extra)
        t:say("b ", signal, " ", name(which), " ", status, " ", extra, " ",
          t:name(kernel.sender))
        kernel:delay "d"
      end,
    }, { quiet = true })
    t:session("a", {
      _start = function(kernel)
        pid = fork(kernel, exits(3))
        kernel:sig("CHLD", "blanket")
        assert.is_true(kernel:sig_child(pid, "reaped", "x", nil))
      end,
      reaped = function(kernel, _, ...)
        assert.equal(5, select("#", ...))
        local signal, which, status, extra = ...
        t:say("reaped ", signal, " ", name(which), " ", status, " ", extra, " ",
          t:name(kernel.sender))
        t:say(table.concat({ poe.wait_status(status) }, " "))
      end,
      blanket = function(_, _, _, which) t:say("a blanket ", name(which)) end,
    }, { quiet = true })
    t:run()
    t:expect [[
      reaped CHLD pid 768 x KERNEL
      exit 3
      a blanket pid
      b CHLD pid 768 extra KERNEL
      run() returned]]
  end)

  it("60 tells by which signal a process ended", function()
    t:session("a", {
      _start = function(kernel)
        local pid = fork(kernel, sleeps(20))
        kernel:sig_child(pid, "reaped")
        sys.kill(pid, "TERM")
      end,
      reaped = function(_, _, _, _, status)
        t:say(table.concat({ poe.wait_status(status) }, " "))
      end,
    }, { quiet = true })
    t:run()
    t:expect(("signal %d\nrun() returned"):format(TERM))
  end)

  it("60 keeps the session waiting, and fires once "
    .. "(D23_sig_child_keeps_alive_one_shot)", function()
    local began = poe.monotime()
    t:session("a", {
      _start = function(kernel) kernel:sig_child(fork(kernel, sleeps(0.05)), "reaped") end,
      reaped = true,
    }, { quiet = true })
    poe.run()
    assert.is_true(poe.monotime() - began >= 0.05)
  end)

  -- POE lets such a session hang on until IDLE.
  it("61 refuses a stranger's pid with ECHILD (D24_sig_child_unknown_pid, W12)", function()
    t:session("a", {
      _start = function(kernel)
        for _, pid in ipairs { 99999999, 1, sys.getpid(), 0, -1, math.maxinteger } do
          local value, message, code = kernel:sig_child(pid, "reaped")
          assert.is_nil(value)
          assert.equal(("ECHILD: process %d is no child of this process"):format(pid), message)
          t:say(code)
        end
      end,
      reaped = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      ECHILD
      ECHILD
      ECHILD
      ECHILD
      ECHILD
      ECHILD
      a._stop <- KERNEL
      run() returned]]
  end)

  it("60 works for a process that has ended before (D25_sig_child_already_exited)", function()
    t:session("a", {
      _start = function(kernel)
        local read, write = sys.pipe()
        local pid = fork(kernel, exits(4))
        write:close()
        kernel:select_read(read, "ended", pid) -- readable when the child has closed it
      end,
      ended = function(kernel, _, read, _, pid)
        kernel:select_read(read)
        read:close()
        kernel:sig_child(pid, "reaped")
      end,
      reaped = function(_, _, _, _, status) t:say(status // 256) end,
    }, { quiet = true })
    t:run()
    t:expect "4\nrun() returned"
  end)

  -- POE leaks a reference: the session survives until IDLE.
  it("62 replaces the first watch of a pid by the second "
    .. "(D26_sig_child_twice_same_pid, W12)", function()
    t:session("a", {
      _start = function(kernel)
        local pid = fork(kernel, exits(0))
        kernel:sig_child(pid, "r1", {})
        kernel:sig_child(pid, "r2", "second")
      end,
      r1 = true,
      r2 = function(_, _, _, _, _, arg) t:say(arg) end,
      _stop = function(kernel) kernel:post("b", "leave") end,
    }, { quiet = true })
    t:session("b", { -- lest it becomes IDLE
      _start = function(kernel)
        kernel:alias_set "b"
        kernel:delay("late", 5)
      end,
      late = true,
      leave = function(kernel)
        t:say "a has stopped"
        kernel:delay "late"
      end,
    }, { quiet = true })
    t:run()
    t:expect "second\na has stopped\nrun() returned"
  end)

  it("60 tells all sessions that watch one pid, in order of registration "
    .. "(D27_sig_child_two_sessions)", function()
    local pid
    for i = 1, 3 do
      t:session("s" .. i, {
        _start = function(kernel)
          pid = pid or fork(kernel, exits(0))
          kernel:sig_child(pid, "reaped")
        end,
        reaped = function() t:say(i) end,
      }, { quiet = true })
    end
    t:run()
    t:expect "1\n2\n3\nrun() returned"
  end)

  it("60 gives each of many children its own event", function()
    local left = 40
    t:session("a", {
      _start = function(kernel)
        for i = 1, left do
          kernel:sig_child(fork(kernel, exits(i)), "reaped", i)
        end
      end,
      reaped = function(_, _, _, _, status, i)
        assert.equal(i * 256, status)
        left = left - 1
      end,
    }, { quiet = true })
    poe.run()
    assert.equal(0, left)
  end)

  it("63 cancels by sig_child(pid), reports children that are left "
    .. "(D28_sig_child_cancel, D29_leaked_child_warning)", function()
    local script = [[
      local poe, sys = require "poe", require "poe.sys"
      local child
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            child = kernel:fork()
            if child == 0 then
              sys.exec { "sleep", "20" }
            end
            if arg[1] then
              kernel:sig_child(child, "r")
              kernel:sig_child(child)
            end
          end,
          r = function() print "reaped" end,
        },
      }
      poe.run()
      sys.kill(child, "KILL")
      print(child)]]
    for _, arguments in ipairs { "", "cancel" } do
      local status, out, err = helper.run_poe(script, { arguments = arguments })
      assert.equal(0, status)
      local child = out:match "^(%d+)\n$"
      assert.truthy(err:find("^=== %d+ === !!! child process " .. child .. " still runs"), err)
    end
  end)

  it("60 reaps nobody else's children (W12)", function()
    local pipe = assert(io.popen("exit 5", "r")) -- its close waits for it
    t:session("a", {
      _start = function(kernel)
        kernel:sig_child(fork(kernel, exits(0)), "reaped")
        kernel:sig("CHLD", "blanket")
      end,
      reaped = true, blanket = true,
    }, { quiet = true })
    poe.run()
    assert.same({ nil, "exit", 5, n = 3 }, table.pack(pipe:close()))
  end)

  it("takes CLD for CHLD, when watching and when sending", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("CLD", "chld")
        kernel:sig_child(fork(kernel, exits(0)), "reaped")
        kernel:signal(kernel.session, "CLD", "sent")
        kernel:delay("late", 5)
      end,
      chld = function(kernel, _, name, what)
        t:say(name, " ", type(what))
        if what ~= "sent" then
          kernel:delay "late"
        end
      end,
      reaped = true, late = function() t:say "late" end,
    }, { quiet = true })
    t:run()
    t:expect "CHLD string\nCHLD number\nrun() returned"
  end)
end)
