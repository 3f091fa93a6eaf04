-- SPDX-License-Identifier: MIT
-- The command line of `poe`: options, running what they name, exit status.
--
-- The function returned here runs on a coroutine.  What is the user's (a
-- script, -e, the kernel) it yields as message handler, function, arguments;
-- whoever resumes it calls that as xpcall would, on the bare main thread, and
-- hands over the results.  Functions of the libraries are kept in locals
-- because scripts may change the globals while this one waits.

local globals, loaded = _G, debug.getregistry()._LOADED
local getmetatable, traceback = debug.getmetatable, debug.traceback
local yield, unpack, getenv = coroutine.yield, table.unpack, os.getenv
local load, loadfile, pcall, rawequal = load, loadfile, pcall, rawequal
local error, ipairs, next = error, ipairs, next
local tonumber, tostring, type = tonumber, tostring, type
local collectgarbage, warn = collectgarbage, warn
local stderr, stdin, stdout = io.stderr, io.stdin, io.stdout

local OK, FAILED, WRONG_USE = 0, 1, 2

local USAGE = [==[
usage: poe [options] [script [args]]
       poe --check file...
Available options are:
  -e stat   execute string 'stat'
  -i        enter interactive mode after executing 'script'
  -l mod    require library 'mod' into global 'mod'
  -l g=mod  require library 'mod' into global 'g'
  -v        show version information
  -E        ignore environment variables
  -W        turn warnings on
  --        stop handling options
  -         stop handling options and execute stdin
  -c, --check           check the syntax of the files, run nothing
  -h, --help            show this help
  --loop name           the event loop to wait with: uv, poll, select, ...
  --trace topic,...     trace events, files, refcnt, retvals, sessions,
                        signals, destroy; default is all of them
  --assert topic,...    check data, events, files, retvals, usage, states;
                        default is all of them
  --max-memory bytes    as many, or with K, M or G behind, for Lua and kernel
  --slow ms             tell of handlers that run longer, with their stack
  --virtual-time        when nothing is ready, go to the next timer at once
  --why                 record who makes what; on SIGUSR1 and when interrupted,
                        tell what keeps the program alive
  --version             show the version of poe alone
]==]

local TOPICS = {
  trace = "events files refcnt retvals sessions signals destroy default",
  assert = "data events files retvals usage states default",
}

-- Options

