-- Signals of the system, handled and not.
local poe = require "poe"
local sys = require "poe.sys"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      assert(kernel:sig("USR1", "on_signal"))
      assert(kernel:sig("TERM", "on_signal"))
      kernel:delay("wait", 5)
      assert(sys.kill(sys.getpid(), "USR1"))
    end,
    on_signal = function(_, _, name)
      print(name)
      if name == "USR1" then
        assert(sys.kill(sys.getpid(), "TERM"))
      end
    end,
    wait = function() error "no signal came" end,
    _stop = function() print "stopped" end,
  },
}
poe.run()
