-- SPDX-License-Identifier: MIT
-- What keys can do, under the names that readline(3) has for it, and the keys of
-- emacs. A command gets the editor, the key's name and its bytes.
local Text = require "poe.wheel.readline.text"

---@alias poe.wheel.readline.command fun(editor: poe.wheel.readline.editor, key: string, raw: string)

---@type table<string, poe.wheel.readline.command>
local commands = {}

-- ---- the cursor -----------------------------------------------------------------

commands["beginning-of-line"] = function(editor)
  editor.buffer.at = 0
end

commands["end-of-line"] = function(editor)
  editor.buffer.at = editor.buffer:length()
end

commands["forward-char"] = function(editor)
  local buffer = editor.buffer
  if buffer.at == buffer:length() then return editor:bell() end
  buffer.at = buffer.at + 1
end

commands["backward-char"] = function(editor)
  local buffer = editor.buffer
  if buffer.at == 0 then return editor:bell() end
  buffer.at = buffer.at - 1
end

commands["forward-word"] = function(editor)
  editor.buffer.at = editor.buffer:word_end(editor.buffer.at)
end

commands["backward-word"] = function(editor)
  editor.buffer.at = editor.buffer:word_start(editor.buffer.at)
end

-- ---- text -------------------------------------------------------------------------

commands["self-insert"] = function(editor, _, raw)
  if not editor.buffer:type(raw) then editor:bell() end
end

commands["insert-paste"] = function(editor, _, text)
  if not editor.buffer:insert(text) then editor:bell() end
end

commands["quoted-insert"] = function(editor)
  editor.quoting = true
end

commands["delete-char"] = function(editor)
  local buffer = editor.buffer
  if buffer.at == buffer:length() then return editor:bell() end
  buffer:delete(buffer.at, buffer.at + 1)
end

commands["backward-delete-char"] = function(editor)
  local buffer = editor.buffer
  if buffer.at == 0 then return editor:bell() end
  buffer:delete(buffer.at - 1, buffer.at)
end

commands["delete-horizontal-space"] = function(editor)
  local buffer = editor.buffer
  local from, to, units = buffer.at, buffer.at, buffer.units
  while from > 0 and Text.is_space(units[from]) do from = from - 1 end
  while to < #units and Text.is_space(units[to + 1]) do to = to + 1 end
  buffer:delete(from, to)
end

commands["transpose-chars"] = function(editor)
  local buffer = editor.buffer
  local at, units = buffer.at, buffer.units
  if #units < 2 or at == 0 then return editor:bell() end
  if at == #units then at = at - 1 end
  buffer:replace(at - 1, at + 1, units[at + 1] .. units[at])
end

commands["transpose-words"] = function(editor)
  local buffer = editor.buffer
  local last = buffer:word_end(buffer.at)
  local second = buffer:word_start(last)
  local first = buffer:word_start(second)
  local middle = buffer:word_end(first)
  if middle > second or first == second then return editor:bell() end
  buffer:replace(first, last, buffer:text(second, last)
    .. buffer:text(middle, second) .. buffer:text(first, middle))
end

--- Only ASCII has letters that Lua can change.
local function change_word(editor, change)
  local buffer = editor.buffer
  local to = buffer:word_end(buffer.at)
  buffer:replace(buffer.at, to, change(buffer:text(buffer.at, to)))
end

commands["upcase-word"] = function(editor)
  change_word(editor, string.upper)
end

commands["downcase-word"] = function(editor)
  change_word(editor, string.lower)
end

commands["capitalize-word"] = function(editor)
  change_word(editor, function(word)
    return (word:lower():gsub("[%w\128-\255]", string.upper, 1))
  end)
end

commands["undo"] = function(editor)
  if not editor.buffer:undo() then editor:bell() end
end

commands["revert-line"] = function(editor)
  if not editor.buffer:undo(true) then editor:bell() end
end

-- ---- killing and yanking ------------------------------------------------------------

--- Kills between two positions; kills in a row are one.
local function kill(editor, from, to)
  local buffer, at = editor.buffer, editor.buffer.at
  local removed = buffer:delete(from, to)
  local has_begun = editor.was_kill or editor.is_kill
  editor.kills:push(removed, has_begun and (from < at and "before" or "after")
    or nil)
  editor.is_kill = true
end

commands["kill-line"] = function(editor)
  kill(editor, editor.buffer.at, editor.buffer:length())
end

commands["unix-line-discard"] = function(editor)
  kill(editor, 0, editor.buffer.at)
end

commands["kill-whole-line"] = function(editor)
  kill(editor, 0, editor.buffer:length())
end

commands["kill-word"] = function(editor)
  kill(editor, editor.buffer.at, editor.buffer:word_end(editor.buffer.at))
end

commands["backward-kill-word"] = function(editor)
  kill(editor, editor.buffer:word_start(editor.buffer.at), editor.buffer.at)
end

commands["unix-word-rubout"] = function(editor)
  local buffer = editor.buffer
  local from = buffer:word_start(buffer.at, function(unit)
    return not Text.is_space(unit)
  end)
  kill(editor, from, buffer.at)
end

local function yank(editor, from)
  local text = editor.kills:top()
  if not text or not editor.buffer:replace(from, editor.buffer.at, text) then
    return editor:bell()
  end
  editor.yanked = { from, editor.buffer.at }
end

commands["yank"] = function(editor)
  editor.kills.turn = 0
  yank(editor, editor.buffer.at)
end

