-- SPDX-License-Identifier: MIT
-- Signals that concern terminals. A session of its own watches them, so that
-- users can watch them too; it is there as long as there are consoles.
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

local ALIAS = "poe.wheel.readline"

---@class poe.wheel.readline.signals
local signals = {}

-- console -> its functions { resize, pause, resume }, each called with it.
local consoles = {}
local session

local function each(name)
  local list = {}
  for core in pairs(consoles) do list[#list + 1] = core end
  for _, core in ipairs(list) do
    if core.alive then core:inside(consoles[core][name], core) end
  end
end

local STATES = {
  _start = function()
    kernel:detach_myself()
    kernel:alias_set(ALIAS)
    kernel:sig("WINCH", "resized")
    kernel:sig("TSTP", "stopped")
    kernel:sig("CONT", "continued")
  end,
  -- When nothing can happen any more, also for a console whose session has
  -- ended but that somebody still refers to.
  _stop = function()
    session = nil
    for core in pairs(consoles) do core:destroy() end
  end,
  resized = function() each "resize" end,
  stopped = function()
    each "pause"
    sys.tty_stop()
    each "resume"
  end,
  continued = function() each "resume" end,
  done = function() kernel:alias_remove(ALIAS) end,
}

--- Tells a console of signals from now on. In a session.
---@param core poe.wheel.core
---@param functions { resize: fun(core), pause: fun(core), resume: fun(core) }
function signals.add(core, functions)
  consoles[core] = functions
  if not session then
    session = poe.session.create { inline_states = STATES }
  end
end

---@param core poe.wheel.core
function signals.remove(core)
  if not consoles[core] then return end
  consoles[core] = nil
  if session and not next(consoles) then kernel:call(session, "done") end
end

return signals
