-- poe.filter.line: every kind of terminator, however the bytes were cut.

local Line = require "poe.filter.line"
local Stream = require "poe.filter.stream"
local cuts = require "spec.filter.cuts"

local function maker(given)
  return function() return Line.new(given) end
end

--- Lines as a slow and plain splitter sees them: at each step the terminator
--- that begins first, of those the one listed first.
local function split(corpus, terminators)
  local lines, at = {}, 1
  while true do
    local from, to
    for _, terminator in ipairs(terminators) do
      local s, e = corpus:find(terminator, at, true)
      if s and (not from or s < from) then from, to = s, e end
    end
    if not from then return lines, corpus:sub(at) end
    lines[#lines + 1] = corpus:sub(at, from - 1)
    at = to + 1
  end
end

local CORPORA = {
  "", "\n", "\r\n", "\r", "one", "one\n", "one\r\ntwo\n\r\n\nfive\rfive\n\rsix",
  "a\r\r\nb\r\n\r", "\0\n\255\n\0", ("long "):rep(50) .. "\n" .. ("x"):rep(77),
  "----\n--\n-\n---\n",
}

describe("Line", function()
  it("ends lines with LF, and takes a CR before it", function()
    cuts.assert_same(maker(), "one\r\ntwo\n\nfour\rfour\r\r\nfive\r",
      { "one", "two", "", "four\rfour\r" }, "five\r")
  end)

  for name, terminator in pairs {
    LF = "\n", ["CR LF"] = "\r\n", NUL = "\0", long = "--\n", CR = "\r",
    ["of equal bytes"] = "--",
  } do
    it("ends lines with a literal: " .. name, function()
      for _, corpus in ipairs(CORPORA) do
        local lines, rest = split(corpus, { terminator })
        cuts.assert_same(maker { literal = terminator }, corpus, lines, rest)
        cuts.assert_same(maker { input_literal = terminator }, corpus, lines, rest)
      end
    end)
  end

  it("agrees with the plain splitter on garbage", function()
    for _ = 1, 10 do
      local corpus = cuts.garbage("\r\nab", 200)
      for _, terminators in ipairs {
        { "\n" }, { "\r\n" }, { "\n\r" }, { "\r\n", "\n" },
      } do
        local lines, rest = split(corpus, terminators)
        cuts.assert_same(#terminators == 1 and maker { literal = terminators[1] }
          or maker(), corpus, lines, rest)
      end
    end
  end)

  describe("with a pattern", function()
    it("ends lines with the first byte at which it matches", function()
      cuts.assert_same(maker { input_pattern = "\r?\n" },
        "one\r\ntwo\n\nfour\rfour\r", { "one", "two", "" }, "four\rfour\r")
      cuts.assert_same(maker { input_pattern = "[\r\n][\r\n]+" },
        "a\nb\n\n\n\nc\r\n\n", { "a\nb", "", "c" }, "\n")
      cuts.assert_same(maker { input_pattern = "<.*>" },
        "a<b>c>d<>e", { "a", "c>d" }, "e")
      cuts.assert_same(maker { input_pattern = "%s*;%s*" },
        "a ; b;;c  ;", { "a", " b", "", "c" }, "")
      cuts.assert_same(maker { input_pattern = "(%d)%1" }, "a1b122c33",
        { "a1b1", "c" }, "")
    end)

    it("refuses one that is none", function()
      for wrong, why in pairs {
        ["x*"] = "it matches the empty string",
        ["^x"] = "it has an anchor",
        ["x$"] = "it has an anchor",
        ["%f[x]x"] = "it has a frontier",
        ["[x"] = "malformed pattern (missing ']')",
      } do
        assert.has_error(function() Line.new { input_pattern = wrong } end,
          ("Line.new: parameter 'input_pattern' is no terminator (%s)")
            :format(why))
      end
      Line.new { input_pattern = "x%$" }
      Line.new { input_pattern = "%%f" }
    end)
  end)

  describe("that detects the terminator", function()
    it("takes the first that comes for all", function()
      local make = maker { autodetect = true }
      cuts.assert_same(make, "a\nb\r\nc\rd", { "a", "b\r" }, "c\rd")
      cuts.assert_same(make, "a\r\nb\nc\rd\r\n\r\n", { "a", "b\nc\rd", "" }, "")
      cuts.assert_same(make, "a\rb\nc\r\nd", { "a", "b\nc" }, "\nd")
      cuts.assert_same(make, "\r\r\n", { "", "" }, "\n")
      cuts.assert_same(make, "\n\n", { "", "" }, "")
      cuts.assert_same(make, "a", {}, "a")
    end)

    it("waits for the byte after a first CR", function()
      local line = Line.new { autodetect = true }
      assert.same({}, line:get { "a\r" })
      assert.same({ "a\r" }, line:get_pending())
      assert.same({ "a" }, line:get { "b" })
    end)

    it("does so anew in a clone", function()
      local line = Line.new { autodetect = true }
      assert.same({ "a" }, line:get { "a\n" })
      assert.same({ "b", "c\n" }, line:clone():get { "b\rc\n\rd" })
      assert.same({ "b" }, line:get { "b\nc\r" })
    end)
  end)

  describe("has a limit", function()
    local FILL = ("x"):rep(10)

    for name, case in pairs {
      default = { nil, "\n" }, ["CR LF"] = { nil, "\r\n" },
      literal = { "literal", "\n" }, long = { "literal", "--\n" },
      ["detected LF"] = { "autodetect", "\n" },
      ["detected CR LF"] = { "autodetect", "\r\n" },
    } do
      local key, terminator = case[1], case[2]
      local given = { max_length = 10 }
      if key then given[key] = key == "autodetect" or terminator end

      it("that a line may reach: " .. name, function()
        cuts.assert_same(maker(given), FILL .. terminator .. FILL .. terminator,
          { FILL, FILL }, "")
      end)

      it("that no line may exceed: " .. name, function()
        local good = "ok" .. terminator
        cuts.assert_same(maker(given), good .. FILL .. "x" .. terminator .. good,
          { "ok" }, nil, "EMSGSIZE")
        cuts.assert_same(maker(given), good .. FILL:rep(3), { "ok" }, nil,
          "EMSGSIZE")
      end)
    end

    it("that counts the terminator where that is a pattern", function()
      local given = { max_length = 10, input_pattern = ";+" }
      cuts.assert_same(maker(given), "123456789;", { "123456789" }, "")
      cuts.assert_same(maker(given), "a;1234567890;", { "a" }, nil, "EMSGSIZE")
    end)

    it("of 64 KiB if nothing is said", function()
      local line = Line.new()
      assert.equal(65536, #line:get { ("x"):rep(65536) .. "\r\n" }[1])
      local got, message, code, before =
        line:get { "ok\n" .. ("x"):rep(65537) .. "\n" }
      assert.is_nil(got)
      assert.equal("EMSGSIZE: line of more than 65536 bytes", message)
      assert.equal("EMSGSIZE", code)
      assert.same({ "ok" }, before)
    end)

    it("that is noticed before the terminator has come", function()
      local line = Line.new { literal = "\n", max_length = 4 }
      assert.same({}, line:get { "1234" })
      assert.is_nil(line:get { "5" })
    end)
  end)

  it("takes a line that comes byte by byte in linear time", function()
    local line = Line.new { max_length = 1 << 20 }
    local begun = os.clock()
    for _ = 1, 400000 do
      line:get_one_start { "x" }
      assert(#line:get_one() == 0)
    end
    assert.equal(400000, #line:get { "\n" }[1])
    assert.is_true(os.clock() - begun < 20) -- joined each time: minutes
  end)

  it("gives each line with the byte that ends it", function()
    for _, given in ipairs {
      { literal = "\n" }, { literal = "\r\n" }, { input_pattern = "\r?\n" }, {},
    } do
      local line, ends = Line.new(given), given.literal or "\r\n"
      for _, text in ipairs { "one", "two", "", "", "three", "" } do
        for byte in (text .. ends:sub(1, -2)):gmatch "." do
          line:get_one_start { byte }
          assert.same({}, line:get_one())
        end
        line:get_one_start { "\n" }
        assert.same({ text }, line:get_one())
      end
    end
  end)

  it("looks at each piece, though others were looked at before", function()
    local line = Line.new()
    for _, given in ipairs { "a", "bc" } do
      assert.same({}, line:get { given })
    end
    assert.same({ "abcd" }, line:get { "d\n" })
    assert.same({ "e" }, line:get { "e\n" })
    assert.same({}, line:get { "f" })
    assert.same({ "f" }, line:get_pending())
    assert.same({ "fg" }, line:get { "g\n" })
  end)

  it("keeps what is pending, and tells it as often as asked", function()
    local line = Line.new()
    assert.is_nil(line:get_pending())
    assert.same({ "a" }, line:get { "a\nb", "c" })
    assert.same({ "bc" }, line:get_pending())
    assert.same({ "bc" }, line:get_pending())
    assert.same({ "bcd" }, line:get { "d\n" })
    assert.is_nil(line:get_pending())
  end)

  it("loses no byte when another filter takes over", function()
    local corpus = "GET\r\n\0\1binary\nbody\r\n"
    for at = 0, #corpus do
      local line, stream = Line.new(), Stream.new()
      line:get_one_start { corpus:sub(1, at) }
      local first = line:get_one()
      if #first == 0 then
        line:get_one_start { corpus:sub(at + 1) }
        first = line:get_one()
        at = #corpus
      end
      assert.same({ "GET" }, first)
      local rest = stream:get(line:get_pending() or {})
      table.move(stream:get { corpus:sub(at + 1) }, 1, 1, #rest + 1, rest)
      assert.equal("\0\1binary\nbody\r\n", table.concat(rest), "cut at " .. at)
    end
  end)

  it("puts CR LF after each line, or what it was told", function()
    assert.same({ "a\r\n", "\r\n", "5\r\n" }, Line.new():put { "a", "", 5 })
    assert.same({ "a\r\n" }, Line.new { input_literal = "\n" }:put { "a" })
    assert.same({ "a\0" }, Line.new { literal = "\0" }:put { "a" })
    assert.same({ "a--" }, Line.new { output_literal = "--" }:put { "a" })
    assert.same({ "a" }, Line.new { output_literal = "" }:put { "a" })
    assert.same({}, Line.new():put {})
  end)

  it("gets back what it put", function()
    local lines = { "", "one", ("x"):rep(300), "\0\r", "" }
    for _, given in ipairs {
      {}, { literal = "\n" }, { literal = "---" }, { autodetect = true },
      { input_pattern = "\r\n" },
    } do
      local corpus = table.concat(Line.new(given):put(lines))
      cuts.assert_same(maker(given), corpus, lines, "")
    end
  end)

  it("has clones that share nothing but the parameters", function()
    local line = Line.new { literal = ";", max_length = 3 }
    line:get { "ab" }
    local clone = line:clone()
    assert.is_nil(clone:get_pending())
    assert.same({ "x" }, clone:get { "x;y" })
    assert.same({ "abc" }, line:get { "c;" })
    assert.same({ "y" }, clone:get_pending())
    assert.same({ "a;" }, clone:put { "a" })
    assert.is_nil(clone:get { "1234" })
  end)

  it("refuses parameters that exclude each other", function()
    assert.has_error(function() Line.new { literal = "a", output_literal = "b" } end,
      "Line.new: parameter 'literal' excludes 'output_literal'")
    assert.has_error(function()
      Line.new { input_literal = "a", input_pattern = "b" }
    end, "Line.new: parameter 'input_literal' excludes 'input_pattern'")
    assert.has_error(function()
      Line.new { literal = "a", autodetect = true }
    end, "Line.new: parameter 'literal' excludes 'autodetect'")
    Line.new { literal = "a", autodetect = false }
  end)

  it("refuses what is no list of strings", function()
    local line = Line.new()
    assert.has_error(function() line:get "x" end,
      "bad argument #1 to 'get_one_start' (list expected, got a string)")
    assert.has_error(function() line:get_one_start { "x", 5 } end, "bad argument " ..
      "#1 to 'get_one_start' (element 2 must be a string, got 5)")
    assert.has_error(function() line:put { {} } end, "bad argument " ..
      "#1 to 'put' (element 1 must be a string or a number, got a table)")
  end)
end)

describe("Line, and Stream, of one record alone,", function()
  --- What get_single says must be what get says.
  local function check(filter, text)
    local single = filter:get_single(text)
    assert.is_nil(filter:get_pending())
    local records = filter:clone():get { text }
    if single then assert.same({ single }, records) end
    return single, records
  end

  local function count_singles(filter, is_blind)
    local singles = 0
    for _ = 1, 2000 do
      local text = ""
      for _ = 1, math.random(0, 5) do
        text = text .. ("a\r\n"):sub(math.random(3)):sub(1, 1)
      end
      local single, records = check(filter, text)
      local is_alone = not is_blind and records and #records == 1 and text ~= ""
        and filter:clone():put(records)[1] == text
      if is_alone then assert.equal(records[1], single) end
      singles = singles + (single and 1 or 0)
    end
    return singles
  end

  it("say the same as of others", function()
    assert.is_true(count_singles(Line.new()) > 100)
    assert.is_true(count_singles(Line.new { literal = "\n" }) > 100)
    assert.is_true(count_singles(Line.new { literal = "a\r" }) > 20)
    assert.is_true(count_singles(Line.new { max_length = 2 }) > 50)
    assert.is_true(count_singles(Stream.new()) > 1000)
    assert.equal(0, count_singles(Line.new { autodetect = true }, true))
    assert.equal(0, count_singles(Line.new { input_pattern = "\n" }, true))
  end)

  it("say nothing while others wait", function()
    for _, filter in ipairs { Line.new(), Stream.new() } do
      filter:get_one_start { "a" }
      assert.is_nil(filter:get_single "b\n")
      assert.same({ "a" }, filter:get_pending())
    end
  end)

  it("make the same chunk of it", function()
    for _, filter in ipairs { Line.new(), Line.new { literal = "x" }, Stream.new() } do
      assert.equal(filter:put({ "a\nb" })[1], filter:put_single "a\nb")
      assert.is_nil(filter:put_single(7))
      assert.is_nil(filter:put_single({}))
    end
    assert.is_nil(Stream.new():put_single "")
  end)
end)
