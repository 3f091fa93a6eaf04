-- Descriptors: watched twice, paused, by several sessions.

local poe = require "poe"
local sys = require "poe.sys"

local read, write = assert(sys.pipe())

for i = 1, 3 do
  poe.session.create {
    inline_states = {
      _start = function(kernel)
        assert(kernel:select_read(read, "first", i))
        assert(kernel:select_read(read, "ready", i, nil))
        assert(kernel:select_write(write, "room"))
        kernel:select_expedite(read, "urgent")
        kernel:select_pause_read(read)
        kernel:delay("go_on", 0.001)
        kernel:delay("give_up", 0.3)
      end,
      go_on = function(kernel) kernel:select_resume_read(read) end,
      room = function(kernel)
        write:write("x")
        kernel:select_write(write)
      end,
      ready = function(kernel)
        kernel:select(read)
        kernel:delay("give_up")
      end,
      give_up = function(kernel) kernel:stop() end,
    },
  }
end
pcall(poe.run)
read:close()
write:close()
