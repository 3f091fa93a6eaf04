-- Section G of the semantics: tagged references.

local helper = require "spec.helper"
local core = require "poe.core"
local poe = require "poe"

local kernel = poe.kernel

local function code(...)
  local value, _, why = ...
  return value == nil and why or value
end

describe("G. Reference counts", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("87 returns the new count of the tag (G01_refcount)", function()
    t:session("a", {
      _start = function()
        local id = kernel.session:ID()
        t:say(t:format(kernel:refcount_increment(id, "t"),
          kernel:refcount_increment(id, "t"),
          kernel:refcount_increment(id, "u"),
          kernel:refcount_decrement(id, "t")))
        t:say(code(kernel:refcount_increment(99999999, "t")), " ",
          code(kernel:refcount_decrement(99999999, "t")))
        kernel:delay("rel", 0.01)
      end,
      rel = function()
        local id = kernel.session:ID()
        t:say(t:format(kernel:refcount_decrement(id, "t"),
          kernel:refcount_decrement(id, "u")))
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      1, 2, 1, 1
      ESRCH ESRCH
      a.rel <- a
      0, 0
      a._stop <- KERNEL
      run() returned]]
  end)

  it("87 counts up to a hundred thousand and back", function()
    t:session("a", {
      _start = function()
        local id = kernel.session:ID()
        for i = 1, 100000 do
          assert(kernel:refcount_increment(id, "t") == i)
        end
        for i = 99999, 0, -1 do
          assert(kernel:refcount_decrement(id, "t") == i)
        end
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("88 keeps the kernel from going idle (G02_refcount_hangs_kernel)", function()
    local status, out = helper.run_poe(helper.WAITS .. [[
      local poe = require "poe"
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            kernel:refcount_increment(kernel.session:ID(), "t")
            print "started"
            waits_for_ever()
          end,
          _stop = function() print "stopped" end,
        },
      }
      poe.run()]])
    assert.equal(helper.WAITED, status)
    assert.equal("started\n", out)
  end)

  it("88 waits without work while a tag is held", function()
    t:session("a", {
      _start = function()
        kernel:refcount_increment(kernel.session:ID(), "t")
        kernel:delay("rel", 0.2)
      end,
      rel = function()
        kernel:refcount_decrement(kernel.session:ID(), "t")
      end,
    }, { quiet = true })
    local cpu = os.clock()
    t:run()
    assert.is_true(os.clock() - cpu < 0.1 * helper.SLOWNESS)
    t:expect "run() returned"
  end)

  it("89 leaves a tag below zero, which holds the kernel (G03_refcount_negative)", function()
    local status, out = helper.run_poe(helper.WAITS .. [[
      local poe = require "poe"
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            print(kernel:refcount_decrement(kernel.session:ID(), "t"))
            kernel:alias_set "a"
            waits_for_ever()
          end,
          _stop = function() print "stopped" end,
        },
      }
      poe.run()]])
    assert.equal(helper.WAITED, status)
    assert.equal("-1\n", out)
  end)

  it("89 forgets a tag that came back to zero", function()
    t:session("a", {
      _start = function()
        local id = kernel.session:ID()
        assert.equal(-1, kernel:refcount_decrement(id, "t"))
        assert.equal(-2, kernel:refcount_decrement(id, "t"))
        assert.equal(-1, kernel:refcount_increment(id, "t"))
        assert.equal(0, kernel:refcount_increment(id, "t"))
        kernel:alias_set "a"
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("87 lets anyone hold anyone (G04_refcount_by_other)", function()
    local id
    t:session("a", {
      _start = function()
        id = kernel.session:ID()
      end,
    })
    t:session("b", {
      _start = function()
        t:say("inc ", kernel:refcount_increment(id, "b"))
        helper.later(kernel, "d")
      end,
      d = function()
        t:say("dec ", kernel:refcount_decrement(id, "b"))
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      inc 1
      b.d <- b
      dec 0
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]]
  end)

  it("87 works from outside of sessions", function()
    local a = t:session("a", {})
    assert.equal(1, kernel:refcount_increment(a:ID(), "main"))
    assert.is_true(kernel:run_one_timeslice()) -- another would wait
    assert.equal(0, kernel:refcount_decrement(a:ID(), "main"))
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("87 takes IDs only (G05_refcount_takes_id_only)", function()
    t:session("a", {
      _start = function()
        kernel:alias_set "al"
        for _, bad in ipairs { "al", kernel.session, tostring(kernel.session),
          kernel, 1.5 } do
          assert.error_matches(function()
            kernel:refcount_increment(bad, "t")
          end, "bad argument #1 to 'refcount_increment' %(session ID")
        end
        assert.equal("ESRCH", code(kernel:refcount_increment(0, "t")))
        assert.equal("ESRCH", code(kernel:refcount_increment(-1, "t")))
        assert.equal("ESRCH",
          code(kernel:refcount_increment(math.maxinteger, "t")))
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("W6 cannot be taken in _stop", function()
    t:session("a", {
      _stop = function()
        t:say(code(kernel:refcount_increment(kernel.session:ID(), "t")))
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      ESRCH
      run() returned]]
  end)

  it("23 gives all tags back when a session is stopped", function()
    local a = t:session("a", {
      _start = function()
        for i = 1, 100 do
          kernel:refcount_increment(kernel.session:ID(), "tag " .. i)
        end
      end,
    }, { quiet = true })
    assert.equal(100, core.census().tags)
    kernel:signal(a, "TERM")
    t:run()
    assert.equal(0, core.census().tags)
  end)
end)
