local lfs = require "lfs"
local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local assert_failed, keep = fixture.assert_failed, fixture.keep

--- The open descriptors of a process, sorted.
local LIST = "ls /proc/self/fd | sort -n | tr '\\n' ' '"

--- Spawns with its output in a pipe and returns what it wrote.
local function output(options, script)
  local r, w = keep(assert(sys.pipe()))
  options.program = options.program or { "sh", "-c", script }
  options.stdout = w
  assert(sys.spawn(options))
  w:close()
  local text = fixture.read_all(r)
  r:close()
  return text
end

local function has_ended(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  local stat = file and file:read "a"
  if file then file:close() end
  return not stat or stat:match "%) (%S)" == "Z"
end

describe("spawn", function()
  local before

  before_each(function()
    before = fixture.count_fds()
  end)

  after_each(function()
    fixture.close_kept()
    assert.equal(before, fixture.count_fds())
  end)

  it("runs a program with its arguments, found along the PATH", function()
    assert.equal("a b|$x||5|",
      output { program = { "printf", "%s|", "a b", "$x", "", 5 } })
    assert.equal(lfs.currentdir() .. "\n", output { program = "pwd" })
  end)

  it("gives the pid of the program itself", function()
    local r, w = keep(assert(sys.pipe()))
    local pid = assert(sys.spawn { program = { "sh", "-c", "echo $$" },
      stdout = w })
    w:close()
    assert.equal(pid .. "\n", fixture.read_all(r))
  end)

  it("hands over what becomes 0, 1 and 2, and nothing else", function()
    local leak <close> = assert(io.open "/dev/null") -- open across exec
    local zero <close> = assert(sys.open "/dev/zero")
    sys.dup2(zero, 77)
    local r, w = keep(assert(sys.pipe()))
    local text = output({ stdin = r, stderr = w }, LIST)
    assert(sys.fdopen(77)):close()
    -- The one beyond is of the listed directory itself.
    assert.equal("0 1 2 3 ", text)
    assert.is_not_nil(leak)
  end)

  it("leaves open what it is told to", function()
    local zero <close> = assert(sys.open "/dev/zero")
    sys.dup2(zero, 77)
    local text = output({ close_from = 0 }, LIST)
    assert(sys.fdopen(77)):close()
    assert.matches("%f[%d]77 ", text)
  end)

  it("can exchange descriptors below 3", function()
    local path = fixture.free_path()
    local out = fixture.run([[
      sys.spawn { program = { "sh", "-c", "echo out; echo err >&2" },
        stdout = 2, stderr = 1 }
    ]], ([[sh -c 'exec "$0" "$1" 2>%s']]):format(path))
    local file <close> = assert(io.open(path))
    os.remove(path)
    assert.same({ "err\n", "out\n" }, { out, file:read "a" })
  end)

  it("works though 0, 1 and 2 are closed", function()
    local path = fixture.free_path()
    fixture.run(([[
      local out = assert(sys.open(%q, "w"))
      local r, w = sys.pipe()
      w:write("through")
      w:close()
      assert(out:fileno() < 3 and r:fileno() < 3)
      assert(sys.spawn { program = "cat", stdin = r, stdout = out,
        stderr = out })
    ]]):format(path), [[sh -c 'exec "$0" "$1" <&- >&- 2>&-']])
    local text = fixture.eventually(function()
      local file <close> = assert(io.open(path))
      local all = file:read "a"
      if all == "" then return nil, nil, "EAGAIN" end
      return all
    end)
    os.remove(path)
    assert.equal("through", text)
  end)

  it("hands over blocking descriptors", function()
    local r, w = keep(assert(sys.pipe()))
    local text = output({ stdin = r, stderr = w },
      "for i in 0 1 2; do grep ^flags /proc/self/fdinfo/$i; done")
    for flags in text:gmatch "flags:%s*(%d+)" do
      assert.equal(0, tonumber(flags, 8) & 0x800)
    end
  end)

  it("adds to the environment, removes, or begins a new one", function()
    assert.equal("bar\n" .. os.getenv "PATH" .. "\n\n", output({
      env = { FOO = "bar", HOME = false },
    }, "echo $FOO; echo $PATH; echo $HOME"))
    assert.equal("ONE=1\n", output { program = "/usr/bin/env",
      clear_env = true, env = { ONE = 1, TWO = false } })
    assert.equal("", output { program = "/usr/bin/env", clear_env = true })
  end)

  it("finds the program along the new PATH", function()
    assert_failed("ENOENT", sys.spawn { program = "pwd",
      env = { PATH = "/nowhere" } })
  end)

  it("sets directory, niceness, session and group", function()
    assert.equal("/\n", output({ cwd = "/" }, "pwd"))
    local now = tonumber(output({}, "nice"))
    assert.equal(math.min(now + 3, 19), tonumber(output({ nice = 3 }, "nice")))
    local function stat(options)
      local pid, group, session = output(options, "cat /proc/$$/stat")
        :match "^(%d+) %(sh%) %S %d+ (%d+) (%d+)"
      return pid == group, pid == session
    end
    assert.same({ true, true }, { stat { setsid = true } })
    assert.same({ true, false }, { stat { setpgid = true } })
    assert.same({ false, false }, { stat {} })
  end)

  it("makes a terminal the controlling one", function()
    local master, slave = keep(assert(sys.openpty()))
    assert.equal("ok\n", output({ stdin = slave, setsid = true,
      terminal = true }, "echo line >/dev/tty && echo ok"))
    assert.equal("line\r\n", fixture.read_as_much("line\r\n", master))
    assert_failed("ENOTTY", sys.spawn { program = "true", stdin = slave:fileno()
      and keep(assert(sys.open "/dev/null")), setsid = true, terminal = true })
  end)

  it("resets ignored signals and the signal mask", function()
    local text = output { program = { "grep", "-E", "^Sig(Blk|Ign)",
      "/proc/self/status" } }
    assert.equal("0000000000000000", text:match "SigBlk:%s*(%x+)")
    assert.equal(0, tonumber(text:match "SigIgn:%s*(%x+)", 16) & ~(3 << 31))
  end)

  if output({}, "id -u") == "0\n" then
    it("drops all rights of root for those of a user", function()
      local name = output({}, "id -nu 65534"):match "%S+"
      local groups = output({}, "id -G " .. name)
      for _, user in ipairs { name, 65534 } do
        assert.equal("65534 65534 " .. groups, output({ user = user },
          "echo $(id -u) $(id -ru) $(id -G)"))
      end
      assert.equal("65534 1 1\n", output({ user = name, group = 1 },
        "echo $(id -u) $(id -g) $(id -G | cut -d' ' -f1)"))
      assert.equal("0 1 1\n", output({ group = "daemon" },
        "echo $(id -u) $(id -g) $(id -G)"))
      assert.equal("4711 1 1\n", output({ user = 4711, group = 1 },
        "echo $(id -u) $(id -g) $(id -G)"))
      assert_failed("EACCES", sys.spawn { program = "true", user = name,
        cwd = "/root" })
    end)
  end

  it("says what failed, and leaves nothing behind", function()
    local function children()
      local list <close> = assert(io.open(("/proc/self/task/%d/children")
        :format(sys.getpid())))
      return list:read "a"
    end
    local others = children() -- that other specs may have left
    local function fails(code, text, options)
      options.program = options.program or "true"
      local value, message, got = sys.spawn(options)
      assert.same({ nil, code }, { value, got })
      assert.matches(text, message, 1, true)
    end
    fails("ENOENT", "exec: /nowhere/at/all", { program = "/nowhere/at/all" })
    fails("EACCES", "exec: /dev/null", { program = { "/dev/null", "x" } })
    fails("ENOENT", "cwd: /nowhere", { cwd = "/nowhere" })
    fails("ENOENT", "nobody-at-all", { user = "nobody-at-all" })
    fails("ENOENT", "nobody-at-all", { group = "nobody-at-all" })
    fails("ENOENT", "4711", { user = 4711 })
    assert.equal(others, children())
  end)

  it("answers EMFILE when there is no descriptor left for its pipe", function()
    local text = fixture.run([[
      local kept = {}
      repeat
        local file, _, code = sys.open("/dev/null")
        kept[#kept + 1] = file
      until not file
      print(select(3, sys.spawn { program = "true" }))
    ]], "ulimit -n 16; exec")
    assert.equal("EMFILE\n", text)
  end)

  it("refuses what is no command or no option", function()
    for _, bad in ipairs { {}, { program = {} }, { program = 1 },
      { program = { true } }, { program = "a\0b" }, { program = "true", 1 },
      { program = "true", stdin = "x" }, { program = "true", stdin = 0.5 },
      { program = "true", stdin = -1 }, { program = "true", env = "x" },
      { program = "true", env = { A = true } }, { program = "true", nice = 99 },
      { program = "true", env = { ["A=B"] = "x" } },
      { program = "true", nice = "x" }, { program = "true", cwd = 5 },
      { program = "true", user = true }, { program = "true", user = -1 },
      { program = "true", group = {} }, { program = "true", setsid = 1 },
      { program = "true", close_from = -1 },
      { program = "true", termnal = true } } do
      assert.has_error(function() sys.spawn(bad) end)
    end
    local r, w = keep(assert(sys.pipe()))
    w:close()
    r:close()
    assert.has_error(function() sys.spawn { program = "true", stdin = r } end,
      "bad argument #1 to 'spawn' (stdin: attempt to use a closed descriptor)")
  end)

  it("names the option that is wrong", function()
    for message, options in pairs {
      ["program: string or list expected, got boolean"] = { program = true },
      ["program: list is empty"] = { program = {} },
      ["program: list: string expected, got table"] = { program = { "true", {} } },
      ["program: text contains a zero byte"] = { program = "a\0" },
      ["env: table expected, got number"] = { program = "true", env = 1 },
      ["env: value: string expected, got boolean"] =
        { program = "true", env = { A = true } },
      ["env: name is empty or contains '=': 'A=B'"] =
        { program = "true", env = { ["A=B"] = "x" } },
    } do
      assert.has_error(function() sys.spawn(options) end,
        "bad argument #1 to 'spawn' (" .. message .. ")")
    end
    assert.has_error(function() sys.exec({}, nil) end,
      "bad argument #1 to 'exec' (list is empty)")
    assert.has_error(function() sys.exec("true", { [""] = "x" }) end,
      "bad argument #2 to 'exec' (name is empty or contains '=': '')")
  end)

  it("leaves the child to the caller, who reaps it", function()
    local pid = assert(sys.spawn { program = "true" })
    fixture.wait_until(function() return has_ended(pid) end)
    assert.is_true(sys.kill(pid, 0))
  end)
end)

describe("become", function()
  it("makes this process what spawn makes a new one", function()
    local text = fixture.run [[
      local null = sys.open("/dev/null")
      assert(sys.become { stdin = null, cwd = "/", setpgid = true, nice = 1,
        env = { FOO = "bar", HOME = false } })
      print(os.getenv "FOO", os.getenv "HOME", os.getenv "PATH" ~= nil)
      io.stdout:flush()
      print(io.read(), os.execute "pwd")
    ]]
    assert.equal("bar\tnil\ttrue\n/\nnil\ttrue\texit\t0\n", text)
  end)

  it("closes descriptors and resets signals", function()
    local _, kind, code = fixture.run [[
      local r, w = sys.pipe()
      assert(sys.become { close_from = 3 })
      assert(select(3, w:write "x") == "EBADF")
      assert(sys.become { clear_env = true })
      assert(os.getenv "PATH" == nil)
      sys.kill(sys.getpid(), "PIPE") -- was ignored
    ]]
    assert.same({ "signal", sys.signals.PIPE }, { kind, code })
  end)

  it("forgets what was read ahead of the old standard input", function()
    local text = fixture.run([[
      assert(io.read() == "one")
      local r, w = sys.pipe()
      w:write "other\n"
      assert(sys.become { stdin = r })
      print(io.read())
    ]], "printf 'one\ntwo\nthree\n' |")
    assert.equal("other\n", text)
  end)

  it("says what failed", function()
    local text = fixture.run [[
      print(sys.become { cwd = "/nowhere" })
      print(sys.become { user = "nobody-at-all" })
      print(pcall(sys.become, { program = "true" }))
    ]]
    assert.equal("nil\tENOENT: No such file or directory: cwd: /nowhere\tENOENT\n"
      .. "nil\tENOENT: No such file or directory: nobody-at-all\tENOENT\n"
      .. "false\tbad argument #1 to 'poe.sys.become' "
      .. "(program: nil expected, got string)\n", text)
  end)
end)

describe("a pseudo-terminal", function()
  after_each(fixture.close_kept)

  it("carries bytes between master and slave", function()
    local master, slave, path = keep(assert(sys.openpty()))
    assert.matches("^/dev/", path)
    assert.is_true(sys.isatty(master))
    assert.is_true(sys.isatty(slave))
    slave:write "a\n"
    assert.equal("a\r\n", fixture.read_as_much("a\r\n", master))
    assert_failed("EAGAIN", master:read())
    assert.is_true(sys.set_raw(slave))
    slave:write "b\n"
    assert.equal("b\n", fixture.read_as_much("b\n", master))
    master:write "\3"
    assert.equal("\3", fixture.eventually(slave.read, slave))
    slave:close()
    assert_failed("EIO", master:read())
  end)

  it("has a size", function()
    local master, slave = keep(assert(sys.openpty()))
    assert.is_true(sys.set_winsize(slave, 25, 80))
    assert.same({ 25, 80, 720, 400 }, { sys.get_winsize(master) })
    assert.is_true(sys.set_winsize(master, 1, 2, 3, 4))
    assert.same({ 1, 2, 3, 4 }, { sys.get_winsize(slave) })
    assert.has_error(function() sys.set_winsize(slave, 25) end)
    assert.has_error(function() sys.set_winsize(slave, -1, 80) end)
    assert.has_error(function() sys.set_winsize(slave, 65536, 80) end)
  end)

  it("is not what a file is", function()
    local null <close> = assert(sys.open "/dev/null")
    assert_failed("ENOTTY", sys.get_winsize(null))
    assert_failed("ENOTTY", sys.set_winsize(null, 1, 2))
    assert_failed("ENOTTY", sys.set_raw(null))
    null:close()
    assert_failed("EBADF", sys.set_raw(null))
    assert.has_error(function() sys.get_winsize "x" end)
  end)
end)
