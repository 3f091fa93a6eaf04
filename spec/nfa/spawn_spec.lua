-- poe.nfa: what NFA.spawn refuses; doc/nfa.md.

local NFA = require "poe.nfa"
local helper = require "spec.helper"

describe("NFA.spawn", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local function nothing() end

  for message, given in pairs {
    ["it has no states (inline_states, object_states or package_states)"] = {},
    ["unknown parameter 'heap' (did you mean 'runstate'?)"] = { heap = 1 },
    ["parameter 'inline_states' must be a table, got a function"] =
      { inline_states = nothing },
    ["inline_states['s'] must be a table, got a function"] =
      { inline_states = { s = nothing } },
    ["inline_states['s']['e'] must be a function, got a table"] =
      { inline_states = { s = { e = {} } } },
    ["names of states must be strings, got a number"] =
      { inline_states = { {} } },
    ["names of events must be strings, got a number in state 's'"] =
      { inline_states = { s = { nothing } } },
    ["state 's' cannot handle '_start': a machine starts and stops in none"] =
      { inline_states = { s = { _start = nothing } } },
    ["state 's' cannot handle 'poe_nfa_x': that is the machine's own"] =
      { inline_states = { s = { poe_nfa_x = nothing } } },
    ["state 's' has two handlers for 'e'"] = {
      inline_states = { s = { e = nothing } },
      object_states = { s = { [{}] = { "e" } } },
    },
    ["keys in object_states must be objects, got a string"] =
      { object_states = { s = { ["spec.helper"] = { "e" } } } },
    ["keys in package_states must be modules or their names, got a number"] =
      { package_states = { s = { { "e" } } } },
    ["lists of methods in object_states['s'] must be a table, got a string"] =
      { object_states = { s = { [{}] = "e" } } },
    ["method names in object_states must be strings, got a function"] =
      { object_states = { s = { [{}] = { e = nothing } } } },
  } do
    it("says: " .. message, function()
      local ok, got = pcall(function() NFA.spawn(given) end)
      assert.is_false(ok)
      assert.matches("^[^:]*spawn_spec.lua:%d+: NFA.spawn: ", got)
      local found = got:match "NFA.spawn: (.*)"
      if not given.heap then assert.equal(message, found) end
      assert.matches(message:match "^[^(]+", found, 1, true)
    end)
  end
end)

describe("doc/nfa.md", function()
  local text = assert(io.open "doc/nfa.md"):read "a"

  it("has examples that run", function()
    local printed = {}
    local env = setmetatable({
      print = function(...)
        printed[#printed + 1] = table.concat({ ... }, " ")
      end,
    }, { __index = _G })
    local count = 0
    for code in text:gmatch "```lua\n(.-)```" do
      count = count + 1
      assert(load(code, "=example", "t", env))()
    end
    assert.equal(1, count)
    assert.same({ "locked", "open: one coin", "locked" }, printed)
  end)

  it("names every parameter and every method", function()
    for _, name in ipairs { "inline_states", "object_states", "package_states",
      "runstate", "options" } do
      assert.truthy(text:find("[^%w_]" .. name .. " = "), name)
    end
    for name, value in pairs(NFA) do
      if type(value) == "function" and not name:find "^_" then
        assert.truthy(text:find("[.:]" .. name .. "[`({ ]"), name)
      end
    end
  end)
end)
