-- The sessions of the C program host.c: counts what it is given, and tells the
-- session "program", which is a C function.
local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      kernel:alias_set "counter"
      heap.sum, heap.greeted = 0, false
    end,
    add = function(kernel, heap, n)
      heap.sum = heap.sum + n
      kernel:post("program", "count", heap.sum)
      kernel:yield "look"
    end,
    greet = function(kernel, heap, who)
      heap.greeted = true
      kernel:post("program", "say", "hello to " .. who)
      kernel:yield "look"
    end,
    look = function(kernel, heap)
      if heap.sum >= 3 and heap.greeted then
        kernel:post("program", "enough")
        kernel:alias_remove "counter"
      end
    end,
    _stop = function()
      print "the counter has ended"
    end,
  },
}
