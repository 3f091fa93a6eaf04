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

--- Shows the next line that has the text, counted from the one at `index`.
local function find(self, editor, index)
  local history = editor.history
  local is_other = index ~= history.at and editor.buffer:text() or nil
  local found, position = history:search(self.text, index, self.step, false,
    is_other)
  self.has_failed = not found
  if not found then return editor:bell() end
  if found ~= history.at then
    editor:show_line(history:go(found, editor.buffer:text()))
  end
  editor:set_offset(position - 1)
end

local function again(self, editor, step)
  self.step = step
  if self.text == "" then
    self.text = editor.last_search or ""
    if self.text == "" then return end
  end
  find(self, editor, editor.history.at + step)
end

local function restart(self, editor)
  local history = editor.history
  editor:show_line(history:go(self.from_line, editor.buffer:text()))
  editor.buffer.at = self.from_at
  self.has_failed = false
  if self.text ~= "" then find(self, editor, history.at) end
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
    find(self, editor, editor.history.at)
    return true
  end
  if self.text ~= "" then editor.last_search = self.text end
  editor:end_search()
  return false
end

return Search
