-- A server and a client by wheels; what fails is told by error_event.
local ReadWrite = require "poe.wheel.readwrite"
local SocketFactory = require "poe.wheel.socketfactory"
local poe = require "poe"

local function fail(_, _, operation, code, text)
  error(("%s: %s: %s"):format(operation, code, text), 0)
end

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      heap.server = SocketFactory.new { bind_port = 0, success_event = "on_peer",
        failure_event = "fail" }
      local _, port = heap.server:getsockname()
      heap.connector = port and SocketFactory.new { remote_address = "127.0.0.1",
        remote_port = port, success_event = "on_connected", failure_event = "fail" }
      kernel:delay("give_up", 5)
    end,
    on_peer = function(_, heap, socket)
      heap.peer = assert(ReadWrite.new { handle = socket, input_event = "on_question",
        error_event = "on_end" })
      heap.server:destroy()
    end,
    on_connected = function(_, heap, socket)
      heap.client = assert(ReadWrite.new { handle = socket, input_event = "on_answer",
        error_event = "fail" })
      heap.client:put "question"
    end,
    on_question = function(_, heap, line)
      print(line)
      heap.peer:put "answer"
    end,
    on_answer = function(kernel, heap, line)
      print(line)
      heap.client:destroy()
      kernel:delay "give_up"
    end,
    on_end = function(kernel, heap, operation, code, text)
      if code ~= 0 then fail(kernel, heap, operation, code, text) end
      heap.peer:destroy()
    end,
    fail = fail,
    give_up = function() error("nothing came", 0) end,
  },
}
poe.run()
