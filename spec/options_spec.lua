-- Tables of named parameters: what is accepted, what is said of the rest, and
-- whose line is blamed.

local options = require "poe.options"

local PARAMETERS = {
  max_length = { "size", default = 10 },
  literal = { "text" },
  get = { "function", required = true },
  timeout = { "seconds" },
  number = { "integer" },
  source = { "text|function" },
  what = { "any" },
  verbose = { "boolean", default = false },
}

local function check(given)
  return options.check("Thing.new", given, PARAMETERS)
end

local function fails(given, message)
  local ok, got = pcall(function() check(given) end)
  assert.is_false(ok)
  assert.equal(message, (got:gsub("^[^:]+:%d+: ", "")))
end

describe("options.check", function()
  it("returns what was given, with the defaults", function()
    assert.same({ max_length = 10, get = print, verbose = false },
      check { get = print })
    assert.same({ max_length = 3, get = print, verbose = true, what = check,
      literal = "x", source = "y", number = -4, timeout = 0.5 },
      check { get = print, max_length = 3, verbose = true, what = check,
        literal = "x", source = "y", number = -4, timeout = 0.5 })
    assert.same(print, check { get = print, source = print }.source)
  end)

  it("leaves the given table alone, and does not keep it", function()
    local given = { get = print }
    local checked = check(given)
    assert.same({ get = print }, given)
    checked.get = nil
    assert.equal(print, given.get)
  end)

  it("takes nil for no parameters", function()
    assert.same({ a = 1 }, options.check("f", nil, { a = { "any", default = 1 } }))
  end)

  it("keeps false apart from nothing", function()
    local parameters = { a = { "boolean", default = true } }
    assert.is_false(options.check("f", { a = false }, parameters).a)
    assert.is_true(options.check("f", {}, parameters).a)
  end)

  it("makes integers of floats without fraction", function()
    assert.equal("integer", math.type(check { get = print, max_length = 4.0 }
      .max_length))
  end)

  it("names an unknown key and the nearest known one", function()
    fails({ get = print, max_lenght = 3 },
      "Thing.new: unknown parameter 'max_lenght' (did you mean 'max_length'?)")
    fails({ get = print, MaxLength = 3 },
      "Thing.new: unknown parameter 'MaxLength' (did you mean 'max_length'?)")
    fails({ gets = print },
      "Thing.new: unknown parameter 'gets' (did you mean 'get'?)")
  end)

  it("knows other names that a parameter has in POE", function()
    local ok, message = pcall(options.check, "f", { InputRegexp = "x" }, {
      input_literal = { "text" }, input_pattern = { "text", also = "InputRegexp" } })
    assert.is_false(ok)
    assert.matches("f: unknown parameter 'InputRegexp' %(did you mean 'input_pattern'%?%)$",
      message)
  end)

  it("proposes nothing that is another word", function()
    fails({ get = print, AutoFlush = true }, "Thing.new: unknown parameter 'AutoFlush' "
      .. "(known: get, literal, max_length, number, source, timeout, verbose, what)")
    local many = {}
    for i = 1, 13 do many["name" .. i] = { "any" } end
    assert.has_error(function() options.check("f", { other = 1 }, many) end,
      "f: unknown parameter 'other' (there is nothing like it)")
  end)

  it("does not take long over a long key", function()
    local begun = os.clock()
    local ok, message = pcall(check, { get = print, [("x"):rep(1000000)] = 1 })
    assert.is_false(ok)
    assert.truthy(message:find("x' (known: get, literal, max_length, ", 1, true))
    assert.is_true(os.clock() - begun < 1)
  end)

  it("says so where nothing is known", function()
    assert.has_error(function() options.check("f", { a = 1 }, {}) end,
      "f: unknown parameter 'a' (it takes none)")
  end)

  it("refuses positional parameters", function()
    fails({ print },
      "Thing.new: unknown parameter [1] (a named parameter expected)")
  end)

  it("names a missing key", function()
    fails({}, "Thing.new: parameter 'get' is missing (a function)")
  end)

  it("says what a value must be, and what it was", function()
    for _, case in ipairs {
      { "max_length", 0, "a positive integer, got 0" },
      { "max_length", 1.5, "a positive integer, got 1.5" },
      { "max_length", "7", "a positive integer, got a string" },
      { "literal", "", "a string that is not empty, got an empty one" },
      { "literal", 5, "a string that is not empty, got 5" },
      { "timeout", -1, "a number of seconds, got -1" },
      { "timeout", math.huge, "a number of seconds, got inf" },
      { "number", 0.5, "an integer, got 0.5" },
      { "source", true, "a string that is not empty or a function, got a boolean" },
      { "verbose", "no", "a boolean, got a string" },
      { "number", { new = print }, "an integer, got a class (call its 'new')" },
    } do
      fails({ get = print, [case[1]] = case[2] },
        ("Thing.new: parameter '%s' must be %s"):format(case[1], case[3]))
    end
  end)

  it("tells the string where one of some is wanted, on one line", function()
    options.kinds.word = {
      text = "'yes' or 'no'", shows = true,
      accepts = function(value) return value == "yes" or value == "no" end,
    }
    finally(function() options.kinds.word = nil end)
    for given, told in pairs {
      maybe = "'maybe'", ["it's\n\0"] = [['it\'s\10\0']],
      [("x"):rep(41)] = "'" .. ("x"):rep(40) .. "...'",
    } do
      local ok, message = pcall(options.check, "f", { a = given }, { a = { "word" } })
      assert.is_false(ok)
      assert.equal("f: parameter 'a' must be 'yes' or 'no', got " .. told,
        message:match "f: .*")
    end
  end)

  it("refuses NaN where seconds are expected", function()
    assert.has_error(function() check { get = print, timeout = 0 / 0 } end)
  end)

  it("refuses what is no table", function()
    fails(3, "bad argument #1 to 'Thing.new' " ..
      "(table of named parameters expected, got 3)")
  end)

  it("sees that a class was passed to its own constructor", function()
    fails({ new = print }, "Thing.new: call it with '.', not with ':'")
  end)

  it("takes kinds that modules add", function()
    options.kinds.even = {
      text = "an even number",
      accepts = function(value) return value % 2 == 0 end,
    }
    finally(function() options.kinds.even = nil end)
    local parameters = { a = { "even" } }
    assert.same({ a = 4 }, options.check("f", { a = 4 }, parameters))
    assert.has_error(function() options.check("f", { a = 3 }, parameters) end,
      "f: parameter 'a' must be an even number, got 3")
  end)
end)

