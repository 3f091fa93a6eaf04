-- All sessions stopped from within, with events under way.

local poe = require "poe"

for i = 1, 6 do
  poe.session.create {
    inline_states = {
      _start = function(kernel)
        kernel:delay("never", 60)
        kernel:yield(i == 4 and "stop" or "e", { i })
      end,
      e = function(kernel) kernel:post(1, "e", "x") end,
      stop = function(kernel) kernel:stop() end,
      _stop = function(kernel) kernel:post(kernel, "x"); kernel:yield("refused") end,
    },
  }
end
poe.run()
