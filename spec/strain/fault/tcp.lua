-- A server and a client in one process.
local poe = require "poe"
local sys = require "poe.sys"

local function is_later(code)
  return code == "EAGAIN" or code == "EINTR" or code == "ECONNABORTED"
end

local function read(socket)
  local bytes, message, code = socket:read()
  if not is_later(code) then
    return assert(bytes, message)
  end
end

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local listener = assert(sys.tcp.listen {})
      local _, port = assert(listener:getsockname())
      assert(kernel:select_read(listener, "on_client"))
      local socket = assert(sys.tcp.connect { port = port })
      assert(kernel:select_write(socket, "on_connected"))
      kernel:delay("give_up", 5)
    end,
    on_client = function(kernel, _, listener)
      local socket, message, code = listener:accept()
      if is_later(code) then return end
      assert(socket, message)
      assert(kernel:select_read(socket, "on_question"))
      assert(listener:close())
    end,
    on_connected = function(kernel, _, socket)
      local message = socket:connect_error()
      assert(not message, message)
      assert(kernel:select_write(socket))
      assert(socket:write "question") -- so little fits in any case
      assert(kernel:select_read(socket, "on_answer"))
    end,
    on_question = function(_, _, socket)
      local bytes = read(socket)
      if not bytes then return end
      print(bytes)
      if bytes ~= "" then
        assert(socket:write "answer")
      end
      assert(socket:close())
    end,
    on_answer = function(kernel, heap, socket)
      local bytes = read(socket)
      if not bytes then return end
      print(bytes)
      if bytes == "" then
        assert(socket:close())
        assert(heap.is_answered, "no answer")
        kernel:delay "give_up"
      end
      heap.is_answered = true
    end,
    give_up = function() error "nothing came" end,
  },
}
poe.run()
