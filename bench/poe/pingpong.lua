-- Two sessions send each other an integer and a string.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local poe = require "poe"

meter.args(1000000)
local left

local function player()
  return poe.session.create {
    inline_states = {
      _start = function(kernel) kernel:alias_set(tostring(kernel.session)) end,
      phase = function(kernel, heap, peer)
        heap.peer = peer
        left = meter.phase()
        if left then kernel:post(peer, "ball", 1, "text") end
      end,
      meet = function(_, heap, peer) heap.peer = peer end,
      ball = function(kernel, heap, number, text)
        left = left - 1
        if left > 0 then
          kernel:post(heap.peer, "ball", number, text)
        else
          kernel:yield("phase", heap.peer)
        end
      end,
    },
  }
end

local one, other = player(), player()
poe.kernel:post(one, "phase", other:ID())
poe.kernel:post(other, "meet", one:ID())

poe.run()
meter.report()
