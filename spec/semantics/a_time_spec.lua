-- Section A of the semantics: due times, arguments, counts, waiting.

local helper = require "spec.helper"
local poe = require "poe"

local function spin(seconds)
  local till = poe.monotime() + seconds
  while poe.monotime() < till do end
end

describe("A. Time", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
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
        kernel:yield "block"
        local now = poe.time()
        kernel:alarm("t2", now + 0.002)
        kernel:alarm("t1", now + 0.001)
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
        kernel:delay("d", 0.5) -- when what creating it has queued is over
        t:say("after yield and delay: ", kernel:get_event_count())
      end,
      x = say_count "x",
      d = say_count "d",
    }, { quiet = true })
    t:say("before run: ", poe.kernel:get_event_count())
    assert.is_true(math.abs(poe.kernel:get_next_event_time() - poe.time()) < 5)
    t:run()
    t:say("after run: ", poe.kernel:get_event_count())
    assert.same({ n = 1 }, table.pack(poe.kernel:get_next_event_time()))
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
    assert.is_true(os.clock() - cpu < 0.15 * helper.SLOWNESS)
  end)
end)
