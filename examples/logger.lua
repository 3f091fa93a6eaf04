-- logger.lua -- puts the time before each line of its input.
--
--   tail -f some.log | poe examples/logger.lua
--
-- Standard input is watched, not waited for: the program could do anything
-- else meanwhile.  It ends with its input, or on SIGINT, and says how many
-- lines there were.

local poe = require "poe"
local sys = require "poe.sys"

local Logger = {}

function Logger.new()
  return setmetatable({ rest = "", lines = 0 }, { __index = Logger })
end

function Logger:_start(kernel)
  -- A descriptor of our own for standard input, which reads without waiting.
  self.input = assert(sys.dup(0))
  kernel:select_read(self.input, "on_input")
  kernel:sig("INT", "on_interrupt")
end

function Logger:on_input(_, _, input)
  local bytes, message, code = input:read()
  if code == "EAGAIN" then
    return
  end
  if not bytes then
    error(message)
  end
  if bytes == "" then
    self:finish()
  else
    self:take(bytes)
  end
end

--- Logs what is complete and keeps the rest: a read ends anywhere.
function Logger:take(bytes)
  local text = self.rest .. bytes
  local next_line = 1
  for line, after in text:gmatch("([^\n]*)\n()") do
    self:log(line)
    next_line = after
  end
  self.rest = text:sub(next_line)
  self:flush()
end

function Logger:log(line)
  self.lines = self.lines + 1
  io.write(os.date("%H:%M:%S "), line, "\n")
end

function Logger:flush()
  if not io.stdout:flush() then
    self:leave() -- nobody reads our output any more
  end
end

function Logger:finish()
  if self.rest ~= "" then
    self:log(self.rest)
  end
  self:flush()
  self:leave()
end

function Logger:on_interrupt(kernel)
  kernel:sig_handled()
  self:finish()
end

--- A descriptor that is closed is watched no more, and without its watcher
--- the session has nothing to live for.
function Logger:leave()
  self.input:close()
end

function Logger:_stop()
  io.stderr:write(self.lines, " lines\n")
end

poe.session.create {
  object_states = {
    [Logger.new()] = { "_start", "on_input", "on_interrupt", "_stop" },
  },
}

poe.run()
