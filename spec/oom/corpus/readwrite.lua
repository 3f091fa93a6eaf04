-- A wheel that talks to itself.

local ReadWrite = require "poe.wheel.readwrite"
local poe = require "poe"
local sys = require "poe.sys"

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      local one, two = assert(sys.socketpair())
      heap.one = ReadWrite.new { handle = one, input_event = "line",
        error_event = "failed", flushed_event = "flushed" }
      heap.two = ReadWrite.new { handle = two, input_event = "line",
        error_event = "failed" }
      heap.one:put("hello", "world")
      kernel:delay("over", 0.3)
    end,
    line = function(kernel, heap, _, id)
      if heap.two and id == heap.two:ID() then
        heap.two:put("answer")
      else
        kernel:yield("over")
      end
    end,
    flushed = function() end,
    failed = function(kernel) kernel:yield("over") end,
    over = function(kernel, heap)
      kernel:delay("over")
      if heap.one then heap.one:destroy() end
      if heap.two then heap.two:destroy() end
      heap.one, heap.two = nil, nil
    end,
  },
}
poe.run()
