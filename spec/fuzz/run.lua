-- The long run of the fuzzer of filters, by `make fuzz-filters`:
--
--   poe spec/fuzz/run.lua [seconds [first case [name...]]]
--
-- Each filter gets so many seconds (300). The case under way stands in
-- build/fuzz/NAME, for a process that a sanitizer ends.

package.path = "./?.lua;" .. package.path
local fuzz = require "spec.fuzz.fuzz"

local seconds = tonumber(arg[1]) or 300
local first = math.tointeger(tonumber(arg[2])) or os.time() * 1000
local names = #arg > 2 and table.move(arg, 3, #arg, 1, {}) or fuzz.names()

os.execute "mkdir -p build/fuzz"

--- Writes the number over the one before.
local function note(file, case)
  file:seek "set"
  file:write(("%20d\n"):format(case))
  file:flush()
end

local function run(name)
  local file <close> = assert(io.open("build/fuzz/" .. name, "w"))
  local begun, case = os.time(), first
  while os.difftime(os.time(), begun) < seconds do
    note(file, case)
    local wrong = fuzz.run(name, case)
    if wrong then
      print(wrong)
      return false
    end
    case = case + 1
  end
  print(("%s: %d cases from %d, nothing wrong"):format(name, case - first, first))
  return true
end

local is_good = true
for _, name in ipairs(names) do is_good = run(name) and is_good end
os.exit(is_good, true)
