-- doc/wheels.md: its examples run, its tables name every parameter and method.

local helper = require "spec.helper"
local lfs = require "lfs"

local text = assert(io.open "doc/wheels.md"):read "a"

local OF_CLASSES = { new = true, check = true, on_event = true, on_leave = true,
  on_gone = true, on_lost = true }

--- The classes in lua/poe/wheel, by name of module.
local function classes()
  local found = {}
  for file in lfs.dir "lua/poe/wheel" do
    local name = file:match "^(%w+)%.lua$"
    local module = name and require("poe.wheel." .. name)
    if module and module.parameters then found["poe.wheel." .. name] = module end
  end
  return found
end

describe("doc/wheels.md", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("has examples that run", function()
    local printed = {}
    local env = setmetatable({
      print = function(...)
        local texts = table.pack(...)
        for i = 1, texts.n do texts[i] = tostring(texts[i]) end
        printed[#printed + 1] = table.concat(texts, " ")
      end,
    }, { __index = _G })
    for code in text:gmatch "```lua\n(.-)```" do
      local expected = {}
      for line in code:gmatch "%-%-> ([^\n]+)" do
        for item in line:gmatch "[^,]+" do
          expected[#expected + 1] = item:gsub("^ +", ""):gsub(" +$", "")
        end
      end
      printed = {}
      assert(load(code, "=example", "t", env))()
      assert.same(expected, { table.unpack(printed) })
    end
  end)

  for name, class in pairs(classes()) do
    it("names every parameter of " .. name, function()
      assert.truthy(text:find('require "' .. name .. '"', 1, true))
      for parameter in pairs(class.parameters) do
        assert.truthy(text:find("`[^`]*%f[%w_]" .. parameter .. "%f[^%w_]"), parameter)
      end
    end)

    it("names every method of " .. name, function()
      for key, value in pairs(class) do
        if type(value) == "function" and not key:find "^__" and not OF_CLASSES[key] then
          assert.truthy(text:find("%f[%w_]" .. key .. "%f[^%w_]"), key)
        end
      end
    end)
  end
end)
