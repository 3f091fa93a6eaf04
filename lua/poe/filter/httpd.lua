-- SPDX-License-Identifier: MIT
-- HTTP for servers: requests in, responses out. POE::Filter::HTTPD.
--
-- llhttp finds the parts of requests; here they become objects, and what is
-- wrong, or wants to be answered before its body comes, a response that only
-- has to be sent. What cannot be read in one way only is refused.
local Base = require "poe.filter.base"
local Headers = require "poe.http.headers"
local Request = require "poe.http.request"
local Response = require "poe.http.response"
local options = require "poe.options"

local is_built, http = pcall(require, "poe.http")
if not is_built then
  error("poe.filter.httpd needs the module poe.http, which is built where " ..
    "llhttp is (Debian: node-llhttp)\n" .. tostring(http), 0)
end

---@class poe.filter.httpd: poe.filter
local Httpd = Base.class "poe.filter.httpd"

--- What ends a body that comes in pieces: it is put after the last chunk of a
--- response with `chunked`, and comes after the last of a request, if `streaming`.
Httpd.LAST = setmetatable({}, { __name = "poe.filter.httpd.LAST" })

---@class poe.filter.httpd.options
---@field max_content? integer  of the body of a request, in bytes; 1048576
---@field streaming? boolean  bodies come in pieces, of any length
---@field max_header? integer  of its head, and of its trailers, in bytes; 65536
---@field max_uri? integer  in bytes; 8192

local MAX_CONTENT = 1 << 20

local PARAMETERS = {
  max_content = { "size" },
  streaming = { "boolean" },
  max_header = { "size", default = 65536, also = "MaxBuffer" },
  max_uri = { "size", default = 8192 },
}

-- ---- new ------------------------------------------------------------------------

-- `parts` are the chunks that came, from number `first` to `last`; the request
-- that is under way begins in the first one, at `begun`, and is parsed up to
-- `position` of number `at`.
local function forget(self)
  self.parts, self.first, self.last, self.at = {}, 1, 0, 1
  self.begun, self.position = 1, 1
end

---@return poe.filter.httpd
local function make(checked)
  local self = setmetatable({ options = checked, is_over = false, records = {},
    parser = http.parser(checked.max_header, checked.max_uri,
      checked.max_content) }, Httpd)
  forget(self)
  return self
end

---@param given? poe.filter.httpd.options
---@return poe.filter.httpd
function Httpd.new(given)
  local checked = options.check("Httpd.new", given, PARAMETERS)
  if not checked.streaming then checked.streaming = nil end
  options.exclude("Httpd.new", checked, "streaming", "max_content")
  checked.max_content = checked.streaming and math.maxinteger
    or checked.max_content or MAX_CONTENT
  return make(checked)
end

---@return poe.filter.httpd
function Httpd:clone()
  return make(self.options)
end

-- ---- what is refused --------------------------------------------------------------

local function count(headers, name)
  return #headers:all(name)
end

--- Status and text for a request whose head alone says that it will not do.
local function find_fault(request, max_content)
  local headers, version = request.headers, request.version
  local coding, length = headers:get "Transfer-Encoding", headers:get "Content-Length"
  if version ~= "1.1" and version ~= "1.0" then
    return 505, "HTTP/1.1 or HTTP/1.0 expected"
  elseif headers:get "" then
    return 400, "header without a name"
  elseif count(headers, "Host") > 1 or
    version == "1.1" and count(headers, "Host") == 0 then
    return 400, "one Host expected"
  elseif coding and (length or version == "1.0") then
    return 400, "Transfer-Encoding not expected"
  elseif coding and coding:lower() ~= "chunked" then
    return 501, "Transfer-Encoding other than chunked"
  elseif length and not length:find "^%d+$" then
    return 400, "no length in Content-Length"
  elseif length and tonumber(length) > max_content then
    return 413, "body is too long"
  elseif version == "1.1" and not coding and not length and
    headers:get "Content-Encoding" then
    return 411, "Content-Encoding without a length"
  end
  local expect = version == "1.1" and headers:get "Expect"
  if expect and expect:lower() ~= "100-continue" then
    return 417, "Expect other than 100-continue"
  end
end

