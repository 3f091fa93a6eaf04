-- Section D of the semantics: what a signal stops, and idleness.

local helper = require "spec.helper"
local poe = require "poe"

describe("D. Classes of signals", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  --- A session that keeps an alias, watches FOO and has these children.
  local function family(name, children, more)
    local states = { h = true, _child = true }
    for event, handler in pairs(more or {}) do
      states[event] = handler
    end
    states._start = function(kernel)
      kernel:alias_set(name)
      kernel:sig("FOO", "h")
      for _, child in ipairs(children or {}) do
        child()
      end
    end
    return function() return t:session(name, states) end
  end

  it("52 knows terminal and nonmaskable signals; all others are benign "
    .. "(D08_benign, D09_terminal_list)", function()
    local terminal = "QUIT INT KILL TERM HUP IDLE DIE ZOMBIE UIDESTROY"
    local benign = "USR1 USR2 ALRM PIPE CHLD STOP TSTP SEGV ABRT WHATEVER int SIGINT"
    local survivors, fallen = {}, {}
    for signal in (terminal .. " " .. benign):gmatch "%S+" do
      local survived = false
      t:session("a", {
        _start = function(kernel)
          kernel:signal(kernel.session, signal)
          kernel:delay("later", 0.0005)
        end,
        later = function() survived = true end,
      }, { quiet = true })
      pcall(poe.run)
      local list = survived and survivors or fallen
      list[#list + 1] = signal
    end
    assert.equal(benign, table.concat(survivors, " "))
    assert.equal(terminal, table.concat(fallen, " "))
  end)

  it("53 stops all whom an unhandled terminal signal reached, watching or not "
    .. "(D04_terminal_unhandled_kills_subtree)", function()
    t:session("z", {
      _start = function(kernel) helper.later(kernel, "d") end, d = true,
    })
    t:session("p", {
      _start = function(kernel)
        kernel:alias_set "p"
        kernel:sig("TERM", "h")
        t:session("c", { _start = function() kernel:alias_set "c" end })
        kernel:signal(kernel.session, "TERM")
      end,
      h = true, _child = true,
    })
    t:run()
    t:expect [[
      z._start <- KERNEL
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      p.h <- KERNEL (TERM)
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p._stop <- KERNEL
      z.d <- z
      z._stop <- KERNEL
      run() returned]]
  end)

  it("53 stops in the order of dispatch (D37_terminal_stop_order)", function()
    family("p", {
      family("c1", { family "g1" }),
      family("c2", { family "g2" }),
    })()
    t.lines = {}
    poe.kernel:signal("p", "TERM")
    t:run()
    t:expect [[
      g2._stop <- KERNEL
      c2._child <- KERNEL (lose, g2, nil)
      g1._stop <- KERNEL
      c1._child <- KERNEL (lose, g1, nil)
      c2._stop <- KERNEL
      p._child <- KERNEL (lose, c2, nil)
      c1._stop <- KERNEL
      p._child <- KERNEL (lose, c1, nil)
      p._stop <- KERNEL
      run() returned]]
  end)

  it("53 leaves alone whom it did not reach (D36_killed_session_keeps_outer)", function()
    t:session("p", {
      _start = function(kernel)
        kernel:sig("TERM", "h")
        t:session("c", {
          _start = function()
            kernel:alias_set "c"
            kernel:delay("d", 100)
          end,
          d = true,
        })
        kernel:signal("c", "TERM")
        kernel:delay("later", 0.005)
      end,
      h = true, later = true, _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p.later <- p
      p._stop <- KERNEL
      run() returned]]
  end)

  it("54 saves all by one sig_handled (D05_handled_by_one_saves_all)", function()
    t:session("p", {
      _start = function(kernel)
        kernel:alias_set "p"
        kernel:sig("TERM", "h")
        t:session("c", {
          _start = function()
            kernel:alias_set "c"
            kernel:sig("TERM", "h")
          end,
          h = function() kernel:sig_handled() end,
        })
        kernel:signal(kernel.session, "TERM")
        kernel:delay("later", 0.005)
      end,
      h = true, later = true, _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      c.h <- KERNEL (TERM)
      p.h <- KERNEL (TERM)
      p.later <- p
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p._stop <- KERNEL
      run() returned]]
  end)

  it("54 takes no handler's value for an answer "
    .. "(D06_return_value_is_not_handled)", function()
    t:session("p", {
      _start = function(kernel)
        kernel:sig("TERM", "h")
        kernel:signal(kernel.session, "TERM")
        kernel:delay("later", 0.005)
      end,
      h = function() return true, 1 end, later = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      p.h <- KERNEL (TERM)
      p._stop <- KERNEL
      run() returned]]
  end)

  it("55 stops all by a nonmaskable one, whatever they say (D07_nonmaskable)", function()
    for _, signal in ipairs { "ZOMBIE", "UIDESTROY" } do
      t.lines = {}
      t:session("p", {
        _start = function(kernel)
          kernel:sig(signal, "h")
          kernel:signal(kernel.session, signal)
          kernel:delay("later", 0.005)
        end,
        h = function(kernel) kernel:sig_handled() end, later = true,
      })
      t:run()
      t:expect(([[
        p._start <- KERNEL
        p.h <- KERNEL (%s)
        p._stop <- KERNEL
        run() returned]]):format(signal))
    end
  end)

  it("57 sends IDLE when only aliases and watchers are left; unhandled it stops "
    .. "all (D13_idle_kills_alias_sessions)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:sig("IDLE", "i")
        kernel:sig("ZOMBIE", "z")
        kernel:delay("d", 0.005)
      end,
      d = true, i = true, z = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.d <- a
      a.i <- KERNEL (IDLE)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("58 sends ZOMBIE when IDLE was handled and nothing is to do "
    .. "(D14_idle_handled_then_zombie)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:sig("IDLE", "i")
        kernel:sig("ZOMBIE", "z")
      end,
      i = function(kernel) kernel:sig_handled() end,
      z = function(kernel) kernel:sig_handled() end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.i <- KERNEL (IDLE)
      a.z <- KERNEL (ZOMBIE)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("58 goes on when IDLE was handled with new work, and comes again "
    .. "(D15_idle_handled_with_new_work)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:sig("IDLE", "i")
      end,
      i = function(kernel, heap)
        kernel:sig_handled()
        if not heap.again then
          heap.again = true
          kernel:yield "work"
        end
      end,
      work = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.i <- KERNEL (IDLE)
      a.work <- a
      a.i <- KERNEL (IDLE)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("58 stops in spite of new work when IDLE was not handled "
    .. "(D16_idle_not_handled_but_posted_work)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:sig("IDLE", "i")
      end,
      i = function(kernel) kernel:yield "work" end,
      work = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.i <- KERNEL (IDLE)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("59 keeps no session alive by watching (D17_sig_watch_does_not_keep_alive)", function()
    t:session("a", {
      _start = function(kernel)
        for _, signal in ipairs { "INT", "USR1", "CHLD" } do
          kernel:sig(signal, "h")
        end
      end,
      h = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)
end)