local function add_step(options, option, value)
  options.steps[#options.steps + 1] = { option, value }
  options.executes = options.executes or option == "-e"
  return true
end

local function set_loop(options, _, name)
  options.loop = name
  return true
end

--- For --trace and --assert; topics of several such options add up.
local function add_topics(options, option, list)
  local kind = option:sub(3)
  local known, topics = TOPICS[kind], options[kind] or {}
  for topic in (list .. ","):gmatch "([^,]*)," do
    if not (" " .. known .. " "):find(" " .. topic .. " ", 1, true) then
      return nil, ("unknown topic '%s' of '%s' (known are %s)")
        :format(topic, option, (known:gsub(" ", ", ")))
    end
    topics[topic] = true
  end
  options[kind] = topics
  return true
end

local function set_max_memory(options, _, value)
  options.max_memory = value
  return true
end

local function set_slow(options, option, value)
  options.slow_ms = tonumber(value)
  if options.slow_ms and options.slow_ms > 0 then return true end
  return nil, ("'%s' must be a number of milliseconds, not '%s'")
    :format(option, value)
end

local with_value = {
  ["-e"] = add_step, ["-l"] = add_step, ["--loop"] = set_loop,
  ["--trace"] = add_topics, ["--assert"] = add_topics, ["--slow"] = set_slow,
  ["--max-memory"] = set_max_memory,
}

local without_value = {
  ["-E"] = "noenv", ["-i"] = "interactive", ["-v"] = "banner",
  ["-c"] = "check", ["--check"] = "check",
  ["-h"] = "help", ["--help"] = "help",
  ["--version"] = "version", ["--virtual-time"] = "virtual_time",
  ["--why"] = "why",
}

--- Splits "-estat" and "--loop=name"; the value is nil if it is yet to come.
local function split(arg)
  local short = arg:match "^%-[el]"
  if short then
    return short, #arg > 2 and arg:sub(3) or nil
  end
  local name, value = arg:match "^(%-%-[^=]+)=(.*)$"
  if with_value[name] then return name, value end
  return arg
end

--- Takes the option at argv[i]; returns the index after it, or nil, message.
local function take_option(options, argv, i)
  local name, value = split(argv[i])
  local flag, set = without_value[name], with_value[name]
  if flag then
    options[flag] = true
    return i + 1
  elseif name == "-W" then
    add_step(options, name)
    return i + 1
  elseif not set then
    local bare = argv[i]:match "^(%-%-[^=]+)="
    return nil, (without_value[bare] and "'%s' takes no argument"
      or "unrecognized option '%s'"):format(without_value[bare] and bare or argv[i])
  elseif not value then
    i, value = i + 1, argv[i + 1]
    if not value or value:sub(1, 1) == "-" then
      return nil, ("'%s' needs argument"):format(name)
    end
  end
  local ok, problem = set(options, name, value)
  return ok and i + 1, problem
end

--- What cannot be said together.
local function find_conflict(options, argv)
  if not options.check then return nil end
  local step = options.steps[1]
  if step or options.interactive then
    return ("'%s' does not go with '--check'"):format(step and step[1] or "-i")
  end
  return not argv[options.script] and "'--check' needs argument" or nil
end

--- The options of a command line; nil and a message if it is wrong.
local function parse(argv)
  local options, i, problem = { steps = {} }, 1
  while argv[i] and argv[i]:find "^%-." and argv[i] ~= "--" do
    i, problem = take_option(options, argv, i)
    if not i then
      return nil, problem
    elseif options.help or options.version then
      return options
    end
  end
  options.script = argv[i] == "--" and i + 1 or i
  problem = find_conflict(options, argv)
  return not problem and options or nil, problem
end

-- Failures

local function complain(message)
  stderr:write("poe: ", message, "\n")
end

local kept = {} -- the last error value that went through keep_failure

--- The message handler.  The error stays as it is for to-be-closed variables;
--- its traceback is kept beside it.
local function keep_failure(err)
  kept = { value = err, traceback = traceback(nil, 2) }
  return err
end

--- An error value as text, and whether a traceback helps its reader.
local function describe(value)
  if type(value) == "string" or type(value) == "number" then
    return tostring(value), true
  end
  local mt = getmetatable(value)
  if type(mt) == "table" and mt.__tostring then
    local ok, text = pcall(mt.__tostring, value)
    if ok and type(text) == "string" then return text, false end
  end
  return ("(error object is a %s value)"):format(type(value)), true
end

--- The traceback of the handler that failed, if run() raised this value.
local function handler_traceback(value)
  local core = loaded["poe.core"]
  if not core then return nil end
  local trace, raised = core.last_traceback()
  return rawequal(raised, value) and trace or nil
end

--- Names the limit, if that is why there is not enough memory.
local function with_limit(message)
  local core = loaded["poe.core"]
  if not core or not message:find "not enough memory$" then return message end
  local _, limit = core.memory()
  return limit and ("%s (max_memory is %d bytes)"):format(message, limit)
    or message
end

--- Says what is wrong.
local function report(err, own_traceback, say)
  local message, want_trace = describe(err)
  message = with_limit(message)
  local trace = handler_traceback(err) or want_trace and own_traceback
  say(trace and message .. "\n" .. trace or message)
end

-- Running

--- Calls f on the main thread, as pcall.
local function call(f, ...)
  return yield(keep_failure, f, ...)
end

local function reported(ok, ...)
  if not ok then
    local err = ...
    report(err, rawequal(kept.value, err) and kept.traceback, complain)
  end
  return ok, ...
end

--- The same; an error is reported.
local function execute(f, ...)
  return reported(call(f, ...))
end

--- Executes what load returned: a chunk, or nil and a message.
local function run_chunk(chunk, message, ...)
  if not chunk then
    complain(message)
    return false
  end
  return (execute(chunk, ...))
end

local function run_string(code, name)
  return run_chunk(load(code, name))
end

local function run_file(name)
  return run_chunk(loadfile(name))
end

local function run_init()
  local suffix = _VERSION:gsub("%D+", "_")
  for _, name in ipairs { "LUA_INIT" .. suffix, "LUA_INIT" } do
    local init = getenv(name)
    if init and init:sub(1, 1) == "@" then return run_file(init:sub(2)) end
    if init then return run_string(init, "=" .. name) end
  end
  return true
end

local step_runners = {
  ["-e"] = function(code)
    return run_string(code, "=(command line)")
  end,
  ["-l"] = function(spec)
    local global, name = spec:match "^([^=]*)=(.*)$"
    local ok, module = execute(globals.require, name or spec)
    if ok then globals[global or spec] = module end
    return ok
  end,
  ["-W"] = function()
    warn "@on"
    return true
  end,
}

--- Runs -e, -l and -W in their order, up to the first failure.
local function run_steps(steps)
  for _, step in ipairs(steps) do
    if not step_runners[step[1]](step[2]) then return false end
  end
  return true
end

local function run_script(argv, index)
  local name, args = argv[index], globals.arg
  if name == "-" and argv[index - 1] ~= "--" then name = nil end
  if type(args) ~= "table" then error("'arg' is not a table", 0) end
  local chunk, message = loadfile(name)
  return run_chunk(chunk, message, unpack(args))
end

--- Runs the kernel for a program that loaded it and did not run it.
local function run_kernel()
  local poe, core = loaded.poe, loaded["poe.core"]
  if not poe or core.run_called() then return true end
  return (execute(poe.run))
end

local function run_repl()
  local ok, repl = execute(globals.require, "poe.repl")
  return ok and repl(call, report)
end

local function has_terminal()
  local ok, lineedit = pcall(globals.require, "poe.lineedit")
  return ok and lineedit.isatty()
end

--- What comes when nothing on the command line is to be executed.
local function run_stdin(banner)
  if not has_terminal() then return run_file(nil) and run_kernel() end
  stdout:write(banner, "\n")
  return run_repl()
end

--- Everything after the options that are for Lua itself; true if all is well.
local function run(options, argv, banner)
  if not run_steps(options.steps) then return false end
  local script = argv[options.script]
  if script and not run_script(argv, options.script) then return false end
  if options.interactive then return run_repl() end
  if script or options.banner or options.executes then return run_kernel() end
  return run_stdin(banner)
end

-- The order of things

--- Where the modules in C lie that belong to the Lua files in dir.
local function library_path(dir)
  local prefix = dir:match "^(.*)/share/lua/5%.4$"
  if prefix then return prefix .. "/lib/lua/5.4/?.so" end
  return dir:gsub("/lua$", "") .. "/build/lib/?.so"
end

local function load_library(name, file)
  local entry = "luaopen_" .. name:gsub("%.", "_")
  local open, message = package.loadlib(file, entry)
  if open then return open, file end
  error(("error loading module '%s' from file '%s':\n\t%s")
    :format(name, file, message))
end

--- Finds the modules of poe in dir, before package.path is searched.
local function add_searcher(dir)
  local path = dir .. "/?.lua;" .. dir .. "/?/init.lua"
  local libraries = library_path(dir)
  local searchpath = package.searchpath
  table.insert(package.searchers, 2, function(name)
    if name ~= "poe" and name:sub(1, 4) ~= "poe." then return nil end
    local file, tried = searchpath(name, path)
    if not file then
      file = searchpath(name, libraries)
      if file then return load_library(name, file) end
      return tried
    end
    local chunk, message = loadfile(file)
    if chunk then return chunk, file end
    error(("error loading module '%s' from file '%s':\n\t%s")
      :format(name, file, message))
  end)
end

local function set_arg(argv, script)
  local first, arg = argv[script] and script or 0, {}
  for i = 0, #argv do
    arg[i - first] = argv[i]
  end
  globals.arg = arg
end

--- Only says whether the files are Lua; the status of the worst.
local function check_files(argv, first)
  local status = OK
  for i = first, #argv do
    local chunk, message = loadfile(argv[i] ~= "-" and argv[i] or nil)
    if not chunk then
      complain(message)
      status = FAILED
    end
  end
  return status
end

--- What the options say to poe.configure. At a prompt an interrupt is the
--- prompt's, so the kernel does not listen to signals there.
local function switches_of(options)
  return {
    loop = options.loop,
    trace = options.trace,
    assert = options.assert,
    virtual_time = options.virtual_time,
    max_memory = options.max_memory,
    slow_ms = options.slow_ms,
    why = options.why and (options.interactive or "signals"),
  }
end

local OPTION_OF = {
  loop = "--loop", trace = "--trace", assert = "--assert", why = "--why",
  virtual_time = "--virtual-time", max_memory = "--max-memory", slow_ms = "--slow",
}

--- Why the switches were refused, with the option whose value it was.
local function refusal(poe, switches, err)
  for switch, value in next, switches do
    local done, why = call(poe.configure, { [switch] = value })
    if not done then
      return ("'%s': %s"):format(OPTION_OF[switch],
        (describe(why):gsub("^configure: ", "")))
    end
  end
  return (describe(err))
end

--- Hands the kernel its options; a refused one is wrong use.
local function configure(options)
  local switches = switches_of(options)
  if not next(switches) then return OK end
  local ok, poe = execute(globals.require, "poe")
  if not ok then return FAILED end
  local done, err = call(poe.configure, switches)
  if done then return OK end
  complain(refusal(poe, switches, err))
  return WRONG_USE
end

local function start(options, argv, noenv, banner)
  local status = configure(options)
  if status ~= OK then return status end
  if options.interactive then stdin:setvbuf "no" end
  collectgarbage "generational"
  local ok = (noenv or run_init()) and run(options, argv, banner)
  if loaded["poe.core"] then loaded["poe.core"].close() end
  return ok and OK or FAILED
end

--- The program.  argv has the program's own name at 0; dir is where its Lua
--- files are; open_package(noenv) opens the package library and says whether
--- the environment is to be ignored; the versions are for the banner.
---@param argv string[]
---@param dir string
---@param open_package fun(noenv: boolean?): boolean
---@param version string
---@param lua_version string
---@return integer status
local function main(argv, dir, open_package, version, lua_version)
  local options, problem = parse(argv)
  local noenv = open_package(options and options.noenv)
  local banner = ("poe %s, %s"):format(version, lua_version)
  if not options then
    complain(problem .. "\n" .. USAGE:sub(1, -2))
    return WRONG_USE
  elseif options.help then
    stdout:write(USAGE)
    return OK
  elseif options.version then
    stdout:write("poe ", version, "\n")
    return OK
  elseif options.check then
    return check_files(argv, options.script)
  end
  if options.banner or options.interactive then stdout:write(banner, "\n") end
  add_searcher(dir)
  set_arg(argv, options.script)
  return start(options, argv, noenv, banner)
end

return main