--- One more record to hand out.
local function add(self, record)
  self.records[#self.records + 1] = record
end

--- The record for bytes that are no request is the last one.
local function refuse(self, status, why, request)
  self.is_over = true
  forget(self)
  local response = Response.new { status = status, keep_alive = false,
    headers = { ["Content-Type"] = "text/plain" }, request = request }
  response.body = ("%d %s: %s\n"):format(status, response.reason, why)
  add(self, response)
end

-- ---- bytes to requests ------------------------------------------------------------

---@param chunks string[]
function Httpd:get_one_start(chunks)
  options.check_list("get_one_start", 1, chunks)
  for i = 1, #chunks do
    options.check_element("get_one_start", i, chunks[i], "string")
    if chunks[i] ~= "" then
      self.last = self.last + 1
      self.parts[self.last] = chunks[i]
    end
  end
end

--- What was parsed up to here is used.
local function use(self)
  for i = self.first, self.at - 1 do self.parts[i] = nil end
  self.first, self.begun = self.at, self.position
  if self.at == self.last and self.position > #self.parts[self.at] then
    forget(self)
  end
end

--- A head has come.
local function begin_request(self, method, uri, version, headers, keep_alive)
  local request = Request.new { method = method, uri = uri, version = version,
    headers = Headers.parsed(headers), keep_alive = keep_alive }
  local status, why = find_fault(request, self.options.max_content)
  if status then return refuse(self, status, why, request) end
  self.request = request
  local length = tonumber(request:header "Content-Length")
  local has_body = length and length > 0 or request:header "Transfer-Encoding"
  if has_body and version == "1.1" and request:header "Expect" then
    add(self, Response.new { status = 100, request = request, keep_alive = true })
  end
  if has_body and self.options.streaming then
    self.is_streaming = true
    add(self, request)
    use(self)
  end
end

--- A piece of a body has come.
local function pass_on(self, body)
  if body ~= "" then add(self, body) end
  use(self)
end

local function end_request(self, body, trailers)
  local request = self.request
  if trailers[1] then request.trailers = Headers.parsed(trailers) end
  if self.is_streaming then
    pass_on(self, body)
    add(self, Httpd.LAST)
  else
    request.body = body
    add(self, request)
    use(self)
  end
  self.request, self.is_streaming = nil, false
  self.is_over = not request.keep_alive
end

--- Parses on to the next thing; false if there is none.
local function parse(self)
  local position, what, a, b, c, d, e =
    self.parser:feed(self.parts[self.at] or "", self.position)
  self.position = position
  if what == "head" then
    begin_request(self, a, b, c, d, e)
  elseif what == "end" then
    end_request(self, a, b)
  elseif what == "broken" then
    if self.is_streaming then pass_on(self, self.parser:body()) end
    refuse(self, a, b, self.request)
  else
    if self.is_streaming and self.last > 0 then pass_on(self, self.parser:body()) end
    if self.at >= self.last then return false end
    self.at, self.position = self.at + 1, 1
  end
  return true
end

--- After a request that is the last one of its connection, and after a response
--- to a bad one, there is nothing more: what came is dropped.
---@return any[] records  one or none: a request, a response; with `streaming`
---  also a string, and LAST
function Httpd:get_one()
  local records = self.records
  if self.is_over and not records[1] then forget(self) end
  while not records[1] and not self.is_over do
    if not parse(self) then break end
  end
  return { table.remove(records, 1) }
end

--- The beginning of a request of which some is still to come is among it.
---@return string[]? chunks
function Httpd:get_pending()
  if self.last < self.first then return nil end
  local rest = table.concat(self.parts, "", self.first, self.last)
  return self.begun <= #rest and { rest:sub(self.begun) } or nil
end

-- ---- responses to bytes -------------------------------------------------------------

local function wrong(index, text)
  options.blame(("bad argument #1 to 'put' (element %d: %s)"):format(index, text))
end

--- Whether a response has no body whatever it says.
local function is_bodiless(response)
  local status = response.status
  return status < 200 or status == 204 or status == 304
end

local function check_response(response, index)
  local headers, reason, body = response.headers, response.reason, response.body
  if getmetatable(headers) ~= Headers then
    wrong(index, "headers of a response: poe.http.headers expected")
  elseif body ~= nil and type(body) ~= "string" then
    wrong(index, "body of a response: a string expected, got a " .. type(body))
  elseif not options.kinds.status.accepts(response.status) then
    wrong(index, "no status of a response")
  elseif type(reason) ~= "string" or reason:find "[\0-\8\10-\31\127]" then
    wrong(index, "reason of a response: control characters")
  elseif headers:get "Transfer-Encoding" then
    wrong(index, "header Transfer-Encoding: say chunked = true")
  elseif is_bodiless(response) and body and body ~= "" then
    wrong(index, ("status %d has no body"):format(response.status))
  elseif response.chunked and body then
    wrong(index, "a response with chunked and a body")
  end
end

--- The value of Content-Length, checked, if the user gave it.
local function given_length(response, index)
  local length = response:header "Content-Length"
  if not length then return nil end
  local n = length:find "^%d+$" and math.tointeger(tonumber(length))
  if not n or response.chunked or response.status < 200 or
    response.status == 204 or response.body and n ~= #response.body then
    wrong(index, "header Content-Length: not the length of the body")
  end
  return n
end

--- How the body is to be delimited: what the filter does with the strings that
--- are put next, how long it is, the header line for it.
local function frame(response, index)
  local length = given_length(response, index)
  local is_head = response.request and response.request.method == "HEAD"
  if is_bodiless(response) then return "none", 0, "" end
  if response.chunked then
    local is_old = response.request and response.request.version == "1.0"
    local line = is_old and "" or "Transfer-Encoding: chunked\r\n"
    return is_head and "none" or is_old and "rest" or "chunked", 0, line
  end
  local line = length and "" or
    ("Content-Length: %d\r\n"):format(#(response.body or ""))
  if is_head then return "none", 0, line end
  return "length", not response.body and length or 0, line
end

--- The line Connection, if there must be one that the user did not give.
local function connection(response, mode)
  local request, keep = response.request, response.keep_alive
  if response:header "Connection" or response.status < 200 then return "" end
  if keep == nil then keep = not request or request.keep_alive end
  if not keep or mode == "rest" then return "Connection: close\r\n" end
  local is_old = request and request.version == "1.0"
  return is_old and "Connection: keep-alive\r\n" or ""
end

--- Whether the body of the response before is still to be put.
local function is_unfinished(self)
  return self.mode == "chunked" or self.mode == "rest" or
    self.mode == "length" and self.left > 0
end

local function put_response(self, response, index)
  check_response(response, index)
  if is_unfinished(self) then
    wrong(index, "a response before the end of the body of the one before")
  end
  local mode, left, line = frame(response, index)
  local lines = { ("HTTP/1.1 %d %s"):format(response.status, response.reason) }
  for name, value in response.headers:each() do
    lines[#lines + 1] = name .. ": " .. value
  end
  lines[#lines + 1] = connection(response, mode) .. line
  if response.status >= 200 then self.mode, self.left = mode, left end
  local body = mode == "length" and response.body or ""
  return table.concat(lines, "\r\n") .. "\r\n" .. body
end

local function put_string(self, text, index)
  if self.mode == "chunked" then
    return text ~= "" and ("%x\r\n%s\r\n"):format(#text, text) or ""
  elseif self.mode == "length" then
    if #text > self.left then
      wrong(index, ("%d bytes more than Content-Length said"):format(
        #text - self.left))
    end
    self.left = self.left - #text
  elseif self.mode == "none" then
    return ""
  elseif self.mode ~= "rest" then
    wrong(index, "a body without a response before it")
  end
  return text
end

local function put_last(self, index)
  local mode = self.mode
  if not mode or mode == "length" and self.left > 0 then
    wrong(index, "the end of no body")
  end
  if mode ~= "rest" then self.mode = "none" end
  return mode == "chunked" and "0\r\n\r\n" or ""
end

--- Responses; strings, which are parts of the body of the response before them;
--- Httpd.LAST after a body in chunks.
---@param records (poe.http.response|string|table)[]
---@return string[] chunks
function Httpd:put(records)
  options.check_list("put", 1, records)
  local chunks = {}
  for i = 1, #records do
    local record, chunk = records[i], nil
    if type(record) == "string" then
      chunk = put_string(self, record, i)
    elseif record == Httpd.LAST then
      chunk = put_last(self, i)
    elseif getmetatable(record) == Response then
      chunk = put_response(self, record, i)
    else
      wrong(i, "a response, a string or LAST expected, got a " .. type(record))
    end
    if chunk ~= "" then chunks[#chunks + 1] = chunk end
  end
  return chunks
end

return Httpd
