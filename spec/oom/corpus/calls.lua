-- Calls within calls, and what they return.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:yield("deep", 12) end,
    deep = function(kernel, heap, n)
      if n == 0 then return "end", nil, { 1, 2 } end
      heap.child = heap.child or poe.session.create {
        inline_states = {
          _start = function(k) k:yield("nothing") end,
          relay = function(k, _, ...) return k:call(k.sender, ...) end,
        },
      }
      return kernel:call(heap.child, "relay", "deep", n - 1)
    end,
  },
}
poe.run()
