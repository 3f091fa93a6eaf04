-- The state, the modules of poe, a session.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function() end,
  },
}
poe.run()
