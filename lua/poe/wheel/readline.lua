-- SPDX-License-Identifier: MIT
-- Lines that somebody types, edited as with readline(3), while everything else
-- goes on. POE::Wheel::ReadLine. See doc/wheels.md.
local Base = require "poe.wheel.base"
local History = require "poe.wheel.readline.history"
local Keys = require "poe.wheel.readline.keys"
local console = require "poe.wheel.readline.console"
local options = require "poe.options"
local plain = require "poe.wheel.readline.plain"
local sys = require "poe.sys"

local MODES = { immediate = true, idle = true, after = true }

---@class poe.wheel.readline.options
---@field input_event string  (line, exception, ID)
---@field error_event? string  (operation, code, text, ID); else it is "eot"
---@field handle? poe.handle  a terminal
---@field input_handle? poe.handle  io.stdin
---@field output_handle? poe.handle  io.stdout
---@field put_mode? "immediate"|"idle"|"after"  when put writes above a line
---@field idle_time? number  2: seconds without a key, for put_mode "idle"
---@field history_size? integer  1000 lines
---@field max_length? integer  of a line, in bytes; 65536
---@field completion_function? fun(word: string, line: string, start: integer): string[]

---@class poe.wheel.readline: poe.wheel
local ReadLine = Base.class("ReadLine", {
  input_event = { "text", required = true }, error_event = { "text" },
  handle = { "handle" }, input_handle = { "handle" }, output_handle = { "handle" },
  put_mode = { "text", default = "immediate" },
  idle_time = { "seconds", default = 2 },
  history_size = { "size", default = 1000 }, max_length = { "size", default = 65536 },
  completion_function = { "function" },
})

function ReadLine.check(where, checked)
  options.exclude(where, checked, "handle", "input_handle")
  options.exclude(where, checked, "handle", "output_handle")
  if not MODES[checked.put_mode] then
    options.blame(("%s: parameter 'put_mode' cannot be '%s' (did you mean '%s'?)")
      :format(where, checked.put_mode, options.nearest(checked.put_mode, MODES)))
  end
end

-- ---- attributes -------------------------------------------------------------------

local ATTRIBS = {
  bell_style = { "text", default = "audible" },
  completion_append_character = { "string", default = " " },
  completion_function = { "function" },
  completion_query_items = { "integer", default = 100 },
  enable_bracketed_paste = { "boolean", default = true },
  print_completions_horizontally = { "boolean", default = false },
  show_all_if_ambiguous = { "boolean", default = false },
  word_break_characters = { "string", default = " \t\n\"\\'`@$><=;|&{(" },
}

local function check_attrib(name)
  if not ATTRIBS[name] then
    options.blame(("no attribute '%s' (did you mean '%s'?)"):format(tostring(name),
      options.nearest(tostring(name), ATTRIBS)))
  end
end

--- A table that knows its keys and what they may be.
local function new_attribs(given)
  local values = options.check("attribs", given, ATTRIBS)
  return setmetatable({}, {
    __index = function(_, name)
      check_attrib(name)
      return values[name]
    end,
    __newindex = function(_, name, value)
      check_attrib(name)
      values[name] = options.check("attribs", { [name] = value }, ATTRIBS)[name]
    end,
    __pairs = function() return pairs(values) end,
  })
end

-- ---- new ----------------------------------------------------------------------------

--- Whether lines can be edited there.
local function is_console(checked)
  local terminal = os.getenv "TERM"
  return terminal and terminal ~= "" and terminal ~= "dumb"
    and sys.isatty(checked.input_handle) and sys.isatty(checked.output_handle)
end

function ReadLine.on_leave(core)
  if core.input and core.output then core.way.leave(core) end
end

function ReadLine.on_gone(core)
  core.way.gone(core)
end

-- At the end of the program the kernel may be gone before its wheels are.
function ReadLine:__gc()
  pcall(self.core.destroy, self.core)
  pcall(self.core.way.gone, self.core)
end

---@param given poe.wheel.readline.options
---@return poe.wheel.readline? wheel
---@return string? message
---@return string? code
function ReadLine.new(given)
  local core, checked = Base.core(ReadLine, given)
  checked.input_handle = checked.handle or checked.input_handle or io.stdin
  checked.output_handle = checked.handle or checked.output_handle or io.stdout
  core.put_mode, core.idle_time = checked.put_mode, checked.idle_time
  core.attribs = new_attribs { completion_function = checked.completion_function }
  core.history = History.new(checked.history_size)
  core.is_reading = false
  core.way = is_console(checked) and console or plain
  local ok, message, code = core.way.start(core, checked)
  if not ok then
    core:destroy()
    return nil, message, code
  end
  for _, handle in ipairs { checked.input_handle, checked.output_handle } do
    if sys.type(handle) then core:own(handle) end
  end
  local self = Base.wheel(core)
  core.facade = setmetatable({ self }, { __mode = "v" })
  return self
end

-- ---- lines ----------------------------------------------------------------------------

