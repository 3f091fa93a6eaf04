-- Section F of the semantics: aliases, IDs, and what they resolve to.

local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

--- The code of a failure: its third value, when the first is nil.
local function code(...)
  local value, _, why = ...
  return value == nil and why or value
end

describe("F. Aliases and ids", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("83 says what became of setting and removing (F01_alias_returns)", function()
    t:session("a", {
      _start = function()
        t:say("set ", tostring(kernel:alias_set "x"), " again ",
          tostring(kernel:alias_set "x"))
        helper.later(kernel, "d")
      end,
      d = function()
        kernel:alias_remove "x"
      end,
    })
    t:session("b", {
      _start = function()
        t:say("taken ", code(kernel:alias_set "x"))
        t:say("remove other's ", code(kernel:alias_remove "x"))
        t:say("remove none ", code(kernel:alias_remove "nope"))
        kernel:alias_set "b"
        t:say("remove own ", tostring(kernel:alias_remove "b"))
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      set true again true
      b._start <- KERNEL
      taken EEXIST
      remove other's EPERM
      remove none ESRCH
      remove own true
      b._stop <- KERNEL
      a.d <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("83 counts an alias that is set twice once", function()
    t:session("a", {
      _start = function()
        kernel:alias_set "x"
        kernel:alias_set "x"
        kernel:alias_remove "x"
        assert.equal("ESRCH", code(kernel:alias_remove "x"))
        kernel:post("x", "nobody")
      end,
      _stop = function()
        t:say "not at IDLE"
      end,
    })
    t:session("b", {
      _start = function()
        helper.later(kernel, "d")
      end,
      d = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a._stop <- KERNEL
      not at IDLE
      b.d <- b
      b._stop <- KERNEL
      run() returned]]
  end)

  it("83 has messages that name the alias", function()
    local seen
    t:session("a", {
      _start = function()
        seen = { kernel:alias_remove "nothing at all" }
      end,
    }, { quiet = true })
    t:run()
    assert.is_nil(seen[1])
    assert.matches("^ESRCH: .*nothing at all", seen[2])
    assert.equal("ESRCH", seen[3])
  end)

  it("84 lists aliases sorted as strings (F02_alias_list_sorted)", function()
    local session
    t:session("a", {
      _start = function()
        session = kernel.session
        local names = { "m", "z", "a", "10", "9" }
        for _, name in ipairs(names) do
          kernel:alias_set(name)
        end
        assert.same({ "10", "9", "a", "m", "z" }, { kernel:alias_list() })
        assert.same({ "10", "9", "a", "m", "z" },
          { kernel:alias_list(session) })
        assert.same({ "10", "9", "a", "m", "z" }, { kernel:alias_list "m" })
        assert.equal(0, select("#", kernel:alias_list "nope"))
        for _, name in ipairs(names) do
          kernel:alias_remove(name)
        end
        assert.is_nil((kernel:alias_list()))
      end,
    }, { quiet = true })
    t:run()
    assert.is_nil((kernel:alias_list(session)))
    t:expect "run() returned"
  end)

  it("84 lists the aliases of others from anywhere", function()
    t:session("a", {
      _start = function()
        kernel:alias_set "one"
        kernel:alias_set "two"
      end,
    }, { quiet = true })
    assert.same({ "one", "two" }, { kernel:alias_list "one" })
    t:run()
  end)

  it("84 keeps every byte of an alias, in any order of bytes", function()
    local names = { "", "\0", "a", "a\0", "a\0b", "ab", "\255" }
    t:session("a", {
      _start = function()
        for i = #names, 2, -1 do
          assert(kernel:alias_set(names[i]))
        end
        assert.same({ table.unpack(names, 2) }, { kernel:alias_list() })
        assert.equal(kernel.session, kernel:alias_resolve "a\0b")
        assert.equal("ESRCH", code(kernel:alias_resolve "a\0c"))
        for i = 2, #names do
          assert(kernel:alias_remove(names[i]))
        end
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("84 lists a thousand aliases", function()
    t:session("a", {
      _start = function()
        for i = 1, 1000 do
          kernel:alias_set(("alias %04d"):format(1001 - i))
        end
        local list = { kernel:alias_list() }
        assert.equal(1000, #list)
        assert.equal("alias 0001", list[1])
        assert.equal("alias 1000", list[1000])
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("38 W9 takes a string for an alias, whatever it looks like (F03_alias_shadowed_by_id)", function()
    local b
    t:session("a", {
      _start = function()
        b = t:session("b", {
          _start = function()
            helper.later(kernel, "d", 30)
          end,
          d = true,
        }, { quiet = true })
        kernel:alias_set(tostring(b:ID()))
        kernel:alias_set(tostring(b))
        helper.later(kernel, "d")
      end,
      d = function()
        assert.equal(kernel.session, kernel:alias_resolve(tostring(b:ID())))
        assert.equal(kernel.session, kernel:alias_resolve(tostring(b)))
        assert.equal(b, kernel:alias_resolve(b:ID()))
        assert.equal(b, kernel:alias_resolve(b))
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("W9 refuses the empty alias", function()
    t:session("a", {
      _start = function()
        assert.error_matches(function()
          kernel:alias_set ""
        end, "bad argument #1 to 'alias_set'.*empty")
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("84 resolves all that post takes (F04_resolve)", function()
    t:session("a", {
      _start = function()
        local me = kernel.session
        kernel:alias_set "al"
        for _, dest in ipairs { me, tostring(me), me:ID(), "al" } do
          assert.equal(me, kernel:alias_resolve(dest))
          assert.is_true(kernel:post(dest, "posted"))
        end
        assert.equal(kernel, kernel:alias_resolve(kernel))
        assert.equal(kernel, kernel:alias_resolve(kernel:ID()))
        assert.equal("ESRCH", code(kernel:alias_resolve "zip"))
        assert.equal("ESRCH", code(kernel:alias_resolve(me:ID() + 1)))
        kernel:alias_remove "al"
        -- its printed form changes with the alias; both mean the session
        assert.equal(me, kernel:alias_resolve(tostring(me)))
      end,
      posted = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.posted <- a
      a.posted <- a
      a.posted <- a
      a.posted <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("86 turns sessions into IDs and back (F04_resolve)", function()
    local ended
    t:session("a", {
      _start = function()
        local me = kernel.session
        ended = me:ID()
        assert.equal(me:ID(), kernel:ID_session_to_id(me))
        assert.equal(me:ID(), kernel:ID_session_to_id(tostring(me)))
        assert.equal(me, kernel:ID_id_to_session(me:ID()))
        assert.equal("ESRCH", code(kernel:ID_session_to_id "junk"))
        assert.equal(kernel:ID(), kernel:ID_session_to_id(kernel))
        assert.equal(kernel, kernel:ID_id_to_session(kernel:ID()))
        assert.equal("ESRCH", code(kernel:ID_id_to_session "junk"))
        for _, id in ipairs { 0, -1, me:ID() + 1, math.maxinteger,
          math.mininteger } do
          assert.equal("ESRCH", code(kernel:ID_id_to_session(id)))
        end
      end,
    }, { quiet = true })
    t:run()
    assert.equal("ESRCH", code(kernel:ID_id_to_session(ended)))
    t:expect "run() returned"
  end)

  it("85 gives the aliases of the dead to others (F05_alias_frees_on_stop)", function()
    t:session("a", {
      _start = function()
        kernel:alias_set "x"
        kernel:yield "s"
      end,
      s = function()
        kernel:signal("x", "TERM")
      end,
      _stop = function()
        t:say("in _stop x -> ", t:name(kernel:alias_resolve "x"))
      end,
    })
    t:session("b", {
      _start = function()
        helper.later(kernel, "d")
      end,
      d = function()
        assert.equal("ESRCH", code(kernel:alias_resolve "x"))
        t:say("reuse: ", tostring(kernel:alias_set "x"))
        kernel:alias_remove "x"
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.s <- a
      a._stop <- KERNEL
      in _stop x -> a
      b.d <- b
      reuse: true
      b._stop <- KERNEL
      run() returned]]
  end)

  it("57 keeps a session with an alias until nothing can happen (F06_alias_keeps_alive_until_idle)", function()
    t:session("srv", {
      _start = function()
        kernel:alias_set "srv"
      end,
    })
    t:session("w", {
      _start = function()
        helper.later(kernel, "d")
      end,
      d = true,
    })
    t:run()
    t:expect [[
      srv._start <- KERNEL
      w._start <- KERNEL
      w.d <- w
      w._stop <- KERNEL
      srv._stop <- KERNEL
      run() returned]]
  end)

  it("17 binds an event to the session, not to the alias (F07_event_after_alias_removed)", function()
    t:session("a", {
      _start = function()
        kernel:alias_set "x"
        kernel:yield "rm"
      end,
      rm = function()
        kernel:alias_remove "x"
      end,
      e = true,
    })
    t:session("b", {
      _start = function()
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

  it("W10 raises outside of a session", function()
    assert.error_matches(function()
      kernel:alias_set "main"
    end, "kernel:alias_set needs a running session")
    assert.error_matches(function()
      kernel:alias_remove "main"
    end, "kernel:alias_remove needs a running session")
    assert.equal("ESRCH", code(kernel:alias_resolve "main"))
  end)

  it("prints a session's alias, and says who it is without one", function()
    t:session("a", {
      _start = function()
        local me = kernel.session
        local plain = tostring(me)
        assert.equal("session " .. me:ID(), plain)
        kernel:alias_set "logger"
        assert.equal(plain .. ' "logger"', tostring(me))
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)
end)
