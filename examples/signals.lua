-- signals.lua -- a service that is steered by signals.
--
--   poe examples/signals.lua &
--   kill -HUP %1     read the settings again
--   kill -USR1 %1    tell how things stand
--   kill -INT %1     finish the work and end (so does TERM)
--
-- Signals of the system reach every session that asked for them, children
-- before their parents.  Programs may invent signals of their own: SHUTDOWN,
-- here, goes from the service to its workers.

local poe = require "poe"
local sys = require "poe.sys"

io.stdout:setvbuf("line")

local PERIOD = 0.1 -- seconds between two pieces of work

local Worker = {}

function Worker._start(kernel, heap, name)
  heap.name, heap.pieces = name, 0
  kernel:sig("USR1", "on_status")
  kernel:sig("SHUTDOWN", "on_shutdown")
  kernel:delay("work", PERIOD)
end

function Worker.work(kernel, heap)
  heap.pieces = heap.pieces + 1
  kernel:delay("work", PERIOD)
end

function Worker.on_status(_, heap)
  print(("%s is at work"):format(heap.name))
end

--- Without its timer the worker has nothing more to do, and ends.
function Worker.on_shutdown(kernel, heap, _, reason)
  print(("%s stops: %s"):format(heap.name, reason))
  kernel:delay("work")
end

local Service = {}

function Service._start(kernel, heap)
  heap.reloads = 0
  kernel:alias_set("service")
  kernel:sig("HUP", "on_reload")
  kernel:sig("USR1", "on_status")
  kernel:sig("INT", "on_end")
  kernel:sig("TERM", "on_end")
  for _, name in ipairs { "worker A", "worker B" } do
    poe.session.create { inline_states = Worker, args = { name } }
  end
  print("ready, process " .. sys.getpid())
end

--- HUP would end the program if nobody said that it has been handled.
function Service.on_reload(kernel, heap)
  kernel:sig_handled()
  heap.reloads = heap.reloads + 1
  print("settings read again")
end

--- USR1 ends nobody: it needs no sig_handled.
function Service.on_status(kernel, heap)
  local workers = kernel:get_children(kernel.session)
  print(("%d workers, %d reloads"):format(#workers, heap.reloads))
end

function Service.on_end(kernel, heap, name)
  kernel:sig_handled()
  if heap.is_ending then
    return
  end
  heap.is_ending = true
  kernel:alias_remove("service")
  kernel:signal(kernel.session, "SHUTDOWN", "got " .. name)
end

function Service._child(_, _, what)
  if what == "lose" then
    print("a worker is gone")
  end
end

function Service._stop()
  print("the service ends")
end

poe.session.create { inline_states = Service }

poe.run()
