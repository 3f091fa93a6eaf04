-- doc/components.md: its examples run, its tables name every parameter.

local helper = require "spec.helper"

local text = assert(io.open "doc/components.md"):read "a"

--- The names of a table of parameters in a source file.
local function parameters_of(path)
  local source = assert(io.open(path)):read "a"
  local names = {}
  for block in source:gmatch "\n[%w_. ]+ = (%b{})" do
    for name in block:gmatch "([%l_]+) = { *\"" do names[#names + 1] = name end
  end
  return names
end

describe("doc/components.md", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("has examples that run", function()
    local count = 0
    for code in text:gmatch "```lua\n(.-)```" do
      local expected, printed = {}, {}
      for line in code:gmatch "%-%-> ([^\n]+)" do
        for item in line:gmatch "[^,]+" do expected[#expected + 1] = item:match "^ *(.-) *$" end
      end
      local env = setmetatable({
        print = function(...) printed[#printed + 1] = table.concat({ ... }, " ") end,
      }, { __index = _G })
      assert(load(code, "=example", "t", env))()
      assert.same(expected, printed)
      count = count + 1
    end
    assert.equal(2, count)
  end)

  for path, least in pairs {
    ["lua/poe/component/server/tcp.lua"] = 25,
    ["lua/poe/component/client/tcp.lua"] = 25,
    ["lua/poe/component/base.lua"] = 4,
  } do
    it("names every parameter in " .. path, function()
      local names = parameters_of(path)
      assert.is_true(#names >= least, #names .. " names")
      for _, name in ipairs(names) do
        assert.truthy(text:find("`[^`\n]*%f[%w_]" .. name .. "%f[^%w_]"), name)
      end
    end)
  end
end)