describe("the blame", function()
  local here = debug.getinfo(1, "S").short_src

  it("is on the line of the caller", function()
    local line
    local ok, message = pcall(function()
      line = debug.getinfo(1, "l").currentline + 1
      options.check("f", { a = 1 }, {})
    end)
    assert.is_false(ok)
    assert.equal(("%s:%d: f: unknown parameter 'a' (it takes none)")
      :format(here, line), message)
  end)

  it("passes over files of the library, however many", function()
    local source = "local options, depth = ...\n" ..
      "local function deep(n)\n" ..
      "  if n == 0 then options.blame('wrong') end\n" ..
      "  deep(n - 1)\n" ..
      "  return n\n" ..
      "end\n" ..
      "deep(depth)\n"
    local home = debug.getinfo(options.check, "S").source:match "^(.*)options"
    local inside = assert(load(source, home .. "wheel/any.lua"))
    local outside = assert(load(source, "@elsewhere.lua"))
    local line
    local ok, message = pcall(function()
      line = debug.getinfo(1, "l").currentline + 1
      inside(options, 5)
    end)
    assert.is_false(ok)
    assert.equal(("%s:%d: wrong"):format(here, line), message)
    assert.equal("elsewhere.lua:3: wrong", select(2, pcall(outside, options, 2)))
  end)
end)

describe("options.exclude", function()
  it("raises if two of the names were given", function()
    options.exclude("f", { a = 1, c = 2 }, "a", "b")
    options.exclude("f", {}, "a", "b")
    assert.has_error(function()
      options.exclude("f", { a = false, b = 2 }, "a", "b")
    end, "f: parameter 'a' excludes 'b'")
  end)
end)

describe("options.check_list", function()
  it("raises unless it is a table", function()
    options.check_list("f", 1, {})
    assert.has_error(function() options.check_list("f", 1, "x") end,
      "bad argument #1 to 'f' (list expected, got a string)")
    assert.has_error(function() options.check_list("f", 2) end,
      "bad argument #2 to 'f' (list expected, got nil)")
  end)
end)

describe("options.check_element", function()
  it("names the element", function()
    options.check_element("f", 1, "x", "string")
    assert.has_error(function() options.check_element("f", 2, {}, "string") end,
      "bad argument #1 to 'f' (element 2 must be a string, got a table)")
  end)
end)
