-- What the kernel tells about itself.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      poe.session.create { inline_states = { _start = function() end } }
      kernel:delay("e", 0.001)
      kernel:get_event_count()
      kernel:get_next_event_time()
      kernel:get_children(kernel)
      kernel:get_parent(kernel.session)
      kernel:ID_id_to_session(kernel.session:ID())
      kernel:ID_session_to_id(tostring(kernel.session))
      kernel:why()
      tostring(kernel:why())
    end,
    e = function() end,
  },
}
poe.run()
