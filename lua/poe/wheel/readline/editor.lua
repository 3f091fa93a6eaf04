-- SPDX-License-Identifier: MIT
-- Keys to lines: which command a key is, the modes in which keys mean something
-- else. It knows no terminal: what it wants of one it tells its host.
local Buffer = require "poe.wheel.readline.buffer"
local Complete = require "poe.wheel.readline.complete"
local Kills = require "poe.wheel.readline.kills"
local Search = require "poe.wheel.readline.search"
local defaults = require "poe.wheel.readline.commands"
local options = require "poe.options"

local MAX_REPEAT = 10000

--- What an editor asks for.
---@class poe.wheel.readline.host
---@field finish fun(line: string?, exception: string?)  a line was entered, or what happened instead
---@field list fun(rows: string[])  shows rows above the prompt
---@field columns fun(): integer
---@field bell fun()
---@field clear fun()
---@field redraw fun()
---@field suspend fun()

---@class poe.wheel.readline.editor
---@field buffer poe.wheel.readline.buffer
---@field history poe.wheel.readline.history
---@field kills poe.wheel.readline.kills
---@field host poe.wheel.readline.host
---@field attribs table<string, any>
---@field prompt string
local Editor = {}
Editor.__index = Editor

---@param host poe.wheel.readline.host
---@param attribs table<string, any>
---@param max_length integer
---@param history poe.wheel.readline.history
---@return poe.wheel.readline.editor
function Editor.new(host, attribs, max_length, history)
  local self = setmetatable({
    host = host, attribs = attribs, prompt = "", buffer = Buffer.new(max_length),
    history = history, kills = Kills.new(),
    commands = setmetatable({}, { __index = defaults.commands }),
    keymap = {}, prefixes = {},
  }, Editor)
  for keys, command in pairs(defaults.emacs) do self:bind(keys, command) end
  return self
end

-- ---- bindings -------------------------------------------------------------------

--- Binds keys to a command; "C-x" is a prefix as soon as "C-x a" is bound.
---@param keys string  as Keys.normal gives them
---@param command string|poe.wheel.readline.command
function Editor:bind(keys, command)
  self.keymap[keys] = command
  local prefix = keys
  while true do
    prefix = prefix:match "^(.+) %S+$"
    if not prefix then return end
    self.prefixes[prefix] = true
  end
end

--- The function of a command; raises for a name that is none.
---@param where string
---@param command string|poe.wheel.readline.command
---@return poe.wheel.readline.command
function Editor:command(where, command)
  if type(command) == "function" then return command end
  local found = self.commands[command]
  if not found then
    options.blame(("%s: no command '%s' (did you mean '%s'?)"):format(where,
      command, options.nearest(command, defaults.commands)))
  end
  return found
end

-- ---- what is shown --------------------------------------------------------------

--- The prompt, the line's units and the cursor.
---@return string prompt
---@return string[] units
---@return integer at
function Editor:view()
  local prompt = self.prompt
  if self.mode then
    prompt = self.mode:prompt()
  elseif self.argument then
    prompt = ("(arg: %d) "):format(self.argument)
  end
  return prompt, self.buffer.units, self.buffer.at
end

--- Another line to edit, with nothing to undo.
---@param line string
function Editor:show_line(line)
  self.buffer:clear()
  self.buffer:set(line)
  self.buffer.undos = {}
end

--- Puts the cursor behind so many bytes.
---@param offset integer
function Editor:set_offset(offset)
  local buffer, size, at = self.buffer, 0, 0
  while at < #buffer.units and size + #buffer.units[at + 1] <= offset do
    at = at + 1
    size = size + #buffer.units[at]
  end
  buffer.at = at
end

function Editor:bell()
  self.host.bell()
end

-- ---- the end of a line ------------------------------------------------------------

--- The line is done: it is told, and the next one is empty.
---@param line string?
---@param exception string?
function Editor:finish(line, exception)
  self.is_finished = true
  self.mode = nil
  self.host.finish(line, exception)
end

--- A new, empty line.
function Editor:start()
  self.buffer:clear()
  self.history:rewind()
  self.mode, self.argument, self.pending, self.quoting = nil, nil, nil, nil
  self.is_finished = false
end

-- ---- modes --------------------------------------------------------------------------

---@param step 1|-1
function Editor:begin_search(step)
  self.mode = Search.new(self, step)
end

function Editor:end_search()
  self.mode = nil
end

--- Asks before many candidates are listed.
local Question = {}
Question.__index = Question

