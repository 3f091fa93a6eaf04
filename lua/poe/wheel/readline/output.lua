-- SPDX-License-Identifier: MIT
-- Bytes to a terminal that may be slow: they wait until it takes them.
local SysRW = require "poe.driver.sysrw"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

local PATIENCE = 1 -- seconds for what is left at the end

---@class poe.wheel.readline.output
local output = {}

--- Nothing more can be written: it is dropped, and the input tells of it.
local function give_up(core)
  kernel:select_write(core.output)
  core.is_writing, core.has_no_output = false, true
  core.driver = SysRW.new()
end

local function flush(core)
  local left = core.driver:flush(core.output)
  if not left then
    give_up(core)
  elseif (left > 0) ~= core.is_writing then
    core.is_writing = left > 0
    kernel:select_write(core.output, left > 0 and core.states.write or nil)
  end
end

--- Prepares a core whose field `output` is an open handle. In its session.
---@param core poe.wheel.core
function output.start(core)
  core.driver, core.is_writing, core.process = SysRW.new(), false, sys.getpid()
  core:state("write", function() flush(core) end)
end

---@param core poe.wheel.core
---@param bytes string
function output.write(core, bytes)
  if bytes == "" or core.has_no_output then return end
  core.driver:put { bytes }
  core:inside(flush, core)
end

--- Waits a little for what is left, in any session or none. What a fork has
--- copied is its parent's to write.
---@param core poe.wheel.core
function output.finish(core)
  local driver, handle = core.driver, core.output
  if not driver or core.has_no_output then return end
  core.has_no_output = true
  if core.process ~= sys.getpid() then return end
  if sys.type(handle) and handle:is_closed() then return end
  while (driver:flush(handle) or 0) > 0 and sys.type(handle) do
    if not sys.tty_wait(handle, PATIENCE) then return end
  end
end

return output
