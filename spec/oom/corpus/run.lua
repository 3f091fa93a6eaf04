-- Processes: a program over pipes, one at a terminal, a function.

local Run = require "poe.wheel.run"
local poe = require "poe"

local function begin(kernel, heap, options)
  options.stdout_event, options.exit_event = "line", "exited"
  options.error_event = "failed"
  local wheel = Run.new(options)
  if not wheel then return end
  heap[wheel:ID()] = wheel
  heap.left = heap.left + 1
  kernel:delay("over", 0.3)
end

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      heap.left = 0
      begin(kernel, heap, { program = { "cat" } })
      for _, wheel in pairs(heap) do
        if type(wheel) == "table" then
          wheel:put "hello"
          wheel:shutdown_stdin()
        end
      end
      begin(kernel, heap, { program = "echo x; echo y >&2; exit 3",
        conduit = "pty-pipe", stderr_event = "line", environment = { A = "b" } })
      begin(kernel, heap, { program = function() print "z" end, no_stdin = true })
      begin(kernel, heap, { program = { "/nonexistent" } })
    end,
    line = function() end,
    failed = function() end,
    exited = function(kernel, heap, _, _, _, id)
      heap[id]:destroy()
      heap[id] = nil
      heap.left = heap.left - 1
      if heap.left == 0 then kernel:delay "over" end
    end,
    over = function(kernel) kernel:stop() end,
    _stop = function(_, heap)
      for id, wheel in pairs(heap) do
        if type(wheel) == "table" then
          wheel:kill "KILL"
          wheel:destroy()
          heap[id] = nil
        end
      end
    end,
  },
}
poe.run()
