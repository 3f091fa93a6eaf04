-- The wheel Run: a program over pipes, one at a terminal, and a function.
local poe = require "poe"
local Run = require "poe.wheel.run"

local wheels, lines = {}, {}

local function begin(options)
  options.stdout_event, options.exit_event = "on_line", "on_exit"
  options.error_event = "on_error"
  local wheel = assert(Run.new(options))
  wheels[wheel:ID()] = wheel
  return wheel
end

poe.session.create {
  inline_states = {
    _start = function()
      begin { program = { "sh", "-c", "read x; echo $x; exit 4" } }:put "pipe"
      begin { program = "echo terminal; exit 5", conduit = "pty-pipe",
        stderr_event = "on_line", working_directory = "/", setsid = true }
      begin { program = function() print "function" end, no_stdin = true }
    end,
    on_line = function(_, _, line)
      lines[#lines + 1] = line
    end,
    on_error = function(_, _, operation, code, text)
      if code ~= 0 then io.stderr:write(operation, ": ", text, "\n") end
    end,
    on_exit = function(_, _, code, signal, _, id)
      lines[#lines + 1] = "exit " .. (code or signal)
      wheels[id]:destroy()
    end,
  },
}
poe.run()
table.sort(lines)
print(table.concat(lines, "\n"))
