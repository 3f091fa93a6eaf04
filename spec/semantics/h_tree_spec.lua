-- Section H of the semantics, with 29 and 36: what the tree says meanwhile.

local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

local function code(...)
  local value, _, why = ...
  return value == nil and why or tostring(value)
end

describe("H. The tree", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("36 _child has the values of _start and _stop (H07_child_args)", function()
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function()
            kernel:yield "x"
            return { 1, 2 }, "only the first"
          end,
          x = true,
          _stop = function()
            return "bye"
          end,
        })
      end,
      _child = function(_, _, ...)
        t:say("n=", select("#", ...), " sender=", t:name(kernel.sender),
          " caller_event=", tostring(kernel.caller_event))
      end,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, [1, 2])
      n=3 sender=KERNEL caller_event=nil
      c.x <- c
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, bye)
      n=3 sender=KERNEL caller_event=nil
      p._stop <- KERNEL
      run() returned]]
  end)

  it("36 has three arguments when a child is lost by detaching", function()
    local counts = {}
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function()
            kernel:yield "x"
          end,
          x = function()
            kernel:detach_myself()
          end,
        })
      end,
      _child = function(_, _, how, ...)
        counts[how] = 1 + select("#", ...)
      end,
    }, { quiet = true })
    t:run()
    assert.same({ create = 3, lose = 3 }, counts)
  end)

  it("29 the tree moves last (H08_parent_event_position)", function()
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function()
            kernel:yield "x"
          end,
          x = function()
            kernel:detach_myself()
            t:say("parent now: ", t:name(kernel:get_parent(kernel.session)))
          end,
          _parent = function()
            t:say("parent during _parent: ",
              t:name(kernel:get_parent(kernel.session)))
          end,
        })
      end,
      _child = function(_, _, how, child)
        t:say("parent during _child ", how, ": ",
          t:name(kernel:get_parent(child)))
      end,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      parent during _child create: p
      c.x <- c
      p._child <- KERNEL (lose, c, nil)
      parent during _child lose: p
      c._parent <- KERNEL (p, KERNEL)
      parent during _parent: p
      parent now: KERNEL
      p._stop <- KERNEL
      c._stop <- KERNEL
      run() returned]]
  end)

  it("92 the moved one is the kernel's youngest child", function()
    local p, c
    p = t:session("p", {
      _start = function()
        kernel:alias_set "p"
        c = t:session("c", {
          _start = function()
            kernel:alias_set "c"
            kernel:yield "x"
          end,
          x = function()
            kernel:detach_myself()
          end,
        })
      end,
    }, { quiet = true })
    local q = t:session("q", {
      _start = function()
        kernel:alias_set "q"
      end,
    }, { quiet = true })
    assert.same({ p, q }, kernel:get_children(kernel))
    kernel:run_one_timeslice()
    assert.same({ p, q, c }, kernel:get_children(kernel))
    assert.same({}, kernel:get_children(p))
    t:run()
  end)

  it("92 an error in _parent or _child is the one's who made it", function()
    t:session("p", {
      _start = function()
        kernel:sig("DIE", "died")
        t:session("c", {
          _start = function()
            kernel:yield "x"
          end,
          x = function()
            t:say("ret ", code(kernel:detach_myself()), " ",
              t:name(kernel:get_parent(kernel.session)))
          end,
        }, { quiet = true })
      end,
      _child = function(_, _, how)
        if how == "lose" then
          error("lost", 0)
        end
      end,
      died = function(_, _, _, ex)
        kernel:sig_handled()
        t:say("DIE ", ex.error, " in ", ex.event, " of ",
          t:name(ex.dest_session))
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      ret true KERNEL
      DIE lost in _child of p
      run() returned]]
  end)

  it("92 a parent that stops all in _child leaves nothing", function()
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function()
            kernel:yield "x"
          end,
          x = function()
            t:say("ret ", code(kernel:detach_myself()))
          end,
          _parent = true,
        })
      end,
      _child = function(_, _, how)
        if how == "lose" then
          kernel:stop()
        end
      end,
    })
    t:run()
    assert.equal("run() returned", t.lines[#t.lines])
  end)
end)
