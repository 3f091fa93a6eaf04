-- make bench: runs our programs, the peers' and the limits' in turn, several
-- rounds, and prints medians, ratios and what was aimed at; as Markdown on the
-- standard output and into build/bench.md, as JSON into build/bench.json.
-- Runs on plain Lua 5.4 and on the host alike, from anywhere.

local here = arg[0]:match(".*/") or "./"
local shell = dofile(here .. "lib/shell.lua")
local json = dofile(here .. "lib/json.lua")
local report = dofile(here .. "lib/report.lua")
local programs = dofile(here .. "lib/programs.lua")
local callgrind = dofile(here .. "lib/callgrind.lua")
local merge = dofile(here .. "lib/merge.lua")

local USAGE = [[
usage: lua5.4 bench/run.lua [options]
  --cases a,b      only these cases (see bench/cases.lua)
  --peers a,b      only these peers (see bench/peers.lua)
  --rounds N       measure each program N times (3)
  --quick          a tenth of the operations, one round
  --instructions   count instructions with callgrind too
  --sizes          cost against size too
  --add            keep what build/bench.json has and this run has not
  --pin CPU        bind the measured programs to this CPU
  --list           print the cases and peers
]]

local function fail(message)
  io.stderr:write("bench: ", message, "\n")
  os.exit(2)
end

local function set_of(list)
  local set = {}
  for name in list:gmatch "[^,]+" do set[name] = true end
  return set
end

-- Options with an argument, and how it is read.
local readers = {
  cases = set_of, peers = set_of, pin = tostring,
  rounds = function(text) return math.tointeger(tonumber(text)) end,
}
local flags = {
  quick = true, instructions = true, sizes = true, list = true, add = true,
}

local function parse(words)
  local options = {}
  local i = 1
  while words[i] do
    local name = words[i]:match "^%-%-(%l+)$"
    if flags[name] then
      options[name] = true
    elseif readers[name] and words[i + 1] then
      i = i + 1
      options[name] = readers[name](words[i])
    else
      io.stderr:write(USAGE)
      os.exit(words[i] == "--help" and 0 or 2)
    end
    i = i + 1
  end
  options.rounds = options.rounds or (options.quick and 1 or 3)
  options.scale = options.quick and 0.1 or 1
  options.pin = options.pin and "taskset -c " .. options.pin .. " " or ""
  return options
end

local function progress(...)
  io.stderr:write(...)
  io.stderr:flush()
end

