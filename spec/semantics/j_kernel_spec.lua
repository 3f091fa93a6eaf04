-- Section J of the semantics: run, slices, stop, fork.

local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

describe("J. Kernel", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("109 run without sessions returns at once (J01_run_no_sessions)", function()
    t:run()
    t:run()
    t:say("slice: ", tostring(kernel:run_one_timeslice()))
    t:expect [[
      run() returned
      run() returned
      slice: false]]
  end)

  it("109 run returns nothing", function()
    assert.equal(0, select("#", poe.run()))
    assert.equal(0, select("#", kernel:run()))
  end)

  it("109 may be called again and again (J02_run_twice)", function()
    for i = 1, 2 do
      t:session("s" .. i, {
        _start = function()
          kernel:yield "x"
        end,
        x = true,
      })
      t:run()
    end
    t:say("active ", t:name(kernel:get_active_session()), " event '",
      kernel:get_active_event(), "'")
    t:expect [[
      s1._start <- KERNEL
      s1.x <- s1
      s1._stop <- KERNEL
      run() returned
      s2._start <- KERNEL
      s2.x <- s2
      s2._stop <- KERNEL
      run() returned
      active KERNEL event '']]
  end)

  it("110 stop ends every session at once, children first (J03_stop)", function()
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function()
            kernel:delay("d", 9)
            return 0
          end,
          _parent = true,
        })
        kernel:yield "x"
        kernel:yield "y"
      end,
      x = function()
        assert.equal(0, select("#", kernel:stop()))
        t:say("after stop: active=", t:name(kernel:get_active_session()),
          " count=", kernel:get_event_count())
      end,
      y = true,
      _child = true,
    })
    t:run()
    t:session("again", {
      _start = function()
        kernel:yield "x"
      end,
      x = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, 0)
      p.x <- p
      c._stop <- p
      p._child <- KERNEL (lose, c, nil)
      p._stop <- p
      after stop: active=KERNEL count=0
      run() returned
      again._start <- KERNEL
      again.x <- again
      again._stop <- KERNEL
      run() returned]]
  end)

  it("110 stop in _stop (J04_stop_in_stop)", function()
    t:session("a", {
      _start = function()
        kernel:yield "x"
      end,
      x = true,
      _stop = function()
        kernel:stop()
      end,
    })
    t:session("b", {
      _start = function()
        kernel:delay("d", 5)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.x <- a
      a._stop <- KERNEL
      b._stop <- a
      run() returned]]
  end)

  it("110 W10 after stop the rest of the handler has no session (J05_yield_after_stop)", function()
    t:session("a", {
      _start = function()
        kernel:yield "x"
      end,
      x = function(_, heap)
        kernel:stop()
        for _, try in ipairs {
          function() kernel:yield "zz" end,
          function() kernel:alias_set "ghost" end,
          function() kernel:delay("zz", 1) end,
          function() kernel:sig("USR1", "zz") end,
          function() kernel:select_read(0, "zz") end,
          function() kernel:sig_child(1, "zz") end,
          function() kernel:state("zz", print) end,
          function() kernel:detach_myself() end,
          function() kernel:alarm_remove_all() end,
        } do
          assert.error_matches(try, "needs a running session")
        end
        assert.equal("table", type(heap))
        t:say "here"
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.x <- a
      a._stop <- a
      here
      run() returned]]
  end)

  it("110 a session made after stop runs", function()
    t:session("a", {
      _start = function()
        kernel:yield "x"
      end,
      x = function()
        kernel:stop()
        t:session("b", { _start = function() kernel:yield "y" end, y = true })
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.x <- a
      a._stop <- a
      b._start <- KERNEL
      b.y <- b
      b._stop <- KERNEL
      run() returned]]
  end)

  it("110 stop before run, and with nothing", function()
    kernel:stop()
    t:session("a", { _start = function() kernel:delay("d", 9) end })
    kernel:stop()
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("115 session_create and fork exist; a _signal handler is refused (J12_old_api)", function()
    assert.is_function(kernel.fork)
    local session = kernel:session_create {
      inline_states = { _start = function() end },
    }
    assert.equal("session", poe.type(session))
    assert.error_matches(function()
      poe.session.create {
        inline_states = { _start = function() end, _signal = function() end },
      }
    end, "_signal.*kernel:sig")
    t:run()
  end)
end)
