-- A session of one's own kind.

local poe = require "poe"

local Own = {}
Own.__index = Own
function Own:_invoke_state(_, event, args)
  if event == "_start" then poe.kernel:yield("more", args.n) end
  self.last = event
end

poe.kernel:session_alloc(setmetatable({}, Own), 1, 2)
poe.run()
