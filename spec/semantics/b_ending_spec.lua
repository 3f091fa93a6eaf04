-- Section B of the semantics: how sessions end, and what one in its _stop can
-- still do.

local helper = require "spec.helper"
local poe = require "poe"

describe("B. The end of sessions", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("28 stops children before their parents, each with _child \"lose\" "
    .. "(B06_stop_order_with_children_via_signal)", function()
    t:session("g", {
      _start = function(kernel)
        kernel:alias_set "g"
        t:session("p", {
          _start = function()
            kernel:alias_set "p"
            t:session("c1", {
              _start = function() kernel:alias_set "c1" end, _parent = true,
            })
          end,
          _child = true, _parent = true,
        })
        kernel:delay("k", 0.005)
      end,
      k = function(kernel) kernel:signal("p", "TERM") end,
      _child = true,
    })
    t:run()
    t:expect [[
      g._start <- KERNEL
      p._start <- g
      c1._start <- p
      p._child <- KERNEL (create, c1, nil)
      g._child <- KERNEL (create, p, nil)
      g.k <- g
      c1._stop <- KERNEL
      p._child <- KERNEL (lose, c1, nil)
      p._stop <- KERNEL
      g._child <- KERNEL (lose, p, nil)
      g._stop <- KERNEL
      run() returned]]
  end)

  -- A child made while the stop is on its way outlives its parent.
  it("28 hands children to the parent's parent: gain, _parent, _stop, lose "
    .. "(B07_reparent_on_stop)", function()
    t:session("g", {
      _start = function(kernel)
        kernel:alias_set "g"
        t:session("p", {
          _start = function()
            kernel:alias_set "p"
            t:session("c", {
              _start = function() kernel:alias_set "c" end,
              _stop = function() kernel:call("p", "make") end,
            })
          end,
          make = function()
            t:session("n", {
              _start = function() kernel:delay("d", 0.005) end,
              d = function(k) t:say("parent is now ", t:name(k:get_parent(k.session))) end,
              _parent = function(k)
                t:say("parent is still ", t:name(k:get_parent(k.session)))
              end,
            })
          end,
          _child = true, _parent = true,
          _stop = function() return "p-stop-ret" end,
        })
        kernel:signal("p", "TERM")
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      g._start <- KERNEL
      p._start <- g
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      g._child <- KERNEL (create, p, nil)
      c._stop <- KERNEL
      p.make <- c
      n._start <- p
      p._child <- KERNEL (create, n, nil)
      p._child <- KERNEL (lose, c, nil)
      g._child <- KERNEL (gain, n)
      n._parent <- KERNEL (p, g)
      parent is still p
      p._stop <- KERNEL
      g._child <- KERNEL (lose, p, p-stop-ret)
      n.d <- n
      parent is now g
      n._stop <- KERNEL
      g._child <- KERNEL (lose, n, nil)
      g._stop <- KERNEL
      run() returned]]
  end)

  it("28 names the active session as sender of a _stop", function()
    t:session("a", { _start = function(kernel) kernel:alias_set "a" end })
    t:session("b", {
      _start = function(kernel) kernel:yield "x" end,
      x = function(kernel) kernel:stop() end,
    })
    t:session("c", {})
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      c._start <- KERNEL
      b.x <- b
      c._stop <- b
      b._stop <- b
      a._stop <- b
      run() returned]]
  end)

  it("29 resolves in _stop and in the parent's \"lose\", not afterwards "
    .. "(B13_self_name_in_stop, F05_alias_frees_on_stop)", function()
    local id
    local function show(kernel, where)
      t:say("  in ", where, ": ", tostring(kernel:ID_id_to_session(id) ~= nil), " ",
        tostring(kernel:alias_resolve "cal" ~= nil))
    end
    t:session("p", {
      _start = function(kernel)
        kernel:alias_set "p"
        t:session("c", {
          _start = function()
            id = kernel.session:ID()
            kernel:alias_set "cal"
          end,
          _stop = function(k) show(k, "_stop") end,
        })
        kernel:signal("cal", "TERM")
        kernel:delay("d", 0.005)
      end,
      _child = function(kernel, _, what, child)
        show(kernel, what)
        if what == "lose" then
          t:say("  still a child: ", tostring(kernel:get_parent(child) == kernel.session))
          t:say("  alias is free: ", tostring(kernel:alias_set "cal"))
        end
      end,
      d = function(kernel)
        show(kernel, "d")
        t:say("  code ", (select(3, kernel:ID_id_to_session(id))))
        t:say("  alias is free: ", tostring(kernel:alias_set "cal"))
        t:say("  children ", #kernel:get_children(kernel.session))
      end,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
        in create: true true
      c._stop <- KERNEL
        in _stop: true true
      p._child <- KERNEL (lose, c, nil)
        in lose: true true
        still a child: true
        alias is free: nil
      p.d <- p
        in d: false false
        code ESRCH
        alias is free: true
        children 0
      p._stop <- KERNEL
      run() returned]]
  end)

  it("34 sends _stop, _child and _parent to _default where they are not handled "
    .. "(B20_default_gets_system_events)", function()
    t:session("a", {
      _start = function()
        t:session("c", {
          _start = function(kernel) kernel:detach_myself() end,
          _parent = true,
        })
        t:session("d", {})
        t:session("e", {
          _start = function(kernel) kernel:yield "leave" end,
          leave = function(kernel) kernel:detach_myself() end,
          _default = true, _stop = false,
        })
      end,
      _stop = false,
      _default = function() return "default's" end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      c._start <- a
      c._parent <- KERNEL (a, KERNEL)
      d._start <- a
      a._default <- KERNEL (_child, [create, d, nil])
      e._start <- a
      a._default <- KERNEL (_child, [create, e, nil])
      e.leave <- e
      a._default <- KERNEL (_child, [lose, e, nil])
      e._default <- KERNEL (_parent, [a, KERNEL])
      e._default <- KERNEL (_stop, [])
      d._stop <- KERNEL
      a._default <- KERNEL (_child, [lose, d, nil])
      c._stop <- KERNEL
      a._default <- KERNEL (_stop, [])
      run() returned]]
  end)

  it("34 lets them vanish without _default, even asserted", function()
    poe.configure { assert = { default = true } }
    t:session("a", {
      _start = function() t:session("c", { _stop = false }) end, _stop = false,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      c._start <- a
      run() returned]]
  end)
end)
