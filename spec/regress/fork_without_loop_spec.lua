-- The child of a fork that cannot have a loop of its own: kernel:fork told it
-- that the fork had failed, and it went on as a second parent.

local helper = require "spec.helper"

local SCRIPT = [[
  local Luv = require "poe.loop.luv"
  package.preload["poe.loop.lame"] = function()
    return setmetatable({ loop_forked = function() error("not today", 0) end },
      { __index = Luv })
  end
  local poe = require "poe"
  poe.configure { loop = "lame" }
  poe.session.create { inline_states = {
    _start = function(kernel)
      local pid = kernel:fork()
      if not pid or pid == 0 then print "a second parent" return end
      kernel:sig_child(pid, "ended")
    end,
    ended = function(_, _, _, _, status) print(poe.wait_status(status)) end,
  } }
  poe.run()
]]

describe("The child of a fork that has no loop", function()
  it("ends, and says so", function()
    local status, out, err = helper.run_poe(SCRIPT)
    assert.matches("^=== %d+ === !!! the child of a fork ends: it cannot open a "
      .. "loop: the bridge failed\n$", err)
    assert.equal("exit\t1\n", out)
    assert.equal(0, status)
  end)
end)
