-- Two coroutines send each other an integer and a string: a mailbox each, and
-- a condition to wait on.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

meter.args(300000)
local controller = cqueues.new()
local left = meter.phase()

local function mailbox() return { arrived = condition.new() } end

local function post(box, number, text)
  box[#box + 1] = { number, text }
  box.arrived:signal()
end

local function receive(box)
  while not box[1] do box.arrived:wait() end
  return table.unpack(table.remove(box, 1))
end

local function play(own, peer)
  while left do
    local number, text = receive(own)
    left = left and left - 1
    if left and left <= 0 then left = meter.phase() end
    post(peer, number, text)
  end
end

local one, other = mailbox(), mailbox()
controller:wrap(play, one, other)
controller:wrap(play, other, one)
post(one, 1, "text")

assert(controller:loop())
meter.report()
