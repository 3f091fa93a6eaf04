-- SPDX-License-Identifier: MIT
-- The parameters of the wheel Run: what each must be like, which exclude each
-- other, and what they mean for the process.
local options = require "poe.options"
local sys = require "poe.sys"

require "poe.filter.base" -- the kind "filter"
require "poe.wheel.readwrite" -- the kind "driver"

---@class poe.wheel.run.parameters
local parameters = {}

-- ---- kinds ------------------------------------------------------------------------

local MAX_NICE = 40

local function is_text(value)
  if type(value) == "number" then return true end
  return type(value) == "string" and not value:find("\0", 1, true)
end

local function is_path(value)
  return type(value) == "string" and value ~= "" and is_text(value)
end

local function is_list_of_text(value)
  for i = 1, #value do
    if not is_text(value[i]) then return false end
  end
  return #value > 0
end

local function is_environment(value)
  if type(value) ~= "table" then return false end
  for name, its_value in pairs(value) do
    if not is_path(name) or name:find "=" then return false end
    if its_value and not is_text(its_value) then return false end
  end
  return true
end

local function is_winsize(value)
  if type(value) ~= "table" or #value < 2 or #value > 4 then return false end
  for _, n in ipairs(value) do
    if math.type(n) ~= "integer" or n < 0 or n > 65535 then return false end
  end
  return true
end

local CONDUITS = { pipe = true, socketpair = true, pty = true, ["pty-pipe"] = true }

local kinds = options.kinds
kinds.conduit = {
  text = "'pipe', 'socketpair', 'pty' or 'pty-pipe'", shows = true,
  accepts = function(value) return CONDUITS[value] or false end,
}
kinds.winsize = {
  text = "a list of rows, columns and maybe two sizes in pixels",
  accepts = is_winsize,
}
kinds.account = {
  text = "a name or a number",
  accepts = function(value)
    return is_path(value) or math.type(value) == "integer" and value >= 0
  end,
}
kinds.path = { text = "a path", accepts = is_path }
kinds.program = {
  text = "a command, a list of strings or a function",
  accepts = function(value)
    if type(value) == "table" then return is_list_of_text(value) end
    return type(value) == "function" or is_path(value)
  end,
}
kinds.descriptor = {
  text = "an open descriptor (a number, a file, an object of poe.sys)",
  accepts = function(value)
    return math.type(value) == "integer" and value >= 0
      or io.type(value) == "file" or sys.type(value) and not value:is_closed()
  end,
}
kinds.environment = {
  text = "a table of strings (or false) by name", accepts = is_environment,
}
kinds.niceness = {
  text = ("an integer in %d..%d"):format(-MAX_NICE, MAX_NICE),
  accepts = function(value)
    return math.type(value) == "integer" and math.abs(value) <= MAX_NICE
  end,
}

-- ---- what there is -----------------------------------------------------------------

---@class poe.wheel.run.options
---@field program string|string[]|function  for the shell; as it is; called
---@field program_args? any[]
---@field conduit? "pipe"|"socketpair"|"pty"|"pty-pipe"  "pipe"
---@field winsize? integer[]  rows, columns, width, height of a pty
---@field close_on_call? boolean  a function has descriptors 0, 1 and 2 alone
---@field stdin_event? string  (ID): all was written
---@field stdout_event? string  (record, ID)
---@field stderr_event? string  (record, ID)
---@field error_event? string  (operation, code, text, ID, "STDIN"|"STDOUT"|"STDERR")
---@field close_event? string  (ID): no more output
---@field exit_event? string  (code, signal, pid, ID)
---@field stdio_filter? poe.filter
---@field stdin_filter? poe.filter
---@field stdout_filter? poe.filter
---@field stderr_filter? poe.filter
---@field stdio_driver? poe.driver.sysrw
---@field stdin_driver? poe.driver.sysrw
---@field stdout_driver? poe.driver.sysrw
---@field stderr_driver? poe.driver.sysrw
---@field redirect_stdin? string|poe.sys.fd|file*|integer
---@field redirect_stdout? string|poe.sys.fd|file*|integer
---@field redirect_stderr? string|poe.sys.fd|file*|integer
---@field redirect_output? string|poe.sys.fd|file*|integer  both
---@field no_stdin? boolean
---@field max_stdin? integer  most bytes that may wait; 16 MiB
---@field environment? table<string, string|number|false>  added; false: removed
---@field clear_environment? boolean
---@field working_directory? string
---@field user? string|integer
---@field group? string|integer
---@field priority? integer
---@field setsid? boolean  true for a pty
---@field setpgrp? boolean  true

