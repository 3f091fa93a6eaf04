-- What alarm_remove returns does not depend on how many of its results are
-- taken, and what the timer kept is let go however few that are.

local core = require "poe.core"
local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

local function in_session(f)
  poe.session.create { inline_states = { _start = f, event = function() end } }
  poe.run()
end

local function set()
  return kernel:delay_set("event", 3600, 1, "text", {})
end

describe("alarm_remove", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("lets the arguments go for whoever takes no result", function()
    in_session(function()
      local values, names = core.census().values, core.census().names
      local id = set()
      assert.equal(values + 2, core.census().values)
      kernel:alarm_remove(id)
      assert.equal(values, core.census().values)
      assert.is_true(core.census().names <= names + 1)
      assert.equal(0, core.census().timers)
      assert.equal("ESRCH", (select(3, kernel:alarm_remove(id))))
    end)
  end)

  it("lets a packed list of arguments go, too", function()
    in_session(function()
      local values = core.census().values
      kernel:alarm_remove(kernel:delay_set("event", 3600,
        table.unpack({ {}, {}, {} }, 1, 40)))
      assert.equal(values, core.census().values)
    end)
  end)

  it("returns as many results as are taken", function()
    in_session(function()
      local name = kernel:alarm_remove(set())
      assert.equal("event", name)
      local _, due = kernel:alarm_remove(set())
      assert.is_true(due > poe.time() + 3599)
      local _, _, args = kernel:alarm_remove(set())
      assert.equal(3, args.n)
      assert.equal("text", args[2])
      assert.equal(3, select("#", kernel:alarm_remove(set())))
    end)
  end)

  it("returns all of them through other functions", function()
    local function tail(id) return kernel:alarm_remove(id) end
    local function third(...) return (select(3, ...)) end
    in_session(function()
      assert.equal(3, third(tail(set())).n)
      assert.equal(3, (select(4, pcall(kernel.alarm_remove, kernel,
        set()))).n)
      assert.equal(3, third(coroutine.wrap(kernel.alarm_remove)(kernel,
        set())).n)
    end)
  end)

  it("tells of a failure for which nobody asks, if that is asserted", function()
    poe.configure { assert = { retvals = true } }
    finally(function() poe.configure { assert = { retvals = false } } end)
    in_session(function()
      assert.error_matches(function() kernel:alarm_remove(99999) end,
        "no such timer: 99999")
    end)
  end)
end)
