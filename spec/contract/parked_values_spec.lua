-- The arguments of events arrive as they were sent, whatever and however many
-- they are and whoever else has sent the same, and are let go.

local core = require "poe.core"
local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

local function in_session(states)
  poe.session.create { inline_states = states }
  poe.run()
end

--- As one string, so that nil, -0.0, 1 and 1.0 are told apart.
local function spell(...)
  local words = table.pack(...)
  for i = 1, words.n do
    local v = words[i]
    words[i] = math.type(v) == "float" and ("%a"):format(v) or tostring(v)
  end
  return table.concat(words, " ")
end

--- A generator of its own, the same in every run.
local function random_from(seed)
  return function(n)
    seed = (seed * 6364136223846793005 + 1442695040888963407)
    return (seed >> 33) % n + 1
  end
end

describe("Arguments that wait", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("arrive as they were, numbers of every size among them", function()
    local values = table.pack(0, 1, -1, 2 ^ 31 | 0, -(2 ^ 31) | 0,
      (2 ^ 31 | 0) - 1, -(2 ^ 31 | 0) - 1, 2 ^ 32 | 0, math.maxinteger,
      math.mininteger, 0.0, -0.0, 0.5, 1e300, 1 / 0, -1 / 0, 0 / 0, 2.0 ^ 31,
      nil, true, false, "", "text", {}, print, nil)
    local sent, seen = {}, {}
    in_session {
      _start = function()
        for n = 0, 25 do
          for first = 1, values.n do
            local last = math.min(values.n, first + n - 1)
            sent[#sent + 1] = spell(table.unpack(values, first, last))
            kernel:yield("event", table.unpack(values, first, last))
          end
        end
      end,
      event = function(_, _, ...) seen[#seen + 1] = spell(...) end,
    }
    assert.same(sent, seen)
  end)

  it("of one value many times take few slots, wherever the two lie", function()
    local lists = {}
    in_session { -- strings that stay have every place that there is
      _start = function()
        for i = 1, 200 do kernel:yield("event", "other " .. i) end
      end,
      event = function() end,
    }
    for round = 1, 100 do
      local text, list = "text", {}
      lists[round] = list -- so that each lies elsewhere
      local before, most, count = core.census().values, 0, 0
      in_session {
        _start = function()
          for i = 1, 300 do kernel:yield("event", i, text, list) end
        end,
        event = function(_, _, i, a, b)
          count = count + 1
          assert(i == count and a == text and b == list)
          most = math.max(most, core.census().values - before)
        end,
      }
      assert.equal(300, count)
      assert.is_true(most < 50)
      assert.equal(before, core.census().values)
    end
    assert.equal(100, #lists)
  end)

  it("are let go with the last event that has them", function()
    local weak = setmetatable({}, { __mode = "k" })
    local left = {}
    in_session {
      _start = function()
        for _ = 1, 50 do kernel:yield "event" end
        for _ = 1, 3 do
          local shared = {}
          weak[shared] = true
          for _ = 1, 40 do kernel:yield("event", shared) end
        end
      end,
      event = function()
        collectgarbage()
        local n = 0
        for _ in pairs(weak) do n = n + 1 end
        left[#left + 1] = n
      end,
    }
    assert.equal(170, #left)
    assert.same({ 3, 3, 3, 2, 1, 0 }, { left[1], left[50], left[89],
      left[129], left[169], (next(weak) and 1 or 0) })
  end)

  it("that are strings come and go one by one, and the long are let go",
    function()
      local long, counts, wrong = ("x"):rep(2 ^ 20), {}, 0
      in_session {
        _start = function() kernel:yield("event", 1, "text 1") end,
        event = function(_, _, i, text, other)
          if text ~= "text " .. i or (other or long) ~= long then
            wrong = wrong + 1
          end
          counts[i] = core.census().values
          if i == 200 then return end
          kernel:yield("event", i + 1, ("text %d"):format(i + 1),
            i % 2 == 0 and long or nil)
        end,
      }
      assert.equal(0, wrong)
      assert.same({ 0, 0, 0 }, { counts[1], counts[2], counts[200] })
      collectgarbage()
      local before = collectgarbage "count"
      long = nil
      collectgarbage()
      assert.is_true(before - collectgarbage "count" > 1000)
    end)

  it("are never mixed up, in whatever order events are taken out", function()
    local random = random_from(1)
    local pool, waiting, ids, wrong = {}, {}, {}, 0
    local function draw()
      local at = random(300)
      if random(10) == 1 or not pool[at] then
        pool[at] = random(2) == 1 and {} or ("text %d"):format(random(1000))
      end
      return pool[at]
    end
    local function check(a, b, x, y)
      if a ~= x or b ~= y then wrong = wrong + 1 end
    end
    local rounds = 0
    in_session {
      _start = function() kernel:yield "round" end,
      event = function(_, _, n, a, b)
        check(a, b, waiting[n][1], waiting[n][2])
        waiting[n] = nil
      end,
      round = function()
        for _ = 1, random(400) do
          local a, b = draw(), draw()
          if random(2) == 1 then
            waiting[#waiting + 1] = { a, b }
            kernel:yield("event", #waiting, a, b)
          else
            ids[#ids + 1] = { kernel:delay_set("never", 3600, a, b), a, b }
          end
        end
        for _ = 1, random(200) do
          if #ids == 0 then break end
          local at = random(#ids)
          local timer = ids[at]
          ids[at] = ids[#ids]
          ids[#ids] = nil
          local _, _, args = kernel:alarm_remove(timer[1])
          check(timer[2], timer[3], args[1], args[2])
        end
        rounds = rounds + 1
        if rounds < 60 then
          kernel:yield "round"
        else
          for _, timer in ipairs(ids) do kernel:alarm_remove(timer[1]) end
        end
      end,
    }
    assert.equal(60, rounds)
    assert.is_nil(next(waiting))
    assert.equal(0, wrong)
  end)
end)
