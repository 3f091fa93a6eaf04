-- Many names of events, states added and removed.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, 40 do
        local name = "event " .. i
        kernel:state(name, function(k) if i % 2 == 0 then k:state(name) end end)
        kernel:yield(name, i)
      end
    end,
    _default = function(_, heap, event, args) heap[event] = args.n end,
  },
}
poe.run()
