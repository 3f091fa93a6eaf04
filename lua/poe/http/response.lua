-- SPDX-License-Identifier: MIT
-- A response, for poe.filter.httpd to write. HTTP::Response.
local Headers = require "poe.http.headers"
local options = require "poe.options"

---@class poe.http.response
---@field status integer
---@field reason string
---@field headers poe.http.headers
---@field body string?  nil: there is none, or it is put after the response
---@field chunked boolean  the body is put after the response, in chunks
---@field request poe.http.request?  what this answers
---@field keep_alive boolean?  false: the connection ends with this response
local Response = { __name = "poe.http.response" }
Response.__index = Response

options.kinds.status = {
  text = "a status (100 to 999)",
  accepts = function(value)
    return math.type(value) == "integer" and value >= 100 and value <= 999
  end,
}

local PARAMETERS = {
  status = { "status", required = true },
  reason = { "string" },
  headers = { "table" },
  body = { "string" },
  chunked = { "boolean", default = false },
  request = { "table" },
  keep_alive = { "boolean" },
}

local REASONS = {
  [100] = "Continue", [101] = "Switching Protocols",
  [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No Content",
  [205] = "Reset Content", [206] = "Partial Content",
  [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found",
  [303] = "See Other", [304] = "Not Modified", [307] = "Temporary Redirect",
  [308] = "Permanent Redirect",
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden",
  [404] = "Not Found", [405] = "Method Not Allowed", [406] = "Not Acceptable",
  [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone",
  [411] = "Length Required", [412] = "Precondition Failed",
  [413] = "Content Too Large", [414] = "URI Too Long",
  [415] = "Unsupported Media Type", [416] = "Range Not Satisfiable",
  [417] = "Expectation Failed", [421] = "Misdirected Request",
  [422] = "Unprocessable Content", [426] = "Upgrade Required",
  [428] = "Precondition Required", [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large",
  [500] = "Internal Server Error", [501] = "Not Implemented",
  [502] = "Bad Gateway", [503] = "Service Unavailable",
  [504] = "Gateway Timeout", [505] = "HTTP Version Not Supported",
}

---@class poe.http.response.options
---@field status integer
---@field reason? string  the usual one
---@field headers? table  see Headers.new
---@field body? string
---@field chunked? boolean
---@field request? poe.http.request
---@field keep_alive? boolean  as the request says

---@param given poe.http.response.options
---@return poe.http.response
function Response.new(given)
  local self = options.check("Response.new", given, PARAMETERS)
  if self.chunked and self.body then
    options.blame("Response.new: parameter 'body' excludes 'chunked'")
  end
  self.reason = self.reason or REASONS[self.status] or ""
  self.headers = Headers.new(self.headers)
  return setmetatable(self, Response)
end

--- The value of a header, or nil.
---@param name string
---@return string?
function Response:header(name)
  return self.headers:get(name)
end

return Response
