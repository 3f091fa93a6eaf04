-- A handler that ends its own session and then fails: whose failure it was is
-- asked when the session is freed already.  Found by spec/fuzz/kernel_fuzz.c.

local poe = require "poe"
local helper = require "spec.helper"

describe("a handler that stops all and then fails", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local function stop_and_fail(kernel)
    kernel:stop()
    error("after the stop", 0)
  end

  it("when it was called, ends the run with its error", function()
    local callee
    poe.session.create {
      inline_states = {
        _start = function(kernel) kernel:yield("call") end,
        call = function(kernel) kernel:call(callee, "fail") end,
      },
    }
    callee = poe.session.create {
      inline_states = { _start = function() end, fail = stop_and_fail },
    }
    callee = callee:ID()
    assert.has_error(poe.run, "after the stop")
  end)

  it("when it was sent an event, ends the run with its error", function()
    poe.session.create {
      inline_states = {
        _start = function(kernel) kernel:yield("fail") end,
        fail = stop_and_fail,
      },
    }
    assert.has_error(poe.run, "after the stop")
  end)

  it("when its timer or signal came, ends the run with its error", function()
    for _, send in ipairs { "delay", "sig" } do
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            if send == "delay" then return kernel:delay("fail", 0.001) end
            kernel:sig("FAIL", "fail")
            kernel:signal(kernel.session, "FAIL")
          end,
          fail = stop_and_fail,
        },
      }
      assert.has_error(poe.run, "after the stop")
    end
  end)
end)
