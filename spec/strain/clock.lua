-- clock.lua -- the wall clock is stepped so many times, by an hour or a day to
-- and fro, with 1,000 delays and alarms pending: delays do not feel it, alarms
-- come when the clock says so.
--
--   poe spec/strain/clock.lua STEPS
--
-- The clock is libfaketime's (Debian: faketime), which the program runs itself
-- again with: it replaces CLOCK_REALTIME, and leaves CLOCK_MONOTONIC alone.

local poe = require "poe"
local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local TIMERS = 500 -- of each kind, for each step
local SPREAD = 0.3 -- seconds over which delays are due
local SOON = 0.7   -- when alarms are, at the soonest, that a step back puts off ...
local AHEAD = 20   -- ... and those that a step forward brings
local NOTICED = 1  -- seconds until the kernel must have noticed a step
local SLACK = 0.5  -- seconds that a loaded machine may take beside
local HOUR, DAY = 3600, 86400
local STEPS = { HOUR, -HOUR, DAY, -DAY } -- from the true time

local POE = os.getenv "POE_BIN" or "build/bin/poe"
local steps_file = os.getenv "FAKETIME_TIMESTAMP_FILE"

local function find_library()
  for _, dir in ipairs { "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
    "/usr/lib" } do
    local path = dir .. "/faketime/libfaketime.so.1"
    if strain.read_file(path) then
      return path
    end
  end
end

--- At once, in this process; or by another one, when the kernel is asleep.
local function step_to(offset, seconds)
  if seconds then
    assert(os.execute(("(sleep %g; printf %%+d %d >'%s') &"):format(seconds,
      offset, steps_file)))
    return
  end
  local file <close> = assert(io.open(steps_file, "w"))
  file:write(("%+d"):format(offset))
end

--- The same program, with the other clock.
local function run_with_fake_clock(library, ...)
  steps_file = os.tmpname()
  step_to(0)
  local command = ("LD_PRELOAD=%s FAKETIME_TIMESTAMP_FILE=%s FAKETIME_NO_CACHE=1 "
    .. "DONT_FAKE_MONOTONIC=1 '%s' --loop %s spec/strain/clock.lua %s"):format(
    library, steps_file, POE, poe.kernel:poe_kernel_loop(), ...)
  local ok = os.execute(command)
  os.remove(steps_file)
  os.exit(ok == true)
end

if not steps_file then
  local library = find_library()
  if not library or strain.is_sanitized() then
    strain.say "skipped: libfaketime is not there, or does not go with ASan"
    os.exit(0)
  end
  run_with_fake_clock(library, ...)
end

local lateness, corrected = {}, {}
local gap, looked_at = 0, nil -- the longest time in which nothing ran, of delays

local function set(kernel, heap)
  local offset = STEPS[(heap.round - 1) % #STEPS + 1]
  heap.delays, heap.alarms = 0, 0
  step_to(0)
  looked_at = poe.monotime()
  for i = 1, TIMERS do
    local seconds = 0.05 + i / TIMERS * SPREAD
    kernel:delay_add("on_delay", seconds, poe.monotime() + seconds)
    local epoch = poe.time() + i / TIMERS * SPREAD + (offset > 0 and AHEAD or SOON)
    kernel:alarm_add("on_alarm", epoch, epoch)
  end
  -- While delays are pending, or when alarms alone are and nothing else wakes.
  local is_late = (heap.round + (heap.round - 1) // #STEPS) % 2 == 1
  local wait = is_late and SPREAD + 0.2 or 0.02
  step_to(offset, wait)
  heap.stepped = poe.monotime() + wait
  if offset < 0 then
    kernel:delay("step_back", wait + SOON + SPREAD + NOTICED)
  end
end

local Clock = {}

function Clock._start(kernel, heap)
  heap.round = 1
  set(kernel, heap)
end

--- Put off by an hour or a day, they must not have come.
function Clock.step_back(_, heap)
  strain.equal(0, heap.alarms, "alarms after a step back")
  step_to(0)
  heap.stepped = poe.monotime()
end

local function look_for_end(kernel, heap)
  if heap.delays < TIMERS or heap.alarms < TIMERS then
    return
  end
  heap.round = heap.round + 1
  if heap.round <= COUNT then
    set(kernel, heap)
  end
end

function Clock.on_delay(kernel, heap, due)
  local now = poe.monotime()
  local late = now - due
  gap, looked_at = math.max(gap, now - looked_at), now
  assert(late >= 0, "a delay came early")
  lateness[#lateness + 1] = late
  heap.delays = heap.delays + 1
  look_for_end(kernel, heap)
end

function Clock.on_alarm(kernel, heap, epoch)
  assert(poe.time() >= epoch, "an alarm came before its time")
  local took = poe.monotime() - heap.stepped
  assert(took >= 0, "an alarm came before the step")
  assert(took < NOTICED + SLACK, "an alarm came long after the step")
  corrected[#corrected + 1] = took
  heap.alarms = heap.alarms + 1
  look_for_end(kernel, heap)
end

poe.session.create { inline_states = Clock }
strain.run()

strain.equal(COUNT * TIMERS, #lateness, "delays")
strain.equal(COUNT * TIMERS, #corrected, "alarms")
table.sort(lateness)
table.sort(corrected)
assert(lateness[#lateness] < SLACK + gap, "a delay came late")
strain.say("%d steps of an hour or a day, %d delays and %d alarms pending: no "
  .. "delay early, 99 %% at most %.1f ms late; alarms %.2f s after the step at "
  .. "most", COUNT, TIMERS, TIMERS, strain.quantile(lateness, 0.99) * 1000,
  corrected[#corrected])
