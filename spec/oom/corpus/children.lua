-- Processes that are awaited, one that has ended before.

local poe = require "poe"
local sys = require "poe.sys"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:sig("CHLD", "any")
      for code = 0, 2 do
        local pid = kernel:fork()
        if pid == 0 then sys._exit(code) end
        if pid and not kernel:sig_child(pid, "ended", code) then
          sys.kill(pid, "KILL")
        end
      end
      kernel:delay("give_up", 0.3)
    end,
    any = function() end,
    ended = function(kernel, heap, _, _, status)
      heap[#heap + 1] = { poe.wait_status(status) }
      if #heap == 3 then kernel:stop() end
    end,
    give_up = function(kernel) kernel:stop() end,
  },
}
poe.run()
