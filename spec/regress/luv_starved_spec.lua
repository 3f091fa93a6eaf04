-- Sessions on luv's loop, in a process that lost the processor just before the loop
-- waits: a timer of luv's that was due by then was called, and what it posted waited
-- for whatever came next, if ever.

local helper = require "spec.helper"

local SCRIPT = [[
  local uv = require "luv"
  local poe = require "poe"
  local run = uv.run
  function uv.run(mode)
    local till = poe.monotime() + 0.01
    repeat until mode ~= "once" or poe.monotime() > till
    return run(mode)
  end
  poe.session.create { inline_states = {
    _start = function(kernel)
      local post = kernel.session:postback "done"
      uv.new_timer():start(5, 0, function()
        post()
        post:close()
      end)
    end,
    done = function() print "done" end,
  } }
  poe.run()
]]

describe("A timer of luv's that is due before the loop waits", function()
  it("wakes the kernel by what it posts", function()
    if not package.searchpath("luv", package.cpath) then
      pending "luv is not installed"
      return
    end
    helper.assert_prints("done", SCRIPT, { environment = "POE_EVENT_LOOP=luv" })
  end)
end)