--- Asks for a line: input_event gets it, once. While one is read it changes the
--- prompt.
---@param prompt? string  the last one
function ReadLine:get(prompt)
  local core = Base.check_alive(self, "get")
  if prompt ~= nil then
    options.check_argument("get", 1, prompt, "string|number")
    prompt = tostring(prompt)
  end
  core:inside(core.way.get, core, prompt)
end

--- Writes lines, above the one that is edited.
---@param ... string|number
function ReadLine:put(...)
  local core = Base.check_alive(self, "put")
  local rows = {}
  for i = 1, select("#", ...) do
    local text = select(i, ...)
    options.check_argument("put", i, text, "string|number")
    for row in (tostring(text):gsub("\n$", "") .. "\n"):gmatch "([^\n]*)\n" do
      rows[#rows + 1] = row
    end
  end
  if #rows > 0 then core:inside(core.way.put, core, rows) end
end

--- Clears the terminal.
function ReadLine:clear()
  local core = Base.check_alive(self, "clear")
  core:inside(core.way.clear, core)
end

---@return integer columns
---@return integer rows
function ReadLine:terminal_size()
  local core = Base.check_alive(self, "terminal_size")
  return core.way.size(core)
end

--- The line as it is edited now, for functions bound to keys.
---@return string line
---@return integer offset  bytes before the cursor
function ReadLine:get_line()
  local editor = Base.check_alive(self, "get_line").editor
  if not editor then return "", 0 end
  return editor.buffer:text(), editor.buffer:offset()
end

---@param line string
---@param offset? integer  bytes before the cursor; all
---@return boolean  false: none is edited, or it is too long
function ReadLine:set_line(line, offset)
  local core = Base.check_alive(self, "set_line")
  options.check_argument("set_line", 1, line, "string")
  local editor = core.editor
  if not editor or not core.is_reading then return false end
  if not editor.buffer:set(line) then return false end
  if offset then editor:set_offset(offset) end
  core:inside(core.way.refresh, core)
  return true
end

-- ---- history ------------------------------------------------------------------------

--- Adds lines. Nothing is added by itself.
---@param ... string
function ReadLine:add_history(...)
  local core = Base.check_alive(self, "add_history")
  for i = 1, select("#", ...) do
    local line = select(i, ...)
    options.check_argument("add_history", i, line, "string")
    core.history:add(line)
  end
end

---@return string[] lines  a copy
function ReadLine:get_history()
  local lines = Base.check_alive(self, "get_history").history.lines
  return table.move(lines, 1, #lines, 1, {})
end

--- Adds lines of a file.
---@param path? string  ~/.history
---@param first? integer
---@param last? integer
---@return true?
---@return string? message
---@return string? code
function ReadLine:read_history(path, first, last)
  return Base.check_alive(self, "read_history").history:read(path, first, last)
end

---@param path? string  ~/.history
---@return true?
---@return string? message
---@return string? code
function ReadLine:write_history(path)
  return Base.check_alive(self, "write_history").history:write(path)
end

--- Leaves the last lines of a file, `count` of them.
---@param path? string  ~/.history
---@param count? integer  0
---@return true?
---@return string? message
---@return string? code
function ReadLine:history_truncate_file(path, count)
  Base.check_alive(self, "history_truncate_file")
  return History.truncate(path, count)
end

-- ---- keys and attributes --------------------------------------------------------------

local function check_command(core, where, number, command)
  options.check_argument(where, number, command, "text|function")
  if type(command) == "function" then
    return function(_, key, raw)
      local self = core.facade[1]
      if self then return command(self, key, raw) end
    end
  end
  core.editor:command(where, command)
  return command
end

--- Binds keys to a command: its name in readline(3), or a function.
---@param keys string  "C-x C-u", "M-Rubout", "f1"
---@param command string|fun(wheel: poe.wheel.readline, key: string, raw: string)
function ReadLine:bind_key(keys, command)
  local core = Base.check_alive(self, "bind_key")
  options.check_argument("bind_key", 1, keys, "text")
  keys = Keys.normal("bind_key", keys)
  if not core.editor then return end
  core.editor:bind(keys, check_command(core, "bind_key", 2, command))
end

--- A command of one's own, and the keys for it.
---@param name string
---@param command fun(wheel: poe.wheel.readline, key: string, raw: string)
---@param keys? string
function ReadLine:add_defun(name, command, keys)
  local core = Base.check_alive(self, "add_defun")
  options.check_argument("add_defun", 1, name, "text")
  options.check_argument("add_defun", 2, command, "function")
  if not core.editor then return end
  core.editor.commands[name] = check_command(core, "add_defun", 2, command)
  if keys then self:bind_key(keys, name) end
end

--- A table of what can be set; assigning to a field sets it.
---@return table<string, any>
function ReadLine:attribs()
  return Base.check_alive(self, "attribs").attribs
end

--- An attribute; with a value, sets it.
---@param name string
---@param value? any
---@return any value  the one before
function ReadLine:option(name, ...)
  local attribs = Base.check_alive(self, "option").attribs
  local value = attribs[name]
  if select("#", ...) > 0 then attribs[name] = (...) end
  return value
end

return ReadLine
