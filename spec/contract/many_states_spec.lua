-- The places where the states of sessions lie are used again and again: what
-- one session does with its own is nothing to any other, nor to one that ended.

local core = require "poe.core"
local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

--- A generator of its own, the same in every run.
local function random_from(seed)
  return function(n)
    seed = (seed * 6364136223846793005 + 1442695040888963407)
    return (seed >> 33) % n + 1
  end
end

local function answer(text)
  return function() return text end
end

local function start() kernel:alias_set("s" .. kernel.session:ID()) end

local function leave()
  kernel:alias_remove("s" .. kernel:ID_session_to_id(kernel.session))
end

-- Called in a session, as it: what kernel:state does is done to the running one.
local function act(_, _, what, ...) return what(...) end

describe("The states of thousands of sessions", function()
  before_each(helper.begin)
  after_each(helper.finish)

  -- Of three kinds, sharing what they have until it changes, and a fourth:
  -- each session with handlers that no other has; a fifth without states.
  local kinds = {}
  for i = 1, 3 do
    kinds[i] = { _start = start, act = act, leave = leave,
      event = answer("kind " .. i) }
  end

  local function own_kind()
    local object = {}
    function object:_invoke_state(_, event, args)
      if event == "_start" then
        kernel:alias_set("s" .. kernel:ID_session_to_id(self))
      elseif event == "leave" then
        leave()
      elseif event == "event" then
        return "own " .. (args[1] or "")
      end
    end
    return kernel:session_alloc(object)
  end

  local made = 0

  local function make(random)
    local kind = random(6)
    made = made + 1
    if kind == 5 then
      return { session = own_kind(), is_custom = true, event = "own " }
    elseif kind == 4 then
      local text = "alone " .. made
      return { event = text, session = poe.session.create { inline_states = {
        _start = start, act = act, leave = leave, event = answer(text),
      } } }
    end
    kind = math.min(kind, 3)
    return { event = "kind " .. kind, session = poe.session.create {
      inline_states = kinds[kind] } }
  end

  local function change(random, one)
    if one.is_custom then return end
    made = made + 1
    local what, text = random(4), "changed " .. made
    if what == 1 then
      kernel:call(one.session, "act", kernel.state, kernel, "event")
      one.event = nil
    elseif what == 2 then
      kernel:call(one.session, "act", kernel.state, kernel, "more" .. made % 50,
        answer(text))
    elseif what == 3 then
      kernel:call(one.session, "act", kernel.state, kernel, "event",
        { event = answer(text) })
      one.event = text
    else
      kernel:call(one.session, "act", kernel.state, kernel, "event",
        answer(text))
      one.event = text
    end
  end

  it("stay what each has made of its own, whoever changes and ends", function()
    local random, living, ended, rounds = random_from(5), {}, {}, 80
    local function step()
      local i = random(math.max(#living, 1))
      local what = #living < 20 and 1 or random(#living > 200 and 7 or 6)
      if what <= 2 then
        living[#living + 1] = make(random)
      elseif what <= 4 then
        change(random, living[i])
      else
        local one = table.remove(living, i)
        kernel:call(one.session, "leave")
        ended[#ended + 1] = one
      end
    end
    poe.session.create { inline_states = {
      _start = function() kernel:yield "round" end,
      round = function()
        for _ = 1, 60 do step() end
        kernel:yield "settle"
      end,
      settle = function() kernel:yield "check" end, -- who has left has ended
      check = function()
        for _, one in ipairs(living) do
          assert.equal(one.event, (kernel:call(one.session, "event")))
        end
        for i = 1, #ended do
          assert.is_nil((kernel:call(ended[i].session, "event")))
          ended[i] = nil
        end
        rounds = rounds - 1
        if rounds > 0 then return kernel:yield "round" end
        for _, one in ipairs(living) do kernel:call(one.session, "leave") end
      end,
    } }
    poe.run()
    assert.is_true(made > 1500)
  end)

  it("are those of now for each event that waited", function()
    local random, sessions, seen = random_from(7), {}, {}
    local function told(text)
      return function(_, _, i) seen[i][#seen[i] + 1] = text end
    end
    local both = { _start = start, act = act, leave = leave, note = told "old" }
    poe.session.create { inline_states = { _start = function()
      for i = 1, 1000 do
        seen[i] = {}
        sessions[i] = poe.session.create { inline_states = both }
      end
      for i = 1, 1000 do kernel:post(sessions[i], "note", i) end
      for i = 1, 1000 do
        if random(3) == 1 then
          kernel:post(sessions[i], "act", kernel.state, kernel, "note",
            told "new")
          sessions[-i] = true
        end
        kernel:post(sessions[i], "note", i)
        kernel:post(sessions[i], "leave")
      end
    end } }
    poe.run()
    for i = 1, 1000 do
      assert.same({ "old", sessions[-i] and "new" or "old" }, seen[i])
    end
  end)
end)

describe("A session made like the one before, which has ended", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("has states of its own, in the place of the other's or not", function()
    local function make(text, handler)
      return poe.session.create { heap = text, inline_states = {
        _start = start, act = act, leave = leave, event = handler } }
    end
    local one, other = answer "one", answer "other"
    local keeper, ended, again
    poe.session.create { inline_states = {
      _start = function()
        keeper = make("keeps the names", other)
        ended = make("ends", one)
        kernel:call(ended, "leave")
        helper.later(kernel, "later")
      end,
      later = function()
        assert.equal("ESRCH", (select(3, kernel:call(ended, "event"))))
        again = make("again", one)
        collectgarbage()
        local last = make("last", other)
        assert.equal("one", (kernel:call(again, "event")))
        assert.equal("other", (kernel:call(last, "event")))
        for _, session in ipairs { keeper, again, last } do
          kernel:call(session, "leave")
        end
      end,
    } }
    poe.run()
  end)
end)

describe("A session that sets a state while finalizers run", function()
  before_each(helper.begin)
  after_each(function()
    collectgarbage("incremental", 200, 100, 13)
    helper.finish()
  end)

  --- Calls `set`, in the first part of which a whole collection is made.
  local function finalize_in(finalizer, set, ...)
    collectgarbage "stop"
    setmetatable({}, { __gc = finalizer })
    collectgarbage("incremental", 100, 100, 40)
    collectgarbage "restart"
    return set(...)
  end

  local states = { _start = start, act = act, leave = leave,
    event = answer "one" }

  local function make()
    return poe.session.create { inline_states = states }
  end

  local other, object = answer "other", { event = answer "other" }

  for name, handler in pairs { ["function"] = other, method = object } do
    it("has it, though those that shared its states end: " .. name, function()
      local sessions, ran = { make(), make(), make() }, 0
      poe.session.create { inline_states = { _start = function()
        kernel:call(sessions[2], "act", finalize_in, function()
          ran = ran + 1
          core.stop_session(sessions[1])
          core.stop_session(sessions[3])
        end, kernel.state, kernel, "event", handler)
        assert.equal(1, ran)
        assert.equal("other", (kernel:call(sessions[2], "event")))
        assert.equal("one", (kernel:call(make(), "event")))
      end } }
      for _ = 1, 3 do kernel:run_one_timeslice() end
    end)

    it("sets nothing once it has ended itself: " .. name, function()
      local first, sessions = make(), { make(), make() }
      local heir
      poe.session.create { inline_states = { _start = function()
        kernel:call(sessions[2], "act", finalize_in, function()
          core.stop_session(sessions[2])
          heir = make() -- where the other was
        end, kernel.state, kernel, "event", handler)
        for _, session in ipairs { first, sessions[1], heir } do
          assert.equal("one", (kernel:call(session, "event")))
        end
        assert.equal("ESRCH", (select(3, kernel:call(sessions[2], "event"))))
      end } }
      for _ = 1, 3 do kernel:run_one_timeslice() end
    end)
  end
end)
