-- jobs.lua -- runs commands, so many at a time, and says how they went.
--
--   poe examples/jobs.lua [-j number] [file]
--
-- Reads one command a line, from the file or from standard input, and keeps that
-- many of them running (4).  Their output comes line by line, each with the
-- number of its job.  A job that ends makes room for the next; at the end come
-- those that failed, and how long all of it took.  SIGINT ends the jobs that run,
-- with all that they have started, and begins no other.  The exit status is 0 if
-- every job's was, else 1.

local poe = require "poe"
local sys = require "poe.sys"
local Run = require "poe.wheel.run"

local PATIENCE = 2 -- seconds between TERM and KILL

--- The arguments: how many at a time, and the commands.
local function parse(...)
  local words, at_a_time = { ... }, 4
  if words[1] == "-j" then
    at_a_time = math.tointeger(tonumber(words[2]))
    table.move(words, 3, #words + 2, 1)
  end
  if not at_a_time or at_a_time < 1 then
    io.stderr:write("usage: jobs.lua [-j number] [file]\n")
    os.exit(2)
  end
  local commands = {}
  for line in io.lines(words[1]) do
    if line:find "%S" and not line:find "^%s*#" then
      commands[#commands + 1] = line
    end
  end
  return at_a_time, commands
end

local Runner = {}

function Runner.new(at_a_time, commands)
  return setmetatable({
    at_a_time = at_a_time, commands = commands,
    begun = 0, ended = 0, -- jobs
    running = {},         -- wheel ID -> job
    failed = {},          -- jobs, as they failed
  }, { __index = Runner })
end

function Runner:_start(kernel)
  self.time = poe.monotime()
  kernel:sig("INT", "on_interrupt")
  self:begin_more()
end

--- Starts jobs until enough of them run.
function Runner:begin_more()
  while self.begun - self.ended < self.at_a_time do
    local command = not self.is_interrupted and self.commands[self.begun + 1]
    if not command then
      return
    end
    self.begun = self.begun + 1
    self:begin { number = self.begun, command = command, time = poe.monotime() }
  end
end

--- A job that cannot be started has ended.
function Runner:begin(job)
  local wheel, message = Run.new {
    program = job.command,
    redirect_stdin = "/dev/null",
    stdout_event = "on_line", stderr_event = "on_line",
    exit_event = "on_exit",
  }
  if not wheel then
    return self:finish(job, message)
  end
  job.wheel = wheel
  self.running[wheel:ID()] = job
end

function Runner:on_line(_, _, line, id)
  print(("%d: %s"):format(self.running[id].number, line))
end

--- All that the job has written has come before.
function Runner:on_exit(kernel, _, code, signal, _, id)
  local job = self.running[id]
  self.running[id] = nil
  job.wheel:destroy()
  if signal then
    self:finish(job, "SIG" .. signal)
  else
    self:finish(job, code ~= 0 and "exit " .. code or nil)
  end
  self:begin_more()
  if not next(self.running) then
    kernel:delay "on_impatience"
  end
end

function Runner:finish(job, trouble)
  self.ended = self.ended + 1
  job.trouble = trouble
  if trouble then
    self.failed[#self.failed + 1] = job
  end
  print(("[%d/%d] %s after %.1f s: %s"):format(self.ended, #self.commands,
    trouble or "done", poe.monotime() - job.time, job.command))
  io.stdout:flush()
end

--- The process group of a job is its own; all in it are meant.
function Runner:signal_all(name)
  for _, job in pairs(self.running) do
    sys.kill(-job.wheel:PID(), name)
  end
end

function Runner:on_interrupt(kernel)
  kernel:sig_handled()
  self.is_interrupted = true
  self:signal_all "TERM"
  kernel:delay("on_impatience", PATIENCE)
end

function Runner:on_impatience()
  self:signal_all "KILL"
end

--- No job runs, and none is left.
function Runner:_stop()
  local left = #self.commands - self.begun
  print(("%d jobs: %d well, %d not%s, %.1f s"):format(self.ended,
    self.ended - #self.failed, #self.failed,
    left > 0 and (", %d left out"):format(left) or "",
    poe.monotime() - self.time))
  for _, job in ipairs(self.failed) do
    print(("  %d: %s: %s"):format(job.number, job.trouble, job.command))
  end
end

local runner = Runner.new(parse(...))

poe.session.create {
  object_states = {
    [runner] = {
      "_start", "_stop", "on_line", "on_exit", "on_interrupt", "on_impatience",
    },
  },
}

poe.run()
os.exit(runner.ended == #runner.commands and #runner.failed == 0 and 0 or 1, true)
