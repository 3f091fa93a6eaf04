-- What is fuzzed: for each filter the ways to make it, bytes to begin with, and
-- bytes that mean something to it.

local Block = require "poe.filter.block"
local Httpd = require "poe.filter.httpd"
local Line = require "poe.filter.line"
local Reference = require "poe.filter.reference"

---@class spec.fuzz.target
---@field make (fun(): poe.filter)[]
---@field seeds string[]
---@field tokens string[]
---@field puts? (integer)[]  which makers' records come back when they are put
---@field joins? (integer)[]  whose strings may be cut anywhere
---@field resumes? (integer)[]  which makers' filters can hand over anywhere

local function makers(class, ...)
  local list = {}
  for i, given in ipairs { ... } do
    list[i] = function() return class.new(given) end
  end
  return list
end

local two_bytes = {
  encode = function(block) return string.pack(">I2", #block + 2) .. block end,
  decode = function(bytes)
    if #bytes < 2 then return nil end
    local length = string.unpack(">I2", bytes)
    if length < 2 then return nil, "length below two" end
    return length - 2, 2
  end,
}

local function lines(...)
  return table.concat({ ... }, "\r\n") .. "\r\n\r\n"
end

local function put(filter, ...)
  return table.concat(filter:put { ... })
end

local DEEP = { { { { { a = { b = { c = {} } } } } } } }

---@type table<string, spec.fuzz.target>
return {
  line = {
    make = makers(Line, {}, { literal = "\n" }, { literal = "\r\n" },
      { literal = "\0" }, { literal = "--", max_length = 9 }, { max_length = 20 },
      { autodetect = true, max_length = 30 }, { input_pattern = "[\r\n]+x?" }),
    seeds = { "one\r\ntwo\n\n\rthree\r\r\n--four--\n", ("long "):rep(30) .. "\n",
      "\0a\0\0b\0", "a--b---c----d\n" },
    tokens = { "\r", "\n", "\r\n", "\n\r", "--", "-", "\0", "x", ("y"):rep(19) },
    puts = { 1, 2, 3, 4 }, resumes = { 1, 2, 3, 4, 5, 6, 8 },
  },
  block = {
    make = makers(Block, {}, { max_length = 12 }, { block_size = 3 },
      { length_codec = two_bytes }, { length_codec = two_bytes, max_length = 9 }),
    seeds = { "5\0hello0\00012\0hello, world", "\0\5abc\0\2\0\6four",
      "abcdefghijk", "0007\0seven!!", "99999999999999999\0" },
    tokens = { "\0", "1", "0", "9", "13\0", "0\0", "\0\2", "\0\1", "\255\255" },
    puts = { 1, 2, 4, 5 }, resumes = { 1, 2, 3, 4, 5 },
  },
  reference = {
    make = makers(Reference, {}, { max_length = 40 }, { compression = true },
      { compression = true, max_length = 40 }),
    seeds = {
      put(Reference.new(), 1, "two", { 3, "x", { y = -4.5 } }, false, DEEP),
      put(Reference.new { compression = true }, { 1, 2 }, ("z"):rep(200), {}),
      put(Reference.new(), "\xff\xfe", math.mininteger, 0.1, { [1.5] = true }),
    },
    tokens = { "\x90", "\x91", "\x80", "\x81", "\xc0", "\xc1", "\xca", "\xcb",
      "\xcf", "\xd3", "\xdb", "\xdd\xff\xff\xff\xff", "\xdf\0\0\0\1", "\xc6",
      "1\0", "2\0", "9\0", "40\0", "\x78\x9c", "\xc4\0" },
    puts = { 1, 3 }, resumes = { 1, 2, 3, 4 },
  },
  httpd = {
    make = makers(Httpd, {}, { max_uri = 12, max_header = 90, max_content = 9 },
      { streaming = true, max_header = 90 }),
    joins = { 3 },
    seeds = {
      lines("GET /x?y HTTP/1.1", "Host: a", "X-Empty:", "Accept: b,  c ") ..
        lines("HEAD / HTTP/1.0", "Connection: keep-alive"),
      lines("POST /p HTTP/1.1", "Host: a", "Content-Length: 5") .. "hello" ..
        lines("GET / HTTP/1.1", "Host: a", "Connection: close"),
      lines("PUT /c HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") ..
        "5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n" ..
        lines("GET / HTTP/1.1", "Host: a"),
      lines("POST / HTTP/1.1", "Host: a", "Expect: 100-continue",
        "Content-Length: 2") .. "ab",
      lines("GET /chat HTTP/1.1", "Host: a", "Connection: Upgrade",
        "Upgrade: websocket") .. "\x81\5hello",
    },
    tokens = { "\r\n", "\n", "\r", ": ", ":", " ", "\t", "\0", "\r\n\r\n", "0",
      "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "chunked", "5",
      "Host: a\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n",
      " HTTP/1.1\r\n", "HTTP/1.0", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "+", "0x",
      "0\r\n\r\n", "CONNECT ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\xff", ";a=b",
      "Content-Encoding: x\r\n", "ffffffffffffffff", "\r\n " },
  },
}
