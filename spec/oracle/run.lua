-- Runs one oracle scenario (JSON, see README.md) on our kernel and prints the
-- normalised trace on standard output, as run_poe.pl does for POE.
--
--   poe --virtual-time run.lua CASE.json      simulated clock
--   poe run.lua CASE.json                     real clock
--   lua5.4 run.lua [--virtual] CASE.json      the same with the module
--
-- It turns data into calls and results into text, and knows no case. What the
-- kernel answers is printed in POE's words: README.md has the table.

local HERE = arg[0]:match("^(.*/)[^/]*$") or "./"

if not package.preload["poe.core"] then
  local root = HERE .. "../../"
  package.path = root .. "lua/?.lua;" .. root .. "lua/?/init.lua;"
    .. package.path
  package.cpath = root .. "build/lib/?.so;" .. package.cpath
end

local json = dofile(HERE .. "json.lua")
local poe = require "poe"
local sys = require "poe.sys"

local LINE_LIMIT = 600
local NO_SUCH_ID = 999999
local NO_SUCH_TIMER = 999999999
local NIL_IN_POE = { ENOSYS = true, EDIED = true }

local kernel = poe.kernel
local scenario
local lines = {}
local depth = 0
local epoch
local name_of, id_of = {}, {}
local timers, slots = {}, {}
local pipes, pipe_of = {}, {}

-- trace -----------------------------------------------------------------

local function finish(status)
  io.write(table.concat(lines, "\n"), "\n")
  os.exit(status, true)
end

