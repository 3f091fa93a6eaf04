-- Sessions that come to life while all are stopped.  Found by the differential
-- fuzzer.

local poe = require "poe"
local helper = require "spec.helper"

describe("a session made while all are stopped", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("by stop gets a later _stop from the kernel, not from the dead", function()
    local sender
    poe.session.create {
      inline_states = {
        _start = function(kernel)
          kernel:stop()
          poe.session.create {
            inline_states = {
              _start = function() end,
              _stop = function() sender = kernel.sender end,
            },
          }
          kernel:stop()
        end,
      },
    }
    assert.equal(poe.kernel, sender)
    poe.run()
  end)

  it("by an exception is stopped before run raises it", function()
    local seen = {}
    local function child_states(depth)
      return {
        _start = function(kernel) kernel:alias_set("alias " .. depth) end,
        _stop = function()
          seen[#seen + 1] = depth
          if depth < 3 then
            poe.session.create { inline_states = child_states(depth + 1) }
          end
        end,
      }
    end
    poe.session.create { inline_states = child_states(1) }
    poe.session.create {
      inline_states = {
        _start = function(kernel) kernel:yield("fail") end,
        fail = function() error("for the run", 0) end,
      },
    }
    assert.has_error(poe.run, "for the run")
    assert.same({ 1, 2, 3 }, seen)
    assert.is_false(poe.kernel:run_one_timeslice())
  end)
end)
