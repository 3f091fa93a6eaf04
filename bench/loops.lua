-- What a loop costs: descriptors that are only watched, beside ten busy ones.
--
--   poe [--loop NAME] bench/loops.lua WATCHED TURNS
--
-- prints the microseconds of the processor that a turn of ten events takes.
local poe, sys = require "poe", require "poe.sys"

local ACTIVE = 10
local watched, turns = tonumber(arg[1]) or 10, tonumber(arg[2]) or 1000
local ends, count = {}, 0

for i = 1, watched do
  ends[i] = { assert(sys.socketpair()) }
end

poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, watched do kernel:select_read(ends[i][1], "readable", i) end
      for i = 1, ACTIVE do ends[i][2]:write "x" end
    end,
    readable = function(kernel, _, socket, _, i)
      socket:read(10)
      count = count + 1
      if count < turns * ACTIVE then
        ends[i][2]:write "x"
      elseif count == turns * ACTIVE then
        kernel:stop()
      end
    end,
  },
}

local began = os.clock()
poe.run()
print(("%s, %d watched: %.1f us a turn"):format(poe.kernel:poe_kernel_loop(),
  watched, (os.clock() - began) / turns * 1e6))
