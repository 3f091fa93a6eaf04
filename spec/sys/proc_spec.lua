local lfs = require "lfs"
local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local assert_failed = fixture.assert_failed

describe("exec", function()
  it("becomes the program, with its arguments", function()
    local out, kind, code = fixture.run [[
      sys.exec { "printf", "%s|", "a b", "$x", "", 5 }
    ]]
    assert.same({ "a b|$x||5|", "exit", 0 }, { out, kind, code })
  end)

  it("takes a program's name alone", function()
    local out = fixture.run [[ sys.exec("pwd") ]]
    assert.equal(lfs.currentdir() .. "\n", out)
  end)

  it("inherits the environment, or replaces it", function()
    local out = fixture.run [[
      sys.exec({ "/usr/bin/env" }, { ONE = 1, TWO = "b c" })
    ]]
    local lines = {}
    for line in out:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    assert.same({ "ONE=1", "TWO=b c" }, lines)
    out = fixture.run [[ sys.exec { "sh", "-c", "echo $HOME" } ]]
    assert.equal(os.getenv("HOME") .. "\n", out)
  end)

  it("resets ignored signals and the signal mask", function()
    local out = fixture.run [[
      sys.exec { "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status" }
    ]]
    assert.equal("0000000000000000", out:match("SigBlk:%s*(%x+)"))
    local ignored = tonumber(out:match("SigIgn:%s*(%x+)"), 16)
    -- 32 and 33 are the C library's own; nobody can set them.
    assert.equal(0, ignored & ~(3 << 31))
  end)

  it("answers what went wrong, and the process goes on as before", function()
    local out = fixture.run [[
      local function ignored()
        for line in io.lines("/proc/self/status") do
          if line:find("^SigIgn") then return line end
        end
      end
      local before = ignored()
      local value, message, code = sys.exec { "/nowhere/at/all" }
      assert(value == nil and code == "ENOENT")
      assert(message:find("/nowhere/at/all", 1, true))
      value, message, code = sys.exec({ "/dev/null" }, { A = "b" })
      assert(code == "EACCES", message)
      assert(before == ignored() and before:find("[1-9a-f]"))
      assert(os.getenv("A") == nil and os.getenv("PATH"))
      print("alive")
    ]]
    assert.equal("alive\n", out)
  end)

  it("hands descriptors over by dup2 only", function()
    local out = fixture.run [[
      local r, w = sys.pipe()
      sys.dup2(r, 0)
      w:write("through the pipe\n")
      w:close()
      local own = assert(sys.open("/dev/null"))
      sys.exec { "sh", "-c",
        "cat; test -e /proc/self/fd/0 && echo 0; for fd in \"$@\"; do" ..
        " test -e /proc/self/fd/$fd && echo leaked $fd; done", "sh",
        r:fileno(), own:fileno() }
    ]]
    assert.equal("through the pipe\n0\n", out)
  end)

  it("hands over a blocking descriptor", function()
    local out = fixture.run [[
      local r, w = sys.pipe()
      sys.dup2(r, 0)
      for line in io.lines("/proc/self/fdinfo/0") do
        local flags = line:match("^flags:%s*(%d+)")
        if flags then print(tonumber(flags, 8) & 0x800) end
      end
      w:close()
    ]]
    assert.equal("0\n", out)
  end)

  it("refuses what is no command", function()
    for _, bad in ipairs { 1, true, print, {}, { true }, { {} }, { "a\0b" },
      "a\0b", { "a", "b\0" } } do
      assert.has_error(function() sys.exec(bad) end)
    end
    assert.has_error(function() sys.exec() end)
    for _, bad in ipairs { 1, "x", { "x" == nil }, { A = true }, { [""] = "x" },
      { ["A=B"] = "x" }, { A = "x\0" }, { ["A\0"] = "x" }, { [{}] = "x" } } do
      assert.has_error(function() sys.exec({ "/nowhere/at/all" }, bad) end)
    end
  end)
end)

describe("_exit", function()
  it("ends the process at once, with the code", function()
    local out, kind, code = fixture.run [[
      local guard <close> = setmetatable({}, { __close = print })
      setmetatable({}, { __gc = print })
      sys._exit(7)
    ]]
    assert.same({ "", "exit", 7 }, { out, kind, code })
  end)

  it("takes booleans, and 0 for nothing", function()
    assert.equal(0, (select(3, fixture.run "sys._exit()")))
    assert.equal(0, (select(3, fixture.run "sys._exit(true)")))
    assert.equal(1, (select(3, fixture.run "sys._exit(false)")))
  end)

  it("refuses codes that the system would cut", function()
    for _, bad in ipairs { -1, 256, 0.5, 0 / 0, "x", {} } do
      assert.has_error(function() sys._exit(bad) end)
    end
  end)
end)

describe("kill", function()
  it("sends a signal by name, with or without SIG, or by number", function()
    for _, signal in ipairs { "TERM", "SIGTERM", 15 } do
      local _, kind, code = fixture.run(
        ("sys.kill(sys.getpid(), %q) while true do end"):format(signal))
      assert.same({ "signal", 15 }, { kind, code })
    end
  end)

  it("tells whether a process is there with signal 0", function()
    assert.is_true(sys.kill(sys.getpid(), 0))
    assert_failed("ESRCH", sys.kill(0x7fffffff, 0))
  end)

  it("refuses what is no signal or no process", function()
    for _, bad in ipairs { "NONSENSE", "term", "", -1, 1000, 0.5, true, {} } do
      assert.has_error(function() sys.kill(sys.getpid(), bad) end)
    end
    assert.has_error(function() sys.kill(sys.getpid()) end)
    for _, bad in ipairs { "x", 1 << 40, -(1 << 40), 0.5, true } do
      assert.has_error(function() sys.kill(bad, 0) end)
    end
  end)
end)

describe("the process", function()
  it("knows its numbers", function()
    assert.equal(lfs.symlinkattributes("/proc/self").target,
      tostring(sys.getpid()))
    local stat = assert(io.open("/proc/self/stat")):read("a")
    assert.equal(tonumber(stat:match("%) %S (%d+)")), sys.getppid())
  end)

  it("has the system's signal numbers", function()
    assert.equal(9, sys.signals.KILL)
    assert.equal(13, sys.signals.PIPE)
    assert.equal(15, sys.signals.TERM)
    assert.is_nil(sys.signals.SIGTERM)
  end)

  it("ignores SIGPIPE once the module is loaded", function()
    local out, kind, code = fixture.run [[
      local r, w = sys.pipe()
      r:close()
      local _, _, name = w:write("x")
      print(name)
    ]]
    assert.same({ "EPIPE\n", "exit", 0 }, { out, kind, code })
  end)
end)

describe("getrlimit", function()
  it("tells the limits of this process", function()
    local out = fixture.run([[
      print(sys.getrlimit("nofile"))
    ]], "ulimit -Sn 100; ulimit -Hn 200; exec")
    assert.equal("100\t200\n", out)
  end)

  it("calls no limit math.huge", function()
    local out = fixture.run([[
      print(sys.getrlimit("cpu") == math.huge)
    ]], "ulimit -t unlimited; exec")
    assert.equal("true\n", out)
  end)

  it("refuses what it does not know", function()
    assert.has_error(function() sys.getrlimit("files") end,
      "bad argument #1 to 'getrlimit' (invalid option 'files')")
  end)
end)
