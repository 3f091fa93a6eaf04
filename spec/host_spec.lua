-- The executable: each option and each mistake, what lua does and poe too,
-- exit status, tracebacks, signals, virtual time.

local fixture = require "spec.host.fixture"
local strain = require "spec.strain.strain"

local assert_fails, assert_out = fixture.assert_fails, fixture.assert_out
local poe, run_script, shell = fixture.poe, fixture.run_script, fixture.shell
local write_file = fixture.write_file

--- The command line was refused: a message, the usage, status 2.
local function assert_refused(message, arguments)
  local result = poe(arguments)
  assert.equal("", result.out)
  assert.equal(message, result.err:match "^poe: ([^\n]*)\n")
  assert.truthy(result.err:find("\nusage: poe [options] [script [args]]\n", 1, true))
  assert.equal(2, result.status)
end

describe("poe", function()
  setup(fixture.make_dir)
  teardown(fixture.remove_dir)

  describe("-e", function()
    it("executes a string", function()
      assert_out("1\n", poe "-e 'print(1)'")
    end)

    it("takes its string glued on", function()
      assert_out("1\n", poe "-e'print(1)'")
    end)

    it("executes several in their order, then the script", function()
      write_file("last.lua", "print(n, ...)")
      assert_out("3\ta\n", poe "-e 'n = 1' -e 'n = n + 2' last.lua a")
    end)

    it("ends at the first that fails", function()
      local result = poe "-e 'print(1)' -e 'error(2, 0)' -e 'print(3)'"
      assert.equal("1\n", result.out)
      assert.truthy(result.err:find "^poe: 2\nstack traceback:\n")
      assert.equal(1, result.status)
    end)

    it("names its chunk as lua does", function()
      assert_fails(1, "poe: (command line):1: syntax error near 'y'\n",
        poe "-e 'x y'")
    end)

    it("needs an argument", function()
      assert_refused("'-e' needs argument", "-e")
      assert_refused("'-e' needs argument", "-e -i")
    end)
  end)

  describe("-l", function()
    before_each(function()
      write_file("mod.lua", "return { name = ... }")
    end)

    it("requires a module into the global of its name", function()
      assert_out("mod\n", poe "-l mod -e 'print(mod.name)'")
      assert_out("mod\n", poe "-lmod -e 'print(mod.name)'")
    end)

    it("requires a module into another global", function()
      assert_out("mod\tnil\n", poe "-l g=mod -e 'print(g.name, mod)'")
    end)

    it("runs in order with -e", function()
      assert_out("nil\n", poe "-e 'print(mod)' -l mod")
    end)

    it("says where it looked for a module", function()
      local result = poe "-l no.such -e 'print(1)'"
      assert.truthy(result.err:find(
        "poe: module 'no.such' not found:\n\tno field package.preload", 1, true))
      assert.equal("", result.out)
      assert.equal(1, result.status)
    end)

    it("needs an argument", function()
      assert_refused("'-l' needs argument", "-l")
    end)
  end)

  describe("-v", function()
    it("prints the versions of poe and of Lua", function()
      local result = poe "-v"
      assert.truthy(result.out:find "^poe %d+%.%d+%.%d+, Lua 5%.4%.%d+  Copyright [^\n]*\n$")
      assert.equal(0, result.status)
    end)

    it("goes on to what else is asked for", function()
      assert.truthy(poe("-v -e 'print(1)'").out:find "\n1\n$")
    end)
  end)

  describe("-W", function()
    it("turns warnings on, and they are off before", function()
      assert_fails(0, "Lua warning: b\n",
        poe [[-e 'warn("a")' -W -e 'warn("b")']])
    end)

    it("warns as lua does", function()
      local script = [[-W -e '
        warn("a", "b") warn("@off") warn("c") warn("@on") warn("@", "on")
        warn("@unknown") warn("d")']]
      assert_fails(0, "Lua warning: ab\nLua warning: @on\nLua warning: d\n",
        poe(script))
    end)

    it("collects as lua does", function()
      for _, arguments in ipairs { [["x"]], [["step", {}]], "true",
        [["incremental", 100, {}]], [["count", {}]], "nil", "", [["stop"]],
        [["generational"]] } do
        local script = (" -e 'print(type(collectgarbage(%s)))'"):format(arguments)
        local function said_by(program)
          local result = shell(program .. script)
          return result.out .. result.err:gsub("^[^:]*:", ""):match "^[^\n]*"
        end
        assert.equal(said_by(os.getenv "LUA" or "lua5.4"), said_by "$POE")
      end
    end)

    it("gives memory back when it is used no longer, the rest when all is collected", function()
      local before, during, spare, after = poe([[-e '
        local function resident()
          for line in io.lines "/proc/self/status" do
            local kb = line:match "^VmRSS:%s*(%d+)"
            if kb then return tonumber(kb) end
          end
        end
        local before, kept, few = resident(), {}, {}
        for i = 1, 300000 do kept[i] = { tostring(i) } end
        for i = 1, 100 do few[i] = { i } end -- what a heap would end with
        local during = resident()
        kept = nil
        collectgarbage "incremental"
        for _ = 1, 2 do repeat until collectgarbage("step", 100000) end
        local spare = resident()
        collectgarbage()
        print(before, during, spare, resident())']]).out
        :match "(%d+)%s+(%d+)%s+(%d+)%s+(%d+)"
      assert.is_true(during - before > 20000)
      if not strain.is_sanitized() then
        assert.is_true((spare - before) * 10 < during - before, spare - before)
        assert.is_true(spare - after >= 1024, spare - after)
      end
    end)
  end)

  describe("-E", function()
    it("ignores LUA_INIT, LUA_PATH and LUA_CPATH", function()
      local plain = poe "-E -e 'print(package.path, package.cpath)'"
      assert_out(plain.out, shell([[
        export LUA_INIT='print(1)' LUA_PATH=p LUA_CPATH=c
        exec $POE -E -e 'print(package.path, package.cpath)'
      ]]))
    end)
  end)

  describe("LUA_INIT", function()
    it("is executed first, with arg set", function()
      write_file("s.lua", "print(from_init)")
      assert_out("x\n",
        shell "LUA_INIT='from_init = arg[1]' exec $POE s.lua x")
    end)

    it("names a file after @", function()
      write_file("init.lua", "print 'init'")
      assert_out("init\n1\n",
        shell "LUA_INIT=@init.lua exec $POE -e 'print(1)'")
    end)

    it("yields to LUA_INIT_5_4, even an empty one", function()
      assert_out("54\n", shell
        "LUA_INIT_5_4='print(54)' LUA_INIT='print(1)' exec $POE -e ''")
      assert_out("", shell
        "LUA_INIT_5_4='' LUA_INIT='print(1)' exec $POE -e ''")
    end)

    it("ends the program when it fails", function()
      assert_fails(1, "poe: LUA_INIT:1: syntax error near 'b'\n",
        shell "LUA_INIT='a b' exec $POE -e 'print(1)'")
      assert_fails(1, "poe: cannot open nofile: No such file or directory\n",
        shell "LUA_INIT=@nofile exec $POE -e 'print(1)'")
    end)
  end)

  describe("LUA_PATH", function()
    it("is where modules are looked for", function()
      shell "mkdir sub"
      write_file("sub/there.lua", "return 'there'")
      assert_out("there\n", shell
        "LUA_PATH='sub/?.lua;;' exec $POE -e 'print((require \"there\"))'")
    end)

    it("does not hide the modules that belong to the executable", function()
      shell "mkdir -p poe"
      write_file("poe/init.lua", "return 'wrong'")
      write_file("poe.lua", "return 'wrong'")
      assert_out("table\tkernel\n", shell([[
        export LUA_PATH='?.lua;?/init.lua;;'
        exec $POE -e 'poe = require "poe" print(type(poe), poe.type(poe.kernel))'
      ]]))
      shell "rm poe/init.lua poe.lua"
    end)

    it("finds modules of poe's name space that are the user's", function()
      shell "mkdir -p poe/loop"
      write_file("poe/loop/mine.lua", "return 'mine'")
      assert_out("mine\n", poe [[-e 'print((require "poe.loop.mine"))']])
    end)
  end)

  describe("a script", function()
    it("gets its arguments in ... and arg, what is before it below 0", function()
      write_file("args.lua", [[
        print(...)
        for i = -4, 3 do io.write(tostring(arg[i]), " ") end
        print(#arg)
      ]])
      assert_out(("a\tb c\t\nnil %s -e x=1 args.lua a b c  3\n"):format(fixture.POE),
        poe "-e x=1 args.lua a 'b c' ''")
    end)

    it("may begin with a line for the system", function()
      write_file("shebang.lua", "#!" .. fixture.POE .. "\nprint(arg[0], ...)\n")
      assert_out("./shebang.lua\t1\n",
        shell "chmod +x shebang.lua; exec ./shebang.lua 1")
    end)

    it("is not mistaken for an option after --", function()
      write_file("-x.lua", "print(...)")
      assert_out("-e\n", poe "-- -x.lua -e")
    end)

    it("has options of its own after its name", function()
      write_file("s.lua", "print(...)")
      assert_out("-e\t--trace\t-x\n", poe "s.lua -e --trace -x")
    end)

    it("that cannot be opened is an error of status 1", function()
      assert_fails(1,
        "poe: cannot open nofile.lua: No such file or directory\n",
        poe "nofile.lua")
    end)

    it("may take many arguments", function()
      write_file("s.lua", "print(select('#', ...))")
      assert_out("20000\n", shell "exec $POE s.lua $(seq 20000)")
    end)

    it("that takes arg away is told", function()
      write_file("s.lua", "print(1)")
      assert_fails(1, "poe: 'arg' is not a table\n", poe "-e 'arg = 1' s.lua")
    end)

    it("runs on the main thread, upon a single frame", function()
      assert_out("true\nfalse\nfalse\n", run_script [[
        print(select(2, coroutine.running()))
        print(coroutine.isyieldable())
        print((pcall(debug.getlocal, 4, 1))) -- the "am I main" idiom
      ]])
    end)

    it("may change the globals", function()
      local result = run_script "io, os, string, table, _G, package = nil error 'x'"
      assert.equal("poe: script.lua:1: x", result.err:match "^[^\n]*")
    end)
  end)

  describe("standard input", function()
    it("is the script when there is no other", function()
      assert_out("1\n", shell "echo 'print(1, ...)' | $POE")
    end)

    it("is the script named -, which may have arguments", function()
      assert_out("a\t-\n", shell "echo 'print(..., arg[0])' | $POE - a")
    end)

    it("is left to the script otherwise", function()
      assert_out("data\n", shell "echo data | $POE -e 'print(io.read())'")
    end)

    it("gives errors the name stdin and the status 1", function()
      assert_fails(1, "poe: stdin:2: syntax error near <eof>\n",
        shell "printf 'x =\\n1 y' | $POE -")
      local result = shell "echo 'error \"e\"' | $POE"
      assert.truthy(result.err:find("poe: stdin:1: e\nstack traceback:\n", 1, true))
      assert.equal(1, result.status)
    end)
  end)

  describe("standard output that cannot be written", function()
    it("is told of in the end, with status 1", function()
      for _, code in ipairs { "print(1)", "print(1) os.exit(0)",
        "io.write(1)", "io.stdout:setvbuf \"no\" print(1)" } do
        local result = shell(("$POE -e '%s' >/dev/full"):format(code))
        assert.matches("^poe: standard output is not complete", result.err)
        assert.equal(1, result.status)
      end
    end)

    it("does not matter to a program that writes nothing", function()
      assert.equal(0, shell("$POE -e 'x = 1' >/dev/full").status)
      assert.equal(0, shell("$POE -e 'x = 1' >&-").status)
    end)
  end)

  describe("standard input", function()
    local WATCH = [[
      local poe = require "poe"
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:select_read(io.stdin, "rd") end,
        rd = function(kernel)
          kernel:select_read(io.stdin)
          %s
        end,
      } }
      poe.run()
    ]]
    local O_NONBLOCK = 0x800

    --- Its flags, after a program has watched it.
    local function flags_after(ending)
      fixture.write_file("watch.lua", WATCH:format(ending))
      local result = shell "echo x | { $POE watch.lua; grep flags /proc/self/fdinfo/0; }"
      return tonumber(result.out:match "flags:%s*(%d+)", 8), result.out
    end

    it("blocks again when a program that watched it has ended", function()
      assert.equal(0, flags_after "" & O_NONBLOCK)
      assert.equal(0, flags_after "os.exit(1)" & O_NONBLOCK)
    end)

    it("stays as it is when the child of a fork ends", function()
      local _, out = flags_after [[
        if assert(kernel:fork()) == 0 then os.exit(0) end
        kernel:sig("CHLD", "ended")
        kernel:state("ended", function()
          kernel:sig "CHLD"
          kernel:delay "ended"
          for line in io.lines "/proc/self/fdinfo/0" do print(line) end
        end)
        kernel:delay("ended", 10)
      ]]
      assert.equal(O_NONBLOCK, tonumber(out:match "flags:%s*(%d+)", 8) & O_NONBLOCK)
    end)
  end)

  describe("--help and --version", function()
    it("print to stdout, with status 0", function()
      local long, short = poe "--help", poe "-h"
      assert.truthy(long.out:find "^usage: poe %[options%] %[script %[args%]%]\n")
      assert_out(long.out, short)
      assert.truthy(poe("--version").out:find "^poe %d+%.%d+%.%d+\n$")
    end)

    it("name every option", function()
      local help = poe("--help").out
      for option in ("-e -l -i -v -E -W -- - -c --check -h --help --loop --trace "
          .. "--assert --virtual-time --version"):gmatch "%S+" do
        assert.truthy((" " .. help):find("%s" .. option:gsub("%-", "%%-") .. "[ ,]"), option)
      end
    end)

    it("run nothing", function()
      assert.falsy(poe("-e 'print(1)' --help").out:find "\n1\n")
    end)
  end)

  describe("--check", function()
    before_each(function()
      write_file("good.lua", "#!/usr/bin/poe\nprint 'ran'")
      write_file("bad.lua", "x = = 1")
      write_file("worse.lua", "return end")
    end)

    it("is silent about files that are Lua, and runs none", function()
      assert_out("", poe "-c good.lua")
      assert_out("", poe "--check good.lua good.lua")
    end)

    it("reports every file that is not", function()
      assert_fails(1, "poe: bad.lua:1: unexpected symbol near '='\n"
        .. "poe: worse.lua:1: <eof> expected near 'end'\n",
        poe "-c good.lua bad.lua worse.lua good.lua")
    end)

    it("reports a file that is missing", function()
      assert_fails(1, "poe: cannot open none.lua: No such file or directory\n",
        poe "-c none.lua")
    end)

    it("takes - for standard input", function()
      assert_fails(1, "poe: stdin:1: unexpected symbol near '='\n",
        shell "$POE -c - < bad.lua")
    end)

    it("needs a file, and nothing to run", function()
      assert_refused("'--check' needs argument", "-c")
      assert_refused("'-e' does not go with '--check'", "-c -e x good.lua")
      assert_refused("'-i' does not go with '--check'", "-i -c good.lua")
    end)
  end)

  describe("a wrong command line", function()
    it("has status 2 and is explained", function()
      assert_refused("unrecognized option '-x'", "-x")
      assert_refused("unrecognized option '--foo'", "--foo")
      assert_refused("unrecognized option '--foo=1'", "--foo=1")
      assert_refused("'--help' takes no argument", "--help=1")
      assert_refused("'--why' takes no argument", "--why=1")
      assert_refused("unrecognized option '-vx'", "-vx")
      assert_refused("unrecognized option '-Wi'", "-Wi")
      assert_refused("unrecognized option '-x'", "-e 'print(1)' -x")
      for _, option in ipairs { "--loop", "--trace", "--assert" } do
        assert_refused("'" .. option .. "' needs argument", option)
        assert_refused("'" .. option .. "' needs argument", option .. " -v")
      end
    end)

    it("is one with an unknown topic, and the known ones are named", function()
      assert_refused("unknown topic 'evnts' of '--trace' (known are events, "
        .. "files, refcnt, retvals, sessions, signals, destroy, default)",
        "--trace events,evnts -e ''")
      assert_refused("unknown topic 'destroy' of '--assert' (known are data, "
        .. "events, files, retvals, usage, states, default)",
        "--assert=destroy -e ''")
      assert_refused("unknown topic '' of '--assert' (known are data, "
        .. "events, files, retvals, usage, states, default)",
        "--assert data, -e ''")
    end)

    it("is one with an unknown loop", function()
      local result = poe "--loop nonesuch -e 'print(1)'"
      assert.equal("", result.out)
      assert.truthy(result.err:find "^poe: '%-%-loop': [^\n]*nonesuch")
      assert.equal(2, result.status)
    end)
  end)

  describe("an error", function()
    it("is printed with its traceback and gives status 1", function()
      assert_fails(1, table.concat({
        "poe: script.lua:1: boom",
        "stack traceback:",
        "\t[C]: in function 'error'",
        "\tscript.lua:1: in local 'f'",
        "\tscript.lua:2: in main chunk",
        "\t[C]: in ?\n",
      }, "\n"), run_script "local function f() error 'boom' end\nf()")
    end)

    it("that is no string is described", function()
      assert.equal("poe: (error object is a table value)",
        poe("-e 'error {}'").err:match "^[^\n]*")
      assert.equal("poe: (error object is a nil value)",
        poe("-e 'error()'").err:match "^[^\n]*")
      assert_fails(1, "poe: text\n", poe
        [[-e 'error(setmetatable({}, { __tostring = function() return "text" end }))']])
    end)
  end)

  describe("a to-be-closed variable", function()
    it("gets the error as it was raised", function()
      local result = poe [[-e '
        local e = {}
        local _ <close> = setmetatable({}, {
          __close = function(_, err) print(err == e) end,
        })
        error(e)']]
      assert.equal("true\n", result.out)
      assert.equal(1, result.status)
    end)
  end)

  describe("os.exit", function()
    it("is honoured", function()
      assert.equal(7, poe("-e 'os.exit(7)'").status)
      assert.equal(1, poe("-e 'os.exit(false)'").status)
      assert_out("", poe "-e 'os.exit(true, true)'")
    end)

    it("is honoured in a handler", function()
      assert.equal(9, run_script([[
        require("poe").session.create {
          inline_states = { _start = function(kernel) kernel:yield "leave" end,
            leave = function() os.exit(9, true) end },
        }
      ]]).status)
    end)
  end)

  describe("the executable", function()
    it("uses the checkout's modules, from any directory, without environment",
      function()
        local result = shell [[
          cd / && exec env -i "$POE" -e 'print(select(2, require "poe"))'
        ]]
        assert_out(fixture.checkout .. "/lua/poe/init.lua\n", result)
      end)

    it("is found through a symbolic link", function()
      assert_out("table\n", shell [[
        ln -sf "$POE" link && exec ./link -e 'print(type(require "poe"))'
      ]])
    end)

    it("runs busted", function()
      write_file("some_spec.lua", [[
        describe("x", function()
          it("runs", function()
            assert.equal("kernel", require("poe").type(require("poe").kernel))
          end)
        end)
      ]])
      local result = shell "exec busted --lua=$POE -o TAP some_spec.lua"
      assert.truthy(result.out:find "ok 1")
      assert.equal(0, result.status)
    end)
  end)

  describe("what lua does", function()
    local CASES = {
      "-e 'print(1)' -e 'print(2)'", "s.lua a 'b c'", "- a b", "",
      "-W s.lua", "-l m -l q=m -e 'print(m, q)'", "-e 'print(...)'",
      "-e 'error(12)'", "-e 'error(print)'", "-e 'coroutine.yield(1)'",
      "-e 'print(collectgarbage(\"incremental\"))'", "-e 'arg = {1, 2}' s.lua",
      "-l err", "err.lua", "levels.lua", "-l levels -e ''", "bad.lua",
      "-l bad", ".", "-e 'io.stdout:close() print(1)'", "-e 'return 1'",
      "-e 'require = nil' -l m", "-e 'package = nil' s.lua", "-- ", "-- -",
      "-e 'setmetatable({}, { __gc = function() print \"gc\" end })'",
    }

    setup(function()
      write_file("s.lua", [[
        for i = -5, 3 do print(i, i >= 0 and arg[i] or arg[i] ~= nil) end
        print(...)
      ]])
      write_file("m.lua", "print(...) return { ... }")
      write_file("err.lua", "local function f() error 'e' end\nf()")
      write_file("bad.lua", "x = = 1")
      write_file("levels.lua", "print(debug.traceback 'x') print(debug.getinfo(3))")
      write_file("stdin", "print('stdin', ...)")
    end)

    local has_lua = os.execute "command -v lua5.4 >/dev/null"
    for _, case in ipairs(CASES) do
      local it = has_lua and it or pending
      it("is done by poe too: " .. case, function()
        local lua = shell("exec lua5.4 " .. case .. " <stdin")
        local ours = shell("exec $POE " .. case .. " <stdin")
        local function plain(text)
          return (text:gsub("%f[%w]lua5%.4: ", "poe: "):gsub("0x%x+", "0x"))
        end
        assert.equal(plain(lua.out), plain(ours.out))
        assert.equal(plain(lua.err), plain(ours.err))
        assert.equal(lua.status, ours.status)
      end)
    end
  end)
end)