--- Only right after a yank: the kill before in its place.
commands["yank-pop"] = function(editor)
  local last = editor.was_yanked
  if not last then return editor:bell() end
  editor.kills:rotate()
  yank(editor, last[1])
end

--- The last word of the line before this one; again, of the one before that.
commands["yank-last-arg"] = function(editor)
  local last, buffer, history = editor.was_last_arg, editor.buffer, editor.history
  local index = (last and last.index or history.at) - 1
  local line = history.lines[index]
  if not line then
    editor.last_arg = last
    return editor:bell()
  end
  local from = last and last.from or buffer.at
  if buffer:replace(from, buffer.at, line:match "(%S*)%s*$") then
    editor.last_arg = { index = index, from = from }
  end
end

-- ---- history ------------------------------------------------------------------------

local function go(editor, index)
  if index == editor.history.at then return end
  local line = editor.history:go(index, editor.buffer:text())
  if not line then return editor:bell() end
  editor:show_line(line)
end

commands["previous-history"] = function(editor)
  go(editor, editor.history.at - 1)
end

commands["next-history"] = function(editor)
  go(editor, editor.history.at + 1)
end

commands["beginning-of-history"] = function(editor)
  go(editor, 1)
end

commands["end-of-history"] = function(editor)
  go(editor, #editor.history.lines + 1)
end

--- Lines that begin with what is before the cursor.
local function search(editor, step)
  local buffer, history = editor.buffer, editor.history
  local at, text = buffer.at, buffer:text(0, buffer.at)
  local index = history:find(text, history.at + step, step, buffer:text())
  if not index then return editor:bell() end
  go(editor, index)
  buffer.at = at
end

commands["history-search-backward"] = function(editor)
  search(editor, -1)
end

commands["history-search-forward"] = function(editor)
  search(editor, 1)
end

commands["reverse-search-history"] = function(editor)
  editor:begin_search(-1)
end

commands["forward-search-history"] = function(editor)
  editor:begin_search(1)
end

-- ---- completion ---------------------------------------------------------------------

commands["complete"] = function(editor)
  editor:complete()
end

commands["possible-completions"] = function(editor)
  editor:complete "list"
end

commands["insert-completions"] = function(editor)
  editor:complete "insert"
end

-- ---- the end of the line, and the terminal ------------------------------------------

commands["accept-line"] = function(editor)
  editor:finish(editor.buffer:text())
end

commands["interrupt"] = function(editor)
  editor:finish(nil, "interrupt")
end

commands["abort"] = function(editor)
  editor:finish(nil, "cancel")
end

commands["delete-char-or-eot"] = function(editor)
  if editor.buffer:length() == 0 then return editor:finish(nil, "eot") end
  commands["delete-char"](editor)
end

commands["suspend"] = function(editor)
  editor.host.suspend()
end

commands["clear-screen"] = function(editor)
  editor.host.clear()
end

commands["redraw-current-line"] = function(editor)
  editor.host.redraw()
end

commands["digit-argument"] = function(editor, key)
  editor:add_digit(key:match "%d")
end

-- ---- keys ---------------------------------------------------------------------------

---@type table<string, string>
local emacs = {
  ["C-a"] = "beginning-of-line", ["C-e"] = "end-of-line",
  ["C-f"] = "forward-char", ["C-b"] = "backward-char",
  ["M-f"] = "forward-word", ["M-b"] = "backward-word",
  home = "beginning-of-line", ["end"] = "end-of-line",
  right = "forward-char", left = "backward-char",
  ["C-right"] = "forward-word", ["C-left"] = "backward-word",
  ["M-right"] = "forward-word", ["M-left"] = "backward-word",

  paste = "insert-paste", ["C-q"] = "quoted-insert", ["C-v"] = "quoted-insert",
  ["C-d"] = "delete-char-or-eot", delete = "delete-char",
  backspace = "backward-delete-char", ["C-h"] = "backward-delete-char",
  ["M-\\"] = "delete-horizontal-space",
  ["C-t"] = "transpose-chars", ["M-t"] = "transpose-words",
  ["M-u"] = "upcase-word", ["M-l"] = "downcase-word",
  ["M-c"] = "capitalize-word",
  ["C-_"] = "undo", ["C-x C-u"] = "undo", ["M-r"] = "revert-line",

  ["C-k"] = "kill-line", ["C-u"] = "unix-line-discard",
  ["M-d"] = "kill-word", ["M-backspace"] = "backward-kill-word",
  ["C-M-h"] = "backward-kill-word", ["C-w"] = "unix-word-rubout",
  ["C-x backspace"] = "unix-line-discard",
  ["C-y"] = "yank", ["M-y"] = "yank-pop",
  ["M-."] = "yank-last-arg", ["M-_"] = "yank-last-arg",

  ["C-p"] = "previous-history", ["C-n"] = "next-history",
  up = "previous-history", down = "next-history",
  ["M-<"] = "beginning-of-history", ["M->"] = "end-of-history",
  pageup = "history-search-backward", pagedown = "history-search-forward",
  ["C-r"] = "reverse-search-history", ["C-s"] = "forward-search-history",

  tab = "complete", ["M-?"] = "possible-completions",
  ["M-="] = "possible-completions", ["M-*"] = "insert-completions",

  ["return"] = "accept-line", ["C-j"] = "accept-line", ["C-c"] = "interrupt",
  ["C-g"] = "abort", ["C-z"] = "suspend", ["C-l"] = "clear-screen",
}
for digit = 0, 9 do emacs["M-" .. digit] = "digit-argument" end

return { commands = commands, emacs = emacs }
