-- The REPL of the executable, over a pipe and over a terminal.

local fixture = require "spec.host.fixture"

local assert_out, shell = fixture.assert_out, fixture.shell
local write_file = fixture.write_file

describe("the REPL", function()
  setup(fixture.make_dir)
  teardown(fixture.remove_dir)

  local function interact(text, options)
    write_file("input", text)
    local result = shell("exec $POE -i " .. (options or "") .. " <input")
    result.out = result.out:gsub("^poe [^\n]*\n", "")
    return result
  end

  it("prints the values of expressions", function()
    assert_out("> 2\n> 1\tnil\tx\n> \n", interact "1 + 1\n1, nil, 'x'\n")
  end)

  it("executes statements, keeping globals", function()
    assert_out("> > 5\n> \n", interact "x = 5\nx\n")
  end)

  it("reads on while a statement is incomplete", function()
    assert_out("> >> >> 1\n2\n> \n",
      interact "for i = 1, 2 do\nprint(i)\nend\n")
  end)

  it("takes = for return", function()
    assert_out("> 3\n> \n", interact "= 3\n")
  end)

  it("takes a last line without a newline", function()
    assert_out("> 4\n> \n", interact "4")
  end)

  it("prints _PROMPT and _PROMPT2", function()
    assert_out("> ? .. ? \n",
      interact "_PROMPT, _PROMPT2 = '? ', '.. '\nx = (\n1)\n")
  end)

  it("prints errors with their traceback and goes on", function()
    local result = interact "error 'e'\nlocal x <const> = 1; x = 2\n1\n"
    assert.equal("> > > 1\n> \n", result.out)
    assert.equal(table.concat({
      "stdin:1: e",
      "stack traceback:",
      "\t[C]: in function 'error'",
      "\tstdin:1: in main chunk",
      "\t[C]: in ?",
      "stdin:1: attempt to assign to const variable 'x'\n",
    }, "\n"), result.err)
    assert.equal(0, result.status)
  end)

  it("says so when the input ends within a statement", function()
    local result = interact "for\n"
    assert.equal("> >> \n", result.out)
    assert.equal("stdin:1: <name> expected near <eof>\n", result.err)
  end)

  it("leaves to a chunk the lines that it reads", function()
    assert_out("> got\tnext\n> 7\n> \n",
      interact "print('got', io.read())\nnext\n7\n")
  end)

  it("comes after the script, whose sessions run meanwhile", function()
    write_file("first.lua", [[
      require("poe").session.create {
        inline_states = {
          _start = function(kernel) kernel:yield "go" end,
          go = function() print "session" end,
        },
      }
      print "script"
    ]])
    local result = interact("1\n2\n3\n", "first.lua")
    assert.truthy(result.out:find "^script\n> ")
    assert.truthy(result.out:find "session\n.*3\n")
  end)

  it("does not come when the script fails", function()
    local result = interact("print 'prompt'\n", "-e 'error(1, 0)'")
    assert.equal("", result.out)
    assert.equal(1, result.status)
  end)

  it("is a session: the kernel's methods work on a line", function()
    assert_out("> > true\n> session\n> here\n> \n", interact(
      "k = require('poe').kernel\nk:alias_set 'repl'\n"
      .. "require('poe').type(k.session)\n"
      .. "k:state('x', function() print 'here' end) k:call(k.session, 'x')\n"))
  end)

  it("outlives an exception of a session created in it, and so do others",
    function()
      local result = interact([[
poe = require "poe"
make = poe.session.create
start = function(k) k:alias_set "a" end
_ = make { inline_states = { _start = start, hi = function() print "hi" end } }
_ = make { inline_states = { _start = function() error "lost" end } }
1
_ = poe.kernel:post("a", "hi")
2
]])
      assert.truthy(result.err:find "^stdin:1: lost\nstack traceback:\n")
      assert.truthy(result.out:find "1\n.*hi.*2\n")
      assert.equal(0, result.status)
    end)

  it("outlives an exception of a session of the script", function()
    write_file("first.lua", [[
      require("poe").session.create {
        inline_states = { _start = function() error "early" end },
      }
    ]])
    local result = interact("1\n2\n", "first.lua")
    assert.truthy(result.err:find "first.lua:2: early\n")
    assert.truthy(result.out:find "1\n> 2\n> \n$")
    assert.equal(0, result.status)
  end)

  it("outlives kernel:stop()", function()
    assert_out("> > 1\n> \n",
      interact "require('poe').kernel:stop()\n1\n")
  end)

  it("stops the sessions when it ends", function()
    assert_out("> > > > \nstopped\n", interact([[
start = function(k) k:delay("x", 1000) end
stop = function() print "stopped" end
_ = require("poe").session.create { inline_states = { _start = start, _stop = stop } }
]]))
  end)

  it("honours os.exit", function()
    assert.equal(3, interact("os.exit(3)\n").status)
  end)
end)

