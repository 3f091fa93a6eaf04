-- poe.filter.httpd: requests, good, bad and ambiguous ones, however the bytes
-- were cut; responses, of which none says more than it was told.

local Httpd = require "poe.filter.httpd"
local Headers = require "poe.http.headers"
local Response = require "poe.http.response"
local Stream = require "poe.filter.stream"
local cuts = require "spec.filter.cuts"
local helper = require "spec.helper"

-- ---- requests as text ---------------------------------------------------------

local function headers_text(headers)
  local list = {}
  for name, value in headers:each() do list[#list + 1] = name .. "=" .. value end
  return table.concat(list, ";")
end

--- "GET / 1.1 keep [Host=a] body", or "400 what is wrong".
local function text_of(record)
  if record.status then
    return record.status .. (record.body or ""):gsub("^.-:", ""):gsub("\n", "")
  end
  local text = ("%s %s %s %s [%s] %s"):format(record.method, record.uri,
    record.version, record.keep_alive and "keep" or "close",
    headers_text(record.headers), record.body)
  return record.trailers and text .. " [" .. headers_text(record.trailers) .. "]"
    or text
end

local function texts(got)
  local list = {}
  for i, record in ipairs(got) do list[i] = text_of(record) end
  return list
end

--- A filter whose records are those texts.
local function maker(given)
  return function()
    local filter = Httpd.new(given)
    return {
      get_one_start = function(_, chunks) filter:get_one_start(chunks) end,
      get_one = function() return texts(filter:get_one()) end,
      get = function(_, chunks) return texts(filter:get(chunks)) end,
      get_pending = function() return filter:get_pending() end,
    }
  end
end

local function lines(...)
  return table.concat({ ... }, "\r\n") .. "\r\n\r\n"
end

local GOOD = lines("GET /good HTTP/1.1", "Host: a")
local GOOD_TEXT = "GET /good 1.1 keep [Host=a] "

--- These bytes, after a good request, are refused: the status and the text.
--- What follows is never taken for a request.
local function assert_refused(bytes, expected, given)
  cuts.assert_same(maker(given), GOOD .. bytes .. GOOD, { GOOD_TEXT, expected })
end

local CHUNKED = lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")

describe("HTTPD", function()
  it("takes requests, one after the other", function()
    cuts.assert_same(maker(), GOOD .. lines("HEAD /x?y=%20#z HTTP/1.1", "Host: b",
      "Empty:", "X-Many:  one", "x-many: two \t", "X-Latin: \xe4") ..
      lines("OPTIONS * HTTP/1.1", "Host: c") .. "GET / HT", {
      GOOD_TEXT,
      "HEAD /x?y=%20#z 1.1 keep " ..
        "[Host=b;Empty=;X-Many=one;x-many=two;X-Latin=\xe4] ",
      "OPTIONS * 1.1 keep [Host=c] ",
    }, "GET / HT")
  end)

  it("takes bodies with a length", function()
    cuts.assert_same(maker(), lines("POST / HTTP/1.1", "Host: a",
      "Content-Length: 8") .. "\r\n\r\nGET " .. lines("PUT / HTTP/1.0",
      "Connection: Keep-Alive", "Content-Length: 3 ") .. "\0\1\2" ..
      lines("GET / HTTP/1.1", "Host: a", "Content-Length: 0"), {
      "POST / 1.1 keep [Host=a;Content-Length=8] \r\n\r\nGET ",
      "PUT / 1.0 keep [Connection=Keep-Alive;Content-Length=3] \0\1\2",
      "GET / 1.1 keep [Host=a;Content-Length=0] ",
    })
  end)

  it("takes bodies in chunks, with extensions and trailers", function()
    local text = "POST / 1.1 keep [Host=a;Transfer-Encoding=chunked] "
    cuts.assert_same(maker(), CHUNKED .. "5\r\nhello\r\n0\r\n\r\n" ..
      CHUNKED .. "5;a=\"b c\"\r\nhe\r\no\r\n0A\r\n0123456789\r\n000\r\n" ..
      "Check: 1\r\nMore: 2\r\n\r\n" .. CHUNKED .. "0\r\n\r\n" .. GOOD, {
      text .. "hello", text .. "he\r\no0123456789 [Check=1;More=2]", text,
      GOOD_TEXT,
    })
  end)

  it("believes no length among trailers", function()
    cuts.assert_same(maker(), CHUNKED .. "0\r\nContent-Length: 5\r\n\r\n" ..
      GOOD, { "POST / 1.1 keep [Host=a;Transfer-Encoding=chunked]  " ..
      "[Content-Length=5]", GOOD_TEXT })
  end)

  it("takes no more after the last request of a connection", function()
    for _, last in ipairs {
      lines("GET / HTTP/1.0"), lines("GET / HTTP/1.1", "Host: a",
      "Connection: close"), lines("GET / HTTP/1.1", "Host: a",
      "Connection: foo, Close"),
    } do
      local got = Httpd.new():get { last }[1]
      assert.is_false(got.keep_alive)
      cuts.assert_same(maker(), last .. GOOD, { text_of(got) })
    end
  end)

  it("leaves the bytes behind a request to another filter", function()
    local corpus = lines("GET /chat HTTP/1.1", "Host: a", "Connection: Upgrade",
      "Upgrade: websocket") .. "\x81\5hello"
    for at = 0, #corpus do
      local filter, stream = Httpd.new(), Stream.new()
      filter:get_one_start { corpus:sub(1, at) }
      local got = filter:get_one()
      if #got == 0 then
        assert.equal(at > 0 and corpus:sub(1, at) or nil,
          (filter:get_pending() or {})[1])
        filter:get_one_start { corpus:sub(at + 1) }
        got, at = filter:get_one(), #corpus
      end
      assert.equal("websocket", got[1]:header "upgrade")
      stream:get_one_start(filter:get_pending() or {})
      stream:get_one_start { corpus:sub(at + 1) }
      assert.same({ "\x81\5hello" }, stream:get_one())
    end
  end)

  it("goes on with HTTP where nobody takes an upgrade", function()
    local upgrade = lines("GET / HTTP/1.1", "Host: a", "Connection: upgrade",
      "Upgrade: h2c")
    cuts.assert_same(maker(), upgrade .. GOOD, {
      "GET / 1.1 keep [Host=a;Connection=upgrade;Upgrade=h2c] ", GOOD_TEXT })
  end)

  describe("asked whether to send a body", function()
    local function asked(...)
      return lines("POST / HTTP/1.1", "Host: a", "Expect: 100-Continue", ...)
    end

    it("says that it may come, before it comes", function()
      local bytes = asked("Content-Length: 2") .. "ab"
      cuts.assert_same(maker(), bytes .. GOOD, { "100",
        "POST / 1.1 keep [Host=a;Expect=100-Continue;Content-Length=2] ab",
        GOOD_TEXT })
      local filter = Httpd.new()
      local response = filter:get { asked "Transfer-Encoding: chunked" }[1]
      assert.equal("/", response.request.uri)
      assert.is_nil(response.request.body)
      assert.is_true(response.keep_alive)
      assert.same({ "HTTP/1.1 100 Continue\r\n\r\n" }, filter:put { response })
      assert.equal(response.request, filter:get { "0\r\n\r\n" }[1])
      assert.equal("", response.request.body)
    end)

    it("says nothing where none comes", function()
      for _, head in ipairs { asked(), asked "Content-Length: 0", lines(
        "POST / HTTP/1.0", "Expect: 100-continue", "Content-Length: 0") } do
        assert.equal("POST", Httpd.new():get { head }[1].method)
      end
    end)

    it("refuses it, if it would be too long", function()
      assert_refused(asked "Content-Length: 1048577", "413 body is too long")
    end)

    it("refuses other expectations", function()
      assert_refused(lines("GET / HTTP/1.1", "Host: a", "Expect: more"),
        "417 Expect other than 100-continue")
    end)
  end)

  -- Where two servers may see the end of a request in two places.
  describe("refuses what can be read in two ways:", function()
    for name, case in pairs {
      ["a length and chunks"] = { "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length can't be present with Transfer-Encoding" },
      ["chunks and a length"] = { "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length can't be present with Transfer-Encoding" },
      ["two lengths"] = { "Content-Length: 5\r\nContent-Length: 6",
        "Duplicate Content-Length" },
      ["one length twice"] = { "Content-Length: 5\r\ncontent-length: 5",
        "Duplicate Content-Length" },
      ["a list of lengths"] = { "Content-Length: 5, 5",
        "Invalid character in Content-Length" },
      ["a length with a sign"] = { "Content-Length: +5",
        "Invalid character in Content-Length" },
      ["a length in hexadecimal"] = { "Content-Length: 0x5",
        "Invalid character in Content-Length" },
      ["a length beyond 64 bits"] = { "Content-Length: 18446744073709551621",
        "Content-Length overflow" },
      ["a space before the colon"] = { "Content-Length : 5",
        "Invalid header field char" },
      ["no name"] = { ": 5", "header without a name" },
      ["no colon"] = { "Content-Length", "Invalid header token" },
      ["chunks that are not the last coding"] = {
        "Transfer-Encoding: chunked, gzip",
        "Invalid `Transfer-Encoding` header value" },
      ["two codings"] = { "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Invalid `Transfer-Encoding` header value" },
      ["a coding behind a vertical tab"] = { "Transfer-Encoding:\vchunked",
        "Invalid header value char" },
      ["a header on two lines"] = { "Transfer-Encoding:\r\n chunked",
        "line does not end with CR LF" },
      ["a header on two lines, by a tab"] = { "X: 1\r\n\tContent-Length: 5",
        "line does not end with CR LF" },
      ["a LF alone"] = { "X: 1\nContent-Length: 5",
        "Invalid header value char" },
      ["a coding among the trailers"] = { "Transfer-Encoding: chunked\r\n\r\n" ..
        "0\r\nTransfer-Encoding: chunked",
        "Invalid `Transfer-Encoding` header value" },
      ["a CR alone"] = { "X: 1\rContent-Length: 5",
        "Missing expected LF after header value" },
      ["a zero byte in a value"] = { "X: 1\0", "Invalid header value char" },
      ["a zero byte in a name"] = { "X\0: 1", "Invalid header token" },
      ["a second Host"] = { "Host: b", "one Host expected" },
    } do
      it(name, function()
        assert_refused(lines("POST / HTTP/1.1", "Host: a", case[1]) .. "hello",
          "400 " .. case[2])
      end)
    end

    for name, case in pairs {
      ["a LF alone after a chunk's length"] = { "5\nhello\r\n",
        "Invalid character in chunk size" },
      ["a LF alone after a chunk"] = { "5\r\nhello\n",
        "Expected CRLF after chunk" },
      ["a chunk that is longer"] = { "5\r\nhello5\r\n",
        "Expected CRLF after chunk" },
      ["a LF alone in an extension"] = { "5;a\n0\r\n\r\n",
        "Invalid character in chunk extensions name" },
      ["a CR alone in an extension"] = { "5;a\r0\r\n\r\n",
        "Expected LF after chunk size" },
      ["a chunk's length with a prefix"] = { "0x5\r\nhello\r\n",
        "Invalid character in chunk size" },
      ["a chunk's length with a sign"] = { "-5\r\nhello\r\n",
        "Invalid character in chunk size" },
      ["a chunk's length beyond 64 bits"] = { "10000000000000005\r\nhello\r\n",
        "Chunk size overflow" },
      ["a LF alone after the last chunk"] = { "0\r\n\n",
        "line does not end with CR LF" },
      ["a trailer on two lines"] = { "0\r\nX: 1\r\n 2\r\n\r\n",
        "line does not end with CR LF" },
    } do
      it(name, function()
        assert_refused(CHUNKED .. case[1], "400 " .. case[2])
      end)
    end
  end)

  it("refuses what is no request of its kind", function()
    for bytes, expected in pairs {
      ["\0"] = "400 Invalid method encountered",
      ["\x16\3\1\0\xf1"] = "400 Invalid method encountered",
      ["get / HTTP/1.1\r\n"] = "400 Invalid method encountered",
      [lines "GET / HTTP/1.1\nHost: a"] = "400 line does not end with CR LF",
      ["GET / HTTP/1.1\r\nHost: a\r\n\n"] = "400 line does not end with CR LF",
      ["\n"] = "400 line does not end with CR LF",
      ["GET /\xff HTTP/1.1\r\n"] = "400 Invalid char in url path",
      [lines "GET /"] = "505 HTTP/1.1 or HTTP/1.0 expected",
      [lines "GET / HTTP/2.0"] = "505 HTTP/1.1 or HTTP/1.0 expected",
      [lines "GET / HTTP/1.1 "] = "400 Expected CRLF after version",
      [lines "GET / HTTP/1.1"] = "400 one Host expected",
      [lines("POST / HTTP/1.0", "Transfer-Encoding: chunked")] =
        "400 Transfer-Encoding not expected",
      [lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked")] =
        "501 Transfer-Encoding other than chunked",
      [lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: xchunked")] =
        "501 Transfer-Encoding other than chunked",
      [lines("POST / HTTP/1.1", "Host: a", "Content-Encoding: gzip")] =
        "411 Content-Encoding without a length",
    } do
      assert_refused(bytes, expected)
    end
  end)

  it("gives a bad request an answer that only has to be sent", function()
    local filter = Httpd.new()
    local got = filter:get { lines("HEAD / HTTP/1.1", "Host: a", "Host: b") }
    assert.equal("HEAD", got[1].request.method)
    assert.is_false(got[1].keep_alive)
    assert.same({ "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n" ..
      "Connection: close\r\nContent-Length: 35\r\n\r\n" }, filter:put(got))
    filter = Httpd.new()
    assert.same({ "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n" ..
      "Connection: close\r\nContent-Length: 48\r\n\r\n" ..
      "400 Bad Request: Invalid method encountered\n" },
      { (filter:put(filter:get { "?" })[1]:gsub("Length: %d+", "Length: 48")) })
    assert.same({}, filter:get { GOOD })
    assert.is_nil(filter:get_pending())
  end)

  describe("has limits:", function()
    local given = { max_uri = 20, max_header = 200, max_content = 10 }

    it("a URI", function()
      assert_refused(lines("GET /" .. ("x"):rep(60) .. " HTTP/1.1", "Host: a"),
        "414 URI is too long", given)
      cuts.assert_same(maker(given), lines("GET /" .. ("x"):rep(19) ..
        " HTTP/1.1", "Host: a"), { "GET /" .. ("x"):rep(19) ..
        " 1.1 keep [Host=a] " })
    end)

    it("a head", function()
      local head = "GET / HTTP/1.1\r\nHost: a\r\nX: "
      local longest = head .. ("x"):rep(196 - #head) .. "\r\n\r\n"
      assert.equal(200, #longest)
      assert.equal(2, #Httpd.new(given):get { longest .. longest })
      assert_refused(head .. ("x"):rep(197 - #head) .. "\r\n\r\n",
        "431 headers are too long", given)
      assert_refused(head .. ("x"):rep(300), "431 headers are too long", given)
      assert_refused(("\r\n"):rep(200), "414 URI is too long", given)
    end)

    it("a body", function()
      local function with(length)
        return lines("POST / HTTP/1.1", "Host: a", "Content-Length: " .. length)
          .. ("x"):rep(length)
      end
      cuts.assert_same(maker(given), with(10) .. GOOD, {
        "POST / 1.1 keep [Host=a;Content-Length=10] xxxxxxxxxx", GOOD_TEXT })
      assert_refused(with(11), "413 body is too long", given)
    end)

    it("a body in chunks", function()
      local text = "POST / 1.1 keep [Host=a;Transfer-Encoding=chunked] "
      cuts.assert_same(maker(given), CHUNKED .. ("1\r\nx\r\n"):rep(10) ..
        "0\r\n\r\n", { text .. ("x"):rep(10) })
      assert_refused(CHUNKED .. ("1\r\nx\r\n"):rep(11) .. "0\r\n\r\n",
        "413 body is too long", given)
      assert_refused(CHUNKED .. "b\r\n", "413 body is too long", given)
      assert_refused(CHUNKED .. "1\r\nx\r\nffffffffffffffff\r\n",
        "413 body is too long", given)
    end)

    it("what is around chunks, and trailers", function()
      for _, long in ipairs { "5;" .. ("x"):rep(300), ("0"):rep(300),
        "0\r\nX: " .. ("x"):rep(300), "0\r\n" .. ("X: 1\r\n"):rep(60) } do
        assert_refused(CHUNKED .. long, "431 headers are too long", given)
      end
    end)

    it("of 64 KiB, 8 KiB and 1 MiB if nothing is said", function()
      local filter = Httpd.new()
      local got = filter:get { lines("POST /" .. ("x"):rep(8191) .. " HTTP/1.1",
        "Host: a", "Content-Length: 1048576"), ("x"):rep(1 << 20) }
      assert.equal(1 << 20, #got[1].body)
      got = filter:get { lines("GET / HTTP/1.1", "Host: a", "X: " ..
        ("x"):rep(65536)) }
      assert.equal(431, got[1].status)
    end)
  end)

  describe("that streams", function()
    --- Records as text, what follows each other of a body as one.
    local function streamed(filter, pieces)
      local list = {}
      for _, record in ipairs((cuts.by_get(filter, pieces))) do
        if record == Httpd.LAST then
          list[#list + 1] = "LAST"
        elseif type(record) == "table" then
          list[#list + 1] = record.status and text_of(record) or record.method ..
            " " .. record.uri .. " " .. tostring(record.body)
        elseif list[#list]:find "^body " then
          list[#list] = list[#list] .. record
        else
          list[#list + 1] = "body " .. record
        end
      end
      return list
    end

    local function assert_streamed(corpus, expected)
      local bytes = {}
      for byte in corpus:gmatch "." do bytes[#bytes + 1] = byte end
      assert.same(expected, streamed(Httpd.new { streaming = true }, { corpus }))
      assert.same(expected, streamed(Httpd.new { streaming = true }, bytes))
    end

    it("gives the request, its body as it comes, and its end", function()
      assert_streamed(lines("POST /a HTTP/1.1", "Host: a", "Content-Length: 5") ..
        "hello" .. GOOD .. CHUNKED .. "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" ..
        CHUNKED .. "0\r\n\r\n" .. lines("PUT / HTTP/1.1", "Host: a",
        "Expect: 100-continue", "Content-Length: 1") .. "x" .. lines(
        "POST /0 HTTP/1.1", "Host: a", "Content-Length: 0"), {
        "POST /a nil", "body hello", "LAST", "GET /good ",
        "POST / nil", "body abcde", "LAST", "POST / nil", "LAST",
        "100", "PUT / nil", "body x", "LAST", "POST /0 ",
      })
    end)

    it("keeps nothing of a body, however long", function()
      local filter = Httpd.new { streaming = true }
      local got = filter:get { lines("POST / HTTP/1.1", "Host: a",
        "Content-Length: 99999999999") .. "first" }
      assert.equal("first", got[2])
      local block = ("x"):rep(65536)
      collectgarbage()
      local before = collectgarbage "count"
      for _ = 1, 1000 do assert.same({ block }, filter:get { block }) end
      assert.is_nil(filter:get_pending())
      collectgarbage()
      assert.is_true(collectgarbage "count" - before < 1000)
    end)

    it("tells what goes wrong in the middle, and trailers", function()
      local got = Httpd.new { streaming = true }:get { CHUNKED .. "1\r\na\r\nx" }
      assert.same({ "a", 400 }, { got[2], got[3].status })
      assert.equal(got[1], got[3].request)
      got = Httpd.new { streaming = true }:get { CHUNKED .. "0\r\nA: 1\r\n\r\n" }
      assert.equal("1", got[1].trailers:get "A")
      assert.equal(Httpd.LAST, got[2])
    end)

    it("leaves what is behind the last request to another filter", function()
      local filter = Httpd.new { streaming = true }
      filter:get_one_start { lines("POST / HTTP/1.1", "Host: a",
        "Connection: close", "Content-Length: 2") .. "abrest" }
      for _ = 1, 3 do assert.equal(1, #filter:get_one()) end
      assert.same({ "rest" }, filter:get_pending())
      assert.same({}, filter:get_one())
      assert.is_nil(filter:get_pending())
    end)

    it("has no limit, and clones like it", function()
      assert.has_error(function() Httpd.new { streaming = true, max_content = 1 } end,
        "Httpd.new: parameter 'streaming' excludes 'max_content'")
      local clone = Httpd.new { streaming = true }:clone()
      assert.equal("x", clone:get { CHUNKED .. "fffffff\r\nx" }[2])
      assert.equal("GET", Httpd.new { streaming = false }:get { GOOD }[1].method)
    end)
  end)

  it("takes a body that comes byte by byte in linear time", function()
    local filter, n = Httpd.new(), 400000
    local begun = os.clock()
    filter:get { lines("POST / HTTP/1.1", "Host: a", "Content-Length: " .. n) }
    for _ = 1, n - 1 do
      filter:get_one_start { "x" }
      assert(#filter:get_one() == 0)
    end
    assert.equal(n, #filter:get { "x" }[1].body)
    assert.is_true(os.clock() - begun < 20) -- joined each time: minutes
  end)

  it("is told where memory is limited, and survives it", function()
    helper.assert_prints("not enough memory\ttrue\ttrue", [[
      local Httpd = require "poe.filter.httpd"
      local poe = require "poe"
      local head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
      local filters, chunk = {}, ("x"):rep(1000)
      local function take(i)
        filters[i] = Httpd.new()
        filters[i]:get { head }
        for _ = 1, 600 do filters[i]:get { chunk } end
      end
      poe.configure { max_memory = "8M" }
      local count, message = 0, nil
      while not message and count < 1000 do
        count = count + 1
        message = select(2, pcall(take, count))
      end
      filters = {}
      for _ = 1, 40 do take(1) end
      print(message, count > 3, count < 20)
    ]])
  end)

  it("reads no byte twice after memory has run out", function()
    helper.assert_prints("true\ttrue\tbroken\t500\tnot enough memory", [[
      local http, poe = require "poe.http", require "poe"
      local parser = http.parser(1000, 1000, 1 << 30)
      parser:feed("POST / HTTP/1.1\r\nHost: a\r\n" ..
        "Content-Length: 99999999\r\n\r\n", 1)
      local chunk, n, message = ("x"):rep(1000), 0, nil
      poe.configure { max_memory = "4M" }
      while not message and n < 10000 do
        local ok, text = pcall(parser.feed, parser, chunk, 1)
        n, message = n + 1, not ok and text
      end
      print(message == "not enough memory", n > 100,
        select(2, parser:feed(chunk, 1)))
    ]])
  end)

  it("has clones that share nothing but the parameters", function()
    local filter = Httpd.new { max_content = 2 }
    filter:get { GOOD:sub(1, 5) }
    local clone = filter:clone()
    assert.is_nil(clone:get_pending())
    assert.same({ GOOD_TEXT }, texts(clone:get { GOOD }))
    assert.same({ GOOD_TEXT }, texts(filter:get { GOOD:sub(6) }))
    assert.equal(413, clone:get { lines("POST / HTTP/1.1", "Host: a",
      "Content-Length: 3") }[1].status)
    assert.same({ GOOD_TEXT }, texts(clone:clone():get { GOOD }))
  end)

  it("has headers that are found whatever their case", function()
    local request = Httpd.new():get { lines("GET / HTTP/1.1", "Host: a",
      "Accept: b", "ACCEPT: c") }[1]
    assert.equal("a", request:header "hOST")
    assert.equal("b, c", request:header "Accept")
    assert.same({ "b", "c" }, request.headers:all "accept")
    assert.is_nil(request:header "Cookie")
  end)

  it("says what is missing where it was built without llhttp", function()
    local loaded, preload = package.loaded["poe.http"], package.preload["poe.http"]
    package.loaded["poe.http"] = nil
    package.preload["poe.http"] = function() error "not built" end
    local ok, message = pcall(dofile, "lua/poe/filter/httpd.lua")
    package.loaded["poe.http"], package.preload["poe.http"] = loaded, preload
    assert.is_false(ok)
    assert.matches("needs the module poe.http, which .*llhttp", message)
  end)

  it("refuses wrong parameters", function()
    assert.has_error(function() Httpd.new { MaxContent = 1 } end, "Httpd.new: " ..
      "unknown parameter 'MaxContent' (did you mean 'max_content'?)")
    assert.has_error(function() Httpd.new():get_one_start { 5 } end, "bad " ..
      "argument #1 to 'get_one_start' (element 1 must be a string, got 5)")
  end)
end)

describe("HTTPD puts", function()
  local filter

  before_each(function() filter = Httpd.new() end)

  local function request(method, version, ...)
    return Httpd.new():get { lines(method .. " / HTTP/" .. version, "Host: a",
      ...) }[1]
  end

  local function assert_put(expected, ...)
    assert.equal(expected, table.concat(filter:put { ... }))
  end

  local function assert_refuses(why, ...)
    local records = { ... }
    assert.has_error(function() filter:put(records) end,
      ("bad argument #1 to 'put' (element %d: %s)"):format(#records, why))
  end

  it("a response with its body", function()
    assert_put("HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nB: 3\r\n" ..
      "Content-Length: 5\r\n\r\nhello", Response.new { status = 200,
      body = "hello", headers = { { "A", 1 }, { "B", { "2", "3" } } } })
    assert_put("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
      Response.new { status = 404 })
    assert_put("HTTP/1.1 299 Odd one\r\nContent-Length: 0\r\n\r\n",
      Response.new { status = 299, reason = "Odd one" })
  end)

  it("a body of known length, piece by piece", function()
    local response = Response.new { status = 200,
      headers = { ["Content-Length"] = 5 } }
    assert_put("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", response, "he")
    assert_put("llo", "l", "", "lo")
    assert_put("HTTP/1.1 204 No Content\r\n\r\n", Response.new { status = 204 })
  end)

  it("a body in chunks", function()
    local response = Response.new { status = 200, chunked = true }
    assert_put("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      "5\r\nhello\r\n", response, "hello", "")
    assert_put("10\r\n0123456789abcdef\r\n0\r\n\r\n", "0123456789abcdef",
      Httpd.LAST)
    assert_put("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      Response.new { status = 200 })
  end)

  it("no chunks to a client that does not know them", function()
    assert_put("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", Response.new {
      status = 200, chunked = true, request = request("GET", "1.0",
      "Connection: keep-alive") }, "hel", "lo", Httpd.LAST)
    assert_refuses("a response before the end of the body of the one before",
      Response.new { status = 200 })
  end)

  it("no body after HEAD, but its length", function()
    local head = request("HEAD", "1.1")
    assert_put("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
      Response.new { status = 200, body = "hello", request = head })
    assert_put("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Response.new {
      status = 200, headers = { ["Content-Length"] = 7 }, request = head }, "dropped")
    assert_put("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      Response.new { status = 200, chunked = true, request = head }, "dropped",
      Httpd.LAST)
    assert_put("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
      Response.new { status = 304, headers = { ["Content-Length"] = 9 } })
  end)

  it("whether the connection ends", function()
    local closed = "HTTP/1.1 200 OK\r\nConnection: close\r\n" ..
      "Content-Length: 0\r\n\r\n"
    local function answer(given, ...)
      return Response.new { status = 200, keep_alive = given,
        request = request(...) }
    end
    assert_put("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      answer(nil, "GET", "1.1"))
    assert_put(closed, answer(nil, "GET", "1.1", "Connection: close"))
    assert_put(closed, answer(false, "GET", "1.1"))
    assert_put(closed, answer(nil, "GET", "1.0"))
    assert_put("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n" ..
      "Content-Length: 0\r\n\r\n", answer(nil, "GET", "1.0",
      "Connection: keep-alive"))
    local own = Response.new { status = 200, headers = { Connection = "x" } }
    assert_put("HTTP/1.1 200 OK\r\nConnection: x\r\nContent-Length: 0\r\n\r\n", own)
  end)

  it("nothing that another would read as more than one header", function()
    for _, bad in ipairs { "a\r\nX: b", "a\nb", "a\rb", "a\0b", "a\127" } do
      local why = ("%s (value of 'X': control characters)")
      for where, try in pairs {
        ["bad argument #2 to 'Headers.new'"] = function()
          Response.new { status = 200, headers = { X = bad } }
        end,
        ["bad argument #2 to 'add'"] = function() Headers.new():add("X", bad) end,
        ["bad argument #2 to 'set'"] = function() Headers.new():set("X", bad) end,
      } do
        assert.has_error(try, why:format(where))
      end
      assert_refuses("reason of a response: control characters",
        Response.new { status = 200, reason = bad })
    end
    for _, bad in ipairs { "", "a b", "a:", "a\r\n", "a\0", "\xe4" } do
      assert.has_error(function() Headers.new { [bad] = "1" } end,
        ("bad argument #1 to 'Headers.new' (not the name of a header: %q)")
        :format(bad))
    end
  end)

  it("nothing that another would read as more than one response", function()
    local function with(given)
      given.status = given.status or 200
      return Response.new(given)
    end
    local length = "header Content-Length: not the length of the body"
    assert_refuses(length, with { body = "a", headers = { ["content-length"] = 2 } })
    assert_refuses(length, with { headers = { ["Content-Length"] = "x" } })
    assert_refuses(length, with { headers = { ["Content-Length"] = { 1, 1 } } })
    assert_refuses(length, with { chunked = true,
      headers = { ["Content-Length"] = 1 } })
    assert_refuses(length, with { status = 204,
      headers = { ["Content-Length"] = 0 } })
    assert_refuses("header Transfer-Encoding: say chunked = true",
      with { headers = { ["Transfer-Encoding"] = "chunked" } })
    assert_refuses("status 304 has no body", with { status = 304, body = "a" })
    assert_refuses("a body without a response before it", "a")
    assert_refuses("the end of no body", Httpd.LAST)
    assert_refuses("1 bytes more than Content-Length said", with { body = "a" },
      "b")
    filter = Httpd.new()
    local partial = with { headers = { ["Content-Length"] = 5 } }
    assert_refuses("a response before the end of the body of the one before",
      partial, "1234", with {})
    filter = Httpd.new()
    assert_refuses("the end of no body", partial, "1234", Httpd.LAST)
  end)

  it("no response that was changed into none", function()
    for why, change in pairs {
      ["no status of a response"] = function(r) r.status = "200" end,
      ["headers of a response: poe.http.headers expected"] = function(r)
        r.headers = { X = "a\r\n" }
      end,
      ["body of a response: a string expected, got a number"] = function(r)
        r.body = 5
      end,
      ["a response with chunked and a body"] = function(r)
        r.chunked, r.body = true, ""
      end,
    } do
      local response = Response.new { status = 200 }
      change(response)
      assert_refuses(why, response)
    end
    assert_refuses("a response, a string or LAST expected, got a table", {})
  end)
end)

describe("Headers", function()
  it("keep their order, and all values of a name", function()
    local headers = Headers.new { { "B", "1" }, { "A", "2" }, { "b", "3" } }
    headers:add("C", 4)
    assert.equal("B=1;A=2;b=3;C=4", headers_text(headers))
    headers:set("b", { "5", "6" })
    assert.equal("A=2;C=4;b=5;b=6", headers_text(headers))
    local copy = Headers.new(headers)
    assert.same({ "2" }, headers:remove "a")
    assert.same({}, headers:remove "a")
    assert.equal("C=4;b=5;b=6", headers_text(headers))
    assert.equal("A=2;C=4;b=5;b=6", headers_text(copy))
    assert.is_nil(headers:get "A")
  end)

  it("are left as they are by a wrong value", function()
    local headers = Headers.new { A = "1" }
    assert.has_error(function() headers:set("A", { "2", {} }) end, "bad argument " ..
      "#2 to 'set' (value of 'A': a string or a number expected, got a table)")
    assert.equal("1", headers:get "a")
  end)
end)
