-- What keeps sessions alive, recorded, listed and told.

local poe = require "poe"

poe.configure { why = true }
poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      kernel:alias_set "asked"
      kernel:delay("late", 0.001)
      kernel:refcount_increment(kernel.session:ID(), "tag")
      heap.postback = kernel.session:postback "back"
      kernel:sig("BENIGN", "benign")
      poe.session.create { inline_states = { _start = function()
        kernel:post("asked", "event", {})
        kernel:post("asked", "event", {})
      end } }
      assert(#kernel:why() > 0)
    end,
    event = function() end,
    late = function(kernel, heap)
      tostring(kernel:why "asked")
      heap.postback:close()
      kernel:refcount_decrement(kernel.session:ID(), "tag")
      kernel:alias_remove "asked"
    end,
  },
}
local ok, err = pcall(poe.run)
poe.configure { why = false }
if not ok then error(err, 0) end
