-- A terminal as somebody sees it: bytes in, rows of text out. It knows what
-- poe.wheel.readline writes, and raises for anything else.

local width = require "poe.wheel.readline.width"

---@class spec.vt
---@field rows string[][]  cells; "" is the right half of a wide one
---@field row integer  from 0
---@field column integer
---@field modes table<string, boolean>
---@field bells integer
local Vt = {}
Vt.__index = Vt

function Vt.new(columns, lines)
  local self = setmetatable({ columns = columns, lines = lines, rows = {},
    row = 0, column = 0, is_full = false, modes = {}, bells = 0, scrolled = {},
    bytes = "" }, Vt)
  for i = 1, lines do self.rows[i] = {} end
  return self
end

local function down(self)
  if self.row < self.lines - 1 then
    self.row = self.row + 1
  else
    self.scrolled[#self.scrolled + 1] = table.remove(self.rows, 1)
    self.rows[self.lines] = {}
  end
end

local function print_character(self, text, code)
  local columns = width.of(code)
  if columns == 0 then
    local row = self.rows[self.row + 1]
    local at = self.is_full and self.column + 1 or self.column
    if row[at] == "" then at = at - 1 end
    row[at] = (row[at] or " ") .. text
    return
  end
  if self.is_full or self.column + columns > self.columns then
    self.column, self.is_full = 0, false
    down(self)
  end
  local row = self.rows[self.row + 1]
  for i = 1, self.column do row[i] = row[i] or " " end
  row[self.column + 1] = text
  if columns == 2 then row[self.column + 2] = "" end
  self.column = self.column + columns
  if self.column == self.columns then
    self.column, self.is_full = self.columns - 1, true
  end
end

local function erase_row(self, index, from)
  local row = self.rows[index]
  for i = #row, from, -1 do row[i] = nil end
end

local CSI = {
  A = function(self, n) self.row = math.max(self.row - math.max(n, 1), 0) end,
  B = function(self, n)
    self.row = math.min(self.row + math.max(n, 1), self.lines - 1)
  end,
  C = function(self, n)
    self.column = math.min(self.column + math.max(n, 1), self.columns - 1)
  end,
  D = function(self, n) self.column = math.max(self.column - math.max(n, 1), 0) end,
  H = function(self) self.row, self.column = 0, 0 end,
  K = function(self) erase_row(self, self.row + 1, self.column + 1) end,
  J = function(self, n)
    assert(n == 0 or n == 2, "J " .. n)
    erase_row(self, self.row + 1, n == 0 and self.column + 1 or 1)
    for i = n == 0 and self.row + 2 or 1, self.lines do self.rows[i] = {} end
  end,
  m = function() end,
}

local function csi(self, private, parameters, final)
  if private == "?" then
    self.modes[parameters] = final == "h"
    return
  end
  assert(CSI[final], "CSI " .. parameters .. final)
  CSI[final](self, tonumber(parameters) or 0)
  self.is_full = false
end

local CONTROLS = {
  ["\r"] = function(self) self.column, self.is_full = 0, false end,
  ["\n"] = function(self)
    self.is_full = false
    down(self)
  end,
  ["\b"] = function(self) self.column = math.max(self.column - 1, 0) end,
  ["\t"] = function(self)
    self.column = math.min(self.column // 8 * 8 + 8, self.columns - 1)
  end,
  ["\7"] = function(self) self.bells = self.bells + 1 end,
}

--- Takes what was written; what is cut off waits for the rest.
function Vt:feed(bytes)
  bytes = self.bytes .. bytes
  local i = 1
  while i <= #bytes do
    local _, title = bytes:find("^\27%][^\7]*\7", i)
    local control = CONTROLS[bytes:sub(i, i)]
    local _, last, private, parameters, final =
      bytes:find("^\27%[([?]?)([%d;]*)([@-~])", i)
    if title then
      i = title + 1
    elseif control then
      control(self)
      i = i + 1
    elseif last then
      csi(self, private, parameters, final)
      i = last + 1
    elseif bytes:find("^\27%[?[?%d;]*$", i) then
      break
    else
      assert(bytes:byte(i) >= 32, ("byte %d"):format(bytes:byte(i)))
      local text = bytes:match("^[%z\1-\127\194-\244][\128-\191]*", i)
      if i + #text > #bytes and not utf8.len(text) then break end
      print_character(self, text, utf8.codepoint(text))
      i = i + #text
    end
  end
  self.bytes = bytes:sub(i)
end

--- What is seen: rows with "|" where the cursor is, empty ones at the end left
--- out.
---@return string
function Vt:see()
  local lines, last = {}, 0
  for i = 1, self.lines do
    local cells = {}
    for k = 1, self.columns do cells[k] = self.rows[i][k] or " " end
    if i == self.row + 1 then
      local at = self.column + (self.is_full and 2 or 1)
      table.insert(cells, at, "|")
    end
    lines[i] = table.concat(cells):gsub(" +$", "")
    if lines[i] ~= "" then last = i end
  end
  return table.concat(lines, "\n", 1, last)
end

return Vt
