-- The queue that a luv program has to bring itself: calls that are made on the
-- next turn of the loop. An idle handle keeps the loop turning while there are
-- any; a turn makes those there are, and at most 1,000 that they add, so that
-- descriptors and timers get their turn.

local uv = require "luv"

local SHARE = 1000

local queue = {}
local calls, first, last = {}, 1, 0
local idle = uv.new_idle()

local unpack = table.unpack

local function turn()
  local stop = last + SHARE
  while first <= last and first <= stop do
    local call = calls[first]
    calls[first] = nil
    first = first + 1
    call[1](unpack(call, 2))
  end
  if first <= last then return end
  first, last = 1, 0
  idle:stop()
end

--- Calls fn(...) on a later turn; nils at the end get lost.
function queue.post(fn, ...)
  if first > last then idle:start(turn) end
  last = last + 1
  calls[last] = { fn, ... }
end

return queue
