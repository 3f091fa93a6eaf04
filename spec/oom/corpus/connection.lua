-- A server and its client on the loopback address.

local SocketFactory = require "poe.wheel.socketfactory"
local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      kernel:delay("over", 0.3)
      heap.server = SocketFactory.new { bind_address = "127.0.0.1", bind_port = 0,
        success_event = "accepted", failure_event = "over" }
      local _, port = heap.server:getsockname()
      heap.client = SocketFactory.new { remote_address = "127.0.0.1",
        remote_port = port, success_event = "connected", failure_event = "over" }
    end,
    accepted = function(kernel, heap, socket)
      heap.accepted = socket
      kernel:yield("over")
    end,
    connected = function(_, heap, socket) heap.connected = socket end,
    over = function(kernel, heap)
      kernel:delay("over")
      for name, thing in pairs(heap) do
        thing:close()
        heap[name] = nil
      end
    end,
  },
}
poe.run()
