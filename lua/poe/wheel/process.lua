-- SPDX-License-Identifier: MIT
-- Processes with conduits to their standard descriptors, for the wheel Run.
--
-- Whatever goes wrong before the program runs is a failure of `start`, and
-- leaves neither a process nor a descriptor behind. A child has 0, 1 and 2 and,
-- if it is a program, no other descriptor; a function, which cannot be executed,
-- inherits what was open, but no conduit of another process.
local poe = require "poe"
local sys = require "poe.sys"

---@class poe.wheel.process
local process = {}

local SHELL = "/bin/sh"
local FAILED = 255 -- exit status of a function that raised
local BEGUN = "go" -- what a child says before it runs a function
local LOOK = 1 -- seconds

-- Our ends of all conduits. One that a function inherited would keep another
-- process from seeing the end of its input.
local conduits = setmetatable({}, { __mode = "k" })

---@class poe.wheel.process.request
---@field program string|string[]|function
---@field args any[]
---@field conduit "pipe"|"socketpair"|"pty"|"pty-pipe"
---@field wants { stdin: boolean, stdout: boolean, stderr: boolean }  a conduit
---@field redirect table<string, string|poe.sys.fd|file*|integer>
---@field winsize? integer[]
---@field close_on_call boolean
---@field become poe.sys.become_options

---@class poe.wheel.process.ends
---@field stdin? poe.sys.fd
---@field stdout? poe.sys.fd  the same as stdin for a pty
---@field stderr? poe.sys.fd

-- ---- descriptors ------------------------------------------------------------------

--- Closed at the end of a variable, unless `kept`.
local List = {}
List.__index = List

function List:__close()
  if self.kept then return end
  for _, object in ipairs(self) do object:close() end
end

