-- shell.lua -- talks to a server, line by line, while you type.
--
--   poe examples/shell.lua port [host]
--
-- What the server sends appears above the line that you are typing.  Lines that
-- begin with a slash are for the shell itself: /help tells which.  Tab completes
-- them, and the arrow keys go through what was typed before.  Without a terminal
-- it sends its input, and ends when the server has answered all of it:
--
--   printf 'one\ntwo\n' | poe examples/shell.lua port
--
-- It is a state machine: what a line means depends on whether there is a server.

local NFA = require "poe.nfa"
local ReadLine = require "poe.wheel.readline"
local ReadWrite = require "poe.wheel.readwrite"
local SocketFactory = require "poe.wheel.socketfactory"
local poe = require "poe"

local port, host = ...
if not math.tointeger(port) then
  io.stderr:write("usage: poe examples/shell.lua port [host]\n")
  os.exit(2)
end
host = host or "127.0.0.1"

-- ---- what is typed ------------------------------------------------------------

local function leave(kernel, shell)
  for _, wheel in ipairs { shell.console, shell.server or shell.factory } do
    wheel:destroy()
  end
  kernel.session:stop()
end

local COMMANDS = {}

COMMANDS["/help"] = function(_, shell)
  shell.console:put("/connect  to the server again", "/help     this list",
    "/quit     as ^D and ^C do")
end

COMMANDS["/connect"] = function(kernel, shell)
  if kernel.session:get_current_state() == "offline" then
    kernel.session:goto_state("connecting", "enter")
  else
    shell.console:put "there is no need to"
  end
end

COMMANDS["/quit"] = leave

local function complete(word, _, start)
  local found = {}
  for name in pairs(COMMANDS) do
    if start == 1 and name:sub(1, #word) == word then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

--- The handler of a line: commands are the same in all states, what else is
--- typed is for `f`, and the end for `at_end`.
local function line_handler(f, at_end)
  return function(kernel, shell, line, exception)
    if exception == "eot" then return at_end(kernel, shell) end
    if exception == "interrupt" then return leave(kernel, shell) end
    if line and line ~= "" then
      shell.console:add_history(line)
      local command = COMMANDS[line:match "^%s*(/%S*)%s*$"] or f
      command(kernel, shell, line)
      if command == leave then return end
    end
    shell.console:get()
  end
end

-- ---- the states -----------------------------------------------------------------

local begin, connecting, online, offline = {}, {}, {}, {}

function begin.enter(kernel, shell)
  shell.console = assert(ReadLine.new { input_event = "line",
    completion_function = complete })
  kernel.session:goto_state("connecting", "enter")
end

-- connecting: lines wait for the server

function connecting.enter(_, shell)
  shell.factory = SocketFactory.new { remote_address = host, remote_port = port,
    connect_timeout = 10, success_event = "connected", failure_event = "failed" }
  shell.console:get "(connecting) "
end

connecting.line = line_handler(function(_, shell, line)
  table.insert(shell.waiting, line)
end, function(_, shell)
  shell.has_ended = true
end)

function connecting.connected(kernel, _, socket)
  kernel.session:goto_state("online", "enter", socket)
end

function connecting.failed(kernel, _, _, _, text)
  kernel.session:goto_state("offline", "enter", text)
end

-- online: lines go to the server, and come from it

function online.enter(_, shell, socket)
  shell.factory = nil
  shell.server = assert(ReadWrite.new { handle = socket,
    input_event = "received", error_event = "lost" })
  if shell.waiting[1] then shell.server:put(table.unpack(shell.waiting)) end
  shell.waiting = {}
  if shell.has_ended then return shell.server:shutdown_output() end
  shell.console:get(host .. "> ")
end

online.line = line_handler(function(_, shell, line)
  shell.server:put(line)
end, function(_, shell)
  shell.has_ended = true
  shell.server:shutdown_output()
end)

function online.received(_, shell, line)
  shell.console:put(line)
end

function online.lost(kernel, _, _, code, text)
  kernel.session:goto_state("offline", "enter",
    code ~= 0 and text or "the server has closed the connection")
end

function online.leave(_, shell)
  shell.server:destroy()
  shell.server = nil
end

-- offline: nothing but commands

function offline.enter(kernel, shell, why)
  if shell.has_ended then return leave(kernel, shell) end
  shell.console:put(why)
  shell.console:get "(offline) "
end

offline.line = line_handler(function(_, shell)
  shell.console:put "there is no server: /connect or /quit"
end, leave)

NFA.spawn {
  inline_states = {
    begin = begin, connecting = connecting, online = online, offline = offline,
  },
  runstate = { waiting = {} },
}:goto_state("begin", "enter")

poe.run()
