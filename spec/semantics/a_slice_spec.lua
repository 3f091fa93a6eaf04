-- Section A of the semantics: one queue for everything, what a timeslice is,
-- what it leaves to the next.

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

describe("A. The queue and its slices", function()
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
          kernel:select_read(read, "rd")
          write:write "x"
        end,
        spin = function(kernel)
          spins = spins + 1
          if spins == 20 then
            kernel:delay("t", 0.001)
          end
          if not done and spins < 10000000 then
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
      assert.is_true(done < 10000000)
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
            if is_all_seen() then
              seen.in_time = true
            elseif heap.n < 1000000 then
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
        assert.same({
          rd = true, timer = true, post = true, collected = true, in_time = true,
        }, seen)
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
end)
