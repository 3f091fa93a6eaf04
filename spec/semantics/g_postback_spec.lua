-- Section G of the semantics: postbacks and callbacks.

local helper = require "spec.helper"
local core = require "poe.core"
local poe = require "poe"

local kernel = poe.kernel

local function code(...)
  local value, _, why = ...
  return value == nil and why or value
end

describe("G. Postbacks", function()
  local t, kept

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t, kept = nil, nil
    helper.finish()
  end)

  it("90 posts the arguments of both calls (G06_postback)", function()
    t:session("a", {
      _start = function(_, heap)
        heap.pb = kernel.session:postback("got", "c1", "c2")
        kernel:delay("fire", 0.01)
      end,
      fire = function(_, heap)
        t:say("ret ", tostring(heap.pb("x", "y")))
        heap.pb = nil
      end,
      got = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.fire <- a
      ret true
      a.got <- a ([c1, c2], [x, y])
      a._stop <- KERNEL
      run() returned]]
  end)

  it("90 packs both with n, so that nils are kept", function()
    local made, called
    t:session("a", {
      _start = function()
        kernel.session:postback("got", nil, 1, nil)(nil, nil)
      end,
      got = function(_, _, ...)
        assert.equal(2, select("#", ...))
        made, called = ...
      end,
    }, { quiet = true })
    t:run()
    assert.same({ nil, 1, nil, n = 3 }, made)
    assert.same({ n = 2 }, called)
  end)

  it("90 gives each event tables of its own for the call", function()
    local seen = {}
    t:session("a", {
      _start = function()
        local pb <close> = kernel.session:postback "got"
        pb(1)
        pb(2)
      end,
      got = function(_, _, _, called)
        seen[#seen + 1] = called
      end,
    }, { quiet = true })
    t:run()
    assert.same({ { 1, n = 1 }, { 2, n = 1 } }, seen)
  end)

  it("90 callbacks call, and return what the handler did (G07_callback)", function()
    t:session("a", {
      _start = function()
        local cb = kernel.session:callback("got", "c1")
        local first = cb "x"
        t:say("ret ", first, " list ", t:format(cb "y"))
        cb:close()
      end,
      got = function()
        return 5, 6
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.got <- a ([c1], [x])
      a.got <- a ([c1], [y])
      ret 5 list 5, 6
      a._stop <- KERNEL
      run() returned]]
  end)

  it("90 a callback's failure is that of a call", function()
    local cb, raised
    t:session("a", {
      _start = function()
        cb = kernel.session:callback "fail"
        raised = { pcall(cb) }
        kernel:sig("DIE", "died")
      end,
      fail = function()
        error("as raised", 0)
      end,
      died = function(_, _, _, ex)
        t:say("DIE ", ex.error)
        kernel:sig_handled()
        cb:close()
      end,
    }, { quiet = true })
    t:session("b", {
      _start = function()
        kernel:yield "go"
      end,
      go = function()
        t:say(code(cb()))
      end,
    }, { quiet = true })
    t:run()
    assert.same({ false, "as raised" }, raised)
    t:expect [[
      EDIED
      DIE as raised
      run() returned]]
  end)

  it("90 a callback without a handler is ENOSYS", function()
    t:session("a", {
      _start = function()
        local cb <close> = kernel.session:callback "nothing"
        t:say(code(cb()))
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      ENOSYS
      run() returned]]
  end)

  it("90 holds its session while it exists (G08_postback_holds)", function()
    t:session("a", {
      _start = function()
        kept = kernel.session:postback "got"
      end,
      got = true,
    })
    t:session("b", {
      _start = function()
        helper.later(kernel, "d")
      end,
      d = function()
        t:say "dropping postback"
        kept = nil
        collectgarbage()
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      b.d <- b
      dropping postback
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]]
  end)

  it("90 holds it by the tag anon_event", function()
    t:session("a", {
      _start = function()
        local me = kernel.session
        local _ <close> = me:postback "got"
        local two = me:callback "got"
        local id = me:ID()
        assert.equal(3, kernel:refcount_increment(id, "anon_event"))
        assert.equal(2, kernel:refcount_decrement(id, "anon_event"))
        two:close()
        two:close()
        assert.equal(2, kernel:refcount_increment(id, "anon_event"))
        assert.equal(1, kernel:refcount_decrement(id, "anon_event"))
      end,
      got = true,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("90 a forgotten one does not hang the program", function()
    t:session("a", {
      _start = function(_, heap)
        heap.cycle = { heap, kernel.session:postback "got" }
        kernel.session:callback "got"
        kernel:yield "drop"
      end,
      drop = function(_, heap)
        heap.cycle = nil
      end,
      got = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.drop <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("90 a forgotten one ends with its session when others go on", function()
    t:session("a", {
      _start = function()
        kernel.session:postback "got"
      end,
    })
    t:session("b", {
      _start = function()
        kernel:alias_set "b"
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]]
  end)

  it("90 gives the reference up when weakened (G09_postback_weaken)", function()
    t:session("a", {
      _start = function()
        kept = kernel.session:postback "got":weaken()
      end,
      got = true,
    })
    t:session("b", {
      _start = function()
        helper.later(kernel, "d")
      end,
      d = function()
        t:say("pb after death returns ", code(kept()))
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a._stop <- KERNEL
      b.d <- b
      pb after death returns ESRCH
      b._stop <- KERNEL
      run() returned]]
  end)

  it("90 a weakened one still posts while the session lives", function()
    t:session("a", {
      _start = function()
        kept = kernel.session:postback("got", 1)
        assert.equal(kept, kept:weaken())
        assert.equal(kept, kept:weaken())
        assert.is_true(kept(2))
      end,
      got = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.got <- a ([1], [2])
      a._stop <- KERNEL
      run() returned]]
  end)

  it("91 W16 says that its session is dead (G10_postback_after_forced_stop)", function()
    t:session("a", {
      _start = function()
        kernel:alias_set "a"
        kept = kernel.session:postback "got"
      end,
      got = true,
    })
    t:session("b", {
      _start = function()
        kernel:signal("a", "TERM")
        helper.later(kernel, "d")
      end,
      d = function()
        local value, message, why = kept()
        t:say(tostring(value), " ", message:match "^ESRCH: ", why)
        kept = nil
        collectgarbage()
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a._stop <- KERNEL
      b.d <- b
      nil ESRCH: ESRCH
      b._stop <- KERNEL
      run() returned]]
  end)

  it("cannot be made of a session that has ended or is ending", function()
    local me
    t:session("a", {
      _start = function()
        me = kernel.session
      end,
      _stop = function()
        t:say(code(me:postback "got"), " ", code(me:callback "got"))
      end,
    }, { quiet = true })
    t:run()
    t:say(code(me:postback "got"), " ", code(me:callback "got"))
    t:expect [[
      ESRCH ESRCH
      run() returned
      ESRCH ESRCH]]
  end)

  it("can be made of and called from anywhere", function()
    local a = t:session("a", { got = true })
    local pb = a:postback("got", "main")
    assert.is_true(pb "called")
    t:session("b", {
      _start = function()
        pb "by b"
        pb:close()
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.got <- KERNEL ([main], [called])
      a.got <- b ([main], [by b])
      b._stop <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("raises when called after it was closed", function()
    t:session("a", {
      _start = function()
        local pb = kernel.session:postback "got"
        pb:close()
        assert.error_matches(pb, "closed postback")
        assert.has_no.errors(function()
          pb:close()
          pb:weaken()
        end)
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("is closed when its variable goes, also by an error", function()
    t:session("a", {
      _start = function()
        local ok = pcall(function()
          local pb <close> = kernel.session:postback "got"
          error(tostring(pb))
        end)
        assert.is_false(ok)
        assert.equal(0, core.census().postbacks)
        assert.equal(0, core.census().tags)
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("may be closed by the very event it sends", function()
    t:session("a", {
      _start = function(_, heap)
        heap.cb = kernel.session:callback("got", ("x"):rep(100))
        t:say(heap.cb())
      end,
      got = function(_, heap, made)
        heap.cb:close()
        heap.cb = nil
        collectgarbage()
        return #made[1] .. " " .. kernel.event
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      100 got
      run() returned]]
  end)
end)
