-- SPDX-License-Identifier: MIT
-- Lines: records that end with a terminator. POE::Filter::Line.
--
-- What comes out depends on the bytes alone, never on how they were cut; so a
-- terminator is taken only when it is certain. See doc/filters.md.
local Base = require "poe.filter.base"
local Bytes = require "poe.filter.bytes"
local options = require "poe.options"

local find, sub, byte = string.find, string.sub, string.byte
local type = type

local CR = 13
local MAX_LENGTH = 65536

---@class poe.filter.line: poe.filter
local Line = Base.class "poe.filter.line"

---@class poe.filter.line.options
---@field literal? string  the terminator of input and of output
---@field input_literal? string
---@field input_pattern? string  a Lua pattern
---@field autodetect? boolean  take the first terminator that comes for all
---@field output_literal? string  "\r\n"
---@field max_length? integer  of a line, in bytes; 65536

local PARAMETERS = {
  literal = { "text" },
  input_literal = { "text" },
  input_pattern = { "text", also = "InputRegexp" },
  autodetect = { "boolean" },
  output_literal = { "string" },
  max_length = { "size", default = MAX_LENGTH, also = "MaxBuffer" },
}

-- ---- where lines end ----------------------------------------------------------
--
-- A search appends the lines that end in `bytes.text` to `records` until there
-- are `most`; false says that one is too long. `scanned` bytes after the first
-- have been searched before. They are `limit` bytes, without a terminator, at
-- which a line is too long whatever comes.

--- By a literal, or by LF with or without a CR before it.
local function plain(self, records, most)
  local bytes, terminator, max = self.bytes, self.terminator, self.max_length
  local cr = self.takes_cr and CR
  local text, first = bytes.text, bytes.first
  local from, begun, n, is_short = first + self.scanned, first, #records, true
  while n < most do
    local s, e = find(text, terminator, from, true)
    if not s then
      from = #text - #terminator + 2
      break
    end
    local last = s - 1
    if cr and last >= first and byte(text, last) == cr then last = last - 1 end
    is_short = last - first < max
    if not is_short then break end
    n = n + 1
    records[n] = sub(text, first, last)
    first = e + 1
    from = first
  end
  bytes.first, bytes.size = first, bytes.size - (first - begun)
  self.scanned = from > first and from - first or 0
  return is_short
end

--- By the first byte at which the pattern matches what came so far. More bytes
--- never undo a match, so the shortest text that has one can be bisected.
local function find_shortest(text, pattern, first)
  local low, high = find(text, pattern, first)
  if not low then return nil end
  local middle = high - 1
  while low < high do
    if find(sub(text, first, middle), pattern) then
      high = middle
    else
      low = middle + 1
    end
    middle = (low + high) // 2
  end
  return first - 1 + find(sub(text, first, high), pattern), high
end

