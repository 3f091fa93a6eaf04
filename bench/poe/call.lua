-- One session calls another, with an integer, and gets one back.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

meter.args(1000000)

local adder = poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:alias_set "adder" end,
    add = function(_, _, value) return value + 1 end,
  },
}:ID()

poe.session.create {
  inline_states = {
    _start = function(kernel)
      local value = 0
      for times in meter.phase do
        for _ = 1, times do value = kernel:call(adder, "add", value) end
      end
    end,
  },
}

poe.run()
meter.report()
