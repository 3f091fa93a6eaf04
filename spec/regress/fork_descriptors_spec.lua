-- A fork when no descriptor is left: with poll and select the child asked for
-- two more before it gave back its parent's, and was nobody's child then.

local helper = require "spec.helper"

local SCRIPT = [[
  local poe, sys = require "poe", require "poe.sys"
  poe.session.create { inline_states = {
    _start = function(kernel) kernel:delay("fork", 0.001) end,
    fork = function(kernel)
      local kept = {}
      repeat
        local file = sys.open "/dev/null"
        kept[#kept + 1] = file
      until not file
      local pid = assert(kernel:fork())
      if pid == 0 then kernel:delay("leave", 0.001) return end
      kernel:sig_child(pid, "ended")
    end,
    leave = function() sys._exit(7) end,
    ended = function(_, _, _, _, status) print(status >> 8) end,
  } }
  poe.run()
]]

describe("The child of a fork without descriptors", function()
  for _, loop in ipairs { "uv", "poll", "select" } do
    it("goes on with " .. loop, function()
      helper.assert_prints("7", SCRIPT, {
        environment = "POE_EVENT_LOOP=" .. loop .. " sh -c 'ulimit -n 40; exec \"$@\"' sh",
      })
    end)
  end
end)
