-- children.lua -- so many child processes, 200 at a time, each with a status
-- of its own; a third has ended before it is watched.
--
--   poe spec/strain/children.lua COUNT

local poe = require "poe"
local sys = require "poe.sys"
local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local AT_ONCE = 200
local DEADLY = { "KILL", "TERM", "USR1", "ALRM" }

--- How child `i` ends: "exit" and its code, or "signal" and its number.
local function fate(i)
  if i % 5 == 0 then
    return "signal", sys.signals[DEADLY[i // 5 % #DEADLY + 1]]
  end
  return "exit", i % 256
end

local function die(i)
  local how, number = fate(i)
  if i % 50 == 1 then
    sys.exec { "sh", "-c", "exit " .. number }
  elseif how == "signal" then
    sys.kill(sys.getpid(), number)
  end
  sys._exit(number)
end

local function is_zombie(pid)
  local stat = strain.read_file(("/proc/%d/stat"):format(pid))
  return stat and stat:find "%) Z " ~= nil
end

local early, ended, seen = 0, 0, {}

local Parent = {}

function Parent._start(kernel, heap)
  heap.next = 1
  for _ = 1, math.min(AT_ONCE, COUNT) do
    kernel:yield "fork"
  end
end

function Parent.fork(kernel, heap)
  local i = heap.next
  if i > COUNT then
    return
  end
  heap.next = i + 1
  local pid = assert(kernel:fork())
  if pid == 0 then
    die(i)
  end
  kernel:yield(i % 3 == 0 and "watch_late" or "watch", i, pid)
end

function Parent.watch(kernel, _, i, pid)
  assert(kernel:sig_child(pid, "ended", i, pid))
end

--- Not before it is dead.
function Parent.watch_late(kernel, _, i, pid)
  if not is_zombie(pid) then
    kernel:delay_add("watch_late", 0.001, i, pid)
    return
  end
  early = early + 1
  assert(kernel:sig_child(pid, "ended", i, pid))
end

function Parent.ended(kernel, _, _, pid, status, i, asked)
  strain.equal(asked, pid, "pid")
  assert(not seen[i], "told twice")
  seen[i] = true
  local how, number = poe.wait_status(status)
  local wanted, wanted_number = fate(i)
  strain.equal(wanted .. wanted_number, how .. number, "end of child " .. i)
  ended = ended + 1
  kernel:yield "fork"
end

poe.session.create { inline_states = Parent }
local seconds = strain.run()

strain.equal(COUNT, ended, "children told of")
strain.assert_no_children()
strain.say("%d children, %d dead before they were watched, %.1f s: "
  .. "every status right, no zombie", COUNT, early, seconds)
