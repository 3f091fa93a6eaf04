-- stopped.lua -- the process is stopped (SIGSTOP) for so many milliseconds:
-- timers that fell due meanwhile come once, in order, none early.
--
--   poe spec/strain/stopped.lua MILLISECONDS

local poe = require "poe"
local sys = require "poe.sys"
local strain = dofile "spec/strain/strain.lua"

local STOPPED = strain.count(...) / 1000
local TIMERS = 1000
local LEAD = 0.05 -- seconds before the stop

local fired, last, overdue, late = {}, 0, 0, 0
local gap, looked_at = 0, poe.monotime() -- the longest time in which nothing ran

local Stopper = [[kill -STOP %d && sleep %.3f; kill -CONT %d]]

--- Half of them by the one clock, half by the other; due between 0 and a
--- little after the end of the stop.
local function set(kernel)
  for i = 1, TIMERS do
    local seconds = i / TIMERS * (STOPPED + 2 * LEAD)
    local due = poe.monotime() + seconds -- read first: it may be less than so early
    if i % 2 == 0 then
      kernel:delay_add("fire", seconds, i, due)
    else
      kernel:alarm_add("fire", poe.time() + seconds, i, due)
    end
  end
end

poe.session.create {
  inline_states = {
    _start = function(kernel)
      set(kernel) -- first: the child may be faster than we are
      local pid = assert(kernel:fork())
      if pid == 0 then
        local parent = sys.getppid()
        sys.exec { "sh", "-c", Stopper:format(parent, STOPPED, parent) }
        sys._exit(127)
      end
      kernel:sig_child(pid, "continued")
    end,
    continued = function(_, _, _, _, status)
      strain.equal(0, status, "who stops us")
    end,
    fire = function(_, _, i, due)
      local now = poe.monotime()
      gap = math.max(gap, now - looked_at)
      looked_at = now
      assert(not fired[i], "a timer came twice")
      fired[i] = true
      -- Alarms are microseconds since the epoch: so much may be rounded.
      assert(now >= due - 0.000002, "a timer came early")
      assert(i >= last, "a timer came out of order")
      last = i
      overdue = overdue + (now - due > 0.01 and 1 or 0)
      late = math.max(late, now - due)
    end,
  },
}
strain.run()

strain.equal(TIMERS, #fired, "timers that came")
assert(gap > STOPPED / 2 and late > STOPPED / 2, "it was not stopped")
strain.say("stopped for %.2f s: %d of %d timers overdue by up to %.2f s, each "
  .. "came once, in order, none early", gap, overdue, TIMERS, late)
