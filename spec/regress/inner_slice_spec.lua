-- A slice within a handler is a slice of its own: it waits, and dispatches
-- what was sent just before it.  Found by the differential fuzzer.

local poe = require "poe"
local helper = require "spec.helper"

describe("run_one_timeslice within a handler", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("dispatches what was sent before it", function()
    local seen = {}
    poe.session.create {
      inline_states = {
        _start = function(kernel) kernel:yield("outer") end,
        outer = function(kernel)
          kernel:yield("inner")
          kernel:run_one_timeslice()
          seen[#seen + 1] = "back"
        end,
        inner = function() seen[#seen + 1] = "inner" end,
      },
    }
    poe.run()
    assert.same({ "inner", "back" }, seen)
  end)

  it("waits for a timer, like any other", function()
    local seen = {}
    poe.session.create {
      inline_states = {
        _start = function(kernel) kernel:yield "before" end,
        -- What follows the session's making is queued: a slice would not wait.
        before = function(kernel) kernel:yield "outer" end,
        outer = function(kernel)
          kernel:delay("inner", 0.005)
          kernel:run_one_timeslice()
          seen[#seen + 1] = "back"
        end,
        inner = function() seen[#seen + 1] = "inner" end,
      },
    }
    poe.run()
    assert.same({ "inner", "back" }, seen)
  end)

  it("leaves for later what the slice around it would leave", function()
    local seen = {}
    local function note(kernel) seen[#seen + 1] = kernel.event end
    poe.session.create {
      inline_states = {
        _start = function(kernel)
          kernel:yield("outer")
          kernel:yield("last")
        end,
        outer = function(kernel)
          kernel:run_one_timeslice()
          kernel:yield("next")
          note(kernel)
        end,
        last = note,
        next = note,
      },
    }
    poe.kernel:run_one_timeslice()
    assert.same({ "last", "outer" }, seen)
    poe.run()
    assert.same({ "last", "outer", "next" }, seen)
  end)
end)