--- Passes on what a function returned, and remembers the object.
function List:add(object, ...)
  if object then self[#self + 1] = object end
  return object, ...
end

local function new_list()
  return setmetatable({}, List)
end

--- Two objects, of which the first is to be read.
local function open_pair(conduit)
  if conduit == "socketpair" then return sys.socketpair() end
  return sys.pipe()
end

--- One direction: what the child gets becomes the parameter `name`.
local function add_conduit(request, name, ours, theirs)
  local first, second, code = open_pair(request.conduit)
  if not first then return nil, second, code end
  local own, other = first, second
  if name == "stdin" then own, other = second, first end
  ours[name], theirs[name] = ours:add(own), theirs:add(other)
  conduits[own] = true
  return true
end

--- As tall and wide as wanted, or as our own terminal, if we have one.
local function set_size(slave, winsize)
  if winsize then return sys.set_winsize(slave, table.unpack(winsize, 1, 4)) end
  local rows, columns, width, height = sys.get_winsize(0)
  if not rows then return true end
  return sys.set_winsize(slave, rows, columns, width, height)
end

local function add_pty(request, ours, theirs)
  local master, slave, code = sys.openpty()
  if not master then return nil, slave, code end
  ours:add(master)
  theirs:add(slave)
  conduits[master] = true
  ours.stdin, ours.stdout = master, master
  theirs.stdin, theirs.stdout = slave, slave
  if request.conduit == "pty" then theirs.stderr = slave end
  local ok, message
  ok, message, code = sys.set_raw(slave)
  if not ok then return nil, message, code end
  return set_size(slave, request.winsize)
end

local function add_redirections(request, theirs)
  local redirect = request.redirect
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local target = redirect[name]
    if name == "stderr" and target and target == redirect.stdout then
      target = theirs.stdout
    elseif type(target) == "string" then
      local message, code
      target, message, code = theirs:add(
        sys.open(target, name == "stdin" and "r" or "w"))
      if not target then return nil, message, code end
    end
    theirs[name] = target
  end
  return true
end

local function add_conduits(request, ours, theirs)
  local ok, message, code = true, nil, nil
  if request.conduit == "pty" or request.conduit == "pty-pipe" then
    ok, message, code = add_pty(request, ours, theirs)
  end
  for name, is_wanted in pairs(request.wants) do
    if ok and is_wanted and not ours[name] then
      ok, message, code = add_conduit(request, name, ours, theirs)
    end
  end
  return ok, message, code
end

-- ---- programs ---------------------------------------------------------------------

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

--- What sys.spawn gets for a string, which the shell is to understand, or for a
--- list, which it is not; the arguments are what they are in both.
local function command(program, args)
  local list = {}
  if type(program) == "string" then
    for i, arg in ipairs(args) do list[i] = " " .. quote(arg) end
    return { SHELL, "-c", program .. table.concat(list) }
  end
  table.move(program, 1, #program, 1, list)
  return table.move(args, 1, #args, #list + 1, list)
end

local function spawn(request, setup)
  setup.program = command(request.program, request.args)
  return sys.spawn(setup)
end

-- ---- their end ----------------------------------------------------------------------

local Reaper = {}

function Reaper._start(kernel, heap)
  kernel:detach_myself()
  assert(kernel:sig_child(heap.pid, "ended"))
  heap.looks, heap.since = 0, os.time()
  if heap.look then kernel:delay("look", LOOK) end
end

--- On a virtual clock one look would follow the other without a pause: no more.
function Reaper.look(kernel, heap)
  heap.look()
  heap.looks = heap.looks + 1
  if os.time() - heap.since >= heap.looks * LOOK - 1 then
    kernel:delay("look", LOOK)
  end
end

function Reaper.ended(kernel, heap, _, _, status)
  kernel:delay "look"
  if heap.on_end then heap.on_end(poe.wait_status(status)) end
end

--- Waits for the end of a child, in a session of its own: one that watches the
--- same process in the user's session, as he may, would replace ours. Nothing
--- tells us when another session is killed: that must be looked at.
---@param pid integer
---@param on_end? fun(how: "exit"|"signal", number: integer)
---@param look? fun()  called now and then until the end
function process.reap(pid, on_end, look)
  poe.session.create {
    inline_states = Reaper,
    heap = { pid = pid, on_end = on_end, look = look },
  }
end

-- ---- functions --------------------------------------------------------------------

--- Runs it on a coroutine of its own: if it yields, nobody but us may see that.
local function perform(fn, args)
  local thread = coroutine.create(fn)
  local ok, err = coroutine.resume(thread, table.unpack(args, 1, args.n or #args))
  if ok and coroutine.status(thread) == "suspended" then
    ok, err = false, "attempt to yield from the function of a process"
  end
  if ok then return end
  if type(err) == "string" then err = debug.traceback(thread, err) end
  error(err, 0)
end

local function run_child(request, setup, theirs, report)
  local ok, message, code = sys.become(setup)
  report:write(ok and BEGUN or string.pack("zz", message, code))
  if not ok then sys._exit(FAILED) end
  for object in pairs(conduits) do object:close() end
  for _, object in ipairs(theirs) do object:close() end
  report:close()
  if request.close_on_call then sys.become { close_from = 3 } end
  io.stdout:setvbuf "no"
  perform(request.program, request.args)
end

local function complain(err)
  io.stderr:write("poe: ", tostring(err), "\n")
end

--- What the child does. It never returns, even without memory.
local function be_child(...)
  local ok, err = pcall(run_child, ...)
  if not ok then pcall(complain, err) end
  pcall(io.stdout.flush, io.stdout)
  sys._exit(ok and 0 or FAILED)
end

--- Nothing that is raised may bring the child back to where its parent goes on.
local Guard = {}
Guard.__index = Guard

function Guard:__close()
  if sys.getpid() ~= self.parent then sys._exit(FAILED) end
end

--- Waits until the child begins with the function, or has said why not. One that
--- has no descriptors for a loop of its own ends before it can say anything.
local function hear(pid, report)
  sys.dup2(report, report:fileno()) -- reading it waits now
  local bytes = report:read()
  if bytes == BEGUN then return pid end
  process.reap(pid)
  if not bytes or bytes == "" then
    return nil, "ECHILD: the process ended before the function began", "ECHILD"
  end
  local message, code = string.unpack("zz", bytes)
  return nil, message, code
end

local function fork(request, setup, theirs)
  local report, child_report, code = sys.pipe()
  if not report then return nil, child_report, code end
  local reading <close> = report
  local writing <close> = child_report
  local guard <close> = setmetatable({ parent = sys.getpid() }, Guard) -- luacheck: ignore 211
  local pid, message, failure = poe.kernel:fork()
  if not pid then return nil, message, failure end
  if pid == 0 then
    reading:close()
    be_child(request, setup, theirs, writing)
  end
  writing:close()
  return hear(pid, reading)
end

-- ---- start --------------------------------------------------------------------------

--- Starts a process. Our ends of the conduits belong to the caller then.
---@param request poe.wheel.process.request
---@return integer? pid
---@return poe.wheel.process.ends|string ends
---@return string? code
function process.start(request)
  local ours <close> = new_list()
  local theirs <close> = new_list()
  local ok, message, code = add_redirections(request, theirs)
  if ok then ok, message, code = add_conduits(request, ours, theirs) end
  if not ok then return nil, message, code end
  local setup = request.become
  setup.stdin, setup.stdout, setup.stderr = theirs.stdin, theirs.stdout, theirs.stderr
  local begin = type(request.program) == "function" and fork or spawn
  local pid
  pid, message, code = begin(request, setup, theirs)
  if not pid then return nil, message, code end
  ours.kept = true
  return pid, { stdin = ours.stdin, stdout = ours.stdout, stderr = ours.stderr }
end

return process
