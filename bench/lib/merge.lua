-- Joins a run with the one before it, for `--add`: what was not measured now
-- stays as it was.

local merge = {}

local function find(rows, title)
  for _, row in ipairs(rows) do
    if row.title == title then return row end
  end
end

--- Rows of now, in their order, then those that only the former run has.
local function merge_rows(now, before)
  for _, old in ipairs(before or {}) do
    local row = find(now, old.title)
    if not row then
      now[#now + 1] = old
    else
      row.instructions = row.instructions or old.instructions
    end
  end
  return now
end

--- Adds to a case's result of now what the former one has beyond it.
function merge.case(now, before)
  for key, rows in pairs(before.metrics) do
    now.metrics[key] = merge_rows(now.metrics[key] or {}, rows)
  end
  if before.growth then
    now.growth = merge_rows(now.growth or {}, before.growth)
  end
end

return merge
