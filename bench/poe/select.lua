-- Ten pipes of `size` always have a byte to read; n deliveries of that news.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"
local sys = require "poe.sys"

local _, _, size = meter.args(1000000, 10)
local left = meter.phase()
local ends = {}

poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, size do
        local reader, writer = assert(sys.pipe())
        if i <= 10 then writer:write "x" end
        kernel:select_read(reader, "ready")
        ends[i] = { reader, writer }
      end
    end,
    ready = function(kernel)
      left = left - 1
      if left > 0 then return end
      left = meter.phase()
      if left then return end
      for i = 1, size do kernel:select_read(ends[i][1]) end
      left = math.huge
    end,
  },
}

poe.run()
meter.report()
