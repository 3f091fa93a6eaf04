-- The bridge to luv: if the process lost the processor until the time for which the
-- loop was to wait was over, before libuv began to wait, it waited for ever.

local helper = require "spec.helper"

local SCRIPT = [[
  local uv = require "luv"
  local run = uv.run
  function uv.run(mode)
    if mode == "once" then
      local till = uv.hrtime() + 20e6
      repeat until uv.hrtime() > till
    end
    return run(mode)
  end

  local poe, sys = require "poe", require "poe.sys"
  local quiet, keep = sys.pipe()
  poe.session.create { inline_states = {
    _start = function(kernel)
      kernel:select_read(quiet, "never")
      kernel:delay("due", 0.01)
    end,
    due = function(kernel)
      print "due"
      kernel:select_read(quiet)
    end,
  } }
  poe.run()
  keep:close()
]]

describe("a wait on luv that is over before it begins", function()
  it("ends", function()
    if not package.searchpath("luv", package.cpath) then
      pending "luv is not installed"
      return
    end
    local status, out, err = helper.run_poe(SCRIPT, { patience = 10 })
    assert.equal("due\n", out)
    assert.equal("", err)
    assert.equal(0, status)
  end)
end)
