-- Alarms by id: set, moved, removed.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local ids = {}
      for i = 1, 20 do
        ids[i] = kernel:alarm_set("ring", poe.time() + i / 10000, { i })
        kernel:alarm_add("ring", poe.time() - 1)
      end
      kernel:alarm_adjust(ids[1], 0.001)
      kernel:delay_adjust(ids[2], 0.001)
      kernel:alarm_remove(ids[3])
      kernel:alarm_remove(ids[3])
      kernel:yield("rest")
    end,
    rest = function(kernel) kernel:alarm_remove_all() end,
    ring = function() end,
  },
}
poe.run()
