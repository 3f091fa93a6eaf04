-- Programs, run by poe.sys.

local poe = require "poe"
local sys = require "poe.sys"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local read, write = assert(sys.pipe())
      local pid = sys.spawn { program = { "true", "x" }, stdout = write,
        env = { A = "b" } }
      write:close()
      read:close()
      sys.spawn { program = "/nonexistent" }
      if pid then assert(kernel:sig_child(pid, "ended")) end
      kernel:delay("give_up", 0.3)
    end,
    ended = function(kernel) kernel:delay("give_up") end,
    give_up = function(kernel) kernel:stop() end,
  },
}
poe.run()
