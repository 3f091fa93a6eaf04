-- Publishes the last run of `make bench`: puts the tables of build/bench.md
-- between the marks in bench/README.md, and draws the figures of
-- build/bench.json, one SVG each, horizontal bars on a logarithmic scale, into
-- bench/plot/.

local here = arg[0]:match(".*/") or "./"
local shell = dofile(here .. "lib/shell.lua")
local json = dofile(here .. "lib/json.lua")
local report = dofile(here .. "lib/report.lua")

local WIDTH, LABEL, VALUE, BAR, TOP = 640, 150, 90, 22, 34

local COLOURS = {
  poe = "#1f6f8b", limit = "#8a8a8a", c = "#8a8a8a", ["perl-poe"] = "#b35c44",
}

local function escape(text)
  return (text:gsub("&", "&amp;"):gsub("<", "&lt;"))
end

--- Rows with a figure to draw, least first.
local function drawable(rows)
  local list = {}
  for _, row in ipairs(rows) do
    if row.median and row.median > 0 then list[#list + 1] = row end
  end
  table.sort(list, function(a, b) return a.median < b.median end)
  return list
end

local function bar(row, i, low, high)
  local room = WIDTH - LABEL - VALUE
  local share = math.log(row.median / low) / math.log(high / low)
  local width = math.max(2, share * room)
  local y = TOP + (i - 1) * BAR
  return ([[
<text x="%d" y="%d" text-anchor="end">%s</text>
<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>
<text x="%.1f" y="%d">%s</text>]]):format(
    LABEL - 6, y + 14, escape(row.title), LABEL, y + 2, width, BAR - 6,
    COLOURS[row.peer] or "#c9a94f", LABEL + width + 5, y + 14,
    report.number(row.median)
  )
end

local function draw(metric, rows)
  local low, high = rows[1].median / 2, rows[#rows].median * 1.01
  local lines = {
    ([[<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" ]] ..
      [[font-family="sans-serif" font-size="12">]])
      :format(WIDTH, TOP + #rows * BAR + 6),
    [[<rect width="100%" height="100%" fill="#ffffff"/>]],
    ([[<text x="8" y="20" font-size="14">%s, %s (logarithmic)</text>]])
      :format(escape(metric.title), metric.unit),
  }
  for i, row in ipairs(rows) do lines[#lines + 1] = bar(row, i, low, high) end
  lines[#lines + 1] = "</svg>\n"
  return table.concat(lines, "\n")
end

local function read(name)
  local file = assert(io.open(shell.path(name)))
  local text = file:read "a"
  file:close()
  return text
end

--- Draws every figure that more than one program has; returns the links.
local function draw_all()
  local results = json.decode(read "build/bench.json").cases
  local links = {}
  shell.read "mkdir -p bench/plot"
  for _, case in ipairs(dofile(here .. "cases.lua")) do
    local result = results[case.name]
    for i, metric in ipairs(result and case.metrics or {}) do
      local rows = drawable(result.metrics[metric.key])
      if #rows > 1 then
        local name = i == 1 and case.name or case.name .. "-" .. metric.key
        shell.write("bench/plot/" .. name .. ".svg", draw(metric, rows))
        links[#links + 1] = ("![%s](plot/%s.svg)"):format(metric.title, name)
      end
    end
  end
  return links
end

local readme = read "bench/README.md"
local before, after = readme:match "^(.-<!%-%- results %-%->\n).-(<!%-%- end.*)$"
local tables = read("build/bench.md"):gsub("\n## Every program.*$", "")
shell.write("bench/README.md", before .. "\n" .. tables .. "\n## Plots\n\n" ..
  table.concat(draw_all(), "\n") .. "\n\n" .. after)
