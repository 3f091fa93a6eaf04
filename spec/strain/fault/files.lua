-- Files by Lua's library and by poe.sys, and much memory.
local poe = require "poe"
local sys = require "poe.sys"

local function write_and_read(path)
  local file = assert(io.open(path, "w"))
  assert(file:write(("line\n"):rep(3000)))
  assert(file:close())
  local fd <close> = assert(sys.open(path))
  local n = 0
  repeat
    local bytes = assert(fd:read())
    n = n + #bytes
  until bytes == ""
  return n
end

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local path = os.tmpname()
      local ok, n = pcall(write_and_read, path)
      os.remove(path)
      print((assert(ok and n, n)))
      for i = 1, 20000 do
        kernel:yield("count", { i })
      end
    end,
    count = function(_, heap, list)
      heap[#heap + 1] = list
    end,
    _stop = function(_, heap) print(#heap) end,
  },
}
poe.run()
