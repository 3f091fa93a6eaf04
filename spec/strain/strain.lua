-- What the scripts of this folder share. Each of them runs by itself, takes its
-- size as first argument, prints one line of figures, and fails by an error.

local poe = require "poe"

local strain = {}

--- The size: whole, at least 1.
function strain.count(text)
  local n = math.tointeger(tonumber(text))
  assert(n and n > 0, "usage: poe spec/strain/NAME.lua COUNT")
  return n
end

function strain.equal(wanted, got, what)
  if wanted ~= got then
    error(("%s: wanted %s, got %s"):format(what, wanted, got), 2)
  end
end

--- The text of a file; nil if it is not there.
function strain.read_file(path)
  local file <close> = io.open(path)
  return file and file:read "a"
end

--- Resident memory of a process, in KiB.
function strain.resident(pid)
  local text = strain.read_file(("/proc/%s/status"):format(pid or "self"))
  return tonumber(text:match "VmRSS:%s*(%d+)")
end

--- How many of these numbers are open descriptors.
function strain.descriptors(highest)
  local n = 0
  for fd = 0, highest or 255 do
    n = n + (strain.read_file("/proc/self/fdinfo/" .. fd) and 1 or 0)
  end
  return n
end

--- Under a sanitizer memory that was freed is kept for a while.
function strain.is_sanitized()
  return strain.read_file("/proc/self/maps"):find "libasan" ~= nil
end

--- No child is left, running or dead.
function strain.assert_no_children()
  local list = strain.read_file "/proc/thread-self/children"
  if list then
    strain.equal("", list, "children left")
  end
end

--- Numbers that everybody can have again: POE_SEED=n.
function strain.seed()
  local seed = tonumber(os.getenv "POE_SEED") or os.time()
  math.randomseed(seed)
  return seed
end

--- The value in a sorted list below which so much of it lies.
function strain.quantile(list, share)
  return list[math.max(1, math.ceil(#list * share))]
end

--- Runs the kernel; returns how long that took.
function strain.run()
  local began = poe.monotime()
  poe.run()
  return poe.monotime() - began
end

function strain.say(format, ...)
  print(format:format(...))
end

return strain
