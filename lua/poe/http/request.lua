-- SPDX-License-Identifier: MIT
-- A request, as poe.filter.httpd makes them. HTTP::Request.

---@class poe.http.request
---@field method string  "GET"
---@field uri string  as it came: "/path?query"
---@field version string  "1.1" or "1.0"
---@field headers poe.http.headers
---@field body string?  "" if there is none; nil while it is still to come
---@field trailers poe.http.headers?  what came after a body in chunks
---@field keep_alive boolean  whether the client may send another one
local Request = { __name = "poe.http.request" }
Request.__index = Request

---@param fields table
---@return poe.http.request
function Request.new(fields)
  return setmetatable(fields, Request)
end

--- The value of a header, or nil.
---@param name string
---@return string?
function Request:header(name)
  return self.headers:get(name)
end

return Request
