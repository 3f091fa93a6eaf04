-- Sessions made of the same handlers share what the kernel keeps of them, which
-- nobody notices: each has its own states.

local helper = require "spec.helper"
local poe = require "poe"

describe("Sessions of the same handlers", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local seen

  local function note(text)
    return function() seen[#seen + 1] = text end
  end

  local one, other = note "one", note "other"

  local function start(kernel) kernel:alias_set("s" .. kernel.session:ID()) end

  local function make(states)
    states._start = states._start or start
    return poe.session.create { inline_states = states }
  end

  --- Runs `act` in the session, then asks all of them for "event".
  local function told(sessions, which, act)
    seen = {}
    poe.session.create { inline_states = { _start = function(kernel)
      local target = sessions[which]
      kernel:call(target, "act", act)
      for _, session in ipairs(sessions) do
        if not kernel:call(session, "event") then seen[#seen + 1] = "|" end
      end
      for _, session in ipairs(sessions) do kernel:call(session, "leave") end
    end } }
    poe.run()
    return table.concat(seen, " ")
  end

  local function act(kernel, _, what) return what(kernel) end
  local function leave(kernel) kernel:alias_remove("s" .. kernel.session:ID()) end

  local function three()
    local sessions = {}
    for i = 1, 3 do
      sessions[i] = make { event = one, act = act, leave = leave }
    end
    return sessions
  end

  for which = 1, 3 do
    it("change alone, whichever it is: " .. which, function()
      local expected = { "one", "|", "one", "|", "one", "|" }
      expected[which * 2 - 1] = "other"
      assert.equal(table.concat(expected, " "), told(three(), which,
        function(kernel) kernel:state("event", other) end))
    end)
  end

  it("change alone while events wait for them", function()
    seen = {}
    local function work(kernel, _, who)
      seen[#seen + 1] = "old " .. who
      if who == "b" then
        kernel:state("work", function(_, _, whose)
          seen[#seen + 1] = "new " .. whose
        end)
      end
    end
    for _, who in ipairs { "a", "b", "c" } do
      make { work = work, _start = function(kernel)
        for _ = 1, 2 do kernel:yield("work", who) end
      end }
    end
    -- Sessions of the very same handlers, which share.
    local both = { work = work, _start = function(kernel, _, who)
      for _ = 1, 2 do kernel:yield("work", who) end
    end }
    for _, who in ipairs { "a", "b", "c" } do
      poe.session.create { inline_states = both, args = { who } }
    end
    poe.run()
    assert.same({ "old a", "old a", "old b", "new b", "old c", "old c",
      "old a", "old a", "old b", "new b", "old c", "old c" }, seen)
  end)

  it("are not those of one that ended in the same place", function()
    seen = {}
    poe.session.create { inline_states = {
      _start = function(kernel) kernel:yield "work" end,
      work = function(kernel)
        seen[#seen + 1] = "first"
        if #seen > 1 then return end
        kernel:stop()
        poe.session.create { heap = "own", inline_states = {
          _start = function(inner) inner:yield "work" end,
          work = function(_, heap) seen[#seen + 1] = "second " .. heap end,
        } }
      end,
    } }
    poe.run()
    assert.same({ "first", "second own" }, seen)
  end)

  it("lose a state alone, and can all have one more", function()
    local sessions = three()
    assert.equal("| one | one |", told(sessions, 1,
      function(kernel) kernel:state "event" end))
    assert.equal("one | one | one |", told(three(), 2,
      function(kernel) kernel:state("more", other) end))
  end)

  it("are not made like one that has changed", function()
    local sessions = {}
    seen = {}
    poe.session.create { inline_states = { _start = function(kernel)
      sessions[1] = make { event = one, act = act, leave = leave }
      kernel:call(sessions[1], "act", function(inner) inner:state("more", one) end)
      sessions[2] = make { event = one, act = act, leave = leave }
      kernel:call(sessions[2], "more")
      for i = 1, 2 do kernel:call(sessions[i], "leave") end
    end } }
    poe.run()
    assert.same({}, seen)
  end)

  it("are told apart by one handler, one name, one more and one less", function()
    local sessions = {
      make { event = one, act = act, leave = leave },
      make { event = other, act = act, leave = leave },
      make { evened = one, act = act, leave = leave },
      make { event = one, act = act, leave = leave, more = other },
      make { event = one, act = act, leave = leave },
    }
    assert.equal("one | other | | one | one |",
      told(sessions, 1, function() end))
  end)

  it("outlive the first of them", function()
    local sessions = three()
    seen = {}
    poe.session.create { inline_states = { _start = function(kernel)
      kernel:call(sessions[1], "leave")
      helper.later(kernel, "later")
    end,
    later = function(kernel)
      collectgarbage()
      assert.is_nil((kernel:call(sessions[1], "event")))
      kernel:call(sessions[2], "event")
      sessions[4] = make { event = one, act = act, leave = leave }
      kernel:call(sessions[4], "event")
      for i = 2, 4 do kernel:call(sessions[i], "leave") end
    end } }
    poe.run()
    assert.equal("one one", table.concat(seen, " "))
  end)

  it("may change in a finalizer while the next is made", function()
    local sessions = { make { event = one, act = act, leave = leave } }
    poe.session.create { inline_states = { _start = function(kernel)
      setmetatable({}, { __gc = function()
        kernel:call(sessions[1], "act",
          function(inner) inner:state("event", other) end)
      end })
      for i = 2, 400 do
        sessions[i] = make { event = one, act = act, leave = leave }
        if i % 20 == 0 then collectgarbage "step" end
      end
      collectgarbage()
    end } }
    poe.kernel:run_one_timeslice()
    local expected = { "other", "|" }
    for _ = 2, #sessions do
      expected[#expected + 1] = "one"
      expected[#expected + 1] = "|"
    end
    assert.equal(table.concat(expected, " "),
      told(sessions, 1, function() end))
  end)
end)
