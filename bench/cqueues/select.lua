-- Ten socket pairs of `size` always have a byte to read; n deliveries.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local _, _, size = meter.args(200000, 10)
local controller = cqueues.new()
local left = meter.phase()
local pairs_of = {}

local function watch(handle)
  while left do
    cqueues.poll(handle)
    left = left - 1
    if left <= 0 then left = meter.phase() end
    if not left then controller:cancel(handle.pollfd) end
  end
end

for i = 1, size do
  local one, other = socket.pair()
  pairs_of[i] = { one, other }
  if i <= 10 then
    other:setmode("bn", "bn")
    other:write "x"
  end
  controller:wrap(watch, { pollfd = one:pollfd(), events = "r" })
end

while left do assert(controller:step()) end
for _, pair in ipairs(pairs_of) do pair[1]:close() end
meter.report()
