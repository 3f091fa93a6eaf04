-- doc/filters.md: its examples run, its tables name every parameter and method.

local text = assert(io.open "doc/filters.md"):read "a"

local PARAMETERS = {
  "literal", "input_literal", "input_pattern", "output_literal", "autodetect",
  "max_length", "block_size", "length_codec", "check_put", "code", "get", "put",
  "filters", "serializer", "compression", "freeze", "thaw",
  "max_content", "streaming", "max_header", "max_uri", "status", "headers", "body", "chunked",
  "request", "keep_alive",
}
local MODULES = {
  "filter.line", "filter.stream", "filter.block", "filter.recordblock",
  "filter.map", "filter.grep", "filter.stackable", "filter.reference",
  "filter.msgpack", "filter.httpd", "http.request", "http.response", "driver.sysrw",
}

describe("doc/filters.md", function()
  it("has examples that run", function()
    local count, printed = 0, {}
    local env = setmetatable({
      print = function(line) printed[#printed + 1] = line end,
    }, { __index = _G })
    for code in text:gmatch "```lua\n(.-)```" do
      count = count + 1
      assert(load(code, "=example", "t", env))()
    end
    assert.equal(4, count)
    assert.same({ "one", "two", "three" }, printed)
  end)

  it("names every parameter", function()
    for _, name in ipairs(PARAMETERS) do
      assert.truthy(text:find("[^%w_]" .. name .. " = "), name)
    end
  end)

  for _, name in ipairs(MODULES) do
    it("names every method of " .. name, function()
      local class = require("poe." .. name)
      assert.truthy(text:find('require "poe.' .. name .. '"', 1, true))
      for key, value in pairs(class) do
        if type(value) == "function" and not key:find "^__" then
          assert.truthy(text:find("[.:]" .. key .. "[ `({]"), key)
        end
      end
    end)
  end
end)
