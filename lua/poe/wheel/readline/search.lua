-- SPDX-License-Identifier: MIT
-- Incremental search in the history: what keys do while it lasts.

---@class poe.wheel.readline.search
---@field text string  what is looked for
---@field step 1|-1
local Search = {}
Search.__index = Search

---@param editor poe.wheel.readline.editor
---@param step 1|-1
---@return poe.wheel.readline.search
function Search.new(editor, step)
  local buffer, history = editor.buffer, editor.history
  history.edited[history.at] = buffer:text()
  return setmetatable({
    text = "", step = step, has_failed = false,
    from_line = history.at, from_at = buffer.at,
  }, Search)
end

--- What stands in the place of the prompt.
---@return string
function Search:prompt()
  return ("(%s%si-search)`%s': "):format(self.has_failed and "failed " or "",
    self.step < 0 and "reverse-" or "", self.text)
end

--- Where in a line the text begins: the last place up to `limit` or, forwards,
--- the first one from there on.
local function place(line, text, step, limit)
  if step > 0 then return (line:find(text, limit, true)) end
  local found
  local at = line:find(text, 1, true)
  while at and at <= limit do
    found = at
    at = line:find(text, at + 1, true)
  end
  return found
end

--- The next line that has it, and where. The line that is shown counts up to
--- `limit`, or from there on; lines that are the same as it do not.
local function next_match(self, editor, limit)
  local history, step = editor.history, self.step
  local index, shown = history.at, editor.buffer:text()
  local at = place(shown, self.text, step, limit)
  while not at do
    index = index + step
    if index < 1 or index > #history.lines + 1 then return nil end
    local line = history:line(index)
    at = line ~= shown and place(line, self.text, step, step < 0 and #line or 1)
  end
  return index, at
end

--- Shows the next match, with the cursor on it.
local function find(self, editor, limit)
  local history = editor.history
  local index, at = next_match(self, editor, limit)
  self.has_failed = not index
  if not index then return editor:bell() end
  if index ~= history.at then
    editor:show_line(history:go(index, editor.buffer:text()))
  end
  editor:set_offset(at - 1)
end

local function again(self, editor, step)
  local offset = editor.buffer:offset()
  self.step = step
  if self.text ~= "" then
    return find(self, editor, step < 0 and offset or offset + 2)
  end
  self.text = editor.last_search or ""
  if self.text ~= "" then find(self, editor, offset + 1) end
end

local function restart(self, editor)
  local line = editor.history:go(self.from_line, editor.buffer:text())
  editor:show_line(line)
  editor.buffer.at = self.from_at
  self.has_failed = false
  if self.text ~= "" then find(self, editor, editor.buffer:offset() + 1) end
end

local KEYS = {
  ["C-r"] = function(self, editor) again(self, editor, -1) end,
  ["C-s"] = function(self, editor) again(self, editor, 1) end,
  ["C-g"] = function(self, editor)
    self.text = ""
    restart(self, editor)
    return "end"
  end,
  ["backspace"] = function(self, editor)
    local last = utf8.offset(self.text, -1)
    self.text = last and self.text:sub(1, last - 1) or ""
    restart(self, editor)
  end,
}
KEYS["C-h"] = KEYS.backspace

--- Takes a key, if it is one for the search; all others end it.
---@param editor poe.wheel.readline.editor
---@param key string
---@param raw string
---@return boolean is_taken
function Search:key(editor, key, raw)
  local handler = KEYS[key]
  if handler then
    if handler(self, editor) == "end" then editor:end_search() end
    return true
  elseif editor:is_text(key, raw) then
    self.text = self.text .. raw
    find(self, editor, editor.buffer:offset() + 1)
    return true
  end
  if self.text ~= "" then editor.last_search = self.text end
  editor:end_search()
  return false
end

return Search
