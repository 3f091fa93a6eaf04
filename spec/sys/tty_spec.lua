-- poe.sys: terminals whose modes are changed and given back.

local fixture = require "spec.sys.fixture"
local helper = require "spec.helper"
local sys = require "poe.sys"

local keep = fixture.keep

local function modes_of(path)
  local pipe <close> = assert(io.popen("stty -g <" .. path))
  return pipe:read "a"
end

local function has_mode(path, mode)
  local pipe <close> = assert(io.popen("stty -a <" .. path))
  return pipe:read "a":find("%s" .. mode:gsub("%-", "%%-") .. "[%s;]") ~= nil
end

describe("A terminal of tty_open", function()
  local master, slave, path, before

  before_each(function()
    helper.begin()
    master, slave, path = keep(assert(sys.openpty()))
    before = modes_of(path)
  end)

  after_each(function()
    fixture.close_kept()
    helper.finish()
  end)

  it("has other modes from tty_edit to tty_restore", function()
    local tty <close> = assert(sys.tty_open(slave))
    assert.equal(before, modes_of(path))
    assert.is_true(sys.tty_edit(tty))
    for _, mode in ipairs { "-echo", "-icanon", "-isig", "-icrnl", "-ixon", "opost" } do
      assert.is_true(has_mode(path, mode), mode)
    end
    assert.is_true(sys.tty_edit(tty, true))
    assert.is_true(has_mode(path, "isig"))
    assert.is_true(sys.tty_pause(tty))
    assert.equal(before, modes_of(path))
    assert.is_true(sys.tty_edit(tty))
    assert.is_true(sys.tty_restore(tty))
    assert.equal(before, modes_of(path))
    for _, name in ipairs { "tty_edit", "tty_pause", "tty_restore" } do
      fixture.assert_failed("ENOTTY", sys[name](tty))
    end
  end)

  it("may be opened twice, and is as it was when both are restored", function()
    local one <close> = assert(sys.tty_open(slave))
    assert.is_true(sys.tty_edit(one))
    local edited = modes_of(path)
    local two <close> = assert(sys.tty_open(slave))
    assert.is_true(sys.tty_restore(one))
    assert.equal(edited, modes_of(path))
    assert.is_true(sys.tty_restore(two))
    assert.equal(before, modes_of(path))
  end)

  it("reads and writes like the first", function()
    local tty <close> = assert(sys.tty_open(slave))
    assert.is_true(sys.tty_edit(tty))
    master:write "a\r"
    assert.equal("a\r", fixture.read_as_much("a\r", tty))
    tty:write "b\n" -- the system may pass on "b" before it has made "\r\n" of the rest
    assert.equal("b\r\n", fixture.read_as_much("b\r\n", master))
    fixture.assert_failed("EAGAIN", tty:read())
    sys.tty_restore(tty)
  end)

  it("tells when it takes bytes", function()
    local tty <close> = assert(sys.tty_open(slave))
    assert.is_true(sys.tty_wait(tty, 0))
    repeat -- the system makes room as it moves bytes on, until the master is full
      while tty:write(("x"):rep(1000)) do end
    until not sys.tty_wait(tty, 0.01)
    assert.error_matches(function() sys.tty_wait(tty, 61) end, "not in 0..60")
    sys.tty_restore(tty)
  end)

  it("is refused where there is none, and when there are many", function()
    local null = keep(assert(sys.open "/dev/null"))
    fixture.assert_failed("ENOTTY", sys.tty_open(null))
    local all = {}
    for i = 1, 8 do all[i] = keep(assert(sys.tty_open(slave))) end
    fixture.assert_failed("EMFILE", sys.tty_open(slave))
    for i = 1, 8 do assert.is_true(sys.tty_restore(all[i])) end
    keep(all[1])
    assert.error_matches(function() sys.tty_open {} end, "descriptor expected")
    assert.error_matches(function() sys.tty_edit(null, false, ("x"):rep(33)) end,
      "more than 32 bytes")
  end)

  --- What a script that has the terminal as its standard input leaves behind.
  --- It has a session of its own, where nobody would continue it if it stopped.
  local function run(script)
    local output, kind, code = fixture.run([[
      local tty = assert(sys.tty_open(0))
      assert(sys.tty_edit(tty, false, "bye"))
    ]] .. script, "exec setsid -w <" .. path)
    return output .. kind .. code, modes_of(path)
  end

  for name, case in pairs {
    ["returns"] = { "", "exit0" }, ["calls os.exit"] = { "os.exit(3)", "exit3" },
    ["calls os.exit, its state closed"] = { "os.exit(4, true)", "exit4" },
    ["is killed by TERM"] = { "sys.kill(sys.getpid(), 'TERM')", "signal15" },
    ["is killed by HUP"] = { "sys.kill(sys.getpid(), 'HUP')", "signal1" },
    ["has closed it"] = { "tty:close()", "exit0" },
    ["has lost it"] = { "tty = nil collectgarbage()", "exit0" },
    ["was stopped, if it could be"] =
      { "assert(sys.tty_stop()) assert(sys.tty_edit(tty))", "exit0" },
  } do
    it("is as it was when the process " .. name, function()
      local result, modes = run(case[1])
      assert.equal(case[2], result)
      assert.equal(before, modes)
      if not case[1]:find "tty_edit" then
        assert.equal("bye", fixture.read_as_much("bye", master))
      end
    end)
  end

  it("is left to the process that opened it", function()
    local result, modes = run [[
      local pipe = io.popen("stty -g")
      local edited = pipe:read "a"
      pipe:close()
      local kernel = require "poe".kernel
      local pid = kernel:fork()
      if pid == 0 then os.exit(0, true) end
      os.execute "sleep 0.05"
      pipe = io.popen("stty -g")
      print(edited == pipe:read "a")
      pipe:close()
    ]]
    assert.matches("^true\n", result)
    assert.equal(before, modes)
  end)
end)
