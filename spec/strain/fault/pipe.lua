-- Bytes through a watched pipe; a regular file, which is always ready.
local poe = require "poe"
local sys = require "poe.sys"

local function is_later(code)
  return code == "EAGAIN" or code == "EINTR"
end

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      heap.left, heap.got = ("0123456789"):rep(10000), 0
      local read, write = assert(sys.pipe())
      assert(kernel:select_read(read, "on_bytes"))
      assert(kernel:select_write(write, "on_room"))
      assert(kernel:select_read(assert(sys.open(arg[0])), "on_file"))
    end,
    on_room = function(_, heap, write)
      local n, message, code = write:write(heap.left)
      if is_later(code) then return end
      heap.left = heap.left:sub(assert(n, message) + 1)
      if heap.left == "" then
        assert(write:close())
      end
    end,
    on_bytes = function(_, heap, read)
      local bytes, message, code = read:read()
      if is_later(code) then return end
      heap.got = heap.got + #assert(bytes, message)
      if bytes == "" then
        assert(read:close())
        print(heap.got)
      end
    end,
    on_file = function(_, _, file)
      local text, message, code = file:read()
      if is_later(code) then return end
      print(assert(text, message):match "[^\n]*")
      assert(file:close())
    end,
  },
}
poe.run()
