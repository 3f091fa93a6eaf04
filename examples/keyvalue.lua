-- keyvalue.lua -- a store of keys and values that speaks lines.
--
--   poe examples/keyvalue.lua [port [host [file]]]
--
-- It prints the port it listens on, and answers each line with one:
--
--   set KEY VALUE    ok
--   get KEY          value VALUE, or none
--   del KEY          ok, or none
--   incr KEY [BY]    value NUMBER
--   keys             keys KEY KEY ...
--   quit             bye
--
-- or with "error TEXT". With a file, every change is a line at its end, from
-- which the store is made again at the next start. On SIGINT and SIGTERM it
-- accepts no more, answers what was asked, and ends.

local Server = require "poe.component.server.tcp"
local poe = require "poe"

io.stdout:setvbuf("line")

local port, host, path = ...

local store = {}

local Journal = {}

--- Makes the store of what was written before. A last line without its end was
--- being written when the machine went down.
function Journal.replay()
  local file <close> = io.open(path)
  for line in file and file:lines("L") or function() end do
    local key, value = line:match("^set (%S+) (.*)\n$")
    if key then
      store[key] = value
    else
      store[line:match("^del (%S+)\n$") or ""] = nil
    end
  end
end

function Journal.open()
  Journal.file = assert(io.open(path, "a"))
  Journal.file:setvbuf("line")
end

local function write(key, value)
  store[key] = value
  if Journal.file then
    Journal.file:write(value and ("set %s %s\n"):format(key, value)
      or ("del %s\n"):format(key))
  end
end

local commands = {}

function commands.set(rest)
  local key, value = rest:match("^(%S+) (.*)$")
  if not key then
    return "error set KEY VALUE"
  end
  write(key, value)
  return "ok"
end

function commands.get(key)
  return store[key] and "value " .. store[key] or "none"
end

function commands.del(key)
  if not store[key] then
    return "none"
  end
  write(key)
  return "ok"
end

function commands.incr(rest)
  local key, by = rest:match("^(%S+)%s*(%S*)$")
  local number = key and math.tointeger(tonumber(store[key] or 0))
  by = math.tointeger(tonumber(by ~= "" and by or 1))
  if not number or not by then
    return "error incr KEY [BY], with integers"
  end
  write(key, tostring(number + by))
  return "value " .. store[key]
end

function commands.keys()
  local keys = {}
  for key in pairs(store) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return table.concat({ "keys", table.unpack(keys) }, " ")
end

local function on_line(kernel, client, line)
  if client.is_leaving then
    return
  end
  local name, rest = line:match("^(%a+) ?(.*)$")
  if name == "quit" then
    client.is_leaving = true
    client.client:put("bye")
    kernel:yield("shutdown")
  elseif commands[name] then
    client.client:put(commands[name](rest))
  else
    client.client:put("error no such command")
  end
end

--- Accepts no more, and lets all go who have their answers.
local function on_signal(kernel)
  kernel:sig_handled()
  for _, client in ipairs(kernel:get_children(kernel.session)) do
    kernel:post(client, "shutdown")
  end
  kernel:yield("shutdown")
end

if path then
  Journal.replay()
  Journal.open()
end

Server.new({
  address = host,
  port = tonumber(port),
  client_input = on_line,
  started = function(kernel, heap)
    kernel:state("on_signal", on_signal)
    kernel:sig("INT", "on_signal")
    kernel:sig("TERM", "on_signal")
    local _, bound = heap.listener:getsockname()
    print("listening on port " .. bound)
  end,
  stopped = function()
    print("the store is closed")
  end,
})

poe.run()
