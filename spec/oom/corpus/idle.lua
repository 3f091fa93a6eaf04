-- IDLE, handled once.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:alias_set("idler")
      kernel:sig("IDLE", "idle")
    end,
    idle = function(kernel, heap)
      if not heap.was_idle then
        heap.was_idle = true
        kernel:sig_handled()
        kernel:yield("idle_no_more")
      end
    end,
    idle_no_more = function() end,
  },
}
poe.run()
