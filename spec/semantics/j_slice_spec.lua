-- Section J of the semantics: slices, waiting, fork, inspection.

local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

describe("J. Slices", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("109 a slice is false at the end (J06_run_one_timeslice)", function()
    t:session("a", {
      _start = function()
        kernel:yield("x", 2)
      end,
      x = function(_, _, left)
        if left > 0 then kernel:yield("x", left - 1) else kernel:delay("d", 0.01) end
      end,
      d = true,
    })
    local n = 0
    while kernel:run_one_timeslice() do
      n = n + 1
    end
    assert.is_true(n >= 2)
    assert.is_false(kernel:run_one_timeslice())
    t:expect [[
      a._start <- KERNEL
      a.x <- a (2)
      a.x <- a (1)
      a.x <- a (0)
      a.d <- a
      a._stop <- KERNEL]]
  end)

  it("111 run_while runs as long as it is told to (J07_run_while)", function()
    local n = 0
    t:session("a", {
      _start = function()
        kernel:yield "x"
      end,
      x = function()
        n = n + 1
        kernel:yield "x"
      end,
    })
    kernel:run_while(function()
      return n < 3
    end)
    t:say("left run_while, queue ", kernel:get_event_count())
    kernel:stop()
    t:expect [[
      a._start <- KERNEL
      a.x <- a
      a.x <- a
      a.x <- a
      left run_while, queue 1
      a._stop <- KERNEL]]
  end)

  it("111 run_while tests before each slice, and ends with the sessions", function()
    local asked = 0
    kernel:run_while(function()
      asked = asked + 1
      return true
    end)
    assert.equal(1, asked)
    t:session("a", {})
    kernel:run_while(function()
      return false
    end)
    t:say "not yet"
    kernel:run_while(function()
      return 1
    end)
    t:expect [[
      a._start <- KERNEL
      not yet
      a._stop <- KERNEL]]
  end)

  it("111 an error of the predicate is the caller's; the kernel goes on", function()
    t:session("a", {})
    assert.error_matches(function()
      kernel:run_while(function()
        error("enough", 0)
      end)
    end, "^enough$")
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("112 W19 a nested slice runs others, never ends the one that runs (J08_run_in_handler)", function()
    t:session("a", {
      _start = function()
        kernel:yield "x"
        kernel:yield "y"
      end,
      x = function()
        t:say "nested slice:"
        kernel:run_one_timeslice()
        t:say("nested done, ", t:name(kernel.session), " ", kernel.event)
      end,
      y = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.x <- a
      nested slice:
      a.y <- a
      nested done, a x
      a._stop <- KERNEL
      run() returned]]
  end)

  it("112 run inside of run is an error", function()
    t:session("a", {
      _start = function()
        kernel:yield "x"
      end,
      x = function()
        assert.error_matches(poe.run, "the kernel is running already")
        t:say "refused"
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      refused
      run() returned]]
  end)

  it("18 waiting costs no CPU (J14_sleep_no_busy)", function()
    t:session("a", {
      _start = function()
        kernel:delay("d", 0.3)
      end,
      d = true,
    })
    local cpu = os.clock()
    t:run()
    assert.is_true(os.clock() - cpu < 0.1 * helper.SLOWNESS)
  end)

  it("16 timers are never early (J16_timer_accuracy)", function()
    local early, n = 0, 0
    t:session("a", {
      _start = function(_, heap)
        heap.due = poe.monotime() + 0.003
        kernel:delay("d", 0.003)
      end,
      d = function(_, heap)
        n = n + 1
        if poe.monotime() < heap.due then
          early = early + 1
        end
        if n < 20 then
          heap.due = poe.monotime() + 0.003
          kernel:delay("d", 0.003)
        end
      end,
    }, { quiet = true })
    t:run()
    assert.equal(20, n)
    assert.equal(0, early)
  end)

  it("113 a fork has a kernel of its own (J10_fork_has_forked)", function()
    local status, out = helper.run_poe [[
      local poe, sys = require "poe", require "poe.sys"
      local kernel, id = poe.kernel, poe.kernel:ID()
      io.stdout:setvbuf "line"
      poe.session.create {
        inline_states = {
          _start = function() kernel:yield "x" end,
          x = function(_, heap)
            local pid = assert(kernel:fork())
            if pid == 0 then
              print("child: new id", kernel:ID() ~= id)
              heap.child = true
              kernel:stop()
              return
            end
            kernel:sig_child(pid, "done", "arg")
          end,
          done = function(_, _, name, pid, status, arg)
            print("parent: same id", kernel:ID() == id)
            print(name, pid > 0, poe.wait_status(status))
            print(arg)
          end,
          _stop = function(_, heap)
            print(heap.child and "child stops" or "parent stops")
          end,
        },
      }
      poe.run()
      print "run() returned"
    ]]
    assert.equal(0, status)
    assert.equal(helper.unindent [[
      child: new id	true
      child stops
      run() returned
      parent: same id	true
      CHLD	true	exit	0
      arg
      parent stops
      run() returned]] .. "\n", out)
  end)

  it("113 has_forked in the parent does nothing (J11_has_forked_in_parent)", function()
    local id = kernel:ID()
    t:session("a", {
      _start = function()
        assert.equal(0, select("#", kernel:has_forked()))
      end,
    })
    t:run()
    assert.equal(id, kernel:ID())
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("109 the queue can be inspected", function()
    assert.equal(0, kernel:get_event_count())
    assert.is_nil((kernel:get_next_event_time()))
    local before = poe.time()
    local session = t:session("a", {
      _start = function()
        kernel:delay("d", 100)
      end,
      d = true,
      no_longer = function()
        kernel:delay "d"
      end,
    })
    kernel:run_one_timeslice()
    assert.equal(1, kernel:get_event_count())
    local due = kernel:get_next_event_time()
    assert.is_true(due >= before + 100 and due < poe.time() + 100.001)
    kernel:post(session, "no_longer")
    t:run()
    assert.equal(0, kernel:get_event_count())
    assert.equal("uv", (kernel:poe_kernel_loop()))
  end)
end)
