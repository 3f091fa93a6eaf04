-- SPDX-License-Identifier: MIT
-- Bytes of a terminal to keys, as they come: "a", "é", "C-a", "M-f", "up",
-- "C-right", "f1", "paste". ECMA-48 control sequences, xterm's modifiers.
--
-- What comes out depends on the bytes alone. A lone ESC waits for the next
-- byte: it is Meta, as in readline.
local options = require "poe.options"

local byte, find, sub, char = string.byte, string.find, string.sub, string.char

local MAX_SEQUENCE = 64 -- bytes of a control sequence; more is garbage
local PASTE_END = "\27[201~"

---@class poe.wheel.readline.keys
---@field bytes string  not yet decoded
local Keys = {}
Keys.__index = Keys

---@param max_paste integer  bytes; of what is longer one byte more is kept
---@return poe.wheel.readline.keys
function Keys.new(max_paste)
  return setmetatable({ bytes = "", max_paste = max_paste }, Keys)
end

-- ---- single bytes ---------------------------------------------------------------

local NAMES = {
  ["\r"] = "return", ["\t"] = "tab", ["\127"] = "backspace", [" "] = "space",
}

local function name_of(first)
  local known = NAMES[first]
  if known then return known end
  local code = byte(first)
  if code < 32 then return "C-" .. char(code + 64):lower() end
  return first
end

--- How many bytes the character has whose first byte this is.
local function size_of(code)
  return code < 0xC2 and 1 or code < 0xE0 and 2 or code < 0xF0 and 3
    or code < 0xF5 and 4 or 1
end

--- Name and end of the character at `i`; nil if more bytes are needed. A byte
--- that is no part of a character is one by itself.
local function character(bytes, i)
  local code = byte(bytes, i)
  if code < 128 then return name_of(sub(bytes, i, i)), i end
  local _, last = find(bytes, "^[\128-\191]*", i + 1)
  local size = size_of(code)
  if last - i + 1 >= size then
    local text = sub(bytes, i, i + size - 1)
    if utf8.len(text) then return text, i + size - 1 end
  elseif last == #bytes then
    return nil
  end
  return sub(bytes, i, i), i
end

-- ---- control sequences --------------------------------------------------------

local FINALS = {
  A = "up", B = "down", C = "right", D = "left", H = "home", F = "end",
  E = "begin", P = "f1", Q = "f2", R = "f3", S = "f4", Z = "S-tab",
}

local NUMBERS = {
  [1] = "home", [2] = "insert", [3] = "delete", [4] = "end", [5] = "pageup",
  [6] = "pagedown", [7] = "home", [8] = "end", [11] = "f1", [12] = "f2",
  [13] = "f3", [14] = "f4", [15] = "f5", [17] = "f6", [18] = "f7", [19] = "f8",
  [20] = "f9", [21] = "f10", [23] = "f11", [24] = "f12", [200] = "paste",
}

--- xterm: 1 and a bit each for Shift, Alt and Control.
local function with_modifiers(name, parameter)
  local bits = (tonumber(parameter) or 1) - 1
  if bits < 1 or bits > 15 then return name end
  return (bits & 4 ~= 0 and "C-" or "") .. (bits & 10 ~= 0 and "M-" or "")
    .. (bits & 1 ~= 0 and "S-" or "") .. name
end