function Question:prompt()
  return ("Display all %d possibilities? (y or n) "):format(#self.candidates)
end

function Question:key(editor, key)
  if key == "y" or key == "Y" or key == "space" then
    editor.mode = nil
    editor:list(self.candidates)
  elseif key == "n" or key == "N" or key == "backspace" or key == "C-g"
    or key == "C-c" then
    editor.mode = nil
  else
    editor:bell()
  end
  return true
end

-- ---- completion ---------------------------------------------------------------------

---@param candidates string[]
function Editor:list(candidates)
  self.host.list(Complete.rows(candidates, self.host.columns(),
    self.attribs.print_completions_horizontally))
end

local function list_or_ask(self, candidates)
  if #candidates > self.attribs.completion_query_items then
    self.mode = setmetatable({ candidates = candidates }, Question)
  else
    self:list(candidates)
  end
end

local function check_candidates(found)
  if type(found) ~= "table" then
    options.blame("completion_function must return a list of strings, got a "
      .. type(found))
  end
  for i, candidate in ipairs(found) do
    if type(candidate) ~= "string" then
      options.blame(("completion_function must return a list of strings,"
        .. " element %d is a %s"):format(i, type(candidate)))
    end
  end
end

--- What the user's function has for the word at the cursor.
local function candidates_of(self)
  local f = self.attribs.completion_function
  local buffer = self.buffer
  local line, offset = buffer:text(), buffer:offset()
  local word, start = Complete.word(line, offset,
    self.attribs.word_break_characters)
  local found = f and f(word, line, start) or {}
  check_candidates(found)
  local from = buffer.at
  local size = offset - start + 1
  while size > 0 do
    size = size - #buffer.units[from]
    from = from - 1
  end
  return found, from, word
end

local function insert_all(self, candidates, from)
  local text = table.concat(candidates, " ") .. " "
  if not self.buffer:replace(from, self.buffer.at, text) then self:bell() end
end

--- One candidate is inserted; of several, what they have in common.
local function insert_common(self, candidates, from, word)
  local text = Complete.common(candidates)
  if #candidates == 1 and text:sub(-1) ~= "/" then
    text = text .. self.attribs.completion_append_character
  end
  if #text < #word and #candidates > 1 then text = word end
  return self.buffer:replace(from, self.buffer.at, text) and text ~= word
end

---@param how? "list"|"insert"
function Editor:complete(how)
  local candidates, from, word = candidates_of(self)
  if #candidates == 0 then
    self:bell()
  elseif how == "list" then
    list_or_ask(self, candidates)
  elseif how == "insert" then
    insert_all(self, candidates, from)
  else
    local has_grown = insert_common(self, candidates, from, word)
    self.is_completion = true
    if #candidates == 1 then return end
    if self.attribs.show_all_if_ambiguous
      or not has_grown and self.was_completion then
      list_or_ask(self, candidates)
    elseif not has_grown then
      self:bell()
    end
  end
end

-- ---- keys -------------------------------------------------------------------------

--- Whether a key is just text.
---@param key string
---@param raw string
---@return boolean
function Editor:is_text(key, raw)
  return not self.pending and (key == "space" or key == raw)
    and raw:find "^[^%c]" ~= nil
end

---@param digit string
function Editor:add_digit(digit)
  self.argument = math.min((self.had_argument or 0) * 10 + tonumber(digit),
    MAX_REPEAT)
end

local function find_command(self, key, raw)
  local keys = self.pending and self.pending .. " " .. key or key
  local command = self.keymap[keys]
  if self.prefixes[keys] and not command then
    self.pending, self.argument = keys, self.had_argument
    return nil
  elseif command then
    self.pending = nil
    return command
  elseif self:is_text(key, raw) then
    return "self-insert"
  end
  self.pending = nil
  self:bell()
end

-- What the command before was, for those that look at it.
local function turn_over(self)
  self.was_kill, self.is_kill = self.is_kill, false
  self.was_yanked, self.yanked = self.yanked, nil
  self.was_last_arg, self.last_arg = self.last_arg, nil
  self.was_completion, self.is_completion = self.is_completion, false
end

local function execute(self, command, key, raw, times)
  local f = type(command) == "function" and command or self.commands[command]
  for _ = 1, times do
    f(self, key, raw)
    if self.is_finished or self.mode then return end
  end
end

local function run(self, key, raw)
  local argument = self.argument
  self.argument, self.had_argument = nil, argument
  if argument and key:find "^%d$" and not self.pending then
    return self:add_digit(key)
  end
  local command = find_command(self, key, raw)
  if not command then return end
  turn_over(self)
  execute(self, command, key, raw,
    command ~= "digit-argument" and argument or 1)
end

--- Takes a key as Keys gives it.
---@param key string
---@param raw string  its bytes, or what was pasted
function Editor:key(key, raw)
  if key == "" then return end
  if self.quoting then
    self.quoting = nil
    if not self.buffer:insert(raw) then self:bell() end
  elseif not (self.mode and self.mode:key(self, key, raw)) then
    run(self, key, raw)
  end
end

return Editor
