-- Sessions that leave their parents.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, 4 do
        poe.session.create {
          inline_states = {
            _start = function(k) if i > 2 then k:detach_myself() end; k:yield("e") end,
            e = function(k) k:detach_myself() end,
            _parent = function(_, heap, old) heap.old = old end,
          },
        }
      end
      kernel:yield("let_go")
    end,
    _child = function(_, heap, what, child) heap[#heap + 1] = { what, child } end,
    let_go = function(kernel)
      for _, child in ipairs(kernel:get_children(kernel.session)) do
        kernel:detach_child(child)
      end
    end,
  },
}
poe.run()
