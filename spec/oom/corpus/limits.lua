-- Limits of queues, topics of one session, the dump of a heap.

local poe = require "poe"

poe.configure { max_events = 100, when_full = "drop_newest", trace_filename = "/dev/null" }
for _, policy in ipairs { "reject", "drop_oldest", "drop_newest" } do
  poe.session.create {
    options = { max_events = 2, when_full = policy, trace = "events,destroy",
      assert = "data" },
    heap = { policy, list = {} },
    inline_states = {
      _start = function(kernel)
        for i = 1, 4 do kernel:yield("event", { i }) end
        kernel.session:option("trace", { refcnt = true })
        kernel.session:option("max_events", 3)
      end,
      event = function() end,
    },
  }
end
local ok, err = pcall(poe.run)
poe.configure { max_events = false, trace_filename = false }
if not ok then error(err, 0) end
