-- signals.lua -- so many signals from four processes: those that wait for an
-- answer before the next lose none; of those that do not, the last one counts;
-- of realtime signals all count, even while nobody listens for a while.
--
--   poe spec/strain/signals.lua COUNT

local poe = require "poe"
local sys = require "poe.sys"
local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local REALTIME = math.max(1, COUNT // 10)
local DEAF = 0.2 -- seconds in which the kernel is busy while they come
local RTMIN = 34 -- as the GNU C library has it
local ASKING = { "USR1", "USR2", "WINCH", "URG" }

--- Runs in a process of its own; leaves it.
local function fork(kernel, work)
  local pid = assert(kernel:fork())
  if pid == 0 then
    local ok, message = pcall(work)
    if not ok then
      io.stderr:write(message, "\n")
    end
    sys._exit(ok and 0 or 1)
  end
  kernel:sig_child(pid, "ended")
  return pid
end

local function assert_ended_well(_, _, _, _, status)
  strain.equal(0, status, "status of a sender")
end

--- The read end of a pipe, as a file that blocks.
local function blocking(fd)
  local file = assert(io.open("/dev/fd/" .. fd:fileno()))
  file:setvbuf "no"
  return file
end

-- Each signal is answered by a byte before the next is sent.

local function ask(parent, signal, n, answers)
  local file <close> = blocking(answers)
  for _ = 1, n do
    assert(sys.kill(parent, signal))
    assert(file:read(1))
  end
end

local function acknowledged()
  local got, each = 0, COUNT // #ASKING
  poe.session.create {
    inline_states = {
      _start = function(kernel)
        local parent = sys.getpid()
        for _, signal in ipairs(ASKING) do
          local answers, answer = assert(sys.pipe())
          kernel:sig(signal, "answer", answer)
          fork(kernel, function()
            answer:close()
            ask(parent, signal, each, answers)
          end)
          answers:close()
        end
      end,
      answer = function(_, _, _, answer)
        got = got + 1
        assert(answer:write "x")
      end,
      ended = assert_ended_well,
    },
  }
  local seconds = strain.run()
  strain.equal(each * #ASKING, got, "acknowledged signals")
  return got, seconds
end

-- Four processes send one signal as fast as they can.

local function merged()
  local sent, last_sent, got, last_got = COUNT // 4 * 4, 0, 0, 0
  poe.session.create {
    inline_states = {
      _start = function(kernel)
        local parent = sys.getpid()
        kernel:sig("USR1", "count")
        for _ = 1, 4 do
          local times, time = assert(sys.pipe())
          fork(kernel, function()
            for _ = 1, sent // 4 - 1 do
              sys.kill(parent, "USR1")
            end
            time:write(("%.17g"):format(poe.monotime()))
            sys.kill(parent, "USR1")
          end)
          time:close()
          kernel:select_read(times, "told")
        end
      end,
      told = function(_, _, times)
        local text = times:read()
        if text == "" then
          times:close()
        else
          last_sent = math.max(last_sent, tonumber(text))
        end
      end,
      count = function()
        got, last_got = got + 1, poe.monotime()
      end,
      ended = assert_ended_well,
    },
  }
  strain.run()
  assert(got <= sent, "more signals than were sent")
  assert(last_got >= last_sent, "nothing came after the last signal")
  return got, sent
end

-- Realtime signals queue up; meanwhile the kernel is in a long handler.

local function send_realtime(parent, n)
  for _ = 1, n do
    repeat
      local sent = sys.kill(parent, RTMIN + 1) -- the queue may be full
    until sent
  end
end

local function realtime()
  local got = 0
  poe.session.create {
    inline_states = {
      _start = function(kernel)
        local parent = sys.getpid()
        kernel:sig("RTMIN+1", "count")
        fork(kernel, function() send_realtime(parent, REALTIME) end)
        kernel:yield "be_deaf"
      end,
      be_deaf = function()
        local till = poe.monotime() + DEAF
        while poe.monotime() < till do end
      end,
      count = function() got = got + 1 end,
      ended = assert_ended_well,
    },
  }
  strain.run()
  strain.equal(REALTIME, got, "realtime signals")
end

local answered, seconds = acknowledged()
local got, sent = merged()
realtime()
strain.assert_no_children()
strain.say("%d acknowledged signals in %.1f s, none lost; of %d in haste %d "
  .. "came, one after the last; %d realtime signals, all",
  answered, seconds, sent, got, REALTIME)
