-- Ten pipes of `size` always have a byte to read; n deliveries of that news.
local uv = require "luv"
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local _, _, size = meter.args(500000, 10)
local left = meter.phase()
local polls, pipes = {}, {}

local function ready()
  left = left - 1
  if left > 0 then return end
  left = meter.phase()
  if left then return end
  for _, poll in ipairs(polls) do poll:stop() end
end

for i = 1, size do
  local pipe = assert(uv.pipe())
  if i <= 10 then uv.fs_write(pipe.write, "x") end
  pipes[i], polls[i] = pipe, uv.new_poll(pipe.read)
  polls[i]:start("r", ready)
end

uv.run()
for _, pipe in ipairs(pipes) do uv.fs_close(pipe.read) end
meter.report()
