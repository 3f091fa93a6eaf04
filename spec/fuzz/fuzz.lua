-- Bytes made from a number, given to a filter in several ways: what comes out
-- must be the same, nothing may raise, and what a filter did not use another
-- one of its kind can go on with.
--
-- A case is a number and nothing else: the same one gives the same bytes.

local Httpd = require "poe.filter.httpd"
local Response = require "poe.http.response"
local targets = require "spec.fuzz.targets"

---@class spec.fuzz
local fuzz = {}

-- ---- bytes ----------------------------------------------------------------------

local random = math.random

local function pick(list)
  return list[random(#list)]
end

local MUTATIONS = {
  function(s, at) -- a byte is another
    return s:sub(1, at - 1) .. string.char(random(0, 255)) .. s:sub(at + 1)
  end,
  function(s, at) -- one bit of it
    local byte = (s:byte(at) or 0) ~ (1 << random(0, 7))
    return s:sub(1, at - 1) .. string.char(byte) .. s:sub(at + 1)
  end,
  function(s, at) return s:sub(1, at - 1) .. s:sub(at + random(1, 8)) end,
  function(s, at, target)
    return s:sub(1, at - 1) .. pick(target.tokens) .. s:sub(at)
  end,
  function(s, at, target)
    local token = pick(target.tokens)
    return s:sub(1, at - 1) .. token .. s:sub(at + #token)
  end,
  function(s, at) -- a piece twice, or many times
    local piece = s:sub(at, at + random(0, 12))
    return s:sub(1, at - 1) .. piece:rep(random(2, 9)) .. s:sub(at)
  end,
  function(s, at, target) -- the rest of another seed
    local other = pick(target.seeds)
    return s:sub(1, at - 1) .. other:sub(random(#other))
  end,
  function(s, at) return s:sub(1, at - 1) end,
}

local function make_bytes(target)
  local bytes = pick(target.seeds)
  for _ = 1, random(0, 6) do
    bytes = pick(MUTATIONS)(bytes, random(#bytes + 1), target)
  end
  return bytes
end

-- ---- results as text ----------------------------------------------------------------

local text_of

local function table_text(t)
  local items = {}
  for key, value in next, t do
    if key ~= "request" then
      items[#items + 1] = text_of(key) .. "=" .. text_of(value)
    end
  end
  table.sort(items)
  return "{" .. table.concat(items, ",") .. "}"
end

function text_of(value)
  if type(value) == "table" then return table_text(value) end
  if math.type(value) == "float" then return ("%a"):format(value) end
  return ("%s:%q"):format(type(value), value)
end

---@class spec.fuzz.result
---@field records any[]
---@field code string?
---@field pending string

--- Strings that follow each other as one.
local function join_strings(records)
  local list = {}
  for _, record in ipairs(records) do
    if type(record) == "string" and type(list[#list]) == "string" then
      list[#list] = list[#list] .. record
    else
      list[#list + 1] = record
    end
  end
  return list
end

local function result_text(result, joins)
  local list = {}
  local records = joins and join_strings(result.records) or result.records
  for i, record in ipairs(records) do list[i] = text_of(record) end
  return table.concat(list, "\n") .. "\n" .. (result.code or "") ..
    (result.code and "" or "\n" .. result.pending)
end

-- ---- ways to give them ----------------------------------------------------------------

--- With get_one, until there is no more or there were `most` records.
local function drain(filter, result, most)
  while #result.records < most and not result.code do
    local got, message, code = filter:get_one()
    if not got then
      assert(message:sub(1, #code + 2) == code .. ": ", message)
      result.code = code
    elseif got[1] == nil then
      return
    else
      assert(#got == 1)
      result.records[#result.records + 1] = got[1]
    end
  end
end

local function finish(filter, result)
  result.pending = table.concat(filter:get_pending() or {})
  return result
end

local function whole(filter, bytes)
  local got, _, code, before = filter:get { bytes }
  return finish(filter, { records = got or before, code = code })
end

local function in_pieces(filter, bytes, longest)
  local result, at = { records = {} }, 1
  while at <= #bytes and not result.code do
    local n = random(0, longest)
    filter:get_one_start { bytes:sub(at, at + n - 1) }
    if random(4) == 1 then filter:get_pending() end
    drain(filter, result, math.huge)
    at = at + n
  end
  return finish(filter, result)
end

--- Up to some record by one filter, the rest by another.
local function in_two_filters(make, bytes)
  local filter, result, at = make(), { records = {} }, random(0, #bytes)
  filter:get_one_start { bytes:sub(1, at) }
  drain(filter, result, random(0, 4))
  if result.code then return finish(filter, result) end
  local pending = filter:get_pending()
  filter = filter:clone()
  filter:get_one_start(pending or {})
  filter:get_one_start { bytes:sub(at + 1) }
  drain(filter, result, math.huge)
  return finish(filter, result)
end

-- ---- one case ---------------------------------------------------------------------------

local function includes(list, i)
  for _, value in ipairs(list or {}) do
    if value == i then return true end
  end
  return false
end

local function compare(what, expected, got)
  if expected ~= got then
    error(("%s: expected\n%s\ngot\n%s"):format(what, expected, got), 0)
  end
end

--- The bytes of a case, and which of its makers.
local function arrange(target, case)
  math.randomseed(case)
  return make_bytes(target), random(#target.make)
end

local function check(target, case)
  local bytes, kind = arrange(target, case)
  local make, joins = target.make[kind], includes(target.joins, kind)
  local first = whole(make(), bytes)
  local expected = result_text(first, joins)
  compare("byte by byte", expected,
    result_text(in_pieces(make(), bytes, 1), joins))
  compare("in pieces", expected,
    result_text(in_pieces(make(), bytes, random(1, #bytes + 1)), joins))
  if includes(target.resumes, kind) then
    compare("in two filters", expected, result_text(in_two_filters(make, bytes)))
  end
  if includes(target.puts, kind) then
    local again = whole(make(), table.concat(make():put(first.records)))
    first.code, first.pending = nil, ""
    compare("put and got", result_text(first), result_text(again))
  end
end

-- ---- responses ----------------------------------------------------------------------------

local STATUSES = { 100, 200, 204, 206, 304, 404, 500 }
local NAMES = { "A", "Set-Cookie", "Content-Length", "Transfer-Encoding", "" }

local function make_response(target)
  local headers = {}
  for i = 1, random(0, 4) do
    headers[i] = { random(4) == 1 and make_bytes(target):sub(1, 9) or pick(NAMES),
      random(3) == 1 and make_bytes(target):sub(1, 30) or random(0, 9) }
  end
  return Response.new { status = pick(STATUSES), headers = headers,
    reason = random(3) == 1 and make_bytes(target):sub(1, 20) or nil,
    body = random(2) == 1 and make_bytes(target):sub(1, random(0, 9)) or nil }
end

--- What was put is one head, with the lines of its headers and no more than one
--- beside them, and the body.
local function check_response(target, case)
  arrange(target, case)
  local filter, response = Httpd.new(), nil
  local ok, message = pcall(function()
    response = make_response(target)
    return filter:put { response }[1]
  end)
  if not ok then
    assert(tostring(message):find "bad argument #%d to '[%w.]+' %(", message)
    return
  end
  local head, body = message:match "^(.-\r\n)\r\n(.*)$"
  local _, crs = head:gsub("\r", "")
  local _, lfs = head:gsub("\n", "")
  local _, lines = head:gsub("[^\r\n]+\r\n", "")
  assert(crs == lines and lfs == lines, message)
  local extra = lines - 1 - response.headers.count
  assert(extra == 0 or extra == 1, message)
  assert(body == (response.body or ""), message)
end

--- Runs a case of a target: nil, or what went wrong with it.
---@param name string
---@param case integer
---@return string?
function fuzz.run(name, case)
  local target = targets[name]
  local ok, message = xpcall(check, debug.traceback, target, case)
  if ok and name == "httpd" then
    ok, message = xpcall(check_response, debug.traceback, target, case)
  end
  if ok then return nil end
  local bytes, kind = arrange(target, case)
  return ("%s, case %d, maker %d:\n%q\n%s"):format(name, case, kind, bytes,
    message)
end

--- The names of all targets, sorted.
---@return string[]
function fuzz.names()
  local names = {}
  for name in pairs(targets) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return fuzz
