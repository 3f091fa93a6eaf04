-- What every measured Lua program needs: its size arguments, CPU time of the
-- process, resident memory, and one line of key=value pairs as its result.

local meter = {}

local started
local planned
local result = {}
local scale = tonumber(os.getenv "BENCH_SCALE") or 1

--- The number of operations from the first program argument or the default,
--- the length of the warm-up before them, and a size that is not scaled.
---@param default integer
---@param size? integer
---@return integer n, integer warm, integer size
function meter.args(default, size)
  local n = tonumber(arg[1]) or math.max(10, default * scale // 1)
  n = math.tointeger(n)
  local warm = math.max(1, n // 10)
  planned = { warm, n }
  return n, warm, math.tointeger(tonumber(arg[2]) or size)
end

local function status_kb(field)
  for line in io.lines "/proc/self/status" do
    local kb = line:match("^" .. field .. ":%s*(%d+)")
    if kb then return tonumber(kb) end
  end
end

--- Resident memory now, in bytes.
function meter.rss() return status_kb "VmRSS" * 1024 end

--- Begins the measured part; the garbage of the set-up is not charged to it.
function meter.start()
  collectgarbage()
  started = os.clock()
end

--- Ends the measured part: CPU nanoseconds for each of `ops` operations.
---@param ops integer
---@param key? string
function meter.stop(ops, key)
  meter.set(key or "ns", (os.clock() - started) * 1e9 / ops)
  result.ops = ops
end

--- The phases of a program that counts down: first the operations to warm up
--- with; then, the clock started, those to measure; then, it stopped, nil.
---@return integer? left
function meter.phase()
  if #planned == 0 then return meter.stop(result.ops) end
  if #planned == 1 then
    result.ops = planned[1]
    meter.start()
  end
  return table.remove(planned, 1)
end

--- Adds one figure to the result.
function meter.set(key, value) result[key] = value end

--- 4,096 delays spread over [low, high), the same in every language.
---@return number[]
function meter.delays(low, high)
  local delays, seed = {}, 42
  for i = 1, 4096 do
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    delays[i] = low + (high - low) * (seed >> 8) / 0x800000
  end
  return delays
end

--- A function to call after each operation: the longest CPU time between two
--- calls becomes the result's pause_ms.
function meter.pause()
  local last, longest = os.clock(), 0
  return function()
    local now = os.clock()
    if now - last > longest then
      longest = now - last
      meter.set("pause_ms", longest * 1e3)
    end
    last = now
  end
end

--- Median, 99th percentile and the number of early ones of a list of
--- latenesses in seconds.
function meter.lateness(list)
  table.sort(list)
  local early = 0
  for _, late in ipairs(list) do early = early + (late < 0 and 1 or 0) end
  meter.set("median_us", list[(#list + 1) // 2] * 1e6)
  meter.set("p99_us", list[math.max(1, #list * 99 // 100)] * 1e6)
  meter.set("early", early)
end

--- Prints the result, with the peak of resident memory.
function meter.report()
  result.rss_kb = status_kb "VmHWM"
  local words = {}
  for key, value in pairs(result) do
    words[#words + 1] = ("%s=%.15g"):format(key, value)
  end
  table.sort(words)
  print(table.concat(words, " "))
end

return meter
