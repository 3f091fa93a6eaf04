-- Signals that come while the kernel is in a long handler: libuv's pipe took
-- 4,096 of them, and lost the rest.

local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local RTMIN = 34 -- as the GNU C library has it
local COUNT = 5000

describe("Signals that come during one handler", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("are all delivered afterwards", function()
    local got = 0
    poe.session.create {
      inline_states = {
        _start = function(kernel)
          kernel:sig("RTMIN+1", "count")
          kernel:yield "send"
        end,
        send = function()
          for _ = 1, COUNT do
            assert(sys.kill(sys.getpid(), RTMIN + 1))
          end
          poe.kernel:delay("over", 0)
        end,
        over = function() end,
        count = function() got = got + 1 end,
      },
    }
    poe.run()
    assert.equal(COUNT, got)
  end)
end)
