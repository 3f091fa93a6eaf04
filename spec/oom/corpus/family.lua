-- Sessions with children, in four generations.

local poe = require "poe"

local function family(depth)
  poe.session.create {
    inline_states = {
      _start = function()
        if depth < 4 then
          family(depth + 1)
          family(depth + 1)
        end
        return depth
      end,
      _child = function(_, heap, what, child) heap[what] = child end,
      _parent = function(_, heap, old, new) heap.old, heap.new = old, new end,
      _stop = function() return "value" end,
    },
  }
end

family(1)
poe.run()
