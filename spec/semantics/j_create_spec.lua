-- Section J of the semantics, 116: create checks what it is given.

local helper = require "spec.helper"
local core = require "poe.core"
local poe = require "poe"

describe("116 create (J13_create_errors)", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local function start() end

  --- create fails with a message that matches, and leaves nothing behind.
  local function refuses(pattern, parameters)
    assert.error_matches(function()
      poe.session.create(parameters)
    end, pattern)
    assert.equal(0, core.census().sessions)
  end

  it("needs a table", function()
    for _, bad in ipairs { 1, "x", true, print } do
      refuses("bad argument #1 to '.-create' %(table expected", bad)
    end
    assert.error_matches(function()
      poe.session.create()
    end, "table expected, got no value")
  end)

  it("names a parameter that it does not know", function()
    refuses("unknown parameter 'bogus'", { bogus = 1 })
    refuses("unknown parameter 1", { 1 })
    refuses("unknown parameter 'inline_state'",
      { inline_state = { _start = start } })
    refuses("unknown parameter 'InlineStates' %(did you mean 'inline_states'%?%)",
      { InlineStates = { _start = start } })
    assert.error_matches(function() poe.session:create { args = {} } end,
      "create: call it with '.', not with ':'", 1, true)
  end)

  for _, key in ipairs { "inline_states", "object_states", "package_states",
    "args", "options" } do
    it("names " .. key .. " when it is no table", function()
      for _, bad in ipairs { 1, "x", true, false, print } do
        refuses("parameter '" .. key .. "' must be a table, got a "
          .. type(bad), { [key] = bad })
      end
    end)
  end

  it("names an inline state that is no function", function()
    for _, bad in ipairs { 1, "x", true, {}, poe.kernel } do
      refuses("inline_states%['run'%] must be a function, got a "
        .. type(bad), { inline_states = { _start = start, run = bad } })
    end
    refuses("inline_states.*must be strings, got a number",
      { inline_states = { _start = start, start } })
  end)

  it("needs _start, and takes _default for no substitute", function()
    refuses("_start", {})
    refuses("_start", { inline_states = {} })
    refuses("_start", { inline_states = { _default = start } })
  end)

  it("names what is wrong in object and package states", function()
    for _, group in ipairs { "object_states", "package_states" } do
      local function with(states)
        return { inline_states = { _start = start }, [group] = states }
      end
      refuses("keys of " .. group .. ".*got a number", with { {} })
      refuses("values of " .. group .. ".*got a string", with { [{}] = "x" })
      refuses("method names in " .. group .. ".*got a number",
        with { [{}] = { 1 } })
      refuses("method names in " .. group .. ".*got a boolean",
        with { [{}] = { event = true } })
      refuses("event names in " .. group .. ".*got a boolean",
        with { [{}] = { [true] = "method" } })
    end
    refuses("keys of object_states.*got a string",
      { inline_states = { _start = start }, object_states = { name = {} } })
    refuses("no.such.module", { inline_states = { _start = start },
      package_states = { ["no.such.module"] = { "x" } } })
  end)

  it("names options that are no names", function()
    refuses("options must be strings, got a number",
      { inline_states = { _start = start }, options = { true } })
  end)

  it("blames the line that called it", function()
    local _, message = pcall(function()
      poe.session.create { inline_states = { _start = 1 } }
    end)
    assert.matches("^spec/semantics/j_create_spec.lua:%d+: ", message)
  end)

  it("leaves nothing when the last of many states is wrong", function()
    local states = { _start = start }
    for i = 1, 1000 do
      states["event " .. i] = start
    end
    states["event 1000"] = 1
    local names = core.census().names
    refuses("event 1000", { inline_states = states })
    collectgarbage()
    assert.equal(names, core.census().names)
  end)
end)
