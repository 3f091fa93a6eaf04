-- The LuaRocks package: built from a copy of the checkout into an empty tree,
-- used from there by plain Lua, and removed again.

local lfs = require "lfs"

local LUA = os.getenv "LUA" or "lua5.4"
local ROCKS = "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL luarocks --lua-version 5.4 "

local dir

local function shell(format, ...)
  local pipe = assert(io.popen("exec 2>&1; " .. format:format(...)))
  local output = pipe:read "a"
  local ok = pipe:close()
  assert.is_true(ok, output)
  return output
end

--- Runs a command of plain Lua's that finds the tree and nothing else.
local function run(command)
  return shell([[cd / && env "LUA_PATH=%s/share/lua/5.4/?.lua;]] ..
    [[%s/share/lua/5.4/?/init.lua" "LUA_CPATH=%s/lib/lua/5.4/?.so" %s]],
    dir .. "/tree", dir .. "/tree", dir .. "/tree", command)
end

describe("the rock", function()
  lazy_setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(lfs.mkdir(dir))
    assert(lfs.mkdir(dir .. "/src"))
    shell("tar --exclude=./build --exclude=./.git -cf - . | tar -xf - -C %s/src",
      dir)
    shell("cd %s/src && %s make --tree %s/tree CFLAGS='-O0 -fPIC'", dir, ROCKS,
      dir)
  end)

  lazy_teardown(function()
    shell("rm -rf %s", dir)
  end)

  it("runs an example in plain Lua", function()
    assert.equal("tick\t1\ntick\t2\ndone\t2\n",
      run(("%s %s/src/examples/tick.lua 2 0.001"):format(LUA, dir)))
  end)

  it("has poe.sys", function()
    assert.equal("true\n", run(LUA ..
      [[ -e 'print(require("poe.sys").getpid() > 0)']]))
  end)

  it("has the host, which finds its own files", function()
    assert.equal(
      ("@%s/tree/share/lua/5.4/poe/init.lua\n"):format(dir),
      shell([[cd / && %s/tree/bin/poe -e 'print(debug.getinfo(]] ..
        [[require("poe").run, "S").source)']], dir))
  end)

  it("is listed, and removed without a trace", function()
    assert.is_truthy(shell("%s list --porcelain --tree %s/tree", ROCKS, dir)
      :find("poe\tscm-1\tinstalled", 1, true))
    shell("%s remove --tree %s/tree poe", ROCKS, dir)
    for _, name in ipairs { "bin/poe", "share/lua/5.4/poe",
      "lib/lua/5.4/poe" } do
      assert.is_nil(lfs.attributes(dir .. "/tree/" .. name), name)
    end
  end)
end)
