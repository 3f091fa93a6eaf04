-- Signals of the system.

local poe = require "poe"
local sys = require "poe.sys"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:sig("USR1", "first")
      kernel:sig("USR2", "second")
      kernel:delay("give_up", 0.2)
      sys.kill(sys.getpid(), "USR1")
    end,
    first = function(kernel)
      kernel:sig("USR1")
      sys.kill(sys.getpid(), "USR2")
    end,
    second = function(kernel)
      kernel:sig("USR2")
      kernel:delay("give_up")
    end,
    give_up = function(kernel) kernel:stop() end,
  },
}
poe.run()
