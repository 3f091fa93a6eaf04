-- A TCP echo server that writes at once when it can.
local uv = require "luv"

local listener = uv.new_tcp()
listener:bind("127.0.0.1", 0)
listener:listen(511, function()
  local client = uv.new_tcp()
  listener:accept(client)
  client:read_start(function(err, bytes)
    if not bytes or err then return client:close() end
    local wrote = client:try_write(bytes) or 0
    if wrote < #bytes then client:write(bytes:sub(wrote + 1)) end
  end)
end)

print("port=" .. listener:getsockname().port)
io.flush()
uv.run()
