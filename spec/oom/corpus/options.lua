-- Options of sessions, and what they print.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local session = kernel.session
      session:option("default", true)
      session:option("mine", { 1 })
      session:option("mine")
      session:option("mine", nil)
      tostring(session)
      kernel:yield("e")
    end,
    e = function() end,
  },
}
poe.run()
