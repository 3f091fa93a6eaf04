-- Datagrams, and a pair of sockets.
local poe = require "poe"
local sys = require "poe.sys"

local function is_later(code)
  return code == "EAGAIN" or code == "EINTR"
end

local got = {}

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local server = assert(sys.udp.bind {})
      local _, port = assert(server:getsockname())
      assert(kernel:select_read(server, "on_datagram"))
      local client <close> = assert(sys.udp.connect { port = port })
      assert(client:send "datagram")
      local a, b = assert(sys.socketpair())
      assert(kernel:select_read(a, "on_bytes"))
      assert(b:write "bytes")
      assert(b:close())
    end,
    on_datagram = function(_, _, server)
      local bytes, message, code = server:recv()
      if is_later(code) then return end
      got[1] = assert(bytes, message)
      assert(server:close())
    end,
    on_bytes = function(_, _, socket)
      local bytes, message, code = socket:read()
      if is_later(code) then return end
      if assert(bytes, message) == "" then
        assert(socket:close())
      else
        got[2] = bytes
      end
    end,
    _stop = function() print(got[1], got[2]) end,
  },
}
poe.run()
