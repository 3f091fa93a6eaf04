-- What the specs of wheels share: a session that records its wheel's events.

local poe = require "poe"

---@class spec.wheel.fixture
local fixture = {}

-- Seconds without an event, after which a scenario counts as hung.
local PATIENCE = tonumber(os.getenv "PATIENCE" or 10)
local MOST = 20 -- times that, whatever happens meanwhile

--- Runs a session with these states and waits for its end. Every event named in
--- `recorded` is written to the log as "name(arg, arg)", then goes to the state of
--- its name, if there is one.
---@param recorded string[]
---@param states table<string, function>
---@return string[] log
function fixture.run(recorded, states)
  local log, inline, seen, spent = {}, {}, 0, 0
  for name, handler in pairs(states) do inline[name] = handler end
  for _, name in ipairs(recorded) do
    inline[name] = function(kernel, heap, ...)
      local texts = table.pack(...)
      for i = 1, texts.n do texts[i] = tostring(texts[i]) end
      log[#log + 1] = ("%s(%s)"):format(name, table.concat(texts, ", "))
      if states[name] then return states[name](kernel, heap, ...) end
    end
  end
  local start = inline._start
  inline._start = function(kernel, heap, ...)
    kernel:delay("_hung", PATIENCE)
    start(kernel, heap, ...)
  end
  inline._hung = function(kernel)
    spent = spent + 1
    if #log == seen or spent == MOST then
      error("hung after " .. table.concat(log, " ", math.max(1, #log - 20)))
    end
    seen = #log
    kernel:delay("_hung", PATIENCE)
  end
  poe.session.create { inline_states = inline }
  poe.run()
  return log
end

--- Ends the session that is running: its wheel, and the watch over the scenario.
function fixture.finish(kernel, heap)
  kernel:delay "_hung"
  if heap.wheel then heap.wheel:destroy() end
  heap.wheel = nil
end

return fixture
