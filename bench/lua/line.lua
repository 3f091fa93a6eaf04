-- Lines of 100 bytes from memory, in blocks of 64 KiB: what a plain loop does
-- that keeps the unfinished line, and has no limit.
local meter = dofile((arg[0]:match(".*/") or "./") .. "../lib/meter.lua")

local n, warm = meter.args(2000000)
local text = (("x"):rep(99) .. "\n"):rep(16384)
local blocks = {}
for at = 1, #text, 65536 do blocks[#blocks + 1] = text:sub(at, at + 65535) end

local rest = ""

local function get(block)
  local lines, from = {}, 1
  block = rest .. block
  for line, at in block:gmatch "([^\n]*)\n()" do
    lines[#lines + 1], from = line, at
  end
  rest = block:sub(from)
  return lines
end

local function read(count)
  local got, i = 0, 0
  while got < count do
    i = i % #blocks + 1
    got = got + #get(blocks[i])
  end
  return got
end

read(warm)
meter.start()
meter.stop(read(n))
meter.report()
