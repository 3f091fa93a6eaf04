-- SPDX-License-Identifier: MIT
-- Names to addresses, for a wheel: by sys.resolve, whose thread reports through a
-- descriptor. What is numeric is taken as it is, at once.
local endpoint = require "poe.wheel.endpoint"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

---@class poe.wheel.lookup
local lookup = {}

--- One to try.
---@class poe.wheel.address
---@field host string  numeric
---@field port integer

--- The failure, with the name that was looked up in vain.
local function fail(core, code, reason)
  local name = code == "EAI_SERVICE" and core.sought.port or core.sought.host
  return nil, ("%s: %s: %s"):format(code, reason, name), code
end

--- The addresses in what sys.resolve has told, when that is complete.
local function parse(core, text)
  local addresses = {}
  for line in text:gmatch "[^\n]+" do
    local code, reason = line:match "^error (%S+) (.*)$"
    if code then return fail(core, code, reason) end
    local host, port = line:match "^(%S+) (%d+)$"
    if host then
      addresses[#addresses + 1] = { host = host, port = math.tointeger(port) }
    end
  end
  if addresses[1] then return addresses end
  return fail(core, "EAI_NODATA", "no address")
end

--- Reads what there is; true when it is all.
local function read(core)
  local bytes, _, code = core.resolver:read()
  core.told = core.told .. (bytes or "")
  return bytes == "" or not bytes and code ~= "EAGAIN"
    or core.told:find "end\n$" ~= nil
end

local function finish(core)
  local resolver = core.resolver
  core.resolver = nil
  core:disown(resolver)
  resolver:close()
end

--- Calls done(core, addresses) or done(core, nil, message, code), now or later; a
--- wheel looks up one name at a time. In its session.
---@param core poe.wheel.core
---@param wanted { host: string, port: integer|string, family: string?, type: string }
---@param done fun(core, addresses: poe.wheel.address[]?, message: string?, code: string?)
function lookup.start(core, wanted, done)
  local family = endpoint.family(wanted.host)
  if family and math.type(wanted.port) and (wanted.family or family) == family then
    return done(core, { { host = wanted.host, port = wanted.port } })
  end
  local resolver, message, code = sys.resolve {
    host = wanted.host, service = tostring(wanted.port), type = wanted.type,
    family = wanted.family,
  }
  if not resolver then return done(core, nil, message, code) end
  core.resolver, core.told, core.sought = resolver, "", wanted
  core:own(resolver)
  local ok
  ok, message, code = kernel:select_read(resolver, core:state("resolve", function()
    if not read(core) then return end
    finish(core)
    return done(core, parse(core, core.told))
  end))
  if ok then return end
  finish(core)
  return done(core, nil, message, code)
end

--- Gives up what is under way.
---@param core poe.wheel.core
---@return boolean was_there
function lookup.stop(core)
  if not core.resolver then return false end
  finish(core)
  return true
end

return lookup
