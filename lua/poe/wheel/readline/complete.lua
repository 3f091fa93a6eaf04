-- SPDX-License-Identifier: MIT
-- Completion: the word at the cursor, what candidates have in common, how they
-- are listed.
local Text = require "poe.wheel.readline.text"

---@class poe.wheel.readline.complete
local complete = {}

--- The word before the cursor, and where it begins, in bytes from 1.
---@param line string
---@param offset integer  bytes before the cursor
---@param breaks string  bytes that are no part of words
---@return string word
---@return integer start
function complete.word(line, offset, breaks)
  local start = offset
  while start > 0 and not breaks:find(line:sub(start, start), 1, true) do
    start = start - 1
  end
  return line:sub(start + 1, offset), start + 1
end

--- What all begin with; no character is cut.
---@param candidates string[]
---@return string
function complete.common(candidates)
  local first, length = candidates[1], #candidates[1]
  for i = 2, #candidates do
    local other = candidates[i]
    length = math.min(length, #other)
    while first:sub(1, length) ~= other:sub(1, length) do length = length - 1 end
  end
  while length > 0 and (first:byte(length + 1) or 0) & 0xC0 == 0x80 do
    length = length - 1
  end
  return first:sub(1, length)
end

--- Rows of a list in columns, downwards as ls has them.
---@param candidates string[]
---@param columns integer  of the terminal
---@param is_across? boolean  in rows instead
---@return string[] rows
function complete.rows(candidates, columns, is_across)
  local shown, widths, widest = {}, {}, 0
  for i, candidate in ipairs(candidates) do
    local parts = {}
    widths[i] = 0
    for k, unit in ipairs(Text.split(candidate)) do
      local text, width = Text.show(unit)
      parts[k], widths[i] = text, widths[i] + width
    end
    shown[i] = table.concat(parts)
    widest = math.max(widest, widths[i])
  end
  local across = math.max((columns - 1) // (widest + 2), 1)
  local count = (#shown + across - 1) // across
  local rows = {}
  for row = 1, count do
    local cells = {}
    for column = 1, across do
      local i = is_across and (row - 1) * across + column
        or (column - 1) * count + row
      if shown[i] then
        cells[column] = shown[i] .. (" "):rep(widest + 2 - widths[i])
      end
    end
    rows[row] = table.concat(cells):gsub(" +$", "")
  end
  return rows
end

return complete
