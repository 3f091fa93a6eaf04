-- SPDX-License-Identifier: MIT
-- What of a line is on the terminal, and the bytes that bring it up to date. For
-- terminals that know the control sequences of ECMA-48, as all now in use do.
--
-- The area is the rows from the beginning of the prompt on; the terminal's
-- cursor is at row `row`, column `column` of it, both counted from 0. Rows are
-- broken here, never by the terminal, so a row is known by its cells.
local Text = require "poe.wheel.readline.text"

local concat, find, sub = table.concat, string.find, string.sub

---@class poe.wheel.readline.screen
local Screen = {}
Screen.__index = Screen

---@param columns integer
---@param lines integer
---@return poe.wheel.readline.screen
function Screen.new(columns, lines)
  local self = setmetatable({ columns = columns, lines = lines }, Screen)
  self:forget()
  return self
end

--- Nothing of the line is there; the cursor is at the beginning of a row.
function Screen:forget()
  self.rows, self.row, self.column, self.top, self.prompt = {}, 0, 0, 0, nil
end

-- ---- rows -------------------------------------------------------------------------

--- A row: cells[i] is what is shown, starts[i] the column of it; `width` is the
--- column behind the last.
local function new_row(rows)
  local row = { cells = {}, starts = {}, width = 0 }
  rows[#rows + 1] = row
  return row
end

local function add_cell(rows, columns, shown, width)
  local row = rows[#rows]
  if row.width + width > columns and row.width > 0 then row = new_row(rows) end
  local n = #row.cells + 1
  row.cells[n], row.starts[n] = shown, row.width
  row.width = row.width + width
end

-- What a prompt may have that takes no room: colours and the like, titles, and
-- what is between \1 and \2, as readline has it.
local INVISIBLE = {
  "^\27%[[0-?]*[ -/]*[@-~]", "^\27%][^\7\27]*\7", "^\27%][^\7\27]*\27\\",
  "^\1[^\2]*\2",
}

local function invisible(prompt, i)
  for _, pattern in ipairs(INVISIBLE) do
    local _, last = find(prompt, pattern, i)
    if last then return last end
  end
end

--- The prompt: what has no room of its own belongs to the cell before it, or
--- to the first one.
local function add_prompt(rows, columns, prompt)
  local i, waiting = 1, ""
  while i <= #prompt do
    local last = invisible(prompt, i)
    local cells = rows[#rows].cells
    if last then
      local control = sub(prompt, i, last):gsub("[\1\2]", "")
      if #cells > 0 then
        cells[#cells] = cells[#cells] .. control
      else
        waiting = waiting .. control
      end
    elseif sub(prompt, i, i) == "\n" then
      last = i
      new_row(rows)
    else
      last = (find(prompt, "[\27\n\1]", i + 1) or #prompt + 1) - 1
      for _, unit in ipairs(Text.split(sub(prompt, i, last))) do
        local shown, width = Text.show(unit)
        add_cell(rows, columns, waiting .. shown, width)
        waiting = ""
      end
    end
    i = last + 1
  end
  if waiting ~= "" then add_cell(rows, columns, waiting, 0) end
end

--- All rows, and where the cursor is.
local function layout(self, prompt, units, at)
  local rows, columns = {}, self.columns
  new_row(rows)
  add_prompt(rows, columns, prompt)
  local row, column
  for i = 1, #units do
    add_cell(rows, columns, Text.show(units[i]))
    if i == at + 1 then
      local last = rows[#rows]
      row, column = #rows, last.starts[#last.starts]
    end
  end
  if not row then
    if rows[#rows].width >= columns then new_row(rows) end
    row, column = #rows, rows[#rows].width
  end
  return rows, row - 1, column
end

--- Those that fit on the terminal, around the cursor.
local function visible(self, rows, row)
  local lines = self.lines
  local top = math.min(self.top, math.max(#rows - lines, 0), row)
  top = math.max(top, row - lines + 1)
  self.top = top
  if top == 0 and #rows <= lines then return rows, row end
  return table.move(rows, top + 1, math.min(top + lines, #rows), 1, {}), row - top
end

-- ---- the terminal's cursor --------------------------------------------------------

--- Going down makes rows where there are none.
local function go(self, out, row, column)
  local down = row - self.row
  if down > 0 then
    out[#out + 1] = ("\r\n"):rep(down)
    self.column = 0
  elseif down < 0 then
    out[#out + 1] = ("\27[%dA"):format(-down)
  end
  if column == 0 and self.column ~= 0 then
    out[#out + 1] = "\r"
  elseif column ~= self.column then
    local right = column - self.column
    out[#out + 1] = ("\27[%d%s"):format(math.abs(right), right > 0 and "C" or "D")
  end
  self.row, self.column = row, column
end

--- Writes the cells of a row from the `first` on. In the last column a terminal
--- has its cursor nowhere: it is taken back to the first.
local function write(self, out, row, cells, first)
  out[#out + 1] = concat(cells.cells, "", first)
  self.row, self.column = row, cells.width
  if cells.width >= self.columns then
    out[#out + 1] = "\r"
    self.column = 0
  end
end

-- ---- bringing it up to date -------------------------------------------------------

local EMPTY = { cells = {}, starts = {}, width = 0 }

local function update_row(self, out, index, new)
  local old = self.rows[index] or EMPTY
  local cells, n, first = new.cells, #new.cells, 1
  while first <= n and cells[first] == old.cells[first] do first = first + 1 end
  if first > n and #old.cells == n then return end
  go(self, out, index - 1, new.starts[first] or new.width)
  if old.width > new.width and new.width < self.columns then
    out[#out + 1] = "\27[K"
  end
  if first <= n then write(self, out, index - 1, new, first) end
end

--- The bytes that show this line, whatever of it is there.
---@param prompt string
---@param units string[]
---@param at integer  the cursor: how many units are before it
---@return string bytes
function Screen:draw(prompt, units, at)
  local out = {}
  if self.prompt ~= prompt then
    if self.prompt then out[1] = self:erase() end
    self.prompt = prompt
  end
  local rows, row, column = layout(self, prompt, units, at)
  rows, row = visible(self, rows, row)
  for i = 1, #rows do update_row(self, out, i, rows[i]) end
  for i = #rows + 1, #self.rows do
    go(self, out, i - 1, 0)
    out[#out + 1] = "\27[K"
  end
  go(self, out, row, column)
  self.rows = rows
  return concat(out)
end

--- Takes the line away, and leaves the cursor where it began.
---@return string bytes
function Screen:erase()
  local out = {}
  go(self, out, 0, 0)
  self:forget()
  return concat(out) .. "\r\27[J"
end

--- Leaves the line where it is, and goes to a new row behind it.
---@return string bytes
function Screen:finish()
  local out = {}
  go(self, out, math.max(#self.rows - 1, 0), self.column)
  self:forget()
  return concat(out) .. "\r\n"
end

--- Clears the terminal.
---@return string bytes
function Screen:clear()
  self:forget()
  return "\27[H\27[2J"
end

--- The terminal has another size now: it has broken rows that were too long. The
--- line is taken away.
---@param columns integer
---@param lines integer
---@return string bytes
function Screen:resize(columns, lines)
  local row = self.column // columns
  for i = 1, self.row do
    row = row + math.max((self.rows[i].width + columns - 1) // columns, 1)
  end
  self.columns, self.lines = columns, lines
  self.row = math.min(row, lines - 1)
  return self:erase()
end

return Screen
