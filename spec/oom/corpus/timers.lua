-- Delays by name, that replace each other.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, 24 do
        kernel:delay("tick " .. i % 5, i / 10000, i, nil)
        kernel:delay_add("tock", i / 10000)
      end
      kernel:delay("tick 1")
    end,
    _default = function(_, heap, event) heap[#heap + 1] = event end,
    tock = function() end,
  },
}
poe.run()
