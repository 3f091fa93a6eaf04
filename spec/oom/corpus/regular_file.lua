-- A file that is always ready, a handle of Lua.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      heap.file = assert(io.open("README.md"))
      assert(kernel:select_read(heap.file, "ready"))
    end,
    ready = function(kernel, heap)
      heap.line = heap.file:read()
      kernel:select_read(heap.file)
      heap.file:close()
    end,
  },
}
poe.run()
