-- The executable and its kernel: when it runs, what becomes of exceptions and
-- signals, the options that reach it.

local fixture = require "spec.host.fixture"

local assert_out, poe, shell = fixture.assert_out, fixture.poe, fixture.shell
local run_script, write_file = fixture.run_script, fixture.write_file

describe("poe", function()
  setup(fixture.make_dir)
  teardown(fixture.remove_dir)

  describe("the kernel", function()
    local TICKER = [[
      local poe = require "poe"
      poe.session.create {
        inline_states = {
          _start = function(kernel) kernel:yield "tick" end,
          tick = function() print "tick" end,
          _stop = function() print "stop" end,
        },
      }
      print "chunk"
    ]]

    it("is run when the chunk has returned", function()
      assert_out("chunk\ntick\nstop\n", run_script(TICKER))
    end)

    it("is not run again when the script has done so", function()
      assert_out("chunk\ntick\nstop\nend\n",
        run_script(TICKER .. "poe.run() print 'end'"))
    end)

    it("is not run when the script ran slices of it itself", function()
      local result = run_script(TICKER .. "poe.kernel:run_one_timeslice() print 'end'")
      assert.truthy(result.out:find "end\n$")
      assert.equal(0, result.status)
    end)

    it("is run for what -e, -l and LUA_INIT created", function()
      write_file("ticker.lua", TICKER)
      assert_out("chunk\ntick\nstop\n", poe "-l ticker -e ''")
      assert_out("chunk\n1\ntick\nstop\n",
        shell "LUA_INIT=@ticker.lua $POE -e 'print(1)'")
    end)

    it("is run for a script on standard input", function()
      write_file("ticker.lua", TICKER)
      assert_out("chunk\ntick\nstop\n", shell "$POE < ticker.lua")
      assert_out("chunk\ntick\nstop\n", shell "$POE - < ticker.lua")
    end)

    it("is not run when the script fails", function()
      local result = run_script(TICKER .. "error 'e'")
      assert.equal("chunk\n", result.out)
      assert.equal(1, result.status)
    end)

    it("is not even loaded by a program that does not ask for it", function()
      assert_out("nil\tnil\n", poe
        [[-e 'print(package.loaded.poe, package.loaded["poe.core"])']])
    end)
  end)

  describe("an exception that no session handles", function()
    local THROWER = [[
      local poe = require "poe"
      local function fail(value) error(value) end
      poe.session.create {
        inline_states = {
          _start = function(kernel) kernel:yield "work" end,
          work = function(kernel)
            kernel:yield("break", %s)
          end,
          ["break"] = function(_, _, value)
            fail(value)
          end,
        },
      }
    ]]

    it("is printed with the handler's traceback, status 1", function()
      local result = run_script(THROWER:format '"boom"')
      assert.truthy(result.err:find("^poe: script.lua:2: boom\nstack traceback:\n"))
      assert.truthy(result.err:find("\n\tscript.lua:2: in upvalue 'fail'\n", 1, true))
      assert.truthy(result.err:find("\n\tscript.lua:10: in ", 1, true))
      assert.equal(1, result.status)
    end)

    it("is printed with the chain of where its event came from", function()
      local result = run_script(THROWER:format '"boom"')
      assert.truthy(result.err:find(
        "event 'break'[^\n]* posted by session %d+[^\n]* at script.lua:7, "
          .. "in its handler of 'work'\n"),
        result.err)
    end)

    it("is printed alike when the script itself ran the kernel", function()
      local result = run_script(THROWER:format '"boom"' .. "poe.run()")
      assert.truthy(result.err:find("\n\tscript.lua:10: in ", 1, true))
      assert.falsy(result.err:find("in main chunk", 1, true))
    end)

    it("keeps its value, which run() raises", function()
      assert_out("true\n", run_script("local VALUE = {}\n"
        .. THROWER:format "VALUE"
        .. "print(select(2, pcall(poe.run)) == VALUE)"))
    end)

    it("is not taken for another error that comes later", function()
      local result = run_script(THROWER:format '"boom"'
        .. "pcall(poe.run) error 'later'")
      assert.truthy(result.err:find "^poe: script.lua:%d+: later\n")
      assert.truthy(result.err:find("in main chunk", 1, true))
    end)
  end)

  describe("a signal", function()
    local function ends_by(signal)
      return run_script(([[
        local poe = require "poe"
        poe.session.create {
          inline_states = {
            _start = function(kernel)
              kernel:delay("never", 1000)
              os.execute "kill -%s $PPID"
            end,
            _stop = function() print "stop" end,
          },
        }
      ]]):format(signal))
    end

    it("that nobody watches ends the program with the signal's status",
      function()
        local term, hup = ends_by "TERM", ends_by "HUP"
        assert.equal(128 + 15, term.status)
        assert.equal(128 + 1, hup.status)
        assert.equal("", term.out .. term.err .. hup.out .. hup.err)
      end)

    it("ends a script without a kernel as well", function()
      assert.equal(128 + 15, poe("-e 'os.execute \"kill -TERM $PPID\"'").status)
    end)

    it("that is watched is the program's own affair", function()
      assert_out("INT\n", run_script [[
        local poe = require "poe"
        poe.session.create {
          inline_states = {
            _start = function(kernel)
              kernel:sig("INT", "interrupt")
              kernel:delay("never", 1000)
              io.popen("kill -INT $PPID"):close()
            end,
            interrupt = function(kernel, _, name)
              print(name)
              kernel:sig_handled()
              kernel:delay "never"
            end,
          },
        }
      ]])
    end)
  end)

  describe("--virtual-time", function()
    it("ends a program of long delays at once, in the right order", function()
      write_file("hours.lua", [[
        local poe = require "poe"
        local began = poe.monotime()
        local function hours() return (poe.monotime() - began) // 3600 end
        poe.session.create {
          inline_states = {
            _start = function(kernel)
              for _, n in ipairs { 5, 1, 3, 2 } do
                kernel:delay_set("ring", n * 3600, n)
              end
              kernel:yield("ring", 0)
            end,
            ring = function(kernel, heap, n)
              print(n, hours())
              if n == 2 then kernel:delay("ring", 7200, 4) end
            end,
          },
        }
      ]])
      assert_out("0\t0.0\n1\t1.0\n2\t2.0\n4\t4.0\n",
        shell "sed -i 's/{ 5, 1, 3, 2 }/{ 1, 2 }/' hours.lua; exec $POE --virtual-time hours.lua")
    end)
  end)

  describe("--loop", function()
    it("chooses the event loop", function()
      write_file("loop.lua", [[
        print(require("poe").kernel:poe_kernel_loop())
      ]])
      assert_out("uv\n", poe "--loop uv loop.lua")
      assert_out("uv\n", poe "--loop=uv loop.lua")
    end)
  end)

  describe("-E", function()
    it("ignores what the environment says to the kernel", function()
      assert_out("", shell([[
        export POE_EVENT_LOOP=nonesuch POE_TRACE_DEFAULT=1 POE_ASSERT_DEFAULT=1
        exec $POE -E -e 'require("poe").kernel:post("nobody", "x")'
      ]]))
    end)
  end)

  describe("--trace", function()
    it("traces the topics named, on stderr", function()
      write_file("one.lua", [[
        require("poe").session.create {
          inline_states = { _start = function() end },
        }
      ]])
      local result = poe "--trace sessions one.lua"
      assert.truthy(result.err:find "<ss>")
      assert.falsy(result.err:find "<ev>")
      result = poe "--trace=sessions,events one.lua"
      assert.truthy(result.err:find "<ss>" and result.err:find "<ev>")
      result = poe "--trace sessions --trace events one.lua"
      assert.truthy(result.err:find "<ss>" and result.err:find "<ev>")
      assert_out("", poe "one.lua")
    end)
  end)

  describe("--assert", function()
    it("makes the kernel strict about the topics named", function()
      write_file("strict.lua", [[
        local poe = require "poe"
        poe.session.create {
          inline_states = {
            _start = function(kernel)
              print(pcall(kernel.post, kernel, "nobody", "x"))
            end,
          },
        }
      ]])
      assert.truthy(poe("strict.lua").out:find "^true\tnil\t")
      assert.truthy(poe("--assert retvals strict.lua").out:find "^false\t")
    end)
  end)
end)
