-- make install and make uninstall, into directories of their own: what is
-- there, that it runs, that nothing stays.

local lfs = require "lfs"

-- A build of its own: the one under test stays as it is.
local MAKE = "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s " ..
  "BUILD=build/install CFLAGS=-O0 LTO= "

local dir

local function shell(format, ...)
  local pipe = assert(io.popen("exec 2>&1; " .. format:format(...)))
  local output = pipe:read "a"
  local ok = pipe:close()
  assert.is_true(ok, output)
  return output
end

local function files()
  local list = {}
  for path in shell("cd %s && find . -type f | sort", dir):gmatch "[^\n]+" do
    list[#list + 1] = path:sub(3)
  end
  return list
end

local function modules_in(prefix)
  local list = {}
  for name in shell("cd lua && find poe -name '*.lua'"):gmatch "[^\n]+" do
    if name ~= "poe/cli.lua" then -- it is in the host
      list[#list + 1] = prefix .. "/share/lua/5.4/" .. name
    end
  end
  return list
end

local function expected_under(prefix)
  local list = modules_in(prefix)
  for _, name in ipairs {
    "bin/poe", "lib/lua/5.4/poe/core.so", "lib/lua/5.4/poe/sys.so",
    "share/man/man1/poe.1", "include/poe.h", "include/poe_embed.h",
    "lib/libpoe.a", "lib/libpoe.so.0.1.0", "lib/pkgconfig/poe.pc",
  } do
    list[#list + 1] = prefix .. "/" .. name
  end
  for _, name in ipairs { "loop/glib.so", "http.so" } do
    if lfs.attributes("build/install/lib/poe/" .. name) then
      list[#list + 1] = prefix .. "/lib/lua/5.4/poe/" .. name
    end
  end
  table.sort(list)
  return list
end

--- The program, which must not find the files of this checkout.
local function run(poe)
  return shell([[cd / && env -u LUA_PATH -u LUA_CPATH %s -e '
    local poe = require "poe"
    poe.session.create { inline_states = {
      _start = function(kernel) kernel:delay("due", 0.001) end,
      due = function() print(package.searchpath and "due") end,
    } }
    print(debug.getinfo(poe.run, "S").source)']], poe)
end

describe("make install", function()
  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(lfs.mkdir(dir))
  end)

  after_each(function()
    shell("rm -rf %s", dir)
  end)

  it("puts everything below DESTDIR, and it runs from there", function()
    shell("%s install PREFIX=/opt/poe DESTDIR=%s", MAKE, dir)
    assert.same(expected_under "opt/poe", files())
    assert.equal("@" .. dir .. "/opt/poe/share/lua/5.4/poe/init.lua\ndue\n",
      run(dir .. "/opt/poe/bin/poe"))
  end)

  it("makes a host that knows where its Lua files are", function()
    shell("%s install PREFIX=%s INST_LUADIR=%s/lua", MAKE, dir, dir)
    assert.equal("@" .. dir .. "/lua/poe/init.lua\ndue\n",
      run(dir .. "/bin/poe"))
  end)

  it("makes a module that plain Lua loads", function()
    shell("%s install PREFIX=%s", MAKE, dir)
    assert.equal("tick\t1\ntick\t2\ndone\t2\n", shell(
      "env 'LUA_PATH=%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua' " ..
      "'LUA_CPATH=%s/lib/lua/5.4/?.so' %s examples/tick.lua 2 0.001",
      dir, dir, dir, os.getenv "LUA" or "lua5.4"))
  end)

  it("is undone by make uninstall, which leaves what is others'", function()
    shell("%s install PREFIX=%s", MAKE, dir)
    shell("touch %s/bin/other %s/share/lua/5.4/other.lua", dir, dir)
    shell("%s uninstall PREFIX=%s", MAKE, dir)
    assert.same({ "bin/other", "share/lua/5.4/other.lua" }, files())
    assert.is_nil(lfs.attributes(dir .. "/share/lua/5.4/poe"))
    assert.is_nil(lfs.attributes(dir .. "/lib/lua/5.4/poe"))
  end)
end)
