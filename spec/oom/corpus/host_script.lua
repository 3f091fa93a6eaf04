#!poe --why --trace=events -W
-- A script with arguments of its own, and the kernel run at its end.

assert(arg[0]:find "host_script" and #arg == 0)
local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:yield("add", 1, 2) end,
    add = function(_, _, a, b) print(a + b) end,
  },
}
