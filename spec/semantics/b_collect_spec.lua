-- Section B of the semantics: when sessions are collected, and in which order.

local helper = require "spec.helper"

describe("B. Collection of sessions", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("24 collects at the end of a slice, not after each dispatch "
    .. "(B03_gc_after_batch_not_after_dispatch)", function()
    local id
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:yield "last"
      end,
      last = function(kernel)
        kernel:alias_remove "a"
        id = kernel.session:ID()
      end,
      poke = function() return "still here" end,
    })
    t:session("b", {
      _start = function(kernel) kernel:yield "after" end,
      after = function(kernel)
        t:say("call to a: ", kernel:call(id, "poke"))
        kernel:yield "next"
      end,
      next = function(kernel)
        t:say("next slice: ", select(3, kernel:call(id, "poke")))
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.last <- a
      b.after <- b
      a.poke <- b
      call to a: still here
      a._stop <- KERNEL
      b.next <- b
      next slice: ESRCH
      b._stop <- KERNEL
      run() returned]]
  end)

  it("24 may be revived before the end of the slice", function()
    local id
    t:session("a", {
      _start = function(kernel)
        id = kernel.session:ID()
        kernel:yield "last"
      end,
      last = true, again = true,
    })
    t:session("b", {
      _start = function(kernel) kernel:yield "after" end,
      after = function(kernel) kernel:post(id, "again") end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.last <- a
      b.after <- b
      a.again <- b
      b._stop <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("24 never collects a session whose handler is on the stack "
    .. "(B23_stop_event_in_call)", function()
    local id
    t:session("a", {
      _start = function(kernel)
        id = kernel.session:ID()
        kernel:yield "x"
      end,
      x = function(kernel)
        t:session("t", { _start = function() kernel:call(id, "inner") end })
        t:say("  still active: ", t:name(kernel:get_active_session()))
      end,
      inner = true, _child = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.x <- a
      t._start <- a
      a.inner <- t
      a._child <- KERNEL (create, t, nil)
        still active: a
      t._stop <- KERNEL
      a._child <- KERNEL (lose, t, nil)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("25 keeps a session that set up nothing until the slice of its GC event "
    .. "ends (B04_idle_session_lives_one_slice)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:yield "spawn"
        kernel:yield "same"
      end,
      spawn = function(kernel)
        t:session("c", {})
        kernel:yield "n1"
      end,
      same = true,
      n1 = function(kernel) kernel:yield "n2" end,
      n2 = function(kernel) kernel:yield "n3" end,
      n3 = true, _child = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.spawn <- a
      c._start <- a
      a._child <- KERNEL (create, c, nil)
      a.same <- a
      a.n1 <- a
      c._stop <- KERNEL
      a._child <- KERNEL (lose, c, nil)
      a.n2 <- a
      a.n3 <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("26 stops the last that became idle first (B02_gc_order_lifo)", function()
    for i = 1, 4 do
      t:session("s" .. i, {})
    end
    t:run()
    t:expect [[
      s1._start <- KERNEL
      s2._start <- KERNEL
      s3._start <- KERNEL
      s4._start <- KERNEL
      s4._stop <- KERNEL
      s3._stop <- KERNEL
      s2._stop <- KERNEL
      s1._stop <- KERNEL
      run() returned]]
  end)

  it("26 stops parents freed by a sweep in a later round of it "
    .. "(B19_grandchildren_gc_order)", function()
    local function with_child(name, child)
      return function()
        t:session(name, { _start = function() t:session(child, {}) end, _child = true })
      end
    end
    t:session("p", {
      _start = function()
        with_child("c1", "g1")()
        with_child("c2", "g2")()
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c1._start <- p
      g1._start <- c1
      c1._child <- KERNEL (create, g1, nil)
      p._child <- KERNEL (create, c1, nil)
      c2._start <- p
      g2._start <- c2
      c2._child <- KERNEL (create, g2, nil)
      p._child <- KERNEL (create, c2, nil)
      g2._stop <- KERNEL
      c2._child <- KERNEL (lose, g2, nil)
      g1._stop <- KERNEL
      c1._child <- KERNEL (lose, g1, nil)
      c1._stop <- KERNEL
      p._child <- KERNEL (lose, c1, nil)
      c2._stop <- KERNEL
      p._child <- KERNEL (lose, c2, nil)
      p._stop <- KERNEL
      run() returned]]
  end)

  -- POE stops s1 all the same, and drops `more`.
  it("27 does not stop what came back to life during the sweep "
    .. "(B11_revived_in_sweep_still_stopped, W5)", function()
    local id
    t:session("s1", {
      _start = function(kernel) id = kernel.session:ID() end,
      poke = function(kernel) kernel:yield "more" end,
      more = true,
    })
    t:session("s2", { _stop = function(kernel) kernel:call(id, "poke") end })
    t:run()
    t:expect [[
      s1._start <- KERNEL
      s2._start <- KERNEL
      s2._stop <- KERNEL
      s1.poke <- s2
      s1.more <- s1
      s1._stop <- KERNEL
      run() returned]]
  end)

  it("32 keeps the sender of an undispatched event alive "
    .. "(B10_post_keeps_sender_alive)", function()
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        helper.later(kernel, "e")
      end,
      e = function(kernel) kernel:alias_remove "b" end,
      hi = function(kernel)
        local sender = kernel.sender
        t:say("sender still resolves: ",
          tostring(kernel:ID_id_to_session(sender:ID()) == sender))
        kernel:post(sender, "reply")
      end,
    })
    t:session("a", {
      _start = function(kernel) kernel:post("b", "hi") end,
      reply = true,
    })
    t:run()
    t:expect [[
      b._start <- KERNEL
      a._start <- KERNEL
      b.hi <- a
      sender still resolves: true
      a.reply <- b
      a._stop <- KERNEL
      b.e <- b
      b._stop <- KERNEL
      run() returned]]
  end)
end)
