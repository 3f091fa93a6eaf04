-- descriptors.lua -- examples/echo.lua with 64 descriptors and so many clients:
-- whom it has accepted is served, it neither spins nor chatters while it is
-- full, and is itself again as soon as clients have left.
--
--   poe spec/strain/descriptors.lua COUNT

local poe = require "poe"
local sys = require "poe.sys"
local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local LIMIT = 64
local FULL = COUNT < 1000 and 0.5 or 2 -- seconds for which it is looked at when full
local IN_TIME = 1   -- seconds after which it is to be itself again
local SLACK = 1     -- seconds more on a loaded machine
local MOST_CPU = 10 -- percent
local POE = os.getenv "POE_BIN" or "build/bin/poe"
local TICKS = 100   -- of /proc, a second

local answered, asked, served_again, pid, cpu, log_lines, full_seconds, recovered

local function ticks()
  local stat = strain.read_file(("/proc/%d/stat"):format(pid)):match "%) (.*)"
  local fields = {}
  for field in stat:gmatch "%S+" do
    fields[#fields + 1] = field
  end
  return tonumber(fields[12]) + tonumber(fields[13])
end

local Clients = {}

function Clients._start(kernel, heap)
  heap.sockets, heap.log = {}, ""
  answered, served_again, log_lines = {}, 0, 0
  local out, out_end = assert(sys.pipe())
  local log, log_end = assert(sys.pipe())
  pid = assert(kernel:fork())
  if pid == 0 then
    sys.dup2(out_end, 1)
    sys.dup2(log_end, 2)
    sys.exec { "sh", "-c", ("ulimit -n %d; exec %s examples/echo.lua"):format(LIMIT, POE) }
    sys._exit(127)
  end
  out_end:close()
  log_end:close()
  kernel:sig_child(pid, "on_end")
  kernel:select_read(out, "on_port")
  kernel:select_read(log, "on_log")
end

function Clients.on_port(kernel, heap, out)
  local text = out:read()
  if text == "" then
    out:close()
  elseif not heap.port then
    heap.port = assert(tonumber(text:match "port (%d+)"), text)
    for _ = 1, COUNT do
      kernel:yield("connect", "hello")
    end
    heap.full_since = poe.monotime()
    kernel:delay("look", FULL)
  end
end

function Clients.on_log(_, _, log)
  local text = log:read()
  if text == "" then
    log:close()
  elseif text then
    log_lines = log_lines + select(2, text:gsub("\n", ""))
  end
end

function Clients.connect(kernel, heap, word)
  local socket = assert(sys.tcp.connect { port = heap.port })
  heap.sockets[socket] = true
  kernel:select_write(socket, "on_connected", word)
end

function Clients.on_connected(kernel, _, socket, _, word)
  kernel:select_write(socket)
  assert(not socket:connect_error())
  socket:write(word)
  kernel:select_read(socket, "on_answer")
end

function Clients.on_answer(kernel, heap, socket)
  local bytes = socket:read()
  if bytes == "hello" then
    answered[#answered + 1] = socket
  elseif bytes == "again" then
    served_again = served_again + 1
  elseif bytes == "later" then
    recovered = poe.monotime() - heap.left_at
    kernel:yield "finish"
  end
end

--- It is full, by and by: those it knows are served, and it is quiet.
function Clients.look(kernel, heap)
  if #answered <= LIMIT // 2 then
    return kernel:delay("look", FULL)
  end
  asked = #answered
  heap.ticks, heap.looked_at = ticks(), poe.monotime()
  for _, socket in ipairs(answered) do
    socket:write "again"
  end
  kernel:delay("leave", FULL)
end

--- When they have been served all leave, and one comes.
function Clients.leave(kernel, heap)
  if served_again < asked then
    return kernel:delay("leave", FULL)
  end
  full_seconds = poe.monotime() - heap.full_since
  cpu = (ticks() - heap.ticks) / TICKS / (poe.monotime() - heap.looked_at) * 100
  heap.left_at = poe.monotime()
  for socket in pairs(heap.sockets) do
    socket:close()
  end
  heap.sockets = {}
  kernel:yield("connect", "later")
end

function Clients.finish(_, heap)
  for socket in pairs(heap.sockets) do
    socket:close()
  end
  sys.kill(pid, "INT")
end

function Clients.on_end(_, _, _, _, status)
  strain.equal(0, status, "how the server ended")
end

poe.session.create { inline_states = Clients }
strain.run()

assert(#answered > LIMIT // 2 and #answered < LIMIT, #answered .. " were accepted")
strain.equal(asked, served_again, "clients served while it was full")
assert(cpu < MOST_CPU, ("it took %.1f %% of a processor"):format(cpu))
assert(log_lines <= full_seconds + 1, log_lines .. " lines of log")
assert(recovered and recovered < IN_TIME + SLACK, "it was not itself again")
strain.say("%d descriptors, %d clients: %d accepted and served; while it was full "
  .. "%.1f %% of a processor, %d lines of log in %.1f s; itself again after %.2f s",
  LIMIT, COUNT, #answered, cpu, log_lines, full_seconds, recovered)
