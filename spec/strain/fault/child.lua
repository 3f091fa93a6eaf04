-- Children: one that goes on with the kernel, one that becomes a program.
local poe = require "poe"
local sys = require "poe.sys"

io.stdout:setvbuf "no"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local pid = assert(kernel:fork())
      if pid == 0 then
        kernel:delay("leave", 0.005)
        return
      end
      assert(kernel:sig_child(pid, "on_exit", "a kernel"))
      pid = assert(kernel:fork())
      if pid == 0 then
        sys.exec { "sh", "-c", "exit 4" }
        sys._exit(127)
      end
      assert(kernel:sig_child(pid, "on_exit", "a program"))
    end,
    leave = function()
      sys._exit(3)
    end,
    on_exit = function(_, heap, _, _, status, what)
      local how, code = poe.wait_status(status)
      heap[#heap + 1] = ("%s: %s %d"):format(what, how, code)
    end,
    _stop = function(_, heap)
      table.sort(heap)
      print(table.concat(heap, "\n"))
      assert(heap[1] == "a kernel: exit 3" and heap[2] == "a program: exit 4")
    end,
  },
}
poe.run()
