-- Section A of the semantics: timers, by name and by ID.

local helper = require "spec.helper"
local poe = require "poe"

--- Runs slices one by one, each announced, and then the rest.
local function run_slices(t, count)
  for i = 1, count do
    t:say("-- slice ", i)
    poe.kernel:run_one_timeslice()
  end
  t:run()
end

--- Seconds in tens: what was set some time ago.
local function to_tens(seconds)
  return math.floor((seconds + 5) / 10) * 10
end

describe("A. Timers", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
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

  it("8 replaces by name all timers of that name, however they were set, and "
    .. "no posted event (A08_delay_by_name_replaces)", function()
    local a = t:session("a", {
      _start = function(kernel)
        kernel:delay("e", 0.01, 1)
        kernel:delay_add("e", 0.015, 2)
        kernel:delay_set("e", 0.02, 3)
        kernel:alarm_add("e", poe.time() + 0.021, 31)
        kernel:alarm_set("e", poe.time() + 0.021, 32)
        kernel:alarm("e", poe.time() + 100, 4)
        t:say("count ", kernel:get_event_count())
      end,
      e = true,
      tell = function(kernel)
        for _, timer in ipairs(kernel:alarm_remove_all()) do
          t:say("left ", timer.event, " ", t:format(timer.args))
        end
      end,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:yield("e", "posted")
        kernel:delay("e", 0.01, "b")
        kernel:delay "e"
        t:say("count ", kernel:get_event_count())
      end,
      e = function(kernel) kernel:post(a, "tell") end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      count 1
      b._start <- KERNEL
      count 3
      b.e <- b (posted)
      a.tell <- b
      left e [4]
      a._stop <- KERNEL
      b._stop <- KERNEL
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
        assert.equal(80, to_tens(due - now))
        due = kernel:alarm_adjust(id, -10)
        assert.equal(70, to_tens(due - now))
        kernel:alarm_set("e4", 3000, "q")
        for _, removed in ipairs(kernel:alarm_remove_all()) do
          t:say(removed.event, " ",
            removed.time < now and removed.time or to_tens(removed.time - now),
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
        id = kernel:delay_set("e", 0.1)
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
      _stop = false, -- before or after the timer
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      alarm_remove EPERM
      alarm_adjust EPERM
      delay_adjust EPERM
      a.e <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("10 gives the due time of every kind of timer in alarm_remove_all "
    .. "(A11_delay_time_zero_in_remove_all, W2)", function()
    t:session("a", {
      _start = function(kernel)
        local now = poe.time()
        kernel:delay("e1", 60, nil, "x", nil)
        kernel:delay_add("e2", 70)
        kernel:delay_set("e3", 80)
        kernel:alarm("e4", now + 50)
        kernel:yield "posted"
        for _, timer in ipairs(kernel:alarm_remove_all()) do
          t:say(timer.event, " ", to_tens(timer.time - now), " ",
            t:format(timer.args), " ", timer.args.n)
        end
        assert.same({}, kernel:alarm_remove_all())
      end,
      posted = true, _stop = false, -- before or after b's timer
    })
    t:session("b", {
      _start = function(kernel)
        kernel:delay("mine", 0.1)
      end,
      mine = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      e4 50 [] 0
      e1 60 [nil, x, nil] 3
      e2 70 [] 0
      e3 80 [] 0
      b._start <- KERNEL
      a.posted <- a
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
        local now = poe.time()
        local id = kernel:alarm_set("first", now + 0.005)
        kernel:alarm_set("second", now + 0.01)
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
end)
