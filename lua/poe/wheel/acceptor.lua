-- SPDX-License-Identifier: MIT
-- Connections from a listening socket, for the wheels that have one.
--
-- When descriptors run out the socket rests and is tried again later: it would be
-- ready all the time. A connection that its peer has given up is passed over.
local poe = require "poe"

local kernel = poe.kernel

local AT_ONCE = 64 -- connections, before others have their turn
local REST = 0.1 -- seconds

-- accept(2): treat these like EAGAIN. The connection was gone before it was taken.
local GONE = { ECONNABORTED = true, EPROTO = true, EPERM = true, ENETDOWN = true,
  ENOPROTOOPT = true, EHOSTDOWN = true, EHOSTUNREACH = true, ENETUNREACH = true }
local SCARCE = { EMFILE = true, ENFILE = true, ENOBUFS = true, ENOMEM = true }

---@class poe.wheel.acceptor
local acceptor = {}

--- The fields of the core that are used here.
---@class poe.wheel.acceptor.core: poe.wheel.core
---@field socket? poe.sys.socket  nil once it has failed
---@field on_client fun(core, client: poe.sys.socket, host: string, port: integer?)
---@field is_paused boolean  by the user
---@field is_resting boolean  descriptors have run out

local function update(core)
  if not core.socket then return end
  if core.is_paused or core.is_resting then
    kernel:select_pause_read(core.socket)
  else
    kernel:select_resume_read(core.socket)
  end
end

local function rest(core)
  core.is_resting = true
  update(core)
  core:delay("rest", REST)
end

local function wake(core)
  core.is_resting = false
  update(core)
end

local function fail(core, message, code)
  kernel:select_read(core.socket)
  core.socket = nil
  core:report("accept", message, code)
  core:close_handles()
end

local function accept(core)
  for _ = 1, AT_ONCE do
    if not core.socket or core.is_paused then return end
    local client, host, port = core.socket:accept()
    if client then
      core.on_client(core, client, host, port)
    elseif port == "EAGAIN" then
      return
    elseif SCARCE[port] then
      return rest(core)
    elseif not GONE[port] then
      return fail(core, host, port)
    end
  end
end

--- Begins to accept on core.socket, and owns it. In the wheel's session.
---@param core poe.wheel.acceptor.core
---@return true?
---@return string? message
---@return string? code
function acceptor.start(core)
  core.is_paused, core.is_resting = false, false
  core:timer("rest", function() wake(core) end)
  local name = core:state("accept", function() accept(core) end)
  local ok, message, code = kernel:select_read(core.socket, name)
  if not ok then return nil, message, code end
  core:own(core.socket)
  return true
end

--- Accepts no more, or goes on; what connects meanwhile waits.
---@param core poe.wheel.acceptor.core
---@param is_paused boolean
function acceptor.pause(core, is_paused)
  core.is_paused = is_paused
  core:inside(update, core)
end

return acceptor
