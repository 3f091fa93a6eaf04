-- SPDX-License-Identifier: MIT
-- The read-eval-print loop of `poe -i`: a session that watches stdin.
--
-- Lines run in that session's handler, so that the kernel's methods work at
-- the prompt, sessions created there are its children, and the DIE of one of
-- them can be handled here.  What stops this session too (an exception of a
-- session that is not its child, kernel:stop()) makes run() end; then a new
-- one takes over with the state of the old.

local lineedit = require "poe.lineedit"
local poe = require "poe"

local kernel = poe.kernel
local STDIN = 0
local EDGE = "\n\t[C]: in ?"

---@class poe.repl
---@field report fun(err: any, traceback: string?, say: fun(message: string))
---@field at_terminal boolean
---@field edits boolean     whether libedit reads the lines
---@field partial string    what was read of a line so far, without libedit
---@field chunk? string     the lines of an incomplete statement
---@field prompted boolean  whether the prompt stands
---@field ended boolean     whether the input has
---@field trace? string      of the line that failed last
local Repl = {}
Repl.__index = Repl

local function new(report)
  local at_terminal = lineedit.isatty()
  local edits = at_terminal and lineedit.open()
  return setmetatable({
    report = report,
    at_terminal = at_terminal,
    edits = edits,
    partial = "",
    prompted = false,
    ended = false,
  }, Repl)
end

local function say(message)
  io.stderr:write(message, "\n")
end

-- Lines

function Repl:prompt()
  local name = self.chunk and "_PROMPT2" or "_PROMPT"
  local text = _G[name]
  text = text == nil and (self.chunk and ">> " or "> ") or tostring(text)
  if self.edits then
    lineedit.prompt(text)
  else
    io.stdout:write(text)
    io.stdout:flush()
  end
  self.prompted = true
end

--- After output of others: what the user was typing.
function Repl:prompt_again()
  if self.edits then
    lineedit.redisplay()
  elseif self.at_terminal then
    self:prompt()
  end
end

--- Without libedit: the next line, nil if it is not complete, false at the end.
function Repl:take_line()
  local text = lineedit.take()
  if not text and self.partial == "" then return false end
  self.partial = self.partial .. (text or "\n")
  if self.partial:sub(-1) ~= "\n" then return nil end
  local line = self.partial:sub(1, -2)
  self.partial = ""
  return line
end

function Repl:read_line()
  if not self.edits then return self:take_line() end
  local line = lineedit.feed()
  if line and line:find "%S" then lineedit.history(line) end
  return line
end

-- Evaluation

--- As an expression if it is one, else as statements; what there was no memory
--- for may be either.
local function compile(text)
  local chunk, message = load("return " .. text, "=stdin")
  if chunk or message == "not enough memory" then return chunk, message end
  return load(text, "=stdin")
end

--- The frames from the caller down, each one line of a traceback.
local function count_frames()
  local n = 0
  while debug.getinfo(n + 2, "l") do
    n = n + 1
  end
  return n
end

--- Cuts off the frames that called the line, which are none of the user's.
local function cut_frames(trace, n)
  for _ = 1, n do
    trace = trace:gsub("\n[^\n]*$", "")
  end
  return trace .. EDGE
end

function Repl:print_results(ok, ...)
  if not ok then
    self.report((...), self.trace, say)
  elseif select("#", ...) > 0 then
    local printed, message = pcall(print, ...)
    if not printed then
      say(("error calling 'print' (%s)"):format(tostring(message)))
    end
  end
end

function Repl:evaluate(chunk)
  local below = count_frames() + 1
  local function keep_trace(err)
    self.trace = cut_frames(debug.traceback(nil, 2), below)
    return err
  end
  self:print_results(lineedit.call(keep_trace, chunk))
end

--- Adds a line to the statement; runs it unless more is needed.
function Repl:accept(line)
  if not self.chunk then line = line:gsub("^=", "return ") end
  local text = self.chunk and self.chunk .. "\n" .. line or line
  local chunk, message = compile(text)
  if not chunk and message:find "<eof>$" then
    self.chunk = text
    return
  end
  self.chunk = nil
  if chunk then self:evaluate(chunk) else say(message) end
end

--- The end of the input; a statement it cut short is an error like any other.
function Repl:finish()
  self.ended = true
  if self.chunk then say(select(2, compile(self.chunk))) end
  if self.edits then lineedit.close() end
  io.stdout:write "\n"
  kernel:stop()
end

-- The session

function Repl:_start()
  kernel:select_read(STDIN, "input")
  kernel:sig("DIE", "died")
  if self.at_terminal then
    kernel:sig("INT", "interrupted")
    kernel:sig("CONT", "continued")
  end
  lineedit.block()
  lineedit.watch()
  if self.prompted then self:prompt_again() else self:prompt() end
end

function Repl:input()
  local line = self:read_line()
  if line == nil then return end
  self.prompted = false
  if not line then return self:finish() end
  self:accept(line)
  local is_alive = kernel.session ~= kernel
  if is_alive then self:prompt() end
end

--- Ctrl-C at the prompt drops the line, and the statement it belonged to.
function Repl:interrupted()
  kernel:sig_handled()
  lineedit.calm()
  self.chunk, self.partial = nil, ""
  io.stdout:write "\n"
  self:prompt()
end

--- The shell has used the terminal in between; a line half typed is lost.
function Repl:continued()
  kernel:sig_handled()
  if self.prompted then self:prompt() end
end

--- A session that was created at the prompt failed; it and the rest go on.
function Repl:died(_, _, _, ex)
  kernel:sig_handled()
  self.report(ex.error, ex.traceback, say)
  if self.prompted then self:prompt_again() end
end

local function create(self)
  poe.session.create {
    object_states = {
      [self] = { "_start", "input", "interrupted", "continued", "died" },
    },
  }
end

--- Runs until the input ends.  call(f, ...) is pcall on the main thread.
---@param call fun(f: function, ...): boolean, any
---@param report fun(err: any, traceback: string?, say: fun(message: string))
---@return boolean ok
return function(call, report)
  local self = new(report)
  repeat
    local created, problem = call(create, self)
    if not created then
      report(problem, nil, say)
      return false
    end
    local ran, err = call(poe.run)
    if not ran then report(err, nil, say) end
  until self.ended
  return true
end
