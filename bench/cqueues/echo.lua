-- A TCP echo server.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local controller = cqueues.new()
local listener = socket.listen("127.0.0.1", 0)

local function serve(client)
  client:setmode("bn", "bn")
  for bytes in client:lines(-65536) do client:write(bytes) end
  client:close()
end

controller:wrap(function()
  for client in listener:clients() do controller:wrap(serve, client) end
end)

listener:listen()
local _, _, port = listener:localname()
print("port=" .. port)
io.flush()
assert(controller:loop())
