-- Requests and responses of HTTP.

if not pcall(require, "poe.http") then return end

local Httpd = require "poe.filter.httpd"

local filter = Httpd.new {}
local text = "POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
for i = 1, #text, 7 do filter:get { text:sub(i, i + 6) } end
filter:get { "GET / HTTP/1.0\r\n\r\n", "nonsense\r\n\r\n" }
