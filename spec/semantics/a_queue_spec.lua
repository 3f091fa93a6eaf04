-- Section A of the semantics: one queue for everything, what a timeslice is,
-- and timers: their order, their names, their ids.

local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

--- Runs slices one by one, each announced, and then the rest.
local function run_slices(t, count)
  for i = 1, count do
    t:say("-- slice ", i)
    poe.kernel:run_one_timeslice()
  end
  t:run()
end

local function spin(seconds)
  local till = poe.monotime() + seconds
  while poe.monotime() < till do end
end

describe("A. Queue, time, timeslice", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("1 keeps the order of sending over all sessions (A01_fifo)", function()
    t:session("a", {
      _start = function(kernel)
        for i = 1, 3 do
          kernel:yield("y" .. i)
        end
        kernel:post("b", "p1")
        kernel:yield "y4"
      end,
      y1 = true, y2 = true, y3 = true, y4 = true,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
      end,
      p1 = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.y1 <- a
      a.y2 <- a
      a.y3 <- a
      a.y4 <- a
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]]
  end)

  it("1 puts timers and signals into the same order", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("FOO", "signalled")
        kernel:yield "first"
        kernel:signal(kernel.session, "FOO")
        kernel:delay("zero", 0)
        kernel:yield "last"
      end,
      first = true, signalled = true, zero = true, last = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.first <- a
      a.signalled <- KERNEL (FOO)
      a.zero <- a
      a.last <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("2 leaves what is posted while dispatching to the next slice "
    .. "(A04_generation_per_slice)", function()
    for _, name in ipairs { "a", "b" } do
      t:session(name, {
        _start = function(kernel)
          kernel:yield "x"
        end,
        x = function(kernel)
          kernel:yield "x2"
        end,
        x2 = true,
      })
    end
    for i = 1, 4 do
      t:say("-- slice ", i, ", queue=", poe.kernel:get_event_count())
      poe.kernel:run_one_timeslice()
    end
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      -- slice 1, queue=4
      a.x <- a
      b.x <- b
      -- slice 2, queue=2
      a.x2 <- a
      b.x2 <- b
      b._stop <- KERNEL
      a._stop <- KERNEL
      -- slice 3, queue=0
      -- slice 4, queue=0
      run() returned]]
  end)

  describe("with a pipe", function()
    local read, write

    before_each(function()
      read, write = sys.pipe()
    end)

    after_each(function()
      read:close()
      write:close()
      read, write = nil, nil
    end)

    it("2 polls between generations of posts; what a handler of the poll "
      .. "posts runs in its slice (A06_io_between_generations)", function()
      write:write "x"
      t:session("a", {
        _start = function(kernel)
          kernel:select_read(read, "rd")
          kernel:yield "y1"
        end,
        rd = function(kernel)
          kernel:select_read(read)
          kernel:yield "from_rd"
        end,
        y1 = function(kernel)
          kernel:yield "y2"
        end,
        y2 = true, from_rd = true,
      })
      t:session("b", {
        _start = function(kernel)
          kernel:yield "b1"
        end,
        b1 = true,
      })
      run_slices(t, 4)
      t:expect [[
        a._start <- KERNEL
        b._start <- KERNEL
        -- slice 1
        a.rd <- a (FH, 0)
        a.y1 <- a
        b.b1 <- b
        a.from_rd <- a
        b._stop <- KERNEL
        -- slice 2
        a.y2 <- a
        a._stop <- KERNEL
        -- slice 3
        -- slice 4
        run() returned]]
    end)

    it("2 dispatches ready handles ahead of queued events "
      .. "(I16_select_event_dispatch_is_sync)", function()
      write:write "x"
      t:session("a", {
        _start = function(kernel)
          kernel:yield "queued"
          kernel:select_read(read, "rd")
        end,
        queued = true,
        rd = function(kernel)
          t:say("  count in rd: ", kernel:get_event_count())
          kernel:select_read(read)
        end,
      })
      t:run()
      t:expect [[
        a._start <- KERNEL
        a.rd <- a (FH, 0)
          count in rd: 2
        a.queued <- a
        a._stop <- KERNEL
        run() returned]]
    end)

    it("2 sweeps after the handles, before the queue "
      .. "(I17_io_gc_after_handler)", function()
      t:session("a", {
        _start = function(kernel)
          kernel:select_read(read, "rd")
        end,
        rd = function(kernel)
          kernel:select_read(read)
        end,
      })
      t:session("b", {
        _start = function(kernel)
          kernel:yield "x"
        end,
        x = function(kernel)
          kernel:yield "y"
        end,
        y = function(kernel)
          write:write "x"
          kernel:yield "queued"
        end,
        queued = true,
      })
      t:run()
      t:expect [[
        a._start <- KERNEL
        b._start <- KERNEL
        b.x <- b
        b.y <- b
        a.rd <- a (FH, 0)
        a._stop <- KERNEL
        b.queued <- b
        b._stop <- KERNEL
        run() returned]]
    end)

    it("2 dispatches all reads, then all writes, each with a sweep", function()
      write:write "x"
      local left, right = sys.socketpair()
      right:write "x"
      local function watch(name, handle, method)
        t:session(name, {
          _start = function(kernel)
            kernel[method](kernel, handle, "ready")
          end,
          ready = function(kernel)
            kernel[method](kernel, handle)
          end,
        })
      end
      watch("writer", left, "select_write")
      watch("reader1", read, "select_read")
      watch("reader2", left, "select_read")
      -- the garbage events of creation are gone after the first slice
      t:run()
      left:close()
      right:close()
      assert.equal("writer.ready <- writer (FH, 1)", t.lines[6])
      local seen = {}
      for i, line in ipairs(t.lines) do
        seen[line] = i
      end
      assert.is_true(seen["reader1.ready <- reader1 (FH, 0)"] < 6)
      assert.is_true(seen["reader2.ready <- reader2 (FH, 0)"] < 6)
    end)

    it("3 starves neither timers nor handles by yielding for ever "
      .. "(A17_yield_loop_does_not_starve)", function()
      local spins, ios, done = 0, 0, nil
      t:session("a", {
        _start = function(kernel)
          kernel:yield "spin"
          kernel:delay("t", 0.02)
          kernel:select_read(read, "rd")
          write:write "x"
        end,
        spin = function(kernel)
          spins = spins + 1
          if not done then
            kernel:yield "spin"
          end
        end,
        rd = function(kernel)
          ios = ios + 1
          kernel:select_read(read)
        end,
        t = function()
          done = spins
        end,
      }, { quiet = true })
      poe.run()
      assert.is_true(done > 20)
      assert.equal(1, ios)
    end)

    -- W1: in POE nothing else ever gets its turn.
    it("4 lets handles, timers, posts and collection have their turn beside an "
      .. "alarm in the past that sets itself (A18_past_alarm_loop_starves, W1)",
      function()
        local seen = {}
        local function is_all_seen()
          return seen.rd and seen.timer and seen.post and seen.collected
        end
        t:session("a", {
          _start = function(kernel)
            kernel:alarm("past", 1)
            kernel:select_read(read, "rd")
            kernel:delay("timer", 0.001)
            write:write "x"
          end,
          rd = function(kernel)
            seen.rd = true
            kernel:select_read(read)
          end,
          timer = function(kernel)
            seen.timer = true
            kernel:yield "post"
          end,
          post = function()
            seen.post = true
          end,
          past = function(kernel, heap)
            heap.n = (heap.n or 0) + 1
            if not is_all_seen() and heap.n < 1000000 then
              kernel:alarm("past", 1)
            end
          end,
        }, { quiet = true })
        t:session("b", {
          _stop = function()
            seen.collected = true
          end,
        }, { quiet = true })
        poe.run()
        assert.same({ rd = true, timer = true, post = true, collected = true }, seen)
      end)

    it("4 bounds timers adjusted into the past as well (W1)", function()
      for _, adjust in ipairs { "alarm_adjust", "delay_adjust" } do
        local n, posted, at_post = 0, false, nil
        t:session("a", {
          _start = function(kernel)
            kernel:yield "past"
          end,
          past = function(kernel)
            n = n + 1
            if n == 5 then
              kernel:yield "post"
            end
            if not posted and n < 100000 then
              kernel[adjust](kernel, kernel:delay_set("past", 10), -100)
            end
          end,
          post = function()
            posted, at_post = true, n
          end,
        }, { quiet = true })
        poe.run()
        assert.is_true(at_post < 100000, adjust)
      end
    end)
  end)

  it("4 runs alarms in the past ahead of the queue, in their order "
    .. "(A03_alarm_past_before_fifo)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:yield "yield1"
        kernel:alarm("past", 1)
        kernel:delay("neg", -5)
        kernel:alarm("past2", 2)
        kernel:delay("zero", 0)
        kernel:yield "yield2"
      end,
      yield1 = true, yield2 = true, past = true, past2 = true, neg = true,
      zero = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.past <- a
      a.past2 <- a
      a.neg <- a
      a.yield1 <- a
      a.zero <- a
      a.yield2 <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("4 runs an alarm in the past in the slice that set it "
    .. "(A05_past_alarm_set_in_slice_runs_same_slice)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:yield "x"
        kernel:yield "y"
      end,
      x = function(kernel)
        kernel:alarm("past", 1)
        kernel:yield "later"
      end,
      y = true, past = true, later = true,
    })
    run_slices(t, 3)
    t:expect [[
      a._start <- KERNEL
      -- slice 1
      a.x <- a
      a.past <- a
      a.y <- a
      -- slice 2
      a.later <- a
      a._stop <- KERNEL
      -- slice 3
      run() returned]]
  end)

  it("5 puts delay(0) where the program does, between its yields", function()
    t:session("a", {
      _start = function(kernel)
        for i = 1, 20 do
          kernel:yield("e", 2 * i - 1)
          kernel:delay_add("e", 0, 2 * i)
        end
      end,
      e = function(_, heap, i)
        heap[#heap + 1] = i
      end,
      _stop = function(_, heap)
        t:say(t:format(heap))
      end,
    }, { quiet = true })
    t:run()
    local order = {}
    for i = 1, 40 do
      order[i] = i
    end
    t:expect("[" .. table.concat(order, ", ") .. "]\nrun() returned")
  end)

  it("6 keeps the order of setting for timers due at one instant "
    .. "(A07_same_due_time_fifo)", function()
    t:session("a", {
      _start = function(kernel)
        local at = poe.time() + 0.02
        for i = 1, 3 do
          kernel:alarm_add("e", at, i)
        end
        kernel:alarm("f", at)
        kernel:alarm_add("e", at, 4)
      end,
      e = true, f = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.e <- a (1)
      a.e <- a (2)
      a.e <- a (3)
      a.f <- a
      a.e <- a (4)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("7 runs overdue timers in due order in one slice, and then what the first "
    .. "of them posted (A19_timers_due_order_after_late_wake)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:delay("t2", 0.002)
        kernel:delay("t1", 0.001)
        kernel:yield "block"
      end,
      block = function(kernel)
        spin(0.005)
        kernel:yield "posted_after_block"
      end,
      t1 = function(kernel)
        kernel:yield "from_t1"
      end,
      t2 = true, from_t1 = true, posted_after_block = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.block <- a
      a.t1 <- a
      a.t2 <- a
      a.posted_after_block <- a
      a.from_t1 <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("8 replaces by name all timers of that name, however they were set, and "
    .. "no posted event (A08_delay_by_name_replaces)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:delay("e", 0.01, 1)
        kernel:delay_add("e", 0.015, 2)
        kernel:delay_set("e", 0.02, 3)
        kernel:alarm_add("e", poe.time() + 0.021, 31)
        kernel:alarm_set("e", poe.time() + 0.021, 32)
        kernel:alarm("e", poe.time() + 0.022, 4)
        t:say("count ", kernel:get_event_count())
      end,
      e = true,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:yield("e", "posted")
        kernel:delay("e", 0.01, "b")
        kernel:delay "e"
        t:say("count ", kernel:get_event_count())
      end,
      e = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      count 1
      b._start <- KERNEL
      count 3
      b.e <- b (posted)
      b._stop <- KERNEL
      a.e <- a (4)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("8 clears by alarm without a time as well, and by nil", function()
    t:session("a", {
      _start = function(kernel)
        for _, name in ipairs { "e1", "e2", "e3", "e4" } do
          kernel:delay_add(name, 0.001)
          kernel:alarm_add(name, poe.time() + 0.001)
        end
        assert.is_true(kernel:alarm "e1")
        assert.is_true(kernel:alarm("e2", nil, "args"))
        assert.is_true(kernel:delay "e3")
        assert.is_true(kernel:delay("e4", nil))
        assert.is_true(kernel:delay "never set")
      end,
      _default = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("9 returns true, ids, new due times and what was removed "
    .. "(A09_alarm_returns, W2)", function()
    local now = poe.time()
    t:session("a", {
      _start = function(kernel)
        assert.is_true(kernel:alarm("e", now + 100))
        assert.is_true(kernel:alarm_add("e", now + 100))
        assert.is_true(kernel:delay("e", 100))
        assert.is_true(kernel:delay_add("e", 100))
        local id = kernel:alarm_set("e", 1000, "x")
        assert.equal("integer", math.type(id))
        assert.is_true(id > 0)
        t:say("adjust ", kernel:alarm_adjust(id, 5), " ", kernel:alarm_adjust(id, -2000))
        t:say("remove ", t:format(kernel:alarm_remove(id)))
        t:say("again ", (select(3, kernel:alarm_remove(id))))
        id = kernel:delay_set("e3", 50)
        local due = kernel:delay_adjust(id, 80)
        assert.is_true(math.abs(due - now - 80) < 2)
        due = kernel:alarm_adjust(id, -10)
        assert.is_true(math.abs(due - now - 70) < 2)
        kernel:alarm_set("e4", 3000, "q")
        for _, removed in ipairs(kernel:alarm_remove_all()) do
          t:say(removed.event, " ",
            removed.time < now and removed.time or math.floor(removed.time - now + 0.5),
            " ", t:format(removed.args))
        end
        t:say("count ", kernel:get_event_count())
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      adjust 1005.0 -995.0
      remove e, -995.0, [x]
      again ESRCH
      e4 3000.0 [q]
      e3 70 []
      e 100 []
      e 100 []
      count 0
      a._stop <- KERNEL
      run() returned]]
  end)

  it("9 fails with ESRCH for timers that are not", function()
    t:session("a", {
      _start = function(kernel)
        for _, method in ipairs { "alarm_adjust", "delay_adjust", "alarm_remove" } do
          local value, message, code = kernel[method](kernel, 99999999, 5)
          assert.is_nil(value)
          assert.equal("ESRCH: no such timer: 99999999", message)
          assert.equal("ESRCH", code)
        end
      end,
    })
    poe.run()
  end)

  it("9 raises for missing or wrong arguments, where POE returns EINVAL", function()
    local function refuses(method, message, ...)
      local call = load(("local kernel = ...; kernel:%s(select(2, ...))"):format(method), "=")
      local ok, got = pcall(call, poe.kernel, ...)
      assert.is_false(ok)
      assert.equal((":1: bad argument #%s"):format(message:format(method)), got)
    end
    t:session("a", {
      _start = function(kernel)
        for _, method in ipairs { "alarm", "alarm_add", "alarm_set", "delay",
          "delay_add", "delay_set" } do
          refuses(method, "1 to '%s' (event name expected, got nil)", nil, 1)
          refuses(method, "1 to '%s' (event name expected, got no value)")
          refuses(method, "1 to '%s' (event name expected, got number)", 1, 1)
          refuses(method, "2 to '%s' (number of seconds expected, got string)", "e", "1")
          refuses(method, "2 to '%s' (number of seconds expected, got NaN)", "e", 0 / 0)
          if method:find "_" then
            refuses(method, "2 to '%s' (number of seconds expected, got no value)", "e")
          end
        end
        for _, method in ipairs { "alarm_adjust", "delay_adjust", "alarm_remove" } do
          refuses(method, "1 to '%s' (timer ID expected, got string)", "1", 1)
        end
        t:say("count ", kernel:get_event_count())
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      count 0
      a._stop <- KERNEL
      run() returned]]
  end)

  it("9 refuses another session's timer with EPERM "
    .. "(A10_alarm_other_session_eperm)", function()
    local id
    t:session("a", {
      _start = function(kernel)
        id = kernel:delay_set("e", 0.01)
      end,
      e = true,
    })
    t:session("b", {
      _start = function(kernel)
        for _, method in ipairs { "alarm_remove", "alarm_adjust", "delay_adjust" } do
          local value, message, code = kernel[method](kernel, id, 5)
          assert.is_nil(value)
          assert.equal(("EPERM: timer %d is another session's"):format(id), message)
          t:say(method, " ", code)
        end
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      alarm_remove EPERM
      alarm_adjust EPERM
      delay_adjust EPERM
      b._stop <- KERNEL
      a.e <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("10 gives the due time of every kind of timer in alarm_remove_all "
    .. "(A11_delay_time_zero_in_remove_all, W2)", function()
    t:session("a", {
      _start = function(kernel)
        local now = poe.time()
        kernel:delay("e1", 51, nil, "x", nil)
        kernel:delay_add("e2", 52)
        kernel:delay_set("e3", 53)
        kernel:alarm("e4", now + 50)
        kernel:yield "posted"
        for _, timer in ipairs(kernel:alarm_remove_all()) do
          t:say(timer.event, " ", math.floor(timer.time - now + 0.5), " ",
            t:format(timer.args), " ", timer.args.n)
        end
        assert.same({}, kernel:alarm_remove_all())
      end,
      posted = true,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:delay("mine", 0.001)
      end,
      mine = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      e4 50 [] 0
      e1 51 [nil, x, nil] 3
      e2 52 [] 0
      e3 53 [] 0
      b._start <- KERNEL
      a.posted <- a
      a._stop <- KERNEL
      b.mine <- b
      b._stop <- KERNEL
      run() returned]]
  end)

  it("11 never removes an event by a timer's id "
    .. "(A13_remove_fifo_event_by_alarm_id, W3)", function()
    t:session("a", {
      _start = function(kernel)
        local id = kernel:delay_set("d", 9)
        kernel:yield "victim"
        kernel:alarm_remove(id)
        for guess = 1, id + 50 do
          assert.is_nil((kernel:alarm_remove(guess)))
        end
      end,
      victim = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.victim <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("11 gives ids that only grow", function()
    local last = 0
    t:session("a", {
      _start = function(kernel)
        for i = 1, 50 do
          local id = i % 2 == 0 and kernel:delay_set("d", 9) or kernel:alarm_set("d", 1)
          assert.is_true(id > last)
          last = id
          kernel:alarm_remove(id)
        end
      end,
    })
    poe.run()
    assert.is_true(last > 0)
  end)

  it("12 re-sorts by alarm_adjust (A15_alarm_adjust_reorders)", function()
    t:session("a", {
      _start = function(kernel)
        local id = kernel:delay_set("first", 0.005)
        kernel:delay_set("second", 0.01)
        kernel:alarm_adjust(id, 0.01)
      end,
      first = true, second = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.second <- a
      a.first <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("12 moves from the due time by alarm_adjust, from now by delay_adjust; "
    .. "a moved timer comes after those set before it", function()
    helper.assert_prints([[
      at 0	second
      at 0	first
      at 25	third]], [[
      local poe = require "poe"
      local t0
      local function show(_, _, name)
        print("at " .. math.floor((poe.monotime() - t0) * 1000 / 25) * 25, name)
      end
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            t0 = poe.monotime()
            local at = poe.time() + 0.02
            local first = kernel:alarm_set("show", at, "first")
            kernel:alarm_set("show", at, "second")
            kernel:alarm_adjust(first, 0) -- counts as setting it anew
            local third = kernel:delay_set("show", 5, "third")
            kernel:delay_adjust(third, 0.025)
          end,
          show = show,
        },
      }
      poe.run()]], { virtual = true })
  end)

  it("13 has forgotten a timer when its handler runs (A16_remove_fired_alarm)", function()
    t:session("a", {
      _start = function(kernel, heap)
        heap.id = kernel:delay_set("d", 0.001)
      end,
      d = function(kernel, heap)
        t:say("  ", (select(3, kernel:alarm_remove(heap.id))))
        t:say("  larger: ", tostring(kernel:delay_set("e", 0.001) > heap.id))
      end,
      e = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.d <- a
        ESRCH
        larger: true
      a.e <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("14 copies arguments shallowly, with all their nils "
    .. "(A14_args_copied_shallow)", function()
    local function count(_, _, ...)
      t:say("nargs ", select("#", ...))
    end
    t:session("a", {
      _start = function(kernel)
        local x, list = 1, { 1 }
        kernel:yield("e", x, list, nil)
        kernel:yield("e", nil, nil)
        kernel:yield "e"
        kernel:delay("e", 0.001, nil, x, nil)
        x = 2
        list[2] = x
      end,
      e = count,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.e <- a (1, [1, 2], nil)
      nargs 3
      a.e <- a (nil, nil)
      nargs 2
      a.e <- a
      nargs 0
      a.e <- a (nil, 1, nil)
      nargs 3
      a._stop <- KERNEL
      run() returned]]
  end)

  it("14 carries any number of arguments of any kind", function()
    local values = table.pack(true, false, 0, -1, 1.5, math.huge, math.mininteger,
      "", "a\0b", {}, print, coroutine.create(print), io.stdout, poe.kernel)
    local many = {}
    for i = 1, 1000 do
      many[i] = i % 7 ~= 0 and i or nil
    end
    local got, got_many, got_timer
    t:session("a", {
      _start = function(kernel)
        kernel:yield("e", table.unpack(values, 1, values.n))
        kernel:yield("many", table.unpack(many, 1, 1000))
        kernel:delay("timer", 0, table.unpack(many, 1, 1000))
      end,
      e = function(_, _, ...) got = table.pack(...) end,
      many = function(_, _, ...) got_many = table.pack(...) end,
      timer = function(_, _, ...) got_timer = table.pack(...) end,
    }, { quiet = true })
    poe.run()
    assert.equal(values.n, got.n)
    for i = 1, values.n do
      assert.is_true(rawequal(values[i], got[i]), "value " .. i)
      assert.equal(math.type(values[i]), math.type(got[i]))
    end
    many.n = 1000
    assert.same(many, got_many)
    assert.same(many, got_timer)
  end)

  it("15 counts internal events, not the one being dispatched; tells the next "
    .. "due time (A12_counts)", function()
    local function say_count(where)
      return function(kernel)
        t:say("in ", where, ": ", kernel:get_event_count())
      end
    end
    t:session("a", {
      _start = function(kernel)
        t:say("in _start: ", kernel:get_event_count())
        kernel:yield "x"
        kernel:delay("d", 0.01)
        t:say("after yield and delay: ", kernel:get_event_count())
      end,
      x = say_count "x",
      d = say_count "d",
    }, { quiet = true })
    t:say("before run: ", poe.kernel:get_event_count())
    assert.is_true(math.abs(poe.kernel:get_next_event_time() - poe.time()) < 5)
    t:run()
    t:say("after run: ", poe.kernel:get_event_count())
    assert.is_nil((poe.kernel:get_next_event_time()))
    t:expect [[
      in _start: 0
      after yield and delay: 2
      before run: 3
      in x: 2
      in d: 0
      run() returned
      after run: 0]]
  end)

  it("15 tells the due time of an alarm as it was given, everywhere", function()
    t:session("a", {
      _start = function(kernel)
        for i = 1, 200 do
          local at = math.floor((poe.time() + i / 7) * 1e6) / 1e6
          local id = kernel:alarm_set("later", at)
          assert.equal(at, kernel:get_next_event_time())
          assert.equal(at, kernel:alarm_adjust(id, 0))
          assert.equal(at, (select(2, kernel:alarm_remove(id))))
        end
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("16 never fires a timer early (J16_timer_accuracy)", function()
    local early
    t:session("a", {
      _start = function(kernel, heap)
        heap.n = 0
        kernel:yield "set"
      end,
      set = function(kernel, heap)
        heap.due = poe.monotime() + 0.0013
        heap.at = poe.time() + 0.0017
        kernel:delay("delayed", 0.0013)
        kernel:alarm("alarmed", heap.at)
      end,
      delayed = function(_, heap)
        early = early or poe.monotime() < heap.due
      end,
      alarmed = function(kernel, heap)
        early = early or poe.time() < heap.at - 1e-6
        heap.n = heap.n + 1
        if heap.n < 15 then
          kernel:yield "set"
        end
      end,
      _stop = function(_, heap)
        t:say(heap.n)
      end,
    }, { quiet = true })
    t:run()
    t:expect "15\nrun() returned"
    assert.is_false(early)
  end)

  it("16 fires at the exact due time on the virtual clock", function()
    helper.assert_prints([[
      1 1.5
      2 86400.0
      3 31536000.0]], [[
      local poe = require "poe"
      local started
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            started = poe.time()
            kernel:delay_add("e", 86400, 2)
            kernel:alarm_add("e", started + 31536000, 3)
            kernel:delay_add("e", 1.5, 1)
          end,
          e = function(_, _, i)
            print(("%d %.1f"):format(i, poe.time() - started))
          end,
        },
      }
      poe.run()]], { virtual = true })
  end)

  it("17 resolves the destination when it posts "
    .. "(A02_post_resolves_at_post_time)", function()
    t:session("a", {
      _start = function(kernel)
        t:say("post -> ", t:format(kernel:post("b", "p1")))
      end,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
      end,
      p1 = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      post -> nil, ESRCH: no such session: b, ESRCH
      b._start <- KERNEL
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]]
  end)

  it("17 binds an event to the session, not to its name "
    .. "(F07_event_after_alias_removed)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "x"
        kernel:yield "rm"
      end,
      rm = function(kernel)
        kernel:alias_remove "x"
      end,
      e = true,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:post("x", "e")
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.rm <- a
      a.e <- b
      b._stop <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("18 waits without using the processor (J14_sleep_no_busy)", function()
    local cpu, began = os.clock(), poe.monotime()
    t:session("a", {
      _start = function(kernel)
        kernel:delay("d", 0.3)
      end,
      d = true,
    }, { quiet = true })
    poe.run()
    assert.is_true(poe.monotime() - began >= 0.3)
    assert.is_true(os.clock() - cpu < 0.15)
  end)
end)
