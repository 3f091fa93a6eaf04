-- SPDX-License-Identifier: MIT
-- Lines that were entered: kept, searched, in files. And the way through them
-- from a line that is edited: each line is as it was left until one is entered.
local sys = require "poe.sys"

---@class poe.wheel.readline.history
---@field lines string[]
---@field max integer
---@field at integer  1 .. #lines + 1: which line is shown
---@field edited table<integer, string>
local History = {}
History.__index = History

---@param max integer
---@return poe.wheel.readline.history
function History.new(max)
  return setmetatable({ lines = {}, max = max, at = 1, edited = {} }, History)
end

--- Adds a line; the oldest go when there are too many.
---@param line string
function History:add(line)
  local lines = self.lines
  lines[#lines + 1] = line
  local extra = #lines - self.max
  if extra > 0 then
    for _ = 1, extra do table.remove(lines, 1) end
  end
  self:rewind()
end

--- Shows no line of it; what was edited is forgotten.
function History:rewind()
  self.at, self.edited = #self.lines + 1, {}
end

--- The line at an index as it is shown; "" for the new one.
---@param index integer
---@return string
function History:line(index)
  return self.edited[index] or self.lines[index] or ""
end

--- Goes to another line.
---@param index integer
---@param text string  of the line it leaves, as edited
---@return string? line  nil: there is none
function History:go(index, text)
  if index < 1 or index > #self.lines + 1 then return nil end
  self.edited[self.at] = text
  self.at = index
  return self:line(index)
end

--- The next line from `from` in a direction that begins with `text`.
---@param text string
---@param from integer  the first line that counts
---@param step 1|-1
---@param other string  but not this very line
---@return integer? index
function History:find(text, from, step, other)
  for index = from, step < 0 and 1 or #self.lines, step do
    local line = self:line(index)
    if line:sub(1, #text) == text and line ~= other then return index end
  end
end

-- ---- files ----------------------------------------------------------------------

local OWNER_ONLY = 384 -- rw-------: lines may hold what nobody else should see

local function default_path()
  return (os.getenv "HOME" or ".") .. "/.history"
end

--- The lines of a file.
local function read_lines(path)
  local file <close>, message, code = sys.open(path, "r")
  if not file then return nil, message, code end
  local parts = {}
  repeat
    local bytes, why, errno = file:read()
    if not bytes then return nil, why, errno end
    parts[#parts + 1] = bytes
  until bytes == ""
  local lines, text = {}, table.concat(parts)
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

local function write_lines(path, lines)
  local file <close>, message, code = sys.open(path, "w", OWNER_ONLY)
  if not file then return nil, message, code end
  local text, first = table.concat(lines, "\n"), 1
  if #lines > 0 then text = text .. "\n" end
  while first <= #text do
    local n, why, errno = file:write(text, first)
    if not n then return nil, why, errno end
    first = first + n
  end
  return true
end

--- Adds the lines of a file, or some of them.
---@param path? string  ~/.history
---@param first? integer  1
---@param last? integer  the last one there is
---@return true?
---@return string? message
---@return string? code
function History:read(path, first, last)
  local lines, message, code = read_lines(path or default_path())
  if not lines then return nil, message, code end
  first = math.max(first or 1, 1)
  if not last or last < first then last = #lines end
  for i = first, math.min(last, #lines) do self:add(lines[i]) end
  return true
end

--- Writes all lines to a file that only its owner can read.
---@param path? string  ~/.history
---@return true?
---@return string? message
---@return string? code
function History:write(path)
  return write_lines(path or default_path(), self.lines)
end

--- Leaves the last `count` lines of a file.
---@param path? string  ~/.history
---@param count? integer  0
---@return true?
---@return string? message
---@return string? code
function History.truncate(path, count)
  path = path or default_path()
  local lines, message, code = read_lines(path)
  if not lines then return nil, message, code end
  local first = math.max(#lines - math.max(count or 0, 0) + 1, 1)
  return write_lines(path, table.move(lines, first, #lines, 1, {}))
end

return History
