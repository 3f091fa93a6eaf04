-- A file that grows, is renamed, and made again.

local FollowTail = require "poe.wheel.followtail"
local poe = require "poe"

local path = os.tmpname()

local function append(text)
  local file <close> = assert(io.open(path, "a"))
  file:write(text)
end

local steps = {
  function() append "one\ntwo\n" end,
  function()
    os.remove(path)
    append "three\n"
  end,
}

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      kernel:delay("over", 0.3)
      heap.step = 0
      heap.wheel = FollowTail.new { filename = path, input_event = "line",
        poll_interval = 0.001, reset_event = "line", error_event = "line",
        idle_event = "idle" }
    end,
    line = function(_, heap) heap.place = heap.wheel and heap.wheel:tell() end,
    idle = function(kernel, heap)
      heap.step = heap.step + 1
      if steps[heap.step] then return steps[heap.step]() end
      kernel:yield "over"
    end,
    over = function(kernel, heap)
      kernel:delay "over"
      if heap.wheel then heap.wheel:destroy() end
      heap.wheel = nil
    end,
    _stop = function() os.remove(path) end,
  },
}
poe.run()
os.remove(path)
