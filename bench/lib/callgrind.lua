-- Instructions by callgrind: user space only, exact to the digit, and so the
-- same on a noisy machine. What one operation takes is the difference between
-- a longer and a shorter run, which cancels the start, divided by the number
-- of operations between them.

local shell = dofile((arg[0]:match(".*/") or "./") .. "lib/shell.lua")

local callgrind = {}

local OUT = "build/bench/callgrind.out"

--- True if valgrind and its annotator are there.
function callgrind.is_installed()
  return shell.read "command -v valgrind callgrind_annotate" ~= nil
end

--- Instructions by function, and in all, of the profile last written. Marks of
--- recursion and of the compiler's clones are taken off the names.
local function profile()
  local by_function, total = {}, 0
  local listing = assert(shell.read(
    "callgrind_annotate --threshold=100 --auto=no --show-percs=no " .. OUT
  ))
  for line in listing:gmatch "[^\n]+" do
    local count, name = line:gsub("%s+%[[^%]]*%]$", "")
      :match "^%s*([%d,]+)%s+[^:]*:(.+)$"
    if count then
      count = math.tointeger(tonumber((count:gsub(",", ""))))
      name = name:gsub("'%d+$", ""):gsub("%.%a[%w_]*%.%d+", "")
      by_function[name] = (by_function[name] or 0) + count
      total = total + count
    end
  end
  return by_function, total
end

--- Instructions one of the operations takes that a longer run makes more than
--- a shorter one, by function and in all. `line_of` makes the command line for
--- a length, with the given words before the program to be counted.
---@param line_of fun(length: integer, prefix: string): string
---@param range integer[]  the two lengths
---@param operations number  how many lie between them
---@return table<string, number> by_function, number total
function callgrind.difference(line_of, range, operations)
  local prefix = "valgrind -q --tool=callgrind --callgrind-out-file=" ..
    OUT .. " "
  local counts, totals = {}, {}
  for i, length in ipairs(range) do
    os.remove(shell.path(OUT))
    local line = line_of(length, prefix)
    local ok, output = shell.read(line .. " 2>&1")
    if not ok then error("callgrind: " .. line .. ": " .. output, 0) end
    counts[i], totals[i] = profile()
  end
  local each = {}
  for name, count in pairs(counts[2]) do
    each[name] = (count - (counts[1][name] or 0)) / operations
  end
  return each, (totals[2] - totals[1]) / operations
end

--- Names of the functions with the largest counts, largest first.
---@return string[]
function callgrind.top(by_function, most)
  local names = {}
  for name in pairs(by_function) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if by_function[a] ~= by_function[b] then
      return by_function[a] > by_function[b]
    end
    return a < b
  end)
  return table.move(names, 1, math.min(most, #names), 1, {})
end

return callgrind
