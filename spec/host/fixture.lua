-- What the specs of the executable share: a directory, and running in it.

local assert = require "luassert"

---@class spec.host.fixture
local fixture = {}

local PATIENCE = tonumber(os.getenv "PATIENCE" or 20) -- seconds until a run counts as hung

local function pwd()
  local pipe <close> = assert(io.popen "pwd")
  return pipe:read "l"
end

fixture.checkout = pwd()

local function absolute(path)
  return path:sub(1, 1) == "/" and path or fixture.checkout .. "/" .. path
end

--- The executable under test.
fixture.POE = absolute(os.getenv "POE_BIN" or "build/bin/poe")

function fixture.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local dir -- of the spec's files, and the working directory of what it runs

function fixture.make_dir()
  dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir " .. fixture.quote(dir)))
end

function fixture.remove_dir()
  os.execute("rm -rf " .. fixture.quote(dir))
end

function fixture.write_file(name, text)
  local file <close> = assert(io.open(dir .. "/" .. name, "w"))
  file:write(text)
end

function fixture.read_file(name)
  local file <close> = assert(io.open(dir .. "/" .. name))
  return file:read "a"
end

--- The words that run `command` there within the patience there is; `$POE`
--- is the executable in it.
local function wrap(command)
  fixture.write_file("command", command)
  return ("cd %s && exec env -u LUA_INIT -u LUA_INIT_5_4 POE=%s timeout %d sh ./command")
    :format(fixture.quote(dir), fixture.quote(fixture.POE), PATIENCE)
end

---@class spec.host.result
---@field status integer as the shell's $?
---@field out string
---@field err string

--- Runs a shell command.
---@return spec.host.result
function fixture.shell(command)
  local _, kind, status =
    os.execute(wrap(command) .. " >out 2>err </dev/null")
  return {
    status = kind == "exit" and status or 128 + status,
    out = fixture.read_file "out",
    err = fixture.read_file "err",
  }
end

--- Runs `poe` with arguments as written in a shell.
function fixture.poe(arguments)
  return fixture.shell("exec $POE " .. arguments)
end

--- Runs `poe` on a script of this text.
function fixture.run_script(text)
  fixture.write_file("script.lua", text)
  return fixture.poe "script.lua"
end

---@class spec.host.terminal
---@field keyboard file*
---@field screen file*
---@field seen string what the screen showed since the last expectation
local Terminal = {}
Terminal.__index = Terminal

--- Runs a command on a terminal of its own, which script(1) provides.
---@return spec.host.terminal
function fixture.open_terminal(command)
  fixture.shell "rm -f screen; mkfifo screen"
  fixture.write_file("on_terminal", command)
  local keyboard = assert(io.popen(wrap
    "TERM=dumb SHELL=/bin/sh exec script -qec 'exec sh ./on_terminal' /dev/null >screen 2>&1", "w"))
  local screen = assert(io.open(dir .. "/screen"))
  return setmetatable({ keyboard = keyboard, screen = screen, seen = "" }, Terminal)
end

function Terminal:type(text)
  self.keyboard:write(text)
  self.keyboard:flush()
end

--- Waits until the text shows; returns what was there before it.
function Terminal:expect(text)
  while true do
    local from, to = self.seen:find(text, 1, true)
    if from then
      local before = self.seen:sub(1, from - 1)
      self.seen = self.seen:sub(to + 1)
      return before
    end
    local byte = self.screen:read(1)
    if not byte then
      error(("expected %q, got %q"):format(text, self.seen), 2)
    end
    self.seen = (self.seen .. byte):gsub("\r", "")
  end
end

--- Waits for the end: what showed until then, and the status.
function Terminal:close()
  local rest = self.seen .. self.screen:read("a"):gsub("\r", "")
  self.screen:close()
  local _, _, status = self.keyboard:close()
  return rest, status
end

--- All went well, and this was printed.
function fixture.assert_out(expected, result)
  assert.equal("", result.err)
  assert.equal(expected, result.out)
  assert.equal(0, result.status)
end

--- The run failed with this status, and this is all it said on stderr.
function fixture.assert_fails(status, message, result)
  assert.equal(message, result.err)
  assert.equal(status, result.status)
end

return fixture
