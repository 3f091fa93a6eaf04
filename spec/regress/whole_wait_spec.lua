-- On uv a turn of the kernel ended before anything had come: up to two
-- milliseconds before a timer, and at once after something had been unwatched.
-- `run` took another turn; who turns the kernel himself got nothing from his.

local helper = require "spec.helper"

local SCRIPT = [[
  local poe, sys = require "poe", require "poe.sys"
  local kernel = poe.kernel
  local read, write = sys.pipe()
  local has_rung
  local function turn()
    has_rung = false
    kernel:delay("rings", 0.005)
    kernel:run_one_timeslice()
    print(has_rung)
    kernel:delay "rings"
  end
  poe.session.create { inline_states = {
    _start = function() kernel:yield "before" end,
    -- What follows the session's making is queued: a turn would not wait.
    before = function() kernel:yield "turns" end,
    turns = function()
      turn()
      kernel:sig("USR1", "caught")
      kernel:select_read(read, "readable")
      turn()
      kernel:select_read(read)
      turn()
      kernel:sig "USR1"
      turn()
    end,
    rings = function() has_rung = true end,
    caught = function() end,
    readable = function() end,
  } }
  poe.run()
  write:close()
]]

describe("A turn of the kernel", function()
  for _, loop in ipairs { "uv", "poll", "select" } do
    it("lasts until something comes, on " .. loop, function()
      helper.assert_prints("true\ntrue\ntrue\ntrue", SCRIPT,
        { environment = "POE_EVENT_LOOP=" .. loop })
    end)
  end
end)
