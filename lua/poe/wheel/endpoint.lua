-- SPDX-License-Identifier: MIT
-- What says where a socket is: domains, hosts and ports, as options give them.
-- Nothing is looked up here: it is only seen whether it could be.
local options = require "poe.options"

---@class poe.wheel.endpoint
local endpoint = {}

--- The host that a server has unless it is told another one.
endpoint.LOOPBACK = { inet = "127.0.0.1", inet6 = "::1" }

local LONGEST_NAME = 253

-- ---- hosts ------------------------------------------------------------------

local function is_ipv4(text)
  local bytes = { text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$" }
  for _, byte in ipairs(bytes) do
    if tonumber(byte) > 255 then return false end
  end
  return #bytes == 4
end

--- How many groups of hexadecimal digits; too many, if something is none.
local function count_groups(text)
  local n = 0
  for group in (text == "" and "" or text .. ":"):gmatch "([^:]*):" do
    n = group:find "^%x%x?%x?%x?$" and n + 1 or 9
  end
  return n
end

local function is_ipv6(text)
  text = text:match "^(.*)%%[%w%-_.]+$" or text -- a scope
  local before, last = text:match "^(.*:)([^:]+)$"
  if last and is_ipv4(last) then text = before .. "0:0" end
  local left, right = text:match "^(.-)::(.*)$"
  if not left then return count_groups(text) == 8 end
  return count_groups(left) + count_groups(right) < 8
end

local function is_name(text)
  return #text <= LONGEST_NAME and text:find "^[%w%-_.\x80-\xff]+$" ~= nil
    and not text:find "^%d+%.%d+%.%d+%.%d+$"
end

--- The family of a numeric address; nil for a name.
---@param host string
---@return "inet"|"inet6"|nil
function endpoint.family(host)
  return is_ipv4(host) and "inet" or is_ipv6(host) and "inet6" or nil
end

-- ---- kinds ------------------------------------------------------------------

options.kinds.domain = {
  text = "'inet', 'inet6' or 'unix'", shows = true,
  accepts = function(value)
    return endpoint.LOOPBACK[value] ~= nil or value == "unix"
  end,
}

options.kinds.port = {
  text = "a port (0 to 65535, or the name of a service)", shows = true,
  accepts = function(value)
    local is_text = type(value) == "string"
    if is_text and not value:find "^%d+$" then
      return value:find "^[%w%-_.+*/]+$" and value:find "%a" and true or false
    end
    local port = is_text and tonumber(value) or value
    port = math.type(port) and math.tointeger(port)
    return port and port >= 0 and port <= 65535 or false
  end,
}

-- ---- options ----------------------------------------------------------------

local EXPECTED = {
  any = "the name or address of a host",
  inet = "the name or IPv4 address of a host",
  inet6 = "the name or IPv6 address of a host",
  unix = "a path",
}

local function fits(value, domain)
  if domain == "unix" then return not value:find("\0", 1, true) end
  local family = endpoint.family(value)
  if family then return domain == "any" or domain == family end
  return is_name(value)
end

--- Raises unless the hosts, or paths, and ports among the parameters are what
--- the domain has.
---@param where string
---@param given table
---@param domain "inet"|"inet6"|"unix"|nil
---@param hosts string[]  names of parameters
---@param ports string[]
function endpoint.check(where, given, domain, hosts, ports)
  domain = domain or "any"
  for _, name in ipairs(hosts) do
    local value = given[name]
    if value ~= nil and not fits(value, domain) then
      options.blame(("%s: parameter '%s' must be %s, got %s"):format(where, name,
        EXPECTED[domain], options.quote(value)))
    end
  end
  for _, name in ipairs(domain == "unix" and ports or {}) do
    if given[name] ~= nil then
      options.blame(("%s: parameter '%s' is not for Unix sockets")
        :format(where, name))
    end
  end
end

return endpoint
