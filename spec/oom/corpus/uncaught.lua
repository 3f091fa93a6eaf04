-- Exceptions that are not caught, and stop within a handler.

local poe = require "poe"

poe.configure { catch_exceptions = false }
for i = 1, 3 do
  poe.session.create {
    inline_states = {
      _start = function(kernel) kernel:yield(i == 2 and "fail" or "go_on") end,
      fail = function() error("fail " .. i) end,
      go_on = function(kernel) kernel:yield("go_on") end,
      _stop = function(kernel) kernel:stop() end,
    },
  }
end
pcall(poe.run)
poe.configure { catch_exceptions = true }
