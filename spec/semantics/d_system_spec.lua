-- Section D of the semantics: signals of the operating system.

local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local TERM = sys.signals.TERM

describe("D. Signals of the system", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  local KILLED = [[
    local poe, sys = require "poe", require "poe.sys"
    local kernel = poe.kernel
    local other
    poe.session.create {
      inline_states = {
        _start = function()
          if arg[1] then
            kernel:sig("TERM", "h")
          end
          if arg[1] == "unwatched again" then
            kernel:sig "TERM"
          end
          kernel:yield "k"
          kernel:delay("d", 10)
        end,
        k = function() sys.kill(sys.getpid(), "TERM") end,
        h = function(_, _, name)
          print("handler", name)
          if arg[1] == "handled" then
            kernel:sig_handled()
            kernel:delay "d"
            kernel:post(other, "later", 15)
          end
        end,
        _stop = function() print "stop" end,
      },
    }
    other = poe.session.create {
      inline_states = {
        _start = function() kernel:delay("d", 10) end,
        later = function(_, _, slices)
          if slices > 0 then
            kernel:yield("later", slices - 1)
          else
            print "went on"
            kernel:delay "d"
          end
        end,
        _stop = function() print "other stop" end,
      },
    }
    poe.run()
    print "run returned"]]

  it("51 come to every watcher, by way of the kernel (D10_os_signal_to_all)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("USR1", "h", "extra")
        kernel:delay("late", 5)
        kernel:yield "fire"
      end,
      fire = function() sys.kill(sys.getpid(), "USR1") end,
      h = function(kernel) kernel:delay "late" end, late = true,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:sig("USR1", "h")
        kernel:delay("late", 5)
      end,
      h = function(kernel) kernel:delay "late" end, late = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.fire <- a
      b.h <- KERNEL (USR1)
      a.h <- KERNEL (USR1, extra)
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]]
  end)

  it("56 keep their default while nobody watches: TERM kills, without _stop "
    .. "(D11_os_terminal_unwatched_kills_process)", function()
    assert.same({ 128 + TERM, "", "" }, { helper.run_poe(KILLED) })
    assert.same({ 128 + TERM, "", "" },
      { helper.run_poe(KILLED, { arguments = "'unwatched again'" }) })
  end)

  it("56 stop all when watched and not handled, and run returns "
    .. "(D12_os_terminal_watched_unhandled)", function()
    assert.same({ 0, "handler\tTERM\nother stop\nstop\nrun returned\n", "" },
      { helper.run_poe(KILLED, { arguments = "watched" }) })
  end)

  it("56 stop nobody when handled", function()
    assert.same({ 0, "handler\tTERM\nstop\nwent on\nother stop\nrun returned\n", "" },
      { helper.run_poe(KILLED, { arguments = "handled" }) })
  end)

  it("64 ignores PIPE unless it is watched; all watchers get it "
    .. "(D30_sigpipe_ignored_by_default)", function()
    sys.kill(sys.getpid(), "PIPE")
    for _, name in ipairs { "a", "b" } do
      t:session(name, {
        _start = function(kernel)
          kernel:sig("PIPE", "p")
          kernel:delay("late", 5)
          if name == "b" then
            sys.kill(sys.getpid(), "PIPE")
          end
        end,
        p = function(kernel) kernel:delay "late" end, late = true,
      })
    end
    t:run()
    sys.kill(sys.getpid(), "PIPE")
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      b.p <- KERNEL (PIPE)
      a.p <- KERNEL (PIPE)
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]]
  end)

  it("65 enters the queue behind what was there (D32_signal_immediacy)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("USR1", "u")
        kernel:delay("never", 100)
        kernel:yield "x"
      end,
      x = function(kernel)
        sys.kill(sys.getpid(), "USR1")
        kernel:yield "y"
        kernel:yield "y2"
      end,
      y = true, y2 = true,
      u = function(kernel) kernel:delay "never" end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.x <- a
      a.y <- a
      a.y2 <- a
      a.u <- KERNEL (USR1)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("65 loses no last one of many equal signals (D31_signal_coalescing)", function()
    local n = 0
    t:session("a", {
      _start = function(kernel)
        kernel:sig("USR1", "u")
        kernel:yield "fire"
      end,
      fire = function(kernel)
        for _ = 1, 50 do
          sys.kill(sys.getpid(), "USR1")
        end
        kernel:delay("end", 5)
      end,
      u = function(kernel)
        n = n + 1
        kernel:delay("end", 0.02)
      end,
    }, { quiet = true })
    poe.run()
    assert.is_true(n >= 1 and n <= 50, "got " .. n)
  end)

  it("65 comes through in spite of a session that yields for ever", function()
    local spins = 0
    t:session("a", {
      _start = function(kernel)
        kernel:sig("USR2", "u")
        kernel:yield "spin"
        sys.kill(sys.getpid(), "USR2")
      end,
      spin = function(kernel, heap)
        spins = spins + 1
        if not heap.done and spins < 5000000 then
          kernel:yield "spin"
        end
      end,
      u = function(_, heap) heap.done = true end,
    }, { quiet = true })
    poe.run()
    assert.is_true(spins < 5000000)
  end)
end)
