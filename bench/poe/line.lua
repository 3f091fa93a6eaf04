-- Lines of 100 bytes from memory, in blocks of 64 KiB as a driver reads them:
-- each block's lines in one go.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")
local Line = require "poe.filter.line"

local n, warm = meter.args(2000000)
local text = (("x"):rep(99) .. "\n"):rep(16384)
local blocks = {}
for at = 1, #text, 65536 do blocks[#blocks + 1] = text:sub(at, at + 65535) end

local filter = Line.new { literal = "\n" }

--- Reads blocks, over and over, until at least `count` lines have come.
local function read(count)
  local got, i = 0, 0
  while got < count do
    i = i % #blocks + 1
    got = got + #filter:get { blocks[i] }
  end
  return got
end

read(warm)
meter.start()
meter.stop(read(n))
meter.report()
