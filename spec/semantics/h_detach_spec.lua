-- Section H of the semantics: leaving one's parent.

local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

local function code(...)
  local value, _, why = ...
  return value == nil and why or tostring(value)
end

describe("H. Detaching", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("92 tells the parent, then oneself, then moves (H01_detach_myself)", function()
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function()
            kernel:yield "x"
          end,
          x = function()
            t:say("ret ", code(kernel:detach_myself()))
            t:say("again ", code(kernel:detach_myself()))
            helper.later(kernel, "d")
          end,
          d = true,
          _parent = true,
        })
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      c.x <- c
      p._child <- KERNEL (lose, c, nil)
      c._parent <- KERNEL (p, KERNEL)
      ret true
      again EPERM
      p._stop <- KERNEL
      c.d <- c
      c._stop <- KERNEL
      run() returned]]
  end)

  it("93 in _start the parent hears nothing (H02_detach_in_start)", function()
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function()
            t:say("ret ", code(kernel:detach_myself()))
            helper.later(kernel, "d")
          end,
          d = true,
          _parent = true,
        })
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      c._parent <- KERNEL (p, KERNEL)
      ret true
      p._stop <- KERNEL
      c.d <- c
      c._stop <- KERNEL
      run() returned]]
  end)

  it("94 lets a direct child go, and no other (H03_detach_child)", function()
    t:session("p", {
      _start = function()
        kernel:yield "go"
        t:session("c", {
          _start = function()
            kernel:alias_set "c"
            helper.later(kernel, "d")
            return 0
          end,
          d = function()
            kernel:alias_remove "c"
          end,
          _parent = true,
        })
      end,
      go = function()
        t:say("ret ", code(kernel:detach_child "c"))
        t:say("again ", code(kernel:detach_child "c"))
        t:say("unknown ", code(kernel:detach_child "zz"))
        t:say("myself ", code(kernel:detach_child(kernel.session)))
        t:say("kernel ", code(kernel:detach_child(kernel)))
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, 0)
      p.go <- p
      p._child <- KERNEL (lose, c, nil)
      c._parent <- KERNEL (p, KERNEL)
      ret true
      again EPERM
      unknown ESRCH
      myself EPERM
      kernel EPERM
      p._stop <- KERNEL
      c.d <- c
      c._stop <- KERNEL
      run() returned]]
  end)

  it("95 takes its children along (H04_detach_with_children)", function()
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function()
            kernel:yield "x"
            t:session("g", {
              _start = function()
                helper.later(kernel, "d")
              end,
              d = true,
              _parent = true,
            })
          end,
          x = function()
            kernel:detach_myself()
          end,
          _parent = true,
          _child = true,
        })
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      g._start <- c
      c._child <- KERNEL (create, g, nil)
      p._child <- KERNEL (create, c, nil)
      c.x <- c
      p._child <- KERNEL (lose, c, nil)
      c._parent <- KERNEL (p, KERNEL)
      p._stop <- KERNEL
      g.d <- g
      g._stop <- KERNEL
      c._child <- KERNEL (lose, g, nil)
      c._stop <- KERNEL
      run() returned]]
  end)

  it("93 a call to self in _start counts as _start (H05_detach_in_start_via_call)", function()
    t:session("p", {
      _start = function()
        kernel:alias_set "p"
        t:session("c", {
          _start = function()
            kernel:call(kernel.session, "dm")
          end,
          dm = function()
            kernel:detach_myself()
          end,
          _parent = true,
        })
        helper.later(kernel, "e")
      end,
      e = function()
        kernel:alias_remove "p"
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      c.dm <- c
      c._parent <- KERNEL (p, KERNEL)
      c._stop <- KERNEL
      p.e <- p
      p._stop <- KERNEL
      run() returned]]
  end)

  it("94 does not reach grandchildren (H06_grandchild_detach_child)", function()
    t:session("p", {
      _start = function()
        kernel:yield "go"
        t:session("c", {
          _start = function()
            t:session("g", {
              _start = function()
                kernel:alias_set "g"
                helper.later(kernel, "d")
                return 0
              end,
              d = function()
                kernel:alias_remove "g"
              end,
            })
          end,
          _child = true,
        })
      end,
      go = function()
        t:say("detach grandchild: ", code(kernel:detach_child "g"))
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      g._start <- c
      c._child <- KERNEL (create, g, 0)
      p._child <- KERNEL (create, c, nil)
      p.go <- p
      detach grandchild: EPERM
      g.d <- g
      g._stop <- KERNEL
      c._child <- KERNEL (lose, g, nil)
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p._stop <- KERNEL
      run() returned]]
  end)

  it("needs a running session", function()
    assert.error_matches(function()
      kernel:detach_myself()
    end, "kernel:detach_myself needs a running session")
    assert.error_matches(function()
      kernel:detach_child(1)
    end, "kernel:detach_child needs a running session")
  end)
end)
