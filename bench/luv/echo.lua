-- A TCP echo server.
local uv = require "luv"

local listener = uv.new_tcp()
listener:bind("127.0.0.1", 0)
listener:listen(511, function()
  local client = uv.new_tcp()
  listener:accept(client)
  client:read_start(function(err, bytes)
    if bytes and not err then client:write(bytes) else client:close() end
  end)
end)

print("port=" .. listener:getsockname().port)
io.flush()
uv.run()
