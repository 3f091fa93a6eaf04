-- poe.wheel.readline in a process whose controlling terminal is a
-- pseudo-terminal: job control, and all the ways in which a program ends.

local Vt = require "spec.wheel.readline.vt"
local fixture = require "spec.sys.fixture"
local helper = require "spec.helper"
local sys = require "poe.sys"

local SCRIPT = [[
  package.path = %q
  local ReadLine = require "poe.wheel.readline"
  local poe = require "poe"
  poe.session.create { inline_states = {
    _start = function(_, heap)
      heap.wheel = assert(ReadLine.new { input_event = "line" })
      heap.wheel:get "> "
    end,
    line = function(kernel, heap, line, why)
      if line == "exit" then os.exit(3) end
      if line == "close" then os.exit(4, true) end
      if line == "error" then error "wrong" end
      if line == "end" then return end -- nothing is left to do
      if line == "kill" then
        heap.wheel:get()
        return kernel:delay("kill", 0.01)
      end
      if line == "fork" then kernel:yield "fork" end
      heap.wheel:put("got " .. (line or why))
      heap.wheel:get()
    end,
    kill = function() require "poe.sys".kill(require "poe.sys".getpid(), "TERM") end,
    fork = function(kernel)
      local pid = kernel:fork()
      if pid == 0 then os.exit(0, true) end
      kernel:sig_child(pid, "forked")
    end,
    forked = function(_, heap) heap.wheel:put "child has gone" end,
  } }
  poe.run()
]]

describe("ReadLine in a process", function()
  local master, slave, path, before, vt, script

  local function modes()
    local pipe <close> = assert(io.popen("stty -g <" .. path))
    return pipe:read "a"
  end

  before_each(function()
    helper.begin()
    master, slave, path = fixture.keep(assert(sys.openpty()))
    sys.set_winsize(master, 12, 40)
    vt, before, script = Vt.new(40, 12), modes(), os.tmpname()
    local file <close> = assert(io.open(script, "w"))
    file:write(SCRIPT:format(package.path))
  end)

  after_each(function()
    os.remove(script)
    fixture.close_kept()
    helper.finish()
  end)

  --- Runs a command of the shell there, the script as $0.
  local function start(command)
    return assert(sys.spawn {
      program = { "sh", "-c", command, script }, setsid = true, terminal = true,
      stdin = slave, stdout = slave, stderr = slave,
      env = { TERM = "xterm", POE = helper.POE },
    })
  end

  --- Waits until the end of what is on the screen is this; what is on it.
  local function sees(expected)
    fixture.eventually(function()
      local bytes = master:read()
      if bytes then vt:feed(bytes) end
      if vt:see():sub(-#expected) == expected then return true end
      return nil, nil, "EAGAIN"
    end)
    return vt:see()
  end

  --- Types a line and waits for what comes.
  local function type_line(line, expected)
    master:write(line .. "\r")
    return sees(expected)
  end

  for line, ending in pairs {
    ["exit"] = "> exit\nstatus 3\n|", ["close"] = "> close\nstatus 4\n|",
    ["end"] = "> end\nstatus 0\n|", ["kill"] = "status 143\n|",
    ["error"] = "status 1\n|",
  } do
    it("gives the terminal back when the program ends by: " .. line, function()
      start [["$POE" "$0"; echo "status $?"; read x]]
      sees "> |"
      assert.not_equal(before, modes())
      type_line(line, ending)
      assert.equal(before, modes())
      assert.is_false(vt.modes["2004"])
    end)
  end

  it("survives what a child of the program does at its end", function()
    start [["$POE" "$0"]]
    sees "> |"
    local edited = modes()
    type_line("fork", "> fork\ngot fork\nchild has gone\n> |")
    assert.is_true(vt.modes["2004"])
    assert.equal(edited, modes())
    type_line("exit", "> exit\n|")
  end)

  it("can be stopped and continued", function()
    start [[set -m; "$POE" "$0"; echo stopped; read x; fg; echo "ended, $?"]]
    sees "> |"
    local edited = modes()
    master:write "abc\2\26"
    assert.equal("> abc\n", sees("stopped\n|"):sub(1, 6))
    assert.equal(before, modes())
    type_line("", "> ab|c")
    assert.equal(edited, modes())
    type_line("d", "got abdc\n> |")
    type_line("exit", "ended, 3\n|")
    assert.equal(before, modes())
  end)

  it("is not stopped where nobody would continue it", function()
    start [[exec "$POE" "$0"]]
    sees "> |"
    master:write "abc\26"
    sees "> abc\n> abc|"
    type_line("d", "got abcd\n> |")
    type_line("exit", "> exit\n|")
  end)

  it("knows when the terminal has another size", function()
    start [[exec "$POE" "$0"]]
    sees "> |"
    master:write(("x"):rep(30))
    sees(("x"):rep(30) .. "|")
    vt = Vt.new(20, 12)
    vt:feed("> " .. ("x"):rep(30)) -- as terminals break the row
    vt.rows[4][1] = "what the redrawing takes away"
    sys.set_winsize(master, 12, 20) -- which sends WINCH
    sees("> " .. ("x"):rep(18) .. "\n" .. ("x"):rep(12) .. "|")
    type_line("\21exit", "> exit\n|")
  end)

  it("ends with its terminal", function()
    local pid = start [[exec "$POE" "$0"]]
    sees "> |"
    fixture.close_kept()
    fixture.wait_until(function()
      local file = io.open(("/proc/%d/stat"):format(pid))
      local state = file and file:read "a":match "%) (%u)"
      if file then file:close() end
      return not state or state == "Z"
    end)
  end)
end)
