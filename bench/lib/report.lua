-- The results as Markdown: one line a figure with what was aimed at, and one
-- table a case with every program.

local report = {}

--- Median, least and greatest of a list of numbers.
function report.spread(samples)
  local sorted = table.move(samples, 1, #samples, 1, {})
  table.sort(sorted)
  return {
    median = sorted[(#sorted + 1) // 2],
    least = sorted[1],
    greatest = sorted[#sorted],
  }
end

--- A number for people: three significant digits, thousands set apart.
---@return string
function report.number(value)
  if not value then return "–" end
  if value ~= value or value == math.huge then return "–" end
  if math.abs(value) < 10 and value ~= math.floor(value) then
    return ("%.2f"):format(value)
  end
  local text = ("%.0f"):format(value)
  local sign, digits = text:match "^(-?)(%d+)$"
  digits = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return sign .. digits
end

local number = report.number

local function ratio(a, b)
  if not a or not b or b == 0 then return nil end
  return a / b
end

--- The row of a peer and variant in one metric's list, or nil.
local function find(rows, peer, variant)
  for _, row in ipairs(rows) do
    if row.peer == peer and (not variant or row.variant == variant) then
      return row
    end
  end
end

local function median(rows, peer, variant)
  local row = find(rows, peer, variant)
  return row and row.median
end

local is_limit = { poe = true, limit = true, c = true, ["perl-poe"] = true }

--- The peers' rows, best first.
local function peers_of(rows)
  local peers = {}
  for _, row in ipairs(rows) do
    if not is_limit[row.peer] and row.median then peers[#peers + 1] = row end
  end
  table.sort(peers, function(a, b) return a.median < b.median end)
  return peers
end

-- What each kind of aim compares, as: text, the figure, whether it is met.
local judges = {}

function judges.poe(rows, want, ours)
  local times = ratio(median(rows, "perl-poe"), ours)
  return ("≥ %s × POE"):format(want), times, times and times >= want
end

local function at_most_times(rows, want, ours, peer, variant, text)
  local times = ratio(ours, median(rows, peer, variant))
  return ("≤ %s × %s"):format(want, text), times, times and times <= want
end

function judges.limit(rows, want, ours)
  return at_most_times(rows, want, ours, "limit", nil, "limit")
end

function judges.uv(rows, want, ours)
  return at_most_times(rows, want, ours, "c", "uv", "libuv in C")
end

function judges.luv(rows, _, ours)
  local times = ratio(ours, median(rows, "luv", ""))
  return "ahead of luv", times, times and times <= 1
end

function judges.lua(rows, want, ours)
  return at_most_times(rows, want, ours, "lua", nil, "lua")
end

function judges.most(_, want, ours)
  return "≤ " .. number(want), ours, ours <= want
end

function judges.peer(rows, _, ours)
  local best = peers_of(rows)[1]
  local times = ratio(ours, best and best.median)
  return "ahead of peers", times, times and times <= 1
end

function judges.same(_, want, ours, results)
  local other = results[want] and results[want].metrics.ns
  local times = ratio(ours, other and median(other, "poe"))
  return "≤ 1.05 × " .. want, times, times and times <= 1.05
end

--- The aims of a metric as one cell: met or not, and by how much.
local function judge(metric, rows, results)
  local ours = median(rows, "poe")
  local cells = {}
  for kind, want in pairs(metric.aims) do
    local text, value, is_met
    if ours then text, value, is_met = judges[kind](rows, want, ours, results) end
    if text and value then
      cells[#cells + 1] = ("%s %s (%s)"):format(
        is_met and "✓" or "✗", text, number(value)
      )
    end
  end
  table.sort(cells)
  return table.concat(cells, "; ")
end

local function best_peers(rows)
  local cells = {}
  for i, row in ipairs(peers_of(rows)) do
    if i <= 4 then
      cells[#cells + 1] = row.title .. " " .. number(row.median)
    end
  end
  return table.concat(cells, " · ")
end

local function limits(rows)
  local cells = {}
  for _, row in ipairs(rows) do
    if row.peer == "limit" or row.peer == "c" then
      cells[#cells + 1] = row.peer == "limit" and number(row.median)
        or row.title .. " " .. number(row.median)
    end
  end
  return table.concat(cells, " · ")
end

local function summary_line(metric, rows, results)
  local ours, perl = median(rows, "poe"), median(rows, "perl-poe")
  local times = ratio(perl, ours)
  return ("| %s | %s | **%s** | %s | %s | %s | %s |"):format(
    metric.title, metric.unit, number(ours),
    number(perl) .. (times and (" (%s ×)"):format(number(times)) or ""),
    best_peers(rows), limits(rows), judge(metric, rows, results)
  )
end

--- One line a figure.
---@return string[]
function report.summary(cases, results)
  local lines = {
    "| case | unit | poe | POE | best peers | limit | aims |",
    "|---|---|---|---|---|---|---|",
  }
  for _, case in ipairs(cases) do
    local result = results[case.name]
    for _, metric in ipairs(result and case.metrics or {}) do
      local rows = result.metrics[metric.key]
      if #rows > 0 then
        lines[#lines + 1] = summary_line(metric, rows, results)
      end
    end
  end
  return lines
end

local function case_line(row, ours, is_first)
  local deviation = (row.greatest - row.least) / 2 / row.median * 100
  return ("| %s | %s | ± %s %% | %s | %s | %s |"):format(
    row.title, number(row.median), number(math.abs(deviation) // 1),
    number(ratio(row.median, ours)), number(is_first and row.instructions),
    number(row.rss_kb and row.rss_kb / 1024)
  )
end

--- Every program of every case.
---@return string[]
function report.details(cases, results)
  local lines = {}
  local function add(line) lines[#lines + 1] = line end
  for _, case in ipairs(cases) do
    local result = results[case.name]
    for _, metric in ipairs(result and case.metrics or {}) do
      local rows = result.metrics[metric.key]
      add("\n### " .. metric.title .. "\n")
      add(("| program | %s | spread | × poe | instructions | peak MB |")
        :format(metric.unit == "" and "count" or metric.unit))
      add "|---|---|---|---|---|---|"
      for _, row in ipairs(rows) do
        add(case_line(row, median(rows, "poe"), metric == case.metrics[1]))
      end
    end
  end
  return lines
end

--- Instructions of ours against the gates.
---@return string[]
function report.gates(cases, results)
  local lines = {
    "| case | poe | gate | limit | POE | |", "|---|---|---|---|---|---|",
  }
  for _, case in ipairs(cases) do
    local result = results[case.name]
    local rows = result and result.metrics[case.metrics[1].key] or {}
    local function counted(peer)
      local row = find(rows, peer)
      return row and row.instructions
    end
    local ours = counted "poe"
    if ours then
      lines[#lines + 1] = ("| %s | **%s** | %s | %s | %s | %s |"):format(
        case.metrics[1].title, number(ours), number(case.gate),
        number(counted "limit"), number(counted "perl-poe"),
        not case.gate and "" or ours <= case.gate and "✓" or "✗"
      )
    end
  end
  return #lines > 2 and lines or {}
end

--- Cost against size: one table a case, one line a program.
---@return string[]
function report.growth(cases, results)
  local lines = {}
  for _, case in ipairs(cases) do
    local result = results[case.name]
    if result and result.growth then
      local head = {}
      for i, size in ipairs(case.growth.sizes) do head[i] = number(size) end
      lines[#lines + 1] = ("\n%s, ns an operation, by number of %s:\n")
        :format(case.name, case.growth.title)
      lines[#lines + 1] = "| program | " .. table.concat(head, " | ") .. " |"
      lines[#lines + 1] = "|---" .. ("|---"):rep(#head) .. "|"
      for _, row in ipairs(result.growth) do
        local cells = {}
        for i in ipairs(case.growth.sizes) do
          cells[i] = number(row.sizes[i] ~= false and row.sizes[i] or nil)
        end
        lines[#lines + 1] = ("| %s | %s |"):format(
          row.title, table.concat(cells, " | ")
        )
      end
    end
  end
  return lines
end

return report
