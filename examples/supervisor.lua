-- supervisor.lua -- restarts what fails, up to a limit.
--
--   poe examples/supervisor.lua
--
-- An error in a handler becomes the signal DIE.  It goes to the session that
-- failed, then to its parents; who calls sig_handled() keeps the program
-- alive.  The supervisor does, ends the failed child and starts another one in
-- its place.  A child that fails too often is given up.

local poe = require "poe"

local MAX_RESTARTS = 3
local WINDOW = 5   -- seconds in which so many restarts are too many
local PAUSE = 0.05 -- seconds before a restart

-- A worker does a number of jobs, one after the other.

local Worker = {}

function Worker._start(kernel, heap, name, jobs, fails_at)
  heap.name, heap.jobs, heap.fails_at = name, jobs, fails_at
  heap.done = 0
  kernel:alias_set(name)
  kernel:delay("job", 0.01)
end

function Worker.job(kernel, heap)
  heap.done = heap.done + 1
  if heap.done == heap.fails_at then
    error("job " .. heap.done .. " is too hard")
  end
  if heap.done < heap.jobs then
    kernel:delay("job", 0.01)
  else
    kernel:alias_remove(heap.name)
  end
end

function Worker._stop(_, heap)
  return heap.done
end

-- The supervisor keeps, for each child, what it was started with.

local Supervisor = {}

function Supervisor.new(children)
  local self = setmetatable({}, { __index = Supervisor })
  self.children = children -- name -> arguments of Worker._start
  self.running = {}        -- session ID -> name
  self.failed = {}         -- session ID -> true
  self.restarts = {}       -- name -> times of its restarts
  return self
end

function Supervisor:_start(kernel)
  kernel:sig("DIE", "on_die")
  kernel:sig("INT", "on_interrupt")
  for _, child in ipairs(self.children) do
    self:start(kernel, child)
  end
end

function Supervisor:start(_, child)
  local session = poe.session.create {
    inline_states = Worker,
    args = child,
  }
  self.running[session:ID()] = child
end

--- Handling DIE spares the child, too: it is for us to end it.
function Supervisor:on_die(kernel, _, _, ex)
  local session = ex.dest_session
  local child = self.running[session:ID()]
  if not child then
    return -- our own error: let it end the program
  end
  print(("%s failed: %s"):format(child[1], ex.error_str))
  kernel:sig_handled()
  self.failed[session:ID()] = true
  kernel:signal(session, "KILL")
end

function Supervisor:_child(kernel, _, what, session, done)
  local id = session:ID()
  local child = self.running[id]
  if what ~= "lose" or not child then
    return
  end
  self.running[id] = nil
  if not self.failed[id] then
    print(("%s finished after %d jobs"):format(child[1], done))
    return
  end
  self.failed[id] = nil
  if self:may_restart(child[1]) then
    kernel:delay_add("restart", PAUSE, child)
  else
    print(child[1] .. " is given up")
  end
end

--- Counts a restart; false if there were too many of late.
function Supervisor:may_restart(name)
  local now, recent = poe.monotime(), {}
  for _, time in ipairs(self.restarts[name] or {}) do
    if now - time < WINDOW then
      recent[#recent + 1] = time
    end
  end
  recent[#recent + 1] = now
  self.restarts[name] = recent
  return #recent <= MAX_RESTARTS
end

function Supervisor:restart(kernel, _, child)
  print(child[1] .. " is restarted")
  self:start(kernel, child)
end

function Supervisor.on_interrupt()
  -- Not handled: INT ends all the sessions in order, children first.
  print("interrupted")
end

function Supervisor._stop()
  print("the supervisor ends")
end

-- name, jobs, the job at which it fails
local supervisor = Supervisor.new {
  { "steady", 20 },
  { "flaky", 20, 3 },
}

poe.session.create {
  object_states = {
    [supervisor] = {
      "_start", "_stop", "_child", "on_die", "on_interrupt", "restart",
    },
  },
}

poe.run()
