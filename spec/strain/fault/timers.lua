-- Delays and alarms, in order.
local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, 3 do
        kernel:delay_add("due", i / 200, i)
      end
      kernel:alarm_add("due", poe.time() + 0.02, "alarm")
      kernel:yield("due", "at once")
    end,
    due = function(_, _, what) print(what) end,
    _stop = function() print "stopped" end,
  },
}
poe.run()
