-- A session with a ReadLine on a pseudo-terminal, and somebody at its other end
-- who follows a script: types, and waits for what is to be seen.

local ReadLine = require "poe.wheel.readline"
local Vt = require "spec.wheel.readline.vt"
local assert = require "luassert"
local poe = require "poe"
local sys = require "poe.sys"

local PATIENCE = tonumber(os.getenv "PATIENCE" or 10) -- seconds

---@class spec.readline
---@field wheel poe.wheel.readline
---@field vt spec.vt
---@field master poe.sys.fd
---@field path string  of the terminal
---@field log string[]  events, as "line(text, exception)"
local Script = {}
Script.__index = Script

--- Waits until `condition` returns something true, and returns that.
function Script.wait(_, condition)
  while true do
    local value = condition()
    if value then return value end
    coroutine.yield()
  end
end

--- Types.
function Script:type(bytes)
  assert.equal(#bytes, self.master:write(bytes))
end

--- Waits until this, and nothing else, is on the screen.
function Script:sees(expected)
  self.expected = expected
  self:wait(function() return self.vt:see() == expected end)
  self.expected = nil
end

--- Waits for events, and forgets them.
function Script:gets(...)
  local expected = { ... }
  self.expected = table.concat(expected, " ")
  self:wait(function() return #self.log >= #expected end)
  self.expected = nil
  assert.same(expected, self.log)
  for i = 1, #self.log do self.log[i] = nil end
end

--- Lets time pass, so that nothing may have happened.
function Script:pause()
  local is_over
  self.kernel:state("pause", function(kernel)
    is_over = true
    kernel:yield "step"
  end)
  self.kernel:delay("pause", 0.02)
  self:wait(function() return is_over end)
end

function Script:finish()
  self.kernel:delay "hung"
  self.kernel:select_read(self.master)
  if self.wheel.core.alive then self.wheel:destroy() end
  self.master:close()
  self.slave:close()
end

local function hung(self)
  error(("hung: waits for\n%s\nand has\n%s\n%s"):format(self.expected,
    self.vt:see(), table.concat(self.log, " ")), 0)
end

local function open(self, options)
  self.master, self.slave, self.path = assert(sys.openpty())
  local columns, rows = options.columns or 30, options.rows or 8
  assert(sys.set_winsize(self.master, rows, columns))
  self.vt, self.log = Vt.new(columns, rows), {}
end

local function states_of(self, options, script)
  local step = coroutine.create(script)
  local states = {
    _start = function(kernel)
      self.kernel = kernel
      kernel:delay("hung", PATIENCE)
      kernel:select_read(self.master, "shown")
      local given = { handle = self.slave, input_event = "line" }
      for name, value in pairs(options.given or {}) do given[name] = value end
      self.wheel = assert(ReadLine.new(given))
      kernel:yield "step"
    end,
    shown = function(kernel)
      local bytes = self.master:read()
      if bytes then self.vt:feed(bytes) end
      kernel:yield "step"
    end,
    step = function()
      if coroutine.status(step) ~= "suspended" then return end
      local ok, message = coroutine.resume(step, self, self.wheel)
      if not ok then error(message, 0) end
      if coroutine.status(step) == "dead" then self:finish() end
    end,
    hung = function() hung(self) end,
  }
  for _, name in ipairs { "line", "failed" } do
    states[name] = function(kernel, _, ...)
      local texts = table.pack(...)
      for i = 1, texts.n do texts[i] = tostring(texts[i]) end
      table.remove(texts) -- the ID
      self.log[#self.log + 1] = ("%s(%s)"):format(name, table.concat(texts, ", "))
      kernel:yield "step"
      if self.on_line then self.on_line(...) end
    end
  end
  return states
end

--- Runs it to its end.
---@param options { given?: table, columns?: integer, rows?: integer }
---@param script fun(self: spec.readline, wheel: poe.wheel.readline)
return function(options, script)
  local self = setmetatable({}, Script)
  open(self, options)
  poe.session.create { inline_states = states_of(self, options, script) }
  poe.run()
end