local function emit(...)
  lines[#lines + 1] = table.concat({ ... }, " ")
  if #lines > LINE_LIMIT then
    lines[#lines + 1] = "X limit"
    finish(3)
  end
end

local function session_name(session)
  if poe.type(session) == "kernel" then
    return "K"
  end
  return name_of[session:ID()] or "?"
end

local function quote(text)
  text = text:gsub("\n$", "")
  text = text:gsub(
    "\n?Additional error thrown in handler for previous error:\n", " + ")
  return '"' .. text:gsub("\n", "\\n") .. '"'
end

local show

local function show_list(list)
  local texts = {}
  for i = 1, list.n or #list do
    texts[i] = show(list[i])
  end
  return "[" .. table.concat(texts, ",") .. "]"
end

local function show_exception(ex)
  return ("{event=%s from=%s to=%s by=%s err=%s}"):format(ex.event,
    session_name(ex.source_session), session_name(ex.dest_session),
    ex.from_state or "-", show(ex.error_str))
end

function show(value)
  if type(value) == "string" and not value:find("^-?%d+$") then
    return quote(value)
  elseif poe.type(value) then
    return session_name(value)
  elseif pipe_of[value] then
    return "pipe:" .. pipe_of[value]
  elseif type(value) == "table" then
    return value.error_str and show_exception(value) or show_list(value)
  end
  return tostring(value)
end

-- results ---------------------------------------------------------------

-- The errno's name if the values are those of a run-time failure, else nil.
-- Handlers of scenarios return one value, so theirs are never taken for it.
local function failure(value, message, code)
  if value == nil and type(message) == "string" and type(code) == "string"
    and message:find(code .. ": ", 1, true) == 1 then
    return code
  end
end

local function verdict(good, value, ...)
  if value then
    return good
  end
  return failure(value, ...) or "?"
end

local function count(value, ...)
  return value and show(value) or failure(value, ...) or "?"
end

local function answer(...)
  local code = failure(...)
  if code and not NIL_IN_POE[code] then
    return code
  end
  return show((...))
end

local function report(context, op, ...)
  emit("R", depth, context.name, op.op, ...)
end

-- operations --------------------------------------------------------------

local ops = {}
local spawn, new_handler

local function args_of(op)
  if op.args then
    return table.unpack(op.args, 1, op.args.n)
  end
end

local function destination(context, to)
  if to == "K" then
    return kernel
  elseif to == "self" then
    return context.session:ID()
  elseif to == "sender" then
    return context.sender
  end
  return to:match("^alias:(.+)") or id_of[to] or NO_SUCH_ID
end

local function seconds_of(op)
  return op.ms and op.ms / 1000
end

local function time_of(op)
  if op.at then
    return epoch + op.at / 1000
  end
  return op.ms and poe.time() + op.ms / 1000
end

local function timer_of(op)
  return timers[op.id] or NO_SUCH_TIMER
end

function ops.post(context, op)
  report(context, op, op.to, op.ev, verdict(1,
    kernel:post(destination(context, op.to), op.ev, args_of(op))))
end

function ops.yield(_, op)
  kernel:yield(op.ev, args_of(op))
end

function ops.call(context, op)
  report(context, op, op.to, op.ev, answer(
    kernel:call(destination(context, op.to), op.ev, args_of(op))))
end

function ops.trycall(context, op)
  local function outcome(ok, ...)
    return ok and answer(...) or "died " .. show((...))
  end
  report(context, op, op.to, op.ev, outcome(pcall(kernel.call, kernel,
    destination(context, op.to), op.ev, args_of(op))))
end

local function set_named(method, when)
  return function(_, op)
    local time = when(op)
    if time then
      kernel[method](kernel, op.ev, time, args_of(op))
    else
      kernel[method](kernel, op.ev)
    end
  end
end

ops.delay = set_named("delay", seconds_of)
ops.delay_add = set_named("delay_add", seconds_of)
ops.alarm = set_named("alarm", time_of)
ops.alarm_add = set_named("alarm_add", time_of)

function ops.delay_set(_, op)
  timers[op.id] = kernel:delay_set(op.ev, seconds_of(op), args_of(op))
end

function ops.alarm_set(_, op)
  timers[op.id] = kernel:alarm_set(op.ev, time_of(op), args_of(op))
end

function ops.alarm_remove(context, op)
  local event, due, args = kernel:alarm_remove(timer_of(op))
  if event then
    report(context, op, op.id, event, show_list(args))
  else
    report(context, op, op.id, failure(event, due, args) or "?")
  end
end

function ops.alarm_adjust(context, op)
  report(context, op, op.id, verdict("ok",
    kernel:alarm_adjust(timer_of(op), seconds_of(op))))
end

function ops.delay_adjust(context, op)
  local due = kernel:delay_adjust(timer_of(op), seconds_of(op))
  report(context, op, op.id, due and "ok" or "fail")
end

function ops.alarm_remove_all(context, op)
  local events = {}
  for i, timer in ipairs(kernel:alarm_remove_all()) do
    events[i] = timer.event
  end
  report(context, op, "[" .. table.concat(events, ",") .. "]")
end

function ops.alias_set(context, op)
  report(context, op, op.alias, verdict("ok", kernel:alias_set(op.alias)))
end

function ops.alias_remove(context, op)
  report(context, op, op.alias, verdict("ok", kernel:alias_remove(op.alias)))
end

function ops.alias_resolve(context, op)
  local session, message, code = kernel:alias_resolve(op.alias)
  local failed = not session and failure(session, message, code) or "?"
  report(context, op, op.alias, session and session_name(session)
    or failed == "ESRCH" and "fail" or failed)
end

function ops.alias_list(context, op)
  report(context, op, "[" .. table.concat({ kernel:alias_list() }, ",") .. "]")
end

function ops.exists(context, op)
  local session = kernel:ID_id_to_session(id_of[op.to] or NO_SUCH_ID)
  report(context, op, op.to, session and 1 or 0)
end

function ops.sig(_, op)
  kernel:sig(op.sig, op.ev, args_of(op))
end

function ops.unsig(_, op)
  kernel:sig(op.sig)
end

function ops.signal(context, op)
  report(context, op, op.to, op.sig, verdict(1,
    kernel:signal(destination(context, op.to), op.sig, args_of(op))))
end

function ops.sig_handled()
  kernel:sig_handled()
end

function ops.ref_inc(context, op)
  report(context, op, op.to, op.tag, count(
    kernel:refcount_increment(destination(context, op.to), op.tag)))
end

function ops.ref_dec(context, op)
  report(context, op, op.to, op.tag, count(
    kernel:refcount_decrement(destination(context, op.to), op.tag)))
end

function ops.detach_myself(context, op)
  report(context, op, verdict(1, kernel:detach_myself()))
end

function ops.detach_child(context, op)
  report(context, op, op.to, verdict(1,
    kernel:detach_child(destination(context, op.to))))
end

function ops.spawn(context, op)
  spawn(op.name)
  report(context, op, op.name, "ok")
end

function ops.state(context, op)
  if op.on then
    kernel:state(op.ev, new_handler(context.name, op.on))
  else
    kernel:state(op.ev)
  end
end

local function set_slot(name, slot)
  local old = slots[name]
  slots[name] = slot
  if old then
    old.call:close()
  end
end

local function make_slot(kind)
  return function(context, op)
    local call = context.session[kind](context.session, op.ev, args_of(op))
    set_slot(op.slot, call and { call = call, kind = kind })
  end
end

ops.postback = make_slot("postback")
ops.callback = make_slot("callback")

function ops.fire(context, op)
  local slot = slots[op.slot]
  local result = "none"
  if slot and slot.kind == "postback" then
    result = verdict(0, slot.call(args_of(op)))
  elseif slot then
    result = show((slot.call(args_of(op))))
  end
  report(context, op, op.slot, result)
end

function ops.drop(_, op)
  set_slot(op.slot, nil)
end

local function watch(method, stream)
  return function(_, op)
    local handle = pipes[op.p][stream]
    if op.ev then
      kernel[method](kernel, handle, op.ev, args_of(op))
    else
      kernel[method](kernel, handle)
    end
  end
end

ops.select_read = watch("select_read", "read_end")
ops.select_write = watch("select_write", "write_end")

function ops.pause_read(context, op)
  local paused = kernel:select_pause_read(pipes[op.p].read_end)
  report(context, op, op.p, paused and 1 or 0)
end

function ops.resume_read(context, op)
  local resumed = kernel:select_resume_read(pipes[op.p].read_end)
  report(context, op, op.p, resumed and 1 or 0)
end

function ops.pause_write(context, op)
  local paused = kernel:select_pause_write(pipes[op.p].write_end)
  report(context, op, op.p, paused and 1 or 0)
end

function ops.resume_write(context, op)
  local resumed = kernel:select_resume_write(pipes[op.p].write_end)
  report(context, op, op.p, resumed and 1 or 0)
end

-- POE's truth is 1 and 0.
local function option_value(value)
  return value == true and 1 or value == false and 0 or value
end

function ops.option(context, op)
  local session = context.session
  local old
  if op.set then
    old = session:option(op.name, op.val)
  else
    old = session:option(op.name)
  end
  report(context, op, op.name, show(option_value(old)))
end

function ops.slice(context, op)
  kernel:run_one_timeslice()
  report(context, op, "done")
end

function ops.pwrite(_, op)
  pipes[op.p].write_end:write(("x"):rep(op.n))
end

function ops.pread(context, op)
  local bytes = pipes[op.p].read_end:read(op.n)
  report(context, op, op.p, bytes and #bytes or "again")
end

function ops.log(context, op)
  report(context, op, op.msg)
end

function ops.ret(context, op)
  context.value = op.val
end

function ops.die(_, op)
  error(op.msg, 0)
end

function ops.kstop(context, op)
  kernel:stop()
  report(context, op, "done")
end

-- sessions ----------------------------------------------------------------

-- What acts on the running session; after stop() there is none.
local NEEDS_SESSION = {}
for name in ([[yield delay delay_add alarm alarm_add delay_set alarm_set
  alarm_remove alarm_adjust delay_adjust alarm_remove_all alias_set
  alias_remove alias_list sig unsig detach_myself detach_child state
  select_read select_write pause_read resume_read pause_write
  resume_write option]]):gmatch("%S+") do
  NEEDS_SESSION[name] = true
end

local function run_step(context, step)
  for _, op in ipairs(step) do
    local perform = ops[op.op] or error("unknown op " .. tostring(op.op), 0)
    if NEEDS_SESSION[op.op] and kernel.session == kernel then
      report(context, op, "outside")
    else
      perform(context, op)
    end
  end
  return context.value
end

local function run_nested(context, step)
  local outer = depth
  depth = outer + 1
  local ok, value = pcall(run_step, context, step)
  depth = outer
  if not ok then
    error(value, 0)
  end
  return value
end

function new_handler(name, steps)
  local invoked = 0
  return function(_, _, ...)
    local session, sender, event = kernel.session, kernel.sender, kernel.event
    if event == "_start" and not id_of[name] then
      id_of[name] = session:ID()
      name_of[session:ID()] = name
    end
    invoked = invoked + 1
    local step = steps[invoked]
    emit("D", depth, name, event, session_name(sender),
      kernel.caller_event or "-", show_list(table.pack(...)))
    if step and step.n > 0 then
      local context = { name = name, session = session, sender = sender }
      return run_nested(context, step)
    end
  end
end

function spawn(name)
  local session = scenario.sessions[name] or error("no session " .. name, 0)
  local states = { _start = new_handler(name, {}) }
  for event, steps in pairs(session.on) do
    states[event] = new_handler(name, steps)
  end
  poe.session.create {
    inline_states = states,
    args = session.args,
    options = session.options,
  }
end

-- the run -----------------------------------------------------------------

local function usage()
  io.stderr:write("usage: run.lua [--virtual] CASE.json\n")
  os.exit(2)
end

local function case_of(words)
  local virtual = words[1] == "--virtual"
  local path = words[virtual and 2 or 1] or usage()
  return path, virtual
end

local function load_scenario(path)
  local file = assert(io.open(path, "rb"))
  local case = json.decode(file:read("a"))
  file:close()
  assert(case.format == 1, "unknown scenario format")
  return case
end

local function make_pipes(names)
  for _, name in ipairs(names or {}) do
    local read_end, write_end = assert(sys.pipe())
    pipes[name] = { read_end = read_end, write_end = write_end }
    pipe_of[read_end], pipe_of[write_end] = name, name
  end
end

local function run()
  if scenario.slices then
    while kernel:run_one_timeslice() do end
  else
    kernel:run()
  end
end

local path, virtual = case_of(arg)
scenario = load_scenario(path)
if virtual then
  poe.configure { virtual_time = true }
end
poe.configure { catch_exceptions = scenario.catch ~= false }
make_pipes(scenario.pipes)
epoch = poe.time()
for _, roots in ipairs(scenario.runs or { scenario.roots }) do
  for _, name in ipairs(roots) do
    spawn(name)
  end
  local ok, err = pcall(run)
  emit("X", ok and "returned" or "died " .. show(err))
end
finish(0)
