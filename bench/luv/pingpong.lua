-- Two objects send each other an integer and a string through the queue.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local queue = dofile((arg[0]:match(".*/") or "./") .. "queue.lua")

meter.args(1000000)
local left

local Player = {}
Player.__index = Player

function Player:ball(number, text)
  left = left - 1
  if left > 0 then
    queue.post(self.peer.ball, self.peer, number, text)
  else
    queue.post(self.phase, self)
  end
end

function Player:phase()
  left = meter.phase()
  if left then queue.post(self.peer.ball, self.peer, 1, "text") end
end

local one = setmetatable({}, Player)
local other = setmetatable({ peer = one }, Player)
one.peer = other

queue.post(one.phase, one)
uv.run()
meter.report()
