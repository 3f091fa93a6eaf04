-- SPDX-License-Identifier: MIT
-- Text in units: what the cursor moves over at once. A unit is a character of
-- UTF-8 and the marks that combine with it, or one byte that is no UTF-8.
local width = require "poe.wheel.readline.width"

local NOTHING = "\u{25CC}" -- a dotted circle: what marks without a letter are on

local byte, find, sub = string.byte, string.find, string.sub

---@class poe.wheel.readline.text
local text = {}

--- Where the character that begins at `i` ends, and its code; nil if it is none.
local function character(s, i)
  if utf8.len(s, i, i) ~= 1 then return nil end
  local code = utf8.codepoint(s, i)
  local size = code < 0x80 and 1 or code < 0x800 and 2 or code < 0x10000 and 3 or 4
  return i + size - 1, code
end

--- Whether a unit can have marks: it is no control character and no stray byte.
local function takes_marks(unit)
  local first = unit and byte(unit)
  return first and first >= 32 and first ~= 127
    and (first < 128 or #unit > 1)
end

--- Appends the units of `s` to a list. Marks that come first join the last unit
--- of it.
---@param s string
---@param units? string[]
---@return string[] units
function text.split(s, units)
  units = units or {}
  local n, i = #units, 1
  while i <= #s do
    local last, code = i, byte(s, i)
    if code >= 128 then last, code = character(s, i) end
    local unit = sub(s, i, last or i)
    if last and code >= 0x300 and width.of(code) == 0
      and takes_marks(units[n]) then
      units[n] = units[n] .. unit
    else
      n = n + 1
      units[n] = unit
    end
    i = (last or i) + 1
  end
  return units
end

--- How a unit is shown, and in how many columns. Nothing that a terminal would
--- take for a command is shown as it is.
---@param unit string
---@return string shown
---@return integer columns
function text.show(unit)
  local first = byte(unit)
  if first >= 32 and first < 127 then return unit, 1 end
  if first < 128 then return "^" .. string.char(first ~ 64), 2 end
  local last, code = character(unit, 1)
  if not last or code < 0xA0 then return ("\\x%02X"):format(code or first), 4 end
  local columns = width.of(code)
  if columns == 0 then return NOTHING .. unit, 1 end
  return unit, columns
end

--- The columns of a text that has no control characters.
---@param s string
---@return integer
function text.columns(s)
  local columns = 0
  for _, unit in ipairs(text.split(s)) do
    columns = columns + select(2, text.show(unit))
  end
  return columns
end

--- Letters and digits, and all that is not ASCII, are parts of words.
---@param unit string
---@return boolean
function text.is_word(unit)
  return find(unit, "^[%w\128-\255]") ~= nil
end

---@param unit string
---@return boolean
function text.is_space(unit)
  return find(unit, "^%s") ~= nil
end

return text
