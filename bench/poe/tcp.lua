-- A TCP echo server with the component.
local Server = require "poe.component.server.tcp"
local poe = require "poe"

Server.new {
  concurrency = 10000,
  client_filter = "poe.filter.stream",
  client_input = function(_, heap, bytes) heap.client:put(bytes) end,
  started = function(_, heap)
    local _, port = heap.listener:getsockname()
    print("port=" .. port)
    io.flush()
  end,
}

poe.run()