local function by_pattern(self, records, most)
  local bytes, text = self.bytes, self.bytes.text
  while #records < most do
    local first = bytes.first
    local s, e = find_shortest(text, self.terminator, first)
    if not s then return true end
    if e - first >= self.max_length then return false end
    records[#records + 1] = sub(text, first, s - 1)
    bytes.first, bytes.size = e + 1, bytes.size - (e - first + 1)
  end
  return true
end

--- Until the first terminator: CR LF, CR or LF. A CR may be half of CR LF until
--- the next byte has come.
local function detect(self, records, most)
  local text, first = self.bytes.text, self.bytes.first
  local s = find(text, "[\r\n]", first + self.scanned)
  local terminator = s and text:match("^\n", s) or s and text:match("^\r\n", s)
    or s and s < #text and "\r"
  if not terminator then
    self.scanned = (s or #text + 1) - first
    return true
  end
  self.search, self.terminator, self.is_literal = plain, terminator, true
  self.last, self.limit = sub(terminator, -1), self.max_length + #terminator
  return plain(self, records, most)
end

--- Whether a line may end in what came since the last search.
local function may_end(self)
  local bytes = self.bytes
  if not self.is_literal then return bytes.count > 0 end
  local last = self.last
  for i = bytes.seen + 1, bytes.count do
    if find(bytes.parts[i], last, 1, true) then return true end
  end
  bytes.seen = bytes.count
  return false
end

--- Up to `most` lines; and whether none was too long.
local function take(self, most)
  local bytes, records = self.bytes, {}
  while bytes.size > 0 do
    if bytes.first <= #bytes.text and not self:search(records, most) then
      return records, false
    end
    if #records == most then return records, true end
    if not may_end(self) then return records, bytes.size < self.limit end
    bytes:join()
  end
  return records, true
end

-- ---- new ------------------------------------------------------------------------

--- The search above needs patterns that look neither behind nor ahead.
local function check_pattern(terminator)
  local ok, found = pcall(find, "", terminator)
  local wrong
  if not ok then
    wrong = tostring(found):gsub("^.-:%d+: ", "")
  elseif found then
    wrong = "it matches the empty string"
  elseif sub(terminator, 1, 1) == "^" or terminator:gsub("%%.", ""):find "%$$" then
    wrong = "it has an anchor"
  end
  for item in terminator:gmatch "%%(.)" do
    if item == "f" then wrong = "it has a frontier" end
  end
  if wrong then
    options.blame(("Line.new: parameter 'input_pattern' is no terminator (%s)")
      :format(wrong))
  end
end

---@param checked poe.filter.line.options
local function make(checked)
  local self = setmetatable({
    options = checked, bytes = Bytes.new(), scanned = 0,
    search = plain, is_literal = true, takes_cr = false,
    terminator = checked.input_literal or checked.literal,
    output = checked.output_literal or checked.literal or "\r\n",
    max_length = checked.max_length,
  }, Line)
  local room = 2
  if checked.autodetect then
    self.search, self.is_literal = detect, false
  elseif checked.input_pattern then
    self.search, self.is_literal, room = by_pattern, false, 0
    self.terminator = checked.input_pattern
  elseif self.terminator then
    room = #self.terminator
  else
    self.terminator, self.takes_cr = "\n", true
  end
  self.last = self.terminator and sub(self.terminator, -1)
  self.limit = self.max_length + room
  return self
end

---@param given? poe.filter.line.options
---@return poe.filter.line
function Line.new(given)
  local checked = options.check("Line.new", given, PARAMETERS)
  if not checked.autodetect then checked.autodetect = nil end
  options.exclude("Line.new", checked, "literal", "input_literal",
    "input_pattern", "autodetect")
  options.exclude("Line.new", checked, "literal", "output_literal")
  if checked.input_pattern then check_pattern(checked.input_pattern) end
  return make(checked)
end

--- One with the same parameters; what autodetect found out is not taken over.
---@return poe.filter.line
function Line:clone()
  return make(self.options)
end

-- ---- bytes to lines ---------------------------------------------------------------

local function too_long(self)
  return Base.fail("EMSGSIZE", ("line of more than %d bytes")
    :format(self.max_length))
end

---@param chunks string[]
function Line:get_one_start(chunks)
  self.bytes:add(chunks)
end

--- A line that `plain` would find in `bytes.text`, as most are: the short way.
local function take_plain(self)
  local bytes = self.bytes
  local text, first = bytes.text, bytes.first
  local s, e = find(text, self.terminator, first + self.scanned, true)
  if not s then return nil end
  local last = s - 1
  if self.takes_cr and last >= first and byte(text, last) == CR then
    last = last - 1
  end
  if last - first >= self.max_length then return nil end
  bytes.first, bytes.size = e + 1, bytes.size - (e + 1 - first)
  self.scanned = 0
  return sub(text, first, last)
end

---@return string[]? lines  one or none
---@return string? message
---@return string? code  EMSGSIZE, again and again
function Line:get_one()
  local line = self.is_literal and take_plain(self)
  if line then return { line } end
  local records, is_short = take(self, 1)
  if not is_short then return too_long(self) end
  return records
end

--- The line that `bytes` are, terminator and all, if no others are there and a
--- literal ends it; else nil.
---@param bytes string
---@return string?
function Line:get_single(bytes)
  if self.bytes.size > 0 or not self.is_literal then return nil end
  local terminator = self.terminator
  local s = find(bytes, terminator, 1, true)
  if not s or s + #terminator <= #bytes then return nil end
  local last = s - 1
  if self.takes_cr and byte(bytes, last) == CR then last = last - 1 end
  if last <= self.max_length then return sub(bytes, 1, last) end
end

---@param chunks string[]
---@return string[]? lines
---@return string? message
---@return string? code
---@return string[]? before  the lines before the one that is too long
function Line:get(chunks)
  self:get_one_start(chunks)
  local records, is_short = take(self, math.maxinteger)
  if is_short then return records end
  local _, message, code = too_long(self)
  return nil, message, code, records
end

---@return string[]? chunks
function Line:get_pending()
  return self.bytes:pending()
end

-- ---- lines to bytes ---------------------------------------------------------------

---@param lines string[]
---@return string[] chunks
function Line:put(lines)
  if type(lines) ~= "table" then options.check_list("put", 1, lines) end
  local chunks, output = {}, self.output
  for i = 1, #lines do
    local line = lines[i]
    if type(line) ~= "string" then
      options.check_element("put", i, line, "string|number")
    end
    chunks[i] = line .. output
  end
  return chunks
end

--- The chunk for one line, if it is a string; else nil.
---@param line any
---@return string?
function Line:put_single(line)
  if type(line) == "string" then return line .. self.output end
end

return Line
