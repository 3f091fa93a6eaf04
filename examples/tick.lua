-- tick.lua -- a session that keeps time.
--
--   poe examples/tick.lua [count [seconds]]
--
-- One session, one event that sets its own timer again.  When nothing is left
-- to happen to it, the session ends, and with the last session the program.

local poe = require "poe"

local count, seconds = ...
count = tonumber(count) or 5
seconds = tonumber(seconds) or 1

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      heap.n = 0
      kernel:yield("tick")
    end,

    tick = function(kernel, heap)
      heap.n = heap.n + 1
      print("tick", heap.n)
      if heap.n < count then
        kernel:delay("tick", seconds)
      end
    end,

    _stop = function(_, heap)
      print("done", heap.n)
    end,
  },
}

poe.run()
