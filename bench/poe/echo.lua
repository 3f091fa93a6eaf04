-- A TCP echo server over bare selects.
local poe = require "poe"
local sys = require "poe.sys"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local listener = assert(sys.tcp.listen {
        host = "127.0.0.1", port = 0, backlog = 511,
      })
      kernel:select_read(listener, "accept")
      local _, port = listener:getsockname()
      print("port=" .. port)
      io.flush()
    end,
    accept = function(kernel, _, listener)
      local client = listener:accept()
      if client then kernel:select_read(client, "readable") end
    end,
    readable = function(_, _, client)
      local bytes, _, code = client:read()
      if code == "EAGAIN" then return end
      if not bytes or bytes == "" or client:write(bytes) ~= #bytes then
        client:close()
      end
    end,
  },
}

poe.run()
