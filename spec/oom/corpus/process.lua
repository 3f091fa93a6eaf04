-- A process behind a wheel.

local Run = require "poe.wheel.run"
local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      kernel:delay("over", 0.3)
      heap.wheel = assert(Run.new { program = { "echo", "hello" },
        stdout_event = "line", exit_event = "over", error_event = "failed" })
    end,
    line = function() end,
    failed = function() end,
    over = function(kernel, heap)
      kernel:delay("over")
      if heap.wheel then heap.wheel:destroy() end
      heap.wheel = nil
    end,
  },
}
poe.run()
