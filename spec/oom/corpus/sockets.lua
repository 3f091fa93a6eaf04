-- Sockets of poe.sys: TCP, UDP, Unix.

local sys = require "poe.sys"

local server = assert(sys.tcp.listen { host = "127.0.0.1", port = 0 })
local host, port = server:getsockname()
local client = assert(sys.tcp.connect { host = host, port = port })
client:setsockopt("SO_KEEPALIVE", true)
local accepted = server:accept()
if accepted then accepted:send("hello") end
client:recv(5)
for _, socket in pairs { server, client, accepted } do socket:close() end

local one, two = assert(sys.socketpair())
one:write("x")
two:read(10)
one:close()
two:close()