describe("the REPL on a terminal", function()
  local terminal

  setup(fixture.make_dir)
  teardown(fixture.remove_dir)

  local function begin(command)
    terminal = fixture.open_terminal(command or "exec $POE")
    terminal:expect "PUC-Rio\n"
    terminal:expect "> "
  end

  --- Types a line and waits for what it prints, and for the next prompt.
  local function enter(line, printed)
    terminal:type(line .. "\n")
    terminal:expect("\n" .. printed)
    terminal:expect "> "
  end

  local function leave()
    terminal:type "\4"
    local rest, status = terminal:close()
    assert.truthy(rest:find "^^?D?\n$")
    assert.equal(0, status)
  end

  local TICKER = "_ = require('poe').session.create { inline_states = { "
    .. "_start = function(k, h) h.n = 0 k:yield 'tick' end, "
    .. "tick = function(k, h) h.n = h.n + 1 "
    .. "if h.n == 3 then print('tick' .. 'ed') else k:delay('tick', 0.01) end "
    .. "end } }"

  for _, way in ipairs { "with libedit", "without libedit" } do
    local hide = way == "without libedit"
      and ": >libedit.so.2; export LD_LIBRARY_PATH=.; " or ""

    it("begins without a script, " .. way, function()
      begin(hide .. "exec $POE")
      enter("1 + 30", "31\n")
      leave()
    end)

    it("lets a timer tick while it waits for input, " .. way, function()
      begin(hide .. "exec $POE")
      terminal:type(TICKER .. "\n")
      terminal:expect "ticked\n"
      enter("1 + 30", "31\n")
      leave()
    end)

    it("lets a timer tick while a line is half typed, " .. way, function()
      begin(hide .. "exec $POE")
      enter(TICKER:gsub("h.n == 3", "h.n == 9"), "")
      terminal:type "1 + "
      terminal:expect "ticked\n"
      terminal:type "30\n"
      terminal:expect "31\n"
      terminal:expect "> "
      leave()
    end)

    it("drops the line on Ctrl-C, " .. way, function()
      begin(hide .. "exec $POE")
      enter("for i = 1, 2 do", "")
      terminal:type "garbage"
      terminal:expect "garbage"
      terminal:type "\3"
      terminal:expect "\n> "
      enter("1 + 30", "31\n")
      leave()
    end)

    it("interrupts a running chunk on Ctrl-C, " .. way, function()
      begin(hide .. "exec $POE")
      terminal:type "print 'be' while true do end\n"
      terminal:expect "\nbe\n"
      terminal:type "\3"
      terminal:expect "interrupted!\nstack traceback:\n"
      terminal:expect "> "
      enter("1 + 30", "31\n")
      leave()
    end)

    it("ends by a Ctrl-C that finds the last without effect, " .. way, function()
      begin(hide .. "exec $POE")
      terminal:type("_ = require('poe').session.create { inline_states = { "
        .. "_start = function(k) k:yield 'hang' end, hang = function() "
        .. "for i = 1, 2 do print(i) io.popen('kill -INT $PPID'):close() end "
        .. "print 'alive' end } }\n")
      terminal:expect "1\n2\n"
      local _, status = terminal:close()
      assert.equal(128 + 2, status)
    end)
  end

  it("prompts again after the exception of a session, the line being kept",
    function()
      begin()
      enter("_ = require('poe').session.create { inline_states = { "
        .. "_start = function(k) k:delay('fail', 0.05) end, "
        .. "fail = function() error 'lost' end } }", "")
      terminal:type "1 + "
      terminal:expect "stdin:1: lost\nstack traceback:\n"
      terminal:expect "> 1 + "
      terminal:type "30\n"
      terminal:expect "\n31\n> "
      leave()
    end)

  it("prompts anew when it is continued after a stop", function()
    begin() -- script(1) does not bear that its child stops: only continued
    terminal:type "io.open('/proc/self/stat'):read 'n'\n"
    local pid = terminal:expect "> ":match "\n(%d+)\n"
    shell("kill -CONT " .. pid)
    terminal:expect "> "
    enter("1 + 30", "31\n")
    leave()
  end)

  it("edits lines, with a history", function()
    begin()
    enter("print('xc')\27[D\27[D\27[D\bab\5", "abc\n")
    enter("1 + 30", "31\n")
    enter("\27[A\27[A", "abc\n")
    leave()
  end)

  it("ends when its terminal is gone and nothing tells it so", function()
    -- script(1) is killed; SIGHUP is ignored, as under nohup.
    local result = shell [[
      mkfifo keys; exec 9<>keys
      script -qc 'trap "" HUP; echo $$ >pid; exec $POE' /dev/null \
        <keys >shown 2>&1 &
      until [ -s pid ] && grep -q '>' shown; do :; done
      kill -9 $!
      timeout 20 tail --pid="$(cat pid)" -f /dev/null && echo gone
    ]]
    assert.matches("gone", result.out)
  end)
end)