local TARGET = { "path|descriptor" }

---@type table<string, poe.options.parameter>
parameters.list = {
  program = { "program", required = true },
  program_args = { "table", default = {} },
  conduit = { "conduit", default = "pipe" },
  winsize = { "winsize" },
  close_on_call = { "boolean", default = false },
  stdin_event = { "text" }, stdout_event = { "text" }, stderr_event = { "text" },
  error_event = { "text" }, close_event = { "text" }, exit_event = { "text" },
  stdio_filter = { "filter" }, stdin_filter = { "filter" },
  stdout_filter = { "filter" }, stderr_filter = { "filter" },
  stdio_driver = { "driver" }, stdin_driver = { "driver" },
  stdout_driver = { "driver" }, stderr_driver = { "driver" },
  redirect_stdin = TARGET, redirect_stdout = TARGET, redirect_stderr = TARGET,
  redirect_output = TARGET,
  no_stdin = { "boolean", default = false },
  max_stdin = { "size" },
  environment = { "environment" }, clear_environment = { "boolean" },
  working_directory = { "path" },
  user = { "account" }, group = { "account" },
  priority = { "niceness" },
  setsid = { "boolean" }, setpgrp = { "boolean", default = true },
}

-- ---- together -----------------------------------------------------------------------

--- Whether the process gets a terminal.
---@param checked poe.wheel.run.options
---@return boolean
function parameters.is_pty(checked)
  return checked.conduit == "pty" or checked.conduit == "pty-pipe"
end

local function blame(text, ...)
  options.blame("Run.new: parameter " .. text:format(...))
end

local function check_terminal(checked)
  if not parameters.is_pty(checked) then
    if checked.winsize then blame("'winsize' needs a conduit 'pty' or 'pty-pipe'") end
    return
  end
  for _, name in ipairs { "stdin", "stdout", "stderr", "output" } do
    if checked["redirect_" .. name] then
      blame("'redirect_%s' excludes conduit '%s'", name, checked.conduit)
    end
  end
  if checked.conduit == "pty" and checked.stderr_event then
    blame("'stderr_event' needs a conduit 'pty-pipe'")
  end
end

--- Raises if they do not go together.
---@param where string
---@param checked poe.wheel.run.options
function parameters.check(where, checked)
  check_terminal(checked)
  local args = checked.program_args
  if type(checked.program) ~= "function" and #args > 0 and not is_list_of_text(args) then
    blame("'program_args' must be a list of strings")
  end
  for _, names in ipairs {
    { "stdio_filter", "stdin_filter" }, { "stdio_filter", "stdout_filter" },
    { "stdio_driver", "stdin_driver" }, { "stdio_driver", "stdout_driver" },
    { "redirect_output", "redirect_stdout" }, { "redirect_output", "redirect_stderr" },
    { "redirect_output", "stdout_event" }, { "redirect_output", "stderr_event" },
    { "redirect_stdin", "stdin_event" }, { "redirect_stdout", "stdout_event" },
    { "redirect_stderr", "stderr_event" },
  } do
    options.exclude(where, checked, table.unpack(names))
  end
end

---@param checked poe.wheel.run.options
---@return poe.wheel.process.request
function parameters.request(checked)
  local has_pty = parameters.is_pty(checked)
  local setsid = checked.setsid
  if setsid == nil then setsid = has_pty end
  return {
    program = checked.program, args = checked.program_args,
    conduit = checked.conduit, winsize = checked.winsize,
    close_on_call = checked.close_on_call,
    wants = {
      stdin = not checked.no_stdin and not checked.redirect_stdin,
      stdout = checked.stdout_event ~= nil,
      stderr = checked.stderr_event ~= nil,
    },
    redirect = {
      stdin = checked.redirect_stdin,
      stdout = checked.redirect_stdout or checked.redirect_output,
      stderr = checked.redirect_stderr or checked.redirect_output,
    },
    become = {
      env = checked.environment, clear_env = checked.clear_environment,
      cwd = checked.working_directory, nice = checked.priority,
      user = checked.user, group = checked.group,
      setsid = setsid, setpgid = checked.setpgrp, terminal = has_pty and setsid,
    },
  }
end

return parameters
