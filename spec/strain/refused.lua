-- refused.lua -- a user who may have no more processes: so many forks and
-- spawns are refused, each says so, and the kernel goes on.
--
--   poe spec/strain/refused.lua COUNT

local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local POE = os.getenv "POE_BIN" or "build/bin/poe"
local NOBODY = 65534

-- What the other user runs.
local SCRIPT = [[
  local poe, sys = require "poe", require "poe.sys"
  local refused, ticks = 0, 0
  local function expect(value, message, code)
    assert(value == nil and code == "EAGAIN", message or "not refused")
    assert(message:find "^EAGAIN: ", message)
    refused = refused + 1
  end
  poe.session.create { inline_states = {
    _start = function(kernel) kernel:yield "try" end,
    try = function(kernel)
      expect(kernel:fork())
      expect(sys.spawn { program = "true" })
      ticks = ticks + 1
      if ticks < %d then kernel:delay("try", 0) end
    end,
  } }
  poe.run()
  print(refused)
]]

local function is_there(command)
  return os.execute(command .. " >/dev/null 2>&1") == true
end

local as_nobody = ("setpriv --reuid %d --regid %d --clear-groups "):format(NOBODY, NOBODY)
if not is_there(as_nobody .. POE .. " -e 'require \"poe\"'") then
  strain.say "skipped: only root can become another user, who must reach the program"
  os.exit(0)
end
-- Whatever runs as nobody counts; one process is our own.
local pipe = assert(io.popen(("exec %s sh -c 'ulimit -p 1; exec \"$0\" -e \"$1\"' '%s' '%s' 2>&1")
  :format(as_nobody, POE, (SCRIPT:format(COUNT):gsub("'", "'\\''")))))
local out = pipe:read "a"
pipe:close()
strain.equal(tostring(2 * COUNT), out:match "^%d+" or out, "refusals")
strain.say("%d forks and %d spawns refused, each with EAGAIN, as user %d", COUNT,
  COUNT, NOBODY)
