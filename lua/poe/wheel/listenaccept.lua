-- SPDX-License-Identifier: MIT
-- Connections from a socket that listens already. POE::Wheel::ListenAccept.
local Base = require "poe.wheel.base"
local acceptor = require "poe.wheel.acceptor"

---@class poe.wheel.listenaccept.options
---@field handle poe.handle  a listening socket
---@field accept_event string  (socket, address, ID, port)
---@field error_event? string  (operation, code, text, ID)

---@class poe.wheel.listenaccept: poe.wheel
local ListenAccept = Base.class("ListenAccept", {
  handle = { "handle", required = true },
  accept_event = { "text", required = true },
  error_event = { "text" },
})

function ListenAccept.on_gone(core)
  core.socket = nil
end

local function on_client(core, client, host, port)
  core:emit("accept_event", client, host, core.id, port)
end

---@param given poe.wheel.listenaccept.options
---@return poe.wheel.listenaccept? wheel
---@return string? message
---@return string? code
function ListenAccept.new(given)
  local core, checked = Base.core(ListenAccept, given)
  local ok
  local socket, message, code = Base.open(checked.handle)
  if socket and socket ~= checked.handle then core:own(socket) end
  if socket and not socket.accept then
    message, code = "ENOTSOCK: the handle is no socket", "ENOTSOCK"
  elseif socket then
    core.socket, core.on_client = socket, on_client
    ok, message, code = acceptor.start(core)
  end
  if ok then return Base.wheel(core) end
  core:destroy()
  return nil, message, code
end

return ListenAccept
