-- term.lua -- SIGTERM at so many random moments: every session gets its _stop
-- within a second, whatever the program was doing.
--
--   poe spec/strain/term.lua COUNT [seed by POE_SEED]

local poe = require "poe"
local sys = require "poe.sys"
local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local AT_ONCE = 4
local LATEST = 0.03 -- seconds after its start at which a victim is shot
local IN_TIME = 1   -- seconds it has for its end
local POE = os.getenv "POE_BIN" or "build/bin/poe"
local SESSIONS = 4

-- What the victims do: one of these each. All watch TERM and do not handle it.
local WORKS = {
  'work = function(kernel) kernel:yield "work" end',
  'work = function(kernel) kernel:delay("work", 0.001) end',
  [[work = function(kernel, heap)
    heap.r, heap.w = require "poe.sys".pipe()
    kernel:select_read(heap.r, "bytes")
    kernel:select_write(heap.w, "room")
  end,
  bytes = function(_, heap) heap.r:read() end,
  room = function(_, heap) heap.w:write "x" end]],
  [[work = function(kernel)
    poe.session.create { inline_states = {
      _start = function(k) k:delay("end_it", 0.001) end,
      end_it = function() end,
    } }
    kernel:yield "work"
  end]],
}

local VICTIM = [[
  io.stdout:setvbuf "no"
  local poe = require "poe"
  for i = 1, %d do
    poe.session.create { inline_states = {
      _start = function(kernel)
        kernel:sig("TERM", "term")
        kernel:yield "work"
        if i == %d then io.write "r" end
      end,
      _stop = function() io.write "s" end,
      term = function() end,
      %s,
    } }
  end
  poe.run()
]]

local seed = strain.seed()
local shot, unready, slow, latest = 0, 0, 0, 0

local function become_victim(i, out)
  sys.dup2(out, 1)
  sys.exec { POE, "-e", VICTIM:format(SESSIONS, SESSIONS, WORKS[i % #WORKS + 1]) }
  sys._exit(127)
end

local function judge(text, status, seconds)
  local how, number = poe.wait_status(status)
  if how == "signal" and number == sys.signals.TERM then
    strain.equal("", text, "what was written before TERM was watched")
    unready = unready + 1
    return
  end
  strain.equal("exit0", how .. number, "end of a victim that wrote " .. text)
  strain.equal(SESSIONS, select(2, text:gsub("s", "")), "_stops")
  latest = math.max(latest, seconds)
  slow = slow + (seconds > IN_TIME and 1 or 0)
end

local Hunter = {}

function Hunter._start(kernel, _, i)
  kernel:yield("start", i)
end

function Hunter.start(kernel, heap, i)
  if i > COUNT then
    return
  end
  local read, write = assert(sys.pipe())
  heap.pid = assert(kernel:fork())
  if heap.pid == 0 then
    become_victim(i, write)
  end
  write:close()
  heap.text = {}
  kernel:sig_child(heap.pid, "ended", i)
  kernel:select_read(read, "wrote")
  kernel:delay("shoot", math.random() * LATEST)
end

function Hunter.shoot(_, heap)
  heap.shot_at = poe.monotime()
  shot = shot + 1
  assert(sys.kill(heap.pid, "TERM"))
end

--- Its end is judged when both are known: all that it wrote, and its status.
function Hunter.wrote(kernel, heap, read, _)
  local bytes = read:read()
  if bytes and bytes ~= "" then
    heap.text[#heap.text + 1] = bytes
  elseif bytes == "" then
    read:close()
    heap.is_read = true
    kernel:yield "look"
  end
end

function Hunter.ended(kernel, heap, _, _, status, i)
  heap.status, heap.i, heap.ended_at = status, i, poe.monotime()
  kernel:yield "look"
end

function Hunter.look(kernel, heap)
  if not heap.is_read or not heap.status then
    return
  end
  judge(table.concat(heap.text), heap.status, heap.ended_at - heap.shot_at)
  heap.is_read, heap.status = nil, nil
  kernel:yield("start", heap.i + AT_ONCE)
end

for i = 1, math.min(AT_ONCE, COUNT) do
  poe.session.create { inline_states = Hunter, args = { i } }
end
strain.run()

strain.equal(COUNT, shot, "victims (seed " .. seed .. ")")
strain.equal(0, slow, "victims that took more than a second")
strain.say("%d programs got SIGTERM: %d were not ready and died of it, all "
  .. "others stopped every session; the slowest took %.0f ms (seed %d)",
  COUNT, unready, latest * 1000, seed)
