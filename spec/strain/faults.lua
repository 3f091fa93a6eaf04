-- faults.lua -- makes each system call of a few scripts fail, one at a time,
-- with every error that it can have: the script goes on to the same result, or
-- says what is wrong and ends with a status that is not 0. It never crashes,
-- hangs, or gives another result without a word.
--
--   poe spec/strain/faults.lua COUNT [NAME [LOOP]]
--
-- COUNT calls are tried, spread over all that there are; 0: each of them.
-- NAME and LOOP choose one script and one loop.
--
-- strace(1) makes them fail. What comes before the program's own first call is
-- the loader's, and left alone. strace counts the calls of each process by
-- itself: to make one fail in the child of a fork, the call of that number in
-- its parent must be one that may fail so, too.

local strain = dofile "spec/strain/strain.lua"

local POE = os.getenv "POE_BIN" or "build/bin/poe"
local STRACE = "strace -y -E ASAN_OPTIONS=detect_leaks=0"
local PATIENCE = tonumber(os.getenv "PATIENCE" or 10) -- seconds until a run counts as hung
local LOOPS = { "uv", "poll", "select" }

local SCRIPTS = {
  "spec/strain/fault/timers.lua", "spec/strain/fault/pipe.lua",
  "spec/strain/fault/tcp.lua", "spec/strain/fault/datagram.lua",
  "spec/strain/fault/child.lua", "spec/strain/fault/run.lua",
  "spec/strain/fault/signal.lua", "spec/strain/fault/files.lua",
  "spec/strain/fault/wheels.lua", "examples/tick.lua 3 0.01",
  "examples/pingpong.lua 2", "examples/forkers.lua 2 1000",
  "examples/supervisor.lua",
}

-- Which errors a call can have, by what its first descriptor is. What is not
-- here cannot fail with the arguments it gets (rt_sigaction, uname), or its
-- failure changes nothing (munmap, madvise).

local EXHAUSTED = { "EMFILE", "ENFILE", "ENOMEM" }
local STREAM_READ = { "EAGAIN", "EINTR", "ECONNRESET" }

local ERRORS = {
  accept4 = { any = { "EAGAIN", "EINTR", "ECONNABORTED", "EPERM", "EMFILE",
    "ENFILE", "ENOMEM" } },
  bind = { any = { "EADDRINUSE", "EACCES", "ENOMEM" } },
  brk = { any = { "ENOMEM" } },
  clone = { any = { "EAGAIN", "ENOMEM" } },
  clone3 = { any = { "EAGAIN", "ENOMEM" } },
  close = { file = { "EINTR", "EIO" } },
  connect = { any = { "EAGAIN", "EADDRNOTAVAIL", "ECONNREFUSED", "ENETUNREACH" } },
  dup = { any = { "EMFILE" } },
  dup3 = { any = { "EINTR" } },
  epoll_create1 = { any = EXHAUSTED },
  epoll_ctl = { add = { "ENOMEM", "ENOSPC" } },
  epoll_wait = { any = { "EINTR" } },
  eventfd2 = { any = EXHAUSTED },
  execve = { any = { "EAGAIN", "ENOMEM", "EACCES" } },
  fcntl = { dup = { "EMFILE" }, setpipe = { "EPERM" } },
  getsockname = { any = { "ENOBUFS" } },
  getsockopt = { any = { "ENOBUFS" } },
  kill = { any = { "EPERM", "ESRCH" } },
  listen = { any = { "EADDRINUSE" } },
  mmap = { any = { "ENOMEM" } },
  mremap = { any = { "ENOMEM" } },
  newfstatat = { any = { "ENOMEM", "EIO" } },
  openat = { any = { "EMFILE", "ENFILE", "ENOMEM", "EINTR", "EACCES" } },
  pipe2 = { any = { "EMFILE", "ENFILE" } },
  poll = { any = { "EINTR", "ENOMEM" } },
  ppoll = { any = { "EINTR", "ENOMEM" } },
  pselect6 = { any = { "EINTR", "ENOMEM" } },
  read = { any = STREAM_READ, file = { "EIO", "EINTR" },
    pipe = { "EAGAIN", "EINTR" }, blocking = { "EINTR" }, signal = { "EINTR" },
    terminal = { "EAGAIN", "EINTR" } },
  recvfrom = { any = STREAM_READ },
  sendto = { any = { "EAGAIN", "ENOBUFS", "ECONNREFUSED", "EPIPE" } },
  setsockopt = { any = { "ENOMEM" } },
  socket = { any = { "EMFILE", "ENFILE", "ENOBUFS", "EACCES" } },
  socketpair = { any = EXHAUSTED },
  vfork = { any = { "EAGAIN", "ENOMEM" } },
  wait4 = { any = { "EINTR" } },
  waitid = { any = { "EINTR" } },
  write = { any = { "EAGAIN", "EPIPE", "EINTR" }, file = { "ENOSPC", "EIO" },
    pipe = { "EAGAIN", "EINTR" }, blocking = { "EINTR" }, signal = { "EINTR" },
    terminal = { "EAGAIN", "EINTR" } },
}

