-- SPDX-License-Identifier: MIT
-- The line that is edited: its units, the cursor, what can be undone.
--
-- A position is the number of units before it. Every change of text goes through
-- `replace`, which keeps the cursor where it was in the text and remembers what
-- was there.
local Text = require "poe.wheel.readline.text"

local concat, move = table.concat, table.move

local MAX_UNDO = 1000 -- changes
local MAX_TYPED = 20 -- characters typed in a row that are one change

---@class poe.wheel.readline.buffer
---@field units string[]
---@field at integer  the cursor
---@field size integer  bytes
local Buffer = {}
Buffer.__index = Buffer

---@param max_length integer  in bytes
---@return poe.wheel.readline.buffer
function Buffer.new(max_length)
  return setmetatable({
    units = {}, at = 0, size = 0, max_length = max_length, undos = {}, typed = 0,
  }, Buffer)
end

-- ---- looking --------------------------------------------------------------------

--- The text between two positions, by default all of it.
---@param from? integer
---@param to? integer
---@return string
function Buffer:text(from, to)
  return concat(self.units, "", (from or 0) + 1, to or #self.units)
end

--- The cursor as the number of bytes before it.
---@return integer
function Buffer:offset()
  return #self:text(0, self.at)
end

---@return integer
function Buffer:length()
  return #self.units
end

--- Where the word ends that `from` is in or before.
---@param from integer
---@return integer
function Buffer:word_end(from)
  local units = self.units
  while from < #units and not Text.is_word(units[from + 1]) do from = from + 1 end
  while from < #units and Text.is_word(units[from + 1]) do from = from + 1 end
  return from
end

--- Where the word begins that `from` is in or behind.
---@param from integer
---@param is_inner? fun(unit: string): boolean  what words are made of
---@return integer
function Buffer:word_start(from, is_inner)
  local units = self.units
  is_inner = is_inner or Text.is_word
  while from > 0 and not is_inner(units[from]) do from = from - 1 end
  while from > 0 and is_inner(units[from]) do from = from - 1 end
  return from
end

-- ---- changing -------------------------------------------------------------------

local function remember(self)
  local undos = self.undos
  if #undos == MAX_UNDO then table.remove(undos, 1) end
  undos[#undos + 1] = { self:text(), self.at }
  self.typed = 0
end

--- The units beside the change are split anew: a mark joins what is before it,
--- and stray bytes, four at most, may be a character now.
local function splice(self, from, to, new)
  local units = self.units
  local first, last = math.max(from - 2, 1), math.min(to + 3, #units)
  local before = concat(units, "", first, from)
  local middle = Text.split(before .. new .. concat(units, "", to + 1, last))
  local tail = move(units, last + 1, #units, 1, {})
  for i = #units, first, -1 do units[i] = nil end
  move(middle, 1, #middle, first, units)
  move(tail, 1, #tail, #units + 1, units)
  local left, at = #before + #new, first - 1
  while left > 0 do
    at = at + 1
    left = left - #units[at]
  end
  return at
end

--- Puts `new` in the place of what is between two positions, and the cursor
--- behind it.
---@param from integer
---@param to integer
---@param new string
---@return boolean  false: it would be too long, nothing was done
function Buffer:replace(from, to, new)
  local old = self:text(from, to)
  local size = self.size - #old + #new
  if size > self.max_length then return false end
  if old ~= new then
    if not self.is_typing then remember(self) end
    self.at, self.size = splice(self, from, to, new), size
  else
    self.at = to
  end
  return true
end

--- Inserts at the cursor.
---@param new string
---@return boolean
function Buffer:insert(new)
  return self:replace(self.at, self.at, new)
end

--- Inserts what was typed: some characters in a row are one change.
---@param new string
---@return boolean
function Buffer:type(new)
  local typed = self.typed
  self.is_typing = typed > 0 and typed < MAX_TYPED and self.at == self.typed_at
  local ok = self:insert(new)
  self.typed = self.is_typing and typed + 1 or 1
  self.typed_at, self.is_typing = self.at, false
  return ok
end

--- Takes away what is between two positions, in either order.
---@param from integer
---@param to integer
---@return string removed
function Buffer:delete(from, to)
  if from > to then from, to = to, from end
  local removed = self:text(from, to)
  self:replace(from, to, "")
  return removed
end

--- Another text, as one change.
---@param new string
---@param at? integer  the cursor; at the end
---@return boolean
function Buffer:set(new, at)
  local ok = self:replace(0, #self.units, new)
  if ok and at then self.at = math.min(at, #self.units) end
  return ok
end

local function restore(self, state)
  self.units, self.at, self.size = Text.split(state[1]), state[2], #state[1]
  self.typed = 0
end

--- Takes back the last change, or all of them.
---@param all? boolean
---@return boolean  false: there was none
function Buffer:undo(all)
  local undos = self.undos
  if #undos == 0 then return false end
  restore(self, undos[all and 1 or #undos])
  if all then self.undos = {} else undos[#undos] = nil end
  return true
end

--- Empty, with nothing to undo.
function Buffer:clear()
  self.units, self.at, self.size, self.undos, self.typed = {}, 0, 0, {}, 0
end

return Buffer
