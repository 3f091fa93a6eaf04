-- types/poe.lua says what C exports, all of it and nothing else.

local core = require "poe.core"
local http = require "poe.http"
local poe = require "poe"
local sys = require "poe.sys"

--- What the annotations declare: functions and fields, by class.
local function declared()
  local classes, class, by_variable, fields = {}, nil, {}, {}
  for line in io.lines "types/poe.lua" do
    local name = line:match "^%-%-%-@class ([%w_.]+)"
    if name then
      class, fields = name, {}
    end
    local field = line:match "^%-%-%-@field ([%w_]+)%??%s"
    if field then fields[field] = true end
    local variable = line:match "^local (%w+) = {}$"
      or line:match "^(sys%.%w+) = {}$"
    if variable then
      by_variable[variable] = { functions = {}, fields = fields }
      classes[class] = by_variable[variable]
    end
    local owner, method = line:match "^function ([%w.]+)[.:]([%w_]+)%("
    if owner then
      assert(by_variable[owner], line)
      assert(not by_variable[owner].functions[method], line)
      by_variable[owner].functions[method] = true
    end
  end
  return classes
end

--- The names in a table of functions, metamethods excepted.
local function functions_of(t)
  local names = {}
  for name, value in pairs(t) do
    if type(value) == "function" and not name:find "^__" then
      names[name] = true
    end
  end
  return names
end

local function methods_of(object)
  return functions_of(debug.getmetatable(object).__index)
end

--- What is in the first and not in the second, sorted.
local function missing(from, set)
  local list = {}
  for name in pairs(from) do
    if not set[name] then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function merged(a, b)
  local all = {}
  for name in pairs(a) do all[name] = true end
  for name in pairs(b) do all[name] = true end
  return all
end

--- One table for each class, with what it has at run time.
local function exported()
  local session, postback
  poe.session.create {
    inline_states = {
      _start = function(kernel)
        session = kernel.session
        local made <close> = session:postback "event"
        postback = functions_of(debug.getmetatable(made))
      end,
    },
  }
  poe.run()
  local fd <close> = sys.open "/dev/null"
  local socket <close> = sys.tcp.listen {}
  return {
    ["poe"] = functions_of(poe),
    ["poe.kernel"] = methods_of(poe.kernel),
    ["poe.session"] = methods_of(session),
    ["poe.postback"] = postback,
    ["poe.core"] = functions_of(core),
    ["poe.http"] = functions_of(http),
    ["poe.http.parser"] = methods_of(http.parser(1, 1, 1)),
    ["poe.sys"] = functions_of(sys),
    ["poe.sys.tcp"] = functions_of(sys.tcp),
    ["poe.sys.udp"] = functions_of(sys.udp),
    ["poe.sys.unix"] = functions_of(sys.unix),
    ["poe.sys.fd"] = methods_of(fd),
    ["poe.sys.socket"] = methods_of(socket),
  }
end

describe("types/poe.lua", function()
  local types = declared()
  local exports = exported()
  types["poe.sys.socket"].functions =
    merged(types["poe.sys.socket"].functions, types["poe.sys.fd"].functions)

  it("has a class for each table of functions, and no other", function()
    assert.same({}, missing(exports, types))
    assert.same({}, missing(types, exports))
  end)

  for class, names in pairs(exports) do
    it("declares every function of " .. class, function()
      assert.is_truthy(next(names))
      assert.same({}, missing(names, types[class].functions))
    end)

    it("declares no function that " .. class .. " lacks", function()
      assert.same({}, missing(types[class].functions, names))
    end)
  end

  for class, module in pairs {
    ["poe"] = poe, ["poe.core"] = core, ["poe.sys"] = sys,
  } do
    it("declares the fields of " .. class, function()
      for name, value in pairs(module) do
        local is_known = type(value) == "function"
          or types[class].fields[name] or types[class .. "." .. name]
        assert.is_truthy(is_known, name)
      end
      for name in pairs(types[class].fields) do
        assert.is_not_nil(module[name], name)
      end
    end)
  end

  it("declares fields of the kernel that are there in a handler", function()
    local seen = {}
    poe.session.create {
      inline_states = {
        _start = function(kernel) kernel:yield "event" end,
        event = function(kernel)
          for name in pairs(types["poe.kernel"].fields) do
            seen[name] = kernel[name] ~= nil
          end
        end,
      },
    }
    poe.run()
    assert.same({
      session = true, sender = true, event = true, caller_event = true,
      caller_file = true, caller_line = true,
    }, seen)
  end)

  it("is Lua, and does nothing", function()
    assert.is_nil(assert(loadfile "types/poe.lua")())
  end)
end)
