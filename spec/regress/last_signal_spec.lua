-- Signals that are still queued when the last session ends, or that ended it.

local helper = require "spec.helper"
local poe = require "poe"

local function session(states)
  return poe.session.create { inline_states = states }
end

describe("a signal to the kernel", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("sent by the last session does not reach those of the next run",
    function()
      session {
        _start = function() end,
        _stop = function(kernel) kernel:signal(kernel, "TERM") end,
      }
      poe.run()
      local ticks = 0
      session {
        _start = function(kernel) kernel:yield "tick" end,
        tick = function() ticks = ticks + 1 end,
      }
      poe.run()
      assert.equal(1, ticks)
    end)
end)

describe("IDLE sent by a program and handled", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("brings no ZOMBIE", function()
    local seen = {}
    local function note(_, _, signal)
      seen[#seen + 1] = signal
    end
    session {
      _start = function(kernel)
        kernel:alias_set "witness"
        kernel:sig("ZOMBIE", "note")
        kernel:sig("IDLE", "note")
      end,
      note = note,
    }
    session {
      _start = function(kernel)
        kernel:sig("IDLE", "handle")
        kernel:yield "send"
      end,
      send = function(kernel) kernel:signal(kernel.session, "IDLE") end,
      handle = function(kernel) kernel:sig_handled() end,
    }
    poe.run()
    assert.same({ "IDLE" }, seen)
  end)
end)
