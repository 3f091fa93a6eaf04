-- Two sessions that answer each other.

local poe = require "poe"

local function side(name, other)
  poe.session.create {
    inline_states = {
      _start = function(kernel) kernel:alias_set(name) end,
      ball = function(kernel, _, n)
        if n < 20 then
          assert(kernel:post(kernel.sender, "ball", n + 1))
        else
          kernel:post(other, "over")
          kernel:yield("over")
        end
      end,
      begin = function(kernel) kernel:post(other, "ball", 1) end,
      over = function(kernel) kernel:alias_remove(name) end,
    },
  }
end

side("left", "right")
side("right", "left")
poe.kernel:post("left", "begin")
poe.run()
