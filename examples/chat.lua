-- chat.lua -- a chat server: what one says, all others read.
--
--   poe examples/chat.lua [port [host]]
--
-- It prints the port it listens on; talk to it with nc or telnet. Lines are said
-- to all; "/nick NAME", "/who" and "/quit" are commands. Everybody has a queue of
-- his own: one who does not read holds up nobody, and is let go when a megabyte
-- waits for him. On SIGINT all are sent home.

local Server = require "poe.component.server.tcp"
local poe = require "poe"

io.stdout:setvbuf("line")

local port, host = ...

local guests = {} -- heaps of those who are here, by session ID
local count = 0

--- Says a line to all, but for one.
local function say_to_all(line, but)
  for _, guest in pairs(guests) do
    if guest ~= but and guest.client then
      guest.client:put(line)
    end
  end
end

local function is_taken(name)
  for _, guest in pairs(guests) do
    if guest.name == name then
      return true
    end
  end
  return false
end

local commands = {}

function commands.nick(_, guest, name)
  if not name:find("^%w+$") then
    guest.client:put("* a name is letters and digits")
  elseif is_taken(name) then
    guest.client:put("* there is a " .. name .. " already")
  else
    say_to_all("* " .. guest.name .. " is now " .. name)
    guest.name = name
  end
end

function commands.who(_, guest)
  local names = {}
  for _, other in pairs(guests) do
    names[#names + 1] = other.name
  end
  table.sort(names)
  guest.client:put("* here: " .. table.concat(names, ", "))
end

function commands.quit(kernel, guest)
  guest.client:put("* bye")
  kernel:yield("shutdown")
end

local function on_line(kernel, guest, line)
  local name, rest = line:match("^/(%a+)%s*(.-)%s*$")
  if not name then
    say_to_all(guest.name .. ": " .. line, guest)
  elseif commands[name] then
    commands[name](kernel, guest, rest)
  else
    guest.client:put("* no such command: /" .. name)
  end
end

local function on_arrival(kernel, guest)
  count = count + 1
  guest.name = "guest" .. count
  guest.client:put("* you are " .. guest.name .. "; /nick, /who, /quit")
  say_to_all("* " .. guest.name .. " comes in")
  guests[kernel.session:ID()] = guest
end

local function on_departure(kernel, guest)
  guests[kernel.session:ID()] = nil
  say_to_all("* " .. guest.name .. " leaves")
end

--- Sends everybody home; the server ends with the last of them.
local function on_interrupt(kernel)
  kernel:sig_handled()
  kernel:sig("INT") -- a second one ends the program the hard way
  say_to_all("* closing time")
  for id in pairs(guests) do
    kernel:post(id, "shutdown")
  end
  kernel:yield("shutdown")
end

Server.new({
  address = host,
  port = tonumber(port),
  idle_timeout = 3600, -- people think
  max_output = 1 << 20,
  started = function(kernel, heap)
    kernel:state("on_interrupt", on_interrupt)
    kernel:sig("INT", "on_interrupt")
    local _, bound = heap.listener:getsockname()
    print("listening on port " .. bound)
  end,
  stopped = function()
    print(("%d guests were here"):format(count))
  end,
  client_connected = on_arrival,
  client_input = on_line,
  client_disconnected = on_departure,
})

poe.run()
