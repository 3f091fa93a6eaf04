-- million.lua -- so many timers at random times: each comes once, in order of
-- due time, none early; one in ten is cancelled.
--
--   poe spec/strain/million.lua COUNT [seed by POE_SEED]

local poe = require "poe"
local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local SPREAD = 1 -- seconds over which they are due

local seed = strain.seed()
-- Between these two each is due: the clock as read before it was set, and after.
local due, due_before, came = {}, {}, {}
local cancelled, fired, early, last = 0, 0, 0, 0
local set_seconds

local function set_all(kernel)
  local ids = {}
  for i = 1, COUNT do
    local delay = math.random() * SPREAD
    due[i] = poe.monotime() + delay
    ids[i] = kernel:delay_set("fire", delay, i)
    due_before[i] = poe.monotime() + delay
  end
  return ids
end

local function cancel_some(kernel, ids)
  for i = 1, COUNT, 10 do
    local _, _, args = assert(kernel:alarm_remove(ids[i]))
    strain.equal(i, args[1], "argument of a cancelled timer")
    due[i] = nil
    cancelled = cancelled + 1
  end
end

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local began = poe.monotime()
      cancel_some(kernel, set_all(kernel))
      set_seconds = poe.monotime() - began
    end,
    fire = function(_, _, i)
      assert(not came[i], "a timer came twice")
      came[i] = true
      fired = fired + 1
      early = early + (poe.monotime() < due[i] and 1 or 0)
      assert(due_before[i] >= last, "a timer came out of order")
      last = math.max(last, due[i])
    end,
  },
}
local seconds = strain.run() + set_seconds

strain.equal(0, early, "timers that came early")
strain.equal(COUNT - cancelled, fired, "timers that came")
strain.say("%d timers: set and %d cancelled in %.2f s, all over after %.2f s, "
  .. "each once, none early (seed %d)", COUNT, cancelled, set_seconds, seconds,
  seed)