if strain.is_sanitized() then -- memory is the sanitizer's, which does not live without
  ERRORS.brk, ERRORS.mmap, ERRORS.mremap = nil, nil, nil
end

--- How strace is told: brk(2) fails by its result.
local function injection(case)
  return ("%s:%s:when=%d"):format(case.call,
    case.call == "brk" and "retval=0" or "error=" .. case.error, case.n)
end

-- Running --------------------------------------------------------------------

local base = os.tmpname()

--- Runs words of a shell; returns the status as in $?, and both outputs.
local function run(words)
  local _, how, code = os.execute(("exec timeout -k 5 %d %s >%s.out 2>%s.err </dev/null")
    :format(PATIENCE, words, base, base))
  return how == "exit" and code or 128 + code, strain.read_file(base .. ".out"),
    strain.read_file(base .. ".err")
end

local function words_of(case)
  return ("%s --loop %s %s"):format(POE, case.loop, case.script)
end

-- What there is to fail ---------------------------------------------------------

--- What was traced: { pid, call, rest }, in the order of beginning; what other
--- processes interrupted is put together again.
local function read_trace(path)
  local lines, begun = {}, {}
  for line in io.lines(path) do
    local pid, call, rest = line:match "^(%d*) *([%w_]+)%((.*)"
    if call then
      local entry = { pid = pid, call = call, rest = rest }
      lines[#lines + 1] = entry
      begun[pid] = rest:find "<unfinished" and entry or nil
    else
      pid, rest = line:match "^(%d+) +<%.%.%. [%w_]+ resumed>(.*)"
      if begun[pid] then
        begun[pid].rest = begun[pid].rest .. rest
      end
    end
  end
  return lines
end

--- What kind of call it is. Pipes that block are only read when there is
--- something, and only libuv has them: they guard its signal handlers. Its pipe
--- of signals, records of 16 bytes, is not full before it holds 65,536 of them.
--- EIO is the end of a terminal: nobody writes any more.
local function kind_of(call, rest, blocking)
  if call == "epoll_ctl" then
    return rest:find "EPOLL_CTL_ADD" and "add" or "other"
  elseif call == "fcntl" then
    return rest:find "F_DUPFD" and "dup" or rest:find "F_SETPIPE" and "setpipe"
      or "other"
  end
  local what = rest:match "^%d+<(.-)>," or ""
  if what:find "^pipe" then
    return blocking[what] and "blocking" or rest:find ", 16%) += " and "signal" or "pipe"
  end
  if what:find "^/dev/pt" then
    return "terminal"
  end
  return what:find "^/" and "file" or "any"
end

--- libuv ends the process when it cannot make that pipe. Before it makes the
--- first one the kernel tries whether it can.
local function is_libuvs_pipe(process, call, rest)
  if call ~= "pipe2" or rest:find "O_NONBLOCK" then
    return false
  end
  process.blocking_pipes = (process.blocking_pipes or 0) + 1
  return process.is_child or process.blocking_pipes > 1
end

--- The errors that this call may have.
local function errors_of(process, entry, blocking)
  local call, rest = entry.call, entry.rest
  local kinds = ERRORS[call]
  process.is_loading = process.is_loading
    and not (call == "readlink" and rest:find "self/exe")
  if is_libuvs_pipe(process, call, rest) then
    blocking[rest:match "<(pipe:%[%d+%])>"] = true
    return {}
  elseif process.is_loading or not kinds or rest:find "= %-1 E" then
    return {}
  end
  return kinds[kind_of(call, rest, blocking)] or kinds.any or {}
end

local function new_process(is_child)
  return { numbers = {}, errors = {}, is_child = is_child, is_loading = not is_child }
end

local function contains(list, value)
  for _, each in ipairs(list or {}) do
    if each == value then
      return true
    end
  end
  return false
end

--- All cases of a script: one for each call and error, in the first process
--- and in its first child.
local function find_cases(script, loop, cases)
  local trace = base .. ".trace"
  local status, out, err = run(("%s -f -o %s %s"):format(STRACE, trace,
    words_of { script = script, loop = loop }))
  assert(status == 0, script .. " fails by itself: " .. err)
  local processes, n, main, blocking = {}, 0, nil, {}
  for _, entry in ipairs(read_trace(trace)) do
    local process = processes[entry.pid]
    if not process then
      n = n + 1
      process = new_process(n > 1)
      process.is_ignored = n > 2
      processes[entry.pid], main = process, main or process
    end
    local call = entry.call
    local number = (process.numbers[call] or 0) + 1
    process.numbers[call] = number
    local errors = errors_of(process, entry, blocking)
    process.errors[call .. number] = errors
    for _, name in ipairs(process.is_ignored and {} or errors) do
      cases[#cases + 1] = {
        script = script, loop = loop, wanted = out, call = call, n = number,
        error = name, line = call .. "(" .. entry.rest, is_in_child = process.is_child,
        main = main,
      }
    end
  end
  os.remove(trace)
end

--- Not in the child, if its parent would meet what cannot be.
local function is_possible(case)
  local number = case.main.numbers[case.call] or 0
  return not case.is_in_child or number < case.n
    or contains(case.main.errors[case.call .. case.n], case.error)
end

-- Judging -------------------------------------------------------------------------

local tally = { went_on = 0, failed = 0, told = 0, missed = 0 }
local bad = {}

local function is_stderr(case)
  return case.line:find "^write%(2[<,]"
end

--- The lines in order: which of two timers is first may depend on the machine.
local function sorted(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

--- What is wrong with how it ended, or nil and what it counts as.
local function judge(case, status, out, err)
  if status == 124 or status == 137 then
    return "hangs"
  elseif status > 128 then
    return "dies of signal " .. status - 128
  elseif status == 0 and sorted(out) == sorted(case.wanted) then
    return nil, "went_on"
  elseif status ~= 0 then
    if err == "" and not is_stderr(case) then
      return "ends with status " .. status .. " and without a word"
    end
    return nil, "failed"
  elseif err == "" and not out:find "not enough memory" and not is_stderr(case) then
    return "has another result and says nothing"
  end
  return nil, "told"
end

--- Whether the call that failed is one that can. Signals may come sooner or
--- later than they did when the calls were counted, and libuv's calls with them.
local function hit_what_can_fail(trace)
  local blocking, registered = {}, {}
  for _, entry in ipairs(read_trace(trace)) do
    local rest = entry.rest
    if entry.call == "pipe2" and not rest:find "O_NONBLOCK" then
      blocking[rest:match "<(pipe:%[%d+%])>" or ""] = true
    end
    local is_hit = rest:find "%(INJECTED%)"
    local epoll_fd = rest:match "EPOLL_CTL_%u%u%u, (%d+)"
    if is_hit and epoll_fd then
      return not registered[epoll_fd]
    elseif is_hit then
      local kind = kind_of(entry.call, rest, blocking)
      return kind ~= "blocking" and kind ~= "signal"
    elseif epoll_fd then
      registered[epoll_fd] = rest:find "EPOLL_CTL_ADD" ~= nil
    end
  end
  return true
end

local function try(case)
  local trace = base .. ".trace"
  local strace = ("%s %s-e trace=%s,pipe2 -e inject=%s"):format(STRACE,
    case.is_in_child and "-f " or "", case.call, injection(case))
  local status, out, err = run(("%s -o %s %s"):format(strace, trace, words_of(case)))
  local problem, kind = judge(case, status, out, err)
  if problem and not hit_what_can_fail(trace) then
    problem, kind = nil, "missed"
  end
  os.remove(trace)
  if not problem then
    tally[kind] = tally[kind] + 1
    return
  end
  bad[#bad + 1] = case
  print(("%s %s\n  %s\n  %s %s\n%s"):format(case.error, problem, case.line,
    strace, words_of(case), (err:gsub("[^\n]+", "    %0"))))
end

-- The whole ---------------------------------------------------------------------

if not os.execute "strace -f -e trace=none true >/dev/null 2>&1" then
  strain.say "skipped: strace is not there, or the system refuses ptrace(2)"
  os.exit(0)
end

local want, name, only_loop = ...
local found, cases = {}, {}
for _, script in ipairs(SCRIPTS) do
  for _, loop in ipairs(only_loop and { only_loop } or LOOPS) do
    if not name or script:find(name, 1, true) then
      find_cases(script, loop, found)
    end
  end
end
for _, case in ipairs(found) do
  if is_possible(case) then
    cases[#cases + 1] = case
  end
end
want = tonumber(want) > 0 and math.min(tonumber(want), #cases) or #cases
for i = 1, want do
  try(cases[(i - 1) * #cases // want + 1])
end
for _, suffix in ipairs { "", ".out", ".err" } do
  os.remove(base .. suffix)
end
strain.say("%d of %d ways to fail tried: %d went on, %d ended with an error, "
  .. "%d told of it, %d met another call, %d bad", want, #cases, tally.went_on,
  tally.failed, tally.told, tally.missed, #bad)
os.exit(#bad == 0)
