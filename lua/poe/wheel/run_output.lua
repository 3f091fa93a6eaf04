-- SPDX-License-Identifier: MIT
-- An output of the wheel Run's process. It is the driver of the ReadWrite that
-- reads it, on top of the driver that does the work: so it counts what was read,
-- and knows when all is there that the process has written.
local SysRW = require "poe.driver.sysrw"

---@class poe.wheel.run.output
---@field core poe.wheel.run.core
---@field name "STDOUT"|"STDERR"
---@field option string  "stdout_event"
---@field wheel poe.wheel.readwrite
---@field handle poe.sys.fd
---@field driver poe.driver.sysrw
---@field count integer  bytes that were read
---@field last? integer  those that the process has written, once it has ended
---@field is_open boolean
---@field is_paused boolean
local Output = {}
Output.__index = Output

---@param core poe.wheel.run.core
---@param name "STDOUT"|"STDERR"
---@param option string
---@param handle poe.sys.fd
---@param driver? poe.driver.sysrw
---@return poe.wheel.run.output
function Output.new(core, name, option, handle, driver)
  return setmetatable({ core = core, name = name, option = option, handle = handle,
    driver = driver or SysRW.new(), count = 0, is_open = true, is_paused = false },
    Output)
end

--- Whether all that the process has written was given out, once it has ended. If
--- nobody else has the other side, the end of the file is part of it.
---@return boolean
function Output:is_drained()
  local bytes, is_all = self.handle:available()
  if not bytes then return true end
  self.last = self.last or self.count + bytes
  return self.count >= self.last and not is_all and not self.is_paused
end

-- ---- as a driver --------------------------------------------------------------------

function Output:get(handle)
  local chunks, message, code = self.driver:get(handle)
  for i = 1, chunks and #chunks or 0 do self.count = self.count + #chunks[i] end
  if self.last and self.count >= self.last then self.core:defer "settle" end
  return chunks, message, code
end

function Output:put(chunks)
  return self.driver:put(chunks)
end

function Output:flush(handle)
  return self.driver:flush(handle)
end

function Output:get_out_octets_buffered()
  return self.driver:get_out_octets_buffered()
end

function Output:get_out_messages_buffered()
  return self.driver:get_out_messages_buffered()
end

return Output
