-- poe.nfa: state machines. What they do was compared with POE::NFA of 1.370.

local NFA = require "poe.nfa"
local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

--- A record, and a handler that adds "name(arguments)" to it, then does what is
--- asked of it.
local function recorder()
  local trace = helper.trace()
  local function says(name, f)
    return function(k, runstate, ...)
      trace:say(name, "(", trace:format(...), ")")
      if f then return f(k, runstate, ...) end
    end
  end
  return trace, says
end

--- Runs the kernel; the message it dies with.
local function died()
  local ok, message = pcall(poe.run)
  assert.is_false(ok)
  return tostring(message)
end

local function to(...)
  local args = table.pack(...)
  return function(k)
    return k.session:goto_state(table.unpack(args, 1, args.n))
  end
end

describe("A state machine", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("handles an event as its state of then wants it", function()
    local trace, says = recorder()
    local m = NFA.spawn {
      inline_states = {
        off = { begin = says "off.begin", press = says("off", to("on")) },
        on = { press = says("on", to("off", "begin", 1, nil)) },
      },
    }
    assert.is_true(m:goto_state("off", "begin", "x", nil, nil))
    for i = 1, 3 do kernel:post(m, "press", i) end
    trace:run()
    -- All three were there before the first change of state.
    trace:expect [[
      off.begin(x, nil, nil)
      off(1)
      off(2)
      off(3)
      run() returned
    ]]
  end)

  it("changes its state after what is queued already", function()
    local trace, says = recorder()
    local m = NFA.spawn {
      inline_states = {
        one = {
          begin = says("one.begin", function(k)
            k:yield("posted", 1)
            assert.is_true(k.session:goto_state("two", "begin", "x"))
            k:yield("posted", 2)
            assert.equal("one", k.session:get_current_state())
          end),
          posted = says "one.posted",
        },
        two = { begin = says "two.begin", posted = says "two.posted" },
      },
    }
    assert.is_nil(m:get_current_state())
    m:goto_state("one", "begin")
    assert.equal("one", m:get_current_state()) -- the first one at once
    trace:run()
    trace:expect [[
      one.begin()
      one.posted(1)
      two.begin(x)
      two.posted(2)
      run() returned
    ]]
  end)

  it("changes at once with the option immediate", function()
    local trace, says = recorder()
    NFA.spawn {
      options = { immediate = true },
      inline_states = {
        one = {
          begin = says("one.begin", function(k)
            k:yield("posted", 1)
            assert.is_true(k.session:goto_state("two", "begin"))
            assert.equal("two", k.session:get_current_state())
            assert.is_true(k.session:call_state("back", "sub", "begin"))
            assert.equal("two", k.session:get_current_state())
          end),
          leave = says "one.leave",
        },
        two = {
          begin = says "two.begin", back = says "two.back",
          posted = says "two.posted",
        },
        sub = {
          begin = says("sub.begin", function(k) k.session:return_state(7) end),
        },
      },
    }:goto_state("one", "begin")
    trace:run()
    trace:expect [[
      one.begin()
      one.leave()
      two.begin()
      sub.begin()
      two.back(7)
      two.posted(1)
      run() returned
    ]]
  end)

  it("says leave to the state it leaves", function()
    local seen = {}
    local function leave(k, runstate, ...)
      seen[#seen + 1] = { k.event, k.session:get_current_state(), runstate,
        k.sender == k.session, select("#", ...) }
    end
    NFA.spawn {
      runstate = "mine",
      inline_states = {
        one = { begin = to("two", "begin"), leave = leave },
        two = { begin = function() end, leave = leave },
      },
    }:goto_state("one", "begin")
    poe.run()
    assert.same({ { "leave", "one", "mine", true, 0 } }, seen)
  end)

  it("calls a state and returns to the one before", function()
    local trace, says = recorder()
    NFA.spawn {
      inline_states = {
        main = {
          begin = says("main", function(k)
            k.session:call_state("back", "sub", "begin", 5, nil)
          end),
          back = says("main.back", function(k)
            k.session:call_state(nil, "quiet", "begin")
          end),
          leave = says "main.leave",
          event = says "main.event",
        },
        sub = {
          begin = says("sub", function(k)
            k.session:call_state("back", "subsub", "begin")
          end),
          back = says("sub.back", function(k, _, ...)
            assert.is_true(k.session:return_state("and", ...))
          end),
        },
        subsub = {
          begin = says("subsub", function(k) k.session:return_state(1, nil) end),
          leave = says "subsub.leave",
        },
        quiet = {
          begin = says("quiet", function(k)
            k.session:return_state("nobody asks")
            k:yield "event"
          end),
        },
      },
    }:goto_state("main", "begin")
    trace:run()
    trace:expect [[
      main()
      main.leave()
      sub(5, nil)
      subsub()
      subsub.leave()
      sub.back(1, nil)
      main.back(and, 1, nil)
      main.leave()
      quiet()
      main.event()
      run() returned
    ]]
  end)

  it("stops though it waits, and its children go to its parent", function()
    local trace, says = recorder()
    local m
    trace:session("parent", {
      _start = function()
        m = NFA.spawn {
          inline_states = {
            only = {
              begin = function(k)
                trace:session("child", {
                  _parent = true,
                  _start = function() kernel:yield "more" end,
                  more = true,
                })
                k:delay("never", 1000)
                k:alias_set "machine"
                k:refcount_increment(k.session:ID(), "tag")
                assert.is_true(k.session:stop())
                k:yield "dropped"
              end,
              dropped = says "dropped",
              never = says "never",
              leave = says "leave",
            },
          },
        }
        trace.names[m:ID()] = "machine"
        m:goto_state("only", "begin")
      end,
      _child = true,
    })
    trace:run()
    trace.lines[2] = trace.lines[2]:gsub("session %d+", "machine")
    trace:expect [[
      parent._start <- KERNEL
      parent._child <- KERNEL (create, machine, nil)
      child._start <- machine
      child.more <- child
      parent._child <- KERNEL (gain, child)
      child._parent <- KERNEL (machine, parent)
      parent._child <- KERNEL (lose, machine, nil)
      child._stop <- KERNEL
      parent._child <- KERNEL (lose, child, nil)
      parent._stop <- KERNEL
      run() returned
    ]]
    for _, result in ipairs {
      table.pack(m:goto_state "only"), table.pack(m:stop()),
      table.pack(m:call_state(nil, "only")), table.pack(m:return_state()),
    } do
      assert.is_nil(result[1])
      assert.equal("ESRCH", result[3])
    end
    assert.equal("only", m:get_current_state())
  end)

  it("ends when it has nothing to do", function()
    local m = NFA.spawn { inline_states = { s = { e = function() end } } }
    m:goto_state("s", "e")
    poe.run()
    assert.is_nil((kernel:post(m, "e")))
  end)

  it("is a session", function()
    local m = NFA.spawn { inline_states = {
      s = {
        begin = function(k)
          assert.equal("session", poe.type(k.session))
          k:alias_set "machine"
        end,
        event = function(k, runstate, ...)
          runstate[#runstate + 1] = table.pack(...)
          return "answer", k.event, k.caller_event
        end,
      },
    } }
    m:goto_state("s", "begin")
    assert.equal(m, kernel:ID_id_to_session(m:ID()))
    assert.equal("session " .. m:ID(), tostring(m))
    assert.equal(m, kernel:alias_resolve "machine")
    assert.equal(m, kernel:alias_resolve(tostring(m)))
    assert.same({ "answer", "event", nil }, { kernel:call(m, "event", 1) })
    assert.equal(m:get_runstate(), m:get_heap())
    assert.same({ { 1, n = 1 } }, m:get_runstate())
    poe.run()
  end)

  it("makes postbacks and callbacks", function()
    local trace, says = recorder()
    local m = NFA.spawn { inline_states = {
      one = { begin = function() end, event = says "one" },
      two = { event = says("two", function() return 9 end) },
    } }
    m:goto_state("one", "begin")
    local postback, callback = m:postback("event", 1), m:callback("event", 2)
    postback("a")
    m:goto_state("two")
    kernel:post(m, "event")
    poe.session.create { inline_states = {
      _start = function(k) k:delay("later", 0.001) end,
      later = function()
        assert.equal(9, callback())
        assert.is_true(postback("b"))
        postback:close()
        callback:close()
      end,
    } }
    trace:run()
    trace:expect [[
      one([1], [a])
      two()
      two([2], [])
      two([1], [b])
      run() returned
    ]]
  end)

  it("has options", function()
    local m = NFA.spawn {
      options = { immediate = "yes", mine = 3 },
      inline_states = { s = {} },
    }
    assert.is_true(m:option "immediate")
    assert.equal(3, m:option("mine", 4))
    assert.equal(4, m:option("mine", nil))
    assert.is_nil(m:option "mine")
    poe.run()
    assert.equal("ESRCH", select(3, m:option "mine"))
  end)

  describe("takes methods", function()
    local function machine(group, key)
      local Object = {
        begin = function(self, k, runstate, ...)
          runstate[#runstate + 1] = { self.name, k.event, ... }
          k.session:goto_state("two", "begin", "x")
        end,
        other = function(self, _, runstate, ...)
          runstate[#runstate + 1] = { self.name, ... }
        end,
        name = "object",
      }
      package.loaded["spec.nfa.module"] = Object
      local m = NFA.spawn { [group] = {
        one = { [key or Object] = { "begin" } },
        two = { [key or Object] = { begin = "other" } },
      } }
      m:goto_state("one", "begin", 1)
      poe.run()
      package.loaded["spec.nfa.module"] = nil
      assert.same({ { "object", "begin", 1 }, { "object", "x" } },
        m:get_runstate())
    end

    it("of objects", function() machine("object_states") end)
    it("of modules", function() machine("package_states") end)
    it("of modules by name", function()
      machine("package_states", "spec.nfa.module")
    end)

    it("looked up when the event comes", function()
      local object = {}
      local m = NFA.spawn { object_states = { s = { [object] = { "e" } } } }
      function object:e() self.called = true end
      m:goto_state("s", "e")
      poe.run()
      assert.is_true(object.called)
      object.e = nil
      m = NFA.spawn { object_states = { s = { [object] = { "e" } } } }
      m:goto_state("s")
      kernel:post(m, "e")
      assert.matches("object has no method 'e'", died(), 1, true)
    end)
  end)

  it("merges the groups of one state", function()
    local trace, says = recorder()
    local object = { two = says "wrong" }
    function object.one() trace:say "object" end
    NFA.spawn {
      inline_states = { s = { two = says "inline" } },
      object_states = { s = { [object] = { "one" } } },
    }:goto_state("s", "one")
    NFA.spawn {
      inline_states = { s = { two = says "inline" } },
    }:goto_state("s", "two")
    trace:run()
    trace:expect [[
      object
      inline()
      run() returned
    ]]
  end)

  it("gives what its state does not know to _default", function()
    local trace, says = recorder()
    local m = NFA.spawn { inline_states = {
      s = {
        _default = says("default", function(k)
          trace:say(k.event)
          return "got it"
        end),
      },
    } }
    m:goto_state "s"
    assert.equal("got it", kernel:call(m, "event", 1, nil))
    trace:session("child", {}, { quiet = true })
    trace:run()
    trace:expect [[
      default(event, [1, nil])
      event
      run() returned
    ]]
  end)

  it("fails when its state does not know an event", function()
    local m = NFA.spawn { inline_states = { s = { go = function() end } } }
    m:goto_state("s")
    kernel:post(m, "nonsense")
    assert.matches("a 'nonsense' event was sent from [^\n]*machine_spec.lua at "
      .. "%d+ to session %d+, which has neither a handler for it nor one for "
      .. "_default in its state 's'", died())
    m = NFA.spawn { inline_states = { s = { go = function() end } } }
    kernel:post(m, "go")
    assert.matches("in no state", died(), 1, true)
  end)

  it("need not care for its children", function()
    local seen = {}
    NFA.spawn { inline_states = { s = {
      go = function(k)
        poe.session.create { inline_states = { _start = function() end } }
        k:yield "on"
      end,
      on = to("t", "go"),
    }, t = {
      go = function()
        poe.session.create { inline_states = { _start = function() end } }
      end,
      _child = function(_, _, what) seen[#seen + 1] = what end,
    } } }:goto_state("s", "go")
    poe.run()
    assert.equal("create", seen[1])
  end)

  it("has handlers beside its states, as wheels make them", function()
    local trace, says = recorder()
    local object = { method = says "method", other = says "other" }
    NFA.spawn { runstate = "runstate", inline_states = {
      one = {
        begin = function(k)
          k:state("beside", function(...)
            trace:say("beside ", trace:format(select(2, ...)))
          end)
          k:state("method", object)
          k:state("renamed", object, "other")
          for _, event in ipairs { "beside", "method", "renamed" } do
            k:yield(event, 1)
          end
          k.session:goto_state("two", "begin")
        end,
      },
      two = {
        begin = function(k)
          k:yield("beside", 2)
          k:state "method"
          k:yield("method", 2)
        end,
        method = says "gone",
        beside = says "own",
      },
    } }:goto_state("one", "begin")
    trace:run()
    trace:expect [[
      beside runstate, 1
      method(runstate, 1)
      other(runstate, 1)
      own(2)
      gone(2)
      run() returned
    ]]
  end)

  describe("fails by DIE", function()
    it("when it returns from a state that was not called", function()
      NFA.spawn { inline_states = { s = { go = function(k)
        k.session:return_state()
      end } } }:goto_state("s", "go")
      assert.matches("return_state: no state was called", died(), 1, true)
    end)

    it("when it cannot return", function()
      NFA.spawn { inline_states = { s = { go = function(k)
        k.session:call_state("nowhere", "s")
      end } } }:goto_state("s", "go")
      assert.matches("call_state: state 's' has no event 'nowhere' to return to",
        died(), 1, true)
      NFA.spawn { inline_states = { s = {} } }:call_state("e", "s")
      assert.matches("call_state: the machine is in no state to return to",
        died(), 1, true)
    end)

    it("when entering does, and is in the new state", function()
      local m = NFA.spawn { inline_states = {
        s = { go = to("t", "go") },
        t = { go = function() error "mine" end },
      } }
      m:goto_state("s", "go")
      assert.matches("mine", died(), 1, true)
      assert.equal("t", m:get_current_state())
    end)
  end)

  it("says at once when it cannot go where it is told to", function()
    local m = NFA.spawn { inline_states = {
      waiting = { timer = function() end }, empty = {},
    } }
    local function blames(message, method, ...)
      local args = table.pack(...)
      local ok, got = pcall(function()
        m[method](m, table.unpack(args, 1, args.n))
      end)
      assert.is_false(ok)
      assert.matches("^[^:]*machine_spec.lua:%d+: bad argument ", got)
      assert.equal("bad argument " .. message, got:match "bad argument (.*)"
        and "bad argument " .. got:match "bad argument (.*)")
    end
    blames("#1 to 'goto_state' (no state 'waitng'; did you mean 'waiting'?)",
      "goto_state", "waitng")
    blames("#2 to 'goto_state' (state 'waiting' has no event 'time'; did you "
      .. "mean 'timer'?)", "goto_state", "waiting", "time")
    blames("#2 to 'goto_state' (state 'empty' has no event 'time')",
      "goto_state", "empty", "time")
    blames("#1 to 'goto_state' (name of a state expected, got nil)",
      "goto_state")
    blames("#2 to 'goto_state' (event name expected, got number)",
      "goto_state", "empty", 1)
    blames("#2 to 'call_state' (no state 'x'; did you mean 'empty'?)",
      "call_state", "timer", "x")
    blames("#1 to 'call_state' (event name expected, got boolean)",
      "call_state", true, "empty")
    poe.run()
  end)
end)
