-- make bench-budget: the instructions that the ten hot operations take, by
-- callgrind, against those kept in bench/budget.json. One that grew by more
-- than 3 % fails, and the functions that grew are named.
--
--   lua5.4 bench/budget.lua [--update] [--cases a,b] [--profile]
--
-- --update writes the counts of now into bench/budget.json; --profile prints
-- where the instructions of each operation go. Counts depend on the compiler,
-- on Lua and on the C library: where these differ from those the budget was
-- taken with, the comparison is printed and fails nothing.

local here = arg[0]:match(".*/") or "./"
local shell = dofile(here .. "lib/shell.lua")
local json = dofile(here .. "lib/json.lua")
local callgrind = dofile(here .. "lib/callgrind.lua")

local FILE = "bench/budget.json"
local TOLERANCE = 0.03
local KEPT = 5 -- least instructions of a function to be kept
local SHOWN = 12
local TRIES = 3

-- Program, arguments after the length, operations a run of n makes: warm-ups
-- are a tenth on top, where there is one.
local OPERATIONS = {
  { name = "yield" },
  { name = "pingpong" },
  { name = "fanout" },
  { name = "backlog", is_whole = true },
  { name = "call" },
  { name = "timer_cancel", args = " 10000" },
  { name = "timer_adjust", args = " 10000" },
  { name = "session", is_whole = true, range = { 4000, 12000 } },
  { name = "select" },
  { name = "signal" },
}

local RANGE = { 20000, 60000 }

--- What the counts depend on besides our own code.
local function environment()
  local parts = {}
  for _, command in ipairs {
    "${CC:-gcc} --version | head -n 1",
    "pkg-config --modversion lua5.4 || pkg-config --modversion lua",
    "ldd --version | head -n 1",
    "uname -m",
  } do
    local output = shell.read(command .. " 2>/dev/null") or "?"
    parts[#parts + 1] = (output:gsub("%s+$", ""))
  end
  return table.concat(parts, " · ")
end

local function measure(operation)
  local range = operation.range or RANGE
  local count = (range[2] - range[1]) * (operation.is_whole and 1 or 1.1)
  return callgrind.difference(function(n, prefix)
    return ("%sbuild/bin/poe bench/poe/%s.lua %d%s"):format(
      prefix, operation.name, n, operation.args or ""
    )
  end, range, count)
end

local function rounded(count) return math.floor(count * 100 + 0.5) / 100 end

--- The part of a profile that is kept.
local function excerpt(by_function)
  local kept = {}
  for name, count in pairs(by_function) do
    if count >= KEPT then kept[name] = rounded(count) end
  end
  return kept
end

--- Prints the functions whose share grew, those that grew most first.
local function explain(now, before)
  local growth = {}
  for name, count in pairs(now) do
    local grown = count - (before[name] or 0)
    if grown >= 1 then growth[name] = grown end
  end
  for _, name in ipairs(callgrind.top(growth, SHOWN)) do
    print(("    %+8.1f  %s (%.1f, was %.1f)"):format(
      growth[name], name, now[name], before[name] or 0
    ))
  end
end

local function print_profile(by_function, total)
  for _, name in ipairs(callgrind.top(by_function, SHOWN + 8)) do
    print(("    %8.1f  %4.1f %%  %s"):format(
      by_function[name], by_function[name] / total * 100, name
    ))
  end
end

--- Measures again what is over its budget: Lua seeds its hashes from the time
--- of day, and a chain that is longer by chance must not fail anybody.
local function measure_fairly(operation, kept)
  local best, total = measure(operation)
  local tries = 1
  while kept and tries < TRIES and total > kept.instructions * (1 + TOLERANCE)
  do
    local by_function, again = measure(operation)
    if again < total then best, total = by_function, again end
    tries = tries + 1
  end
  return best, total
end

--- Prints one line; true if the operation stayed within its budget.
local function compare(operation, total, by_function, kept)
  if not kept then
    print(("%-14s %9.1f  (not in the budget yet)"):format(
      operation.name, total
    ))
    return true
  end
  local change = total / kept.instructions - 1
  local is_within = change <= TOLERANCE
  print(("%-14s %9.1f  budget %9.1f  %+6.2f %%%s"):format(
    operation.name, total, kept.instructions, change * 100,
    is_within and "" or "  TOO MUCH"
  ))
  if not is_within then explain(by_function, kept.functions) end
  return is_within
end

local function read_budget()
  local file = io.open(shell.path(FILE))
  if not file then return { operations = {} } end
  local text = file:read "a"
  file:close()
  return json.decode(text)
end

local function parse(words)
  local options = {}
  local i = 1
  while words[i] do
    if words[i] == "--cases" and words[i + 1] then
      i = i + 1
      options.cases = "," .. words[i] .. ","
    elseif words[i] == "--update" or words[i] == "--profile" then
      options[words[i]:sub(3)] = true
    else
      io.stderr:write(
        "usage: lua5.4 bench/budget.lua [--update] [--profile] [--cases a,b]\n"
      )
      os.exit(2)
    end
    i = i + 1
  end
  return options
end

local function is_wanted(operation, options)
  return not options.cases or
    options.cases:find("," .. operation.name .. ",", 1, true)
end

local function main()
  local options = parse(arg)
  if not callgrind.is_installed() then
    print "bench-budget: skipped, valgrind is not installed"
    print "0 passed, 0 failed"
    return true
  end
  shell.read "mkdir -p build/bench"
  local budget, here_and_now = read_budget(), environment()
  local passed, failed = 0, 0
  for _, operation in ipairs(OPERATIONS) do
    if is_wanted(operation, options) then
      local kept = budget.operations[operation.name]
      local by_function, total = measure_fairly(
        operation, not options.update and kept
      )
      if compare(operation, total, by_function, kept) then
        passed = passed + 1
      else
        failed = failed + 1
      end
      if options.profile then print_profile(by_function, total) end
      if options.update then
        budget.operations[operation.name] = {
          instructions = rounded(total), functions = excerpt(by_function),
        }
      end
    end
  end
  if options.update then
    budget.environment = here_and_now
    shell.write(FILE, json.encode(budget))
  elseif budget.environment and budget.environment ~= here_and_now then
    print("the budget was taken with " .. budget.environment)
    print("here it is             " .. here_and_now .. ": nothing fails")
    passed, failed = passed + failed, 0
  end
  print(("%d passed, %d failed"):format(passed, failed))
  return options.update or failed == 0
end

if not main() then os.exit(1) end
