-- The same with select(2).

local poe = require "poe"
local sys = require "poe.sys"

poe.configure { loop = "select" }
poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      heap.read, heap.write = assert(sys.pipe())
      assert(kernel:select_read(heap.read, "ready"))
      kernel:sig("USR1", "caught")
      kernel:delay("give_up", 0.3)
      sys.kill(sys.getpid(), "USR1")
    end,
    caught = function(kernel, heap)
      kernel:sig("USR1")
      heap.write:write("x")
    end,
    ready = function(kernel, heap)
      kernel:select_read(heap.read)
      kernel:delay("give_up")
    end,
    give_up = function(kernel) kernel:stop() end,
  },
}
poe.run()