--- One round of one case: a sample of each metric of each program.
local function run_round(case, list, options)
  for _, program in ipairs(list) do
    local output = not program.failed and
      shell.read(programs.measure(case, program, options))
    progress(output and "." or "!")
    local figures = output and programs.parse(output)
    if figures and figures.rss_kb then
      program.samples[#program.samples + 1] = figures
    elseif not program.failed then
      program.failed = true
      progress(" ", program.title, " failed ")
    end
  end
end

--- The samples of one metric as a row of the report.
local function row_of(program, key)
  local values, memory = {}, {}
  for _, figures in ipairs(program.samples) do
    values[#values + 1] = figures[key]
    memory[#memory + 1] = figures.rss_kb
  end
  if #values == 0 then return nil end
  local row = report.spread(values)
  row.peer, row.variant = program.peer.name, program.variant
  row.title, row.samples = program.title, values
  row.rss_kb = report.spread(memory).median
  row.instructions = program.instructions
  return row
end

local function count_instructions(case, program)
  local peer, lengths = program.peer, case.counted
  local range = peer.is_slow and lengths.slow or lengths.fast
  if peer.is_jit or peer.is_slow and not lengths.slow then return end
  local operations = (range[2] - range[1]) * (lengths.whole and 1 or 1.1)
  local _, total = callgrind.difference(function(n, prefix)
    return programs.count(case, program, n, prefix)
  end, range, operations)
  program.instructions = total
  progress "i"
end

local function count_all(case, list)
  for _, program in ipairs(list) do
    if not program.failed then
      local ok, message = pcall(count_instructions, case, program)
      if not ok then progress(" ", message, " ") end
    end
  end
end

-- How far each kind of program is taken, so that a run ends in minutes.
local function largest_size(peer)
  if peer.name == "poe" or peer.name == "limit" or peer.name == "c" then
    return math.huge
  end
  return peer.is_slow and 10000 or 100000
end

local function growth_args(case, program, size)
  if case.growth.is_count then return { size } end
  local n = program.peer.is_slow and 5000 or 300000
  return { math.max(n, 2 * size), size }
end

local function run_growth(case, list, options)
  local rows = {}
  for _, program in ipairs(list) do
    local row = { title = program.title, peer = program.peer.name, sizes = {} }
    for i, size in ipairs(case.growth.sizes) do
      row.sizes[i] = false
      if size <= largest_size(program.peer) and not program.failed then
        local grown = { args = growth_args(case, program, size) }
        local samples = {}
        for round = 1, math.min(options.rounds, 3) do
          local output = shell.read(programs.measure(grown, program, options))
          samples[round] = output and programs.parse(output).ns
        end
        row.sizes[i] = samples[1] and report.spread(samples).median or false
        progress "s"
      end
    end
    rows[#rows + 1] = row
  end
  return rows
end

local function run_case(case, peers, options)
  progress(case.name, " ")
  local list = programs.of_case(case, peers)
  for _, program in ipairs(list) do program.samples = {} end
  for _ = 1, options.rounds do run_round(case, list, options) end
  if options.instructions and case.counted then count_all(case, list) end
  local result = { metrics = {} }
  for _, metric in ipairs(case.metrics) do
    local rows = {}
    for _, program in ipairs(list) do
      rows[#rows + 1] = row_of(program, metric.key)
    end
    result.metrics[metric.key] = rows
  end
  if options.sizes and case.growth then
    result.growth = run_growth(case, list, options)
  end
  progress "\n"
  return result
end

local function wanted_cases(options)
  local cases = {}
  for _, case in ipairs(dofile(here .. "cases.lua")) do
    if not options.cases or options.cases[case.name] then
      cases[#cases + 1] = case
    end
  end
  if #cases == 0 then fail "no such case" end
  return cases
end

local function list_all(cases, peers)
  for _, case in ipairs(cases) do
    local titles = {}
    for i, program in ipairs(programs.of_case(case, peers)) do
      titles[i] = program.title
    end
    print(case.name, table.concat(titles, ", "))
  end
end

local function machine()
  local cpu = (shell.read "grep -m1 'model name' /proc/cpuinfo" or "")
    :match ":%s*(.-)%s*$"
  local load = (shell.read "cat /proc/loadavg" or ""):match "^%S+"
  return ("%s, %s CPUs, Linux %s, load %s"):format(
    cpu or "unknown CPU", (shell.read "nproc" or "?"):gsub("%s", ""),
    (shell.read "uname -r" or "?"):gsub("%s", ""), load
  )
end

--- Takes over what the former run has measured.
local function add_former(run)
  local file = io.open(shell.path "build/bench.json")
  if not file then return end
  local former = json.decode(file:read "a")
  file:close()
  run.cases, run.runs = former.cases, former.runs
  for name, version in pairs(former.versions) do
    run.versions[name] = run.versions[name] or version
  end
end

local function merge_into(run, name, result)
  if run.cases[name] then merge.case(result, run.cases[name]) end
  run.cases[name] = result
end

local function head(run, missing)
  local lines = { "Measured in one go each, programs in turn:", "" }
  for _, line in ipairs(run.runs) do lines[#lines + 1] = "* " .. line end
  lines[#lines + 1] = "\nVersions:\n"
  for _, peer in ipairs(dofile(here .. "peers.lua")) do
    local version = run.versions[peer.name]
    if version then
      lines[#lines + 1] = ("* %s: %s"):format(peer.title, version)
    end
  end
  if #missing > 0 then
    lines[#lines + 1] = "* not installed, skipped: " ..
      table.concat(missing, ", ")
  end
  return lines
end

--- All cases that there are results for.
local function measured_cases(results)
  local cases = {}
  for _, case in ipairs(dofile(here .. "cases.lua")) do
    if results[case.name] then cases[#cases + 1] = case end
  end
  return cases
end

local function write_json(run)
  shell.write("build/bench.json", json.encode(run))
end

local function write_markdown(run, missing)
  local cases, results = measured_cases(run.cases), run.cases
  local lines = {}
  local function add(more, title)
    if #more == 0 then return end
    if title then lines[#lines + 1] = "\n## " .. title .. "\n" end
    table.move(more, 1, #more, #lines + 1, lines)
  end
  add(head(run, missing))
  add(report.summary(cases, results), "Summary")
  add(report.gates(cases, results), "Instructions an operation")
  add(report.growth(cases, results), "Cost against size")
  add(report.details(cases, results), "Every program")
  local text = table.concat(lines, "\n") .. "\n"
  io.stdout:write(text)
  shell.write("build/bench.md", text)
end

--- What is said of this run above the tables.
local function description(options)
  local what = {}
  for name in pairs(options.cases or {}) do what[#what + 1] = name end
  for name in pairs(options.peers or {}) do what[#what + 1] = name end
  table.sort(what)
  return ("%s; %s; %d rounds%s%s%s"):format(
    os.date "!%Y-%m-%d %H:%M UTC", machine(), options.rounds,
    options.pin ~= "" and ", " .. options.pin or ", not pinned",
    options.quick and ", quick" or "",
    #what > 0 and ", of " .. table.concat(what, ", ") or ""
  )
end

local function main()
  local options = parse(arg)
  local built, output = shell.read "make -s -C bench 2>&1"
  if not built then fail("the bench's C programs do not build:\n" .. output) end
  local peers, missing = programs.peers(options.peers)
  local cases = wanted_cases(options)
  if options.list then return list_all(cases, peers) end
  if options.instructions and not callgrind.is_installed() then
    options.instructions = false
    missing[#missing + 1] = "valgrind (no instructions counted)"
  end
  local run = {
    date = os.date "!%Y-%m-%dT%H:%M:%SZ", machine = machine(),
    versions = {}, runs = {}, cases = {},
  }
  local line = description(options)
  for _, peer in ipairs(peers) do
    run.versions[peer.name] = peer.version_text
  end
  if options.add then add_former(run) end
  run.runs[#run.runs + 1] = line
  for _, case in ipairs(cases) do
    merge_into(run, case.name, run_case(case, peers, options))
    write_json(run)
  end
  write_markdown(run, missing)
end

main()