--- After ESC [ or ESC O. "" is a sequence that means no key.
local function sequence(bytes, i)
  local _, last = find(bytes, "^[0-?]*[ -/]*", i)
  local final = sub(bytes, last + 1, last + 1)
  if last - i >= MAX_SEQUENCE then return "", last end
  if final == "" then return nil end
  if not find(final, "[@-~]") then return "", last end
  local number, modifier = sub(bytes, i, last):match "^(%d*);?(%d*)$"
  local name
  if number and final == "~" then
    name = NUMBERS[tonumber(number)]
  elseif number then
    name = FINALS[final]
  end
  return name and with_modifiers(name, modifier) or "", last + 1
end

--- The key that begins at `i`.
local function key_at(bytes, i)
  if byte(bytes, i) ~= 27 then return character(bytes, i) end
  local second = sub(bytes, i + 1, i + 1)
  if second == "" then return nil end
  if second == "[" or second == "O" then return sequence(bytes, i + 2) end
  local name, last = key_at(bytes, i + 1)
  if not name then return nil end
  if name == "" then return "", last end
  local before, rest = name:match "^(C%-)(.+)$"
  if name:find "^M%-" or name:find "^C%-M%-" then return name, last end
  return before and before .. "M-" .. rest or "M-" .. name, last
end

-- ---- decoding -------------------------------------------------------------------

--- Takes bytes that came.
---@param bytes string
function Keys:feed(bytes)
  self.bytes = self.bytes .. bytes
end

--- Until the end of what is pasted.
local function pasted(self)
  local parts = self.paste
  local first, last = find(self.bytes, PASTE_END, 1, true)
  local text = sub(self.bytes, 1, first and first - 1 or -#PASTE_END)
  local room = math.max(self.max_paste + 1 - parts.size, 0)
  parts[#parts + 1] = sub(text, 1, room)
  parts.size = parts.size + #text
  self.bytes = sub(self.bytes, first and last + 1 or #text + 1)
  if not first then return nil end
  self.paste = nil
  return "paste", (table.concat(parts):gsub("\r\n?", "\n"))
end

--- The next key, once all its bytes have come.
---@return string? name  "" for what is no key
---@return string? raw  its bytes; of "paste" the text
function Keys:next()
  if self.paste then return pasted(self) end
  local bytes = self.bytes
  if bytes == "" then return nil end
  local name, last = key_at(bytes, 1)
  if not name then return nil end
  self.bytes = sub(bytes, last + 1)
  if name == "paste" then
    self.paste = { size = 0 }
    return pasted(self)
  end
  return name, sub(bytes, 1, last)
end

--- Takes back what it gave, as if it had not come yet.
---@param raw string
function Keys:unget(raw)
  self.bytes = raw .. self.bytes
end

-- ---- names of keys ------------------------------------------------------------

local WORDS = {
  rubout = "backspace", del = "backspace", lfd = "C-j", newline = "C-j",
  ret = "return", enter = "return", spc = "space", ["c-m"] = "return",
  ["c-i"] = "tab", ["c-?"] = "backspace", ["c-space"] = "C-@",
}

local function normal_key(key)
  local prefix = { C = "", M = "", S = "" }
  key = key:gsub("^\\", "")
  while true do
    local modifier, rest = key:match "^(%a+)%-(.+)$"
    local letter = modifier and ({ c = "C", control = "C", ctrl = "C", m = "M",
      meta = "M", alt = "M", s = "S", shift = "S" })[modifier:lower()]
    if not letter then break end
    prefix[letter], key = letter .. "-", rest:gsub("^\\", "")
  end
  if #key > 1 or prefix.C ~= "" then key = key:lower() end
  key = WORDS[key] or NAMES[key] or key
  local name = prefix.C .. prefix.M .. prefix.S .. key
  return WORDS[name:lower()] or name
end

local KNOWN = {}
for _, list in ipairs { FINALS, NUMBERS, NAMES } do
  for _, name in pairs(list) do KNOWN[name] = true end
end

local function is_key(name)
  local bare = name:gsub("^C%-", ""):gsub("^M%-", ""):gsub("^S%-", "")
  return KNOWN[bare] or utf8.len(bare) == 1
end

--- One spelling for the names of keys, readline's included: "Control-x",
--- "\\C-x", "Meta-Rubout". Several keys have spaces between.
---@param where string  for the message
---@param keys string
---@return string
function Keys.normal(where, keys)
  local names = {}
  for key in keys:gmatch "%S+" do
    local name = normal_key(key)
    if not is_key(name) then
      options.blame(("%s: no key is called '%s'"):format(where, key))
    end
    names[#names + 1] = name
  end
  if #names == 0 then options.blame(where .. ": no key is named") end
  return table.concat(names, " ")
end

return Keys
