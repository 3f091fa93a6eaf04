-- Postbacks and callbacks: called, closed, weak, forgotten.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      local session = kernel.session
      for i = 1, 6 do
        local post <close> = session:postback("posted", i, nil)
        post("x", nil)
        heap[i] = session:callback("called", i)
        heap[i]("y")
      end
      heap[1]:weaken()
      heap[2]:close()
      heap[3], heap[4], heap[5], heap[6] = nil, nil, nil, nil
    end,
    posted = function(_, heap, made, called) heap.n = made.n + called.n end,
    called = function(_, _, made) return made[1] end,
  },
}
poe.run()
