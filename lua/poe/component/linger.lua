-- SPDX-License-Identifier: MIT
-- The end of a connection, so that the peer gets all that was sent to it.
--
-- A socket that is closed while there is input in it resets the connection, and
-- the peer loses what it has not read yet. So first the output is shut down, and
-- input is read and dropped until the peer has ended too, or takes too long.
local Base = require "poe.component.base"
local poe = require "poe"

local kernel = poe.kernel

local LONGEST = 2 -- seconds
local OVER = "poe_component_linger"

-- The wheels that linger in a session, by ID, in its heap.
local WHEELS = setmetatable({}, { __name = "poe.component.linger" })

---@class poe.component.linger
local linger = {}

--- Adds the handler that is needed to a session's.
---@param own table<string, poe.handler>
---@param over fun()  called when a connection is closed, in the session
function linger.add(own, over)
  own[OVER] = function(_, heap, operation, _, _, id)
    local found = heap[WHEELS][id]
    if not found then return end
    heap[WHEELS][id] = nil
    if operation then kernel:alarm_remove(found.timer) end -- else it was the timer
    found.wheel:destroy()
    over()
  end
end

--- Begins with a wheel whose output is written and whose input has not ended. It
--- sends no more events.
---@param heap table
---@param wheel poe.wheel.readwrite
function linger.begin(heap, wheel)
  local id = wheel:ID()
  heap[WHEELS] = heap[WHEELS] or {}
  heap[WHEELS][id] = {
    wheel = wheel, timer = kernel:delay_set(OVER, LONGEST, nil, nil, nil, id),
  }
  wheel:event { input_event = Base.ignore, error_event = OVER,
    flushed_event = false, high_event = false, low_event = false }
  wheel:shutdown_output()
  wheel:resume_input()
end

return linger
