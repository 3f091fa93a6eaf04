-- The bridge to GLib: each script is a GLib program, which has the module
-- glib_program (spec/glib/module.c), and runs in a process of its own.

local helper = require "spec.helper"
local lfs = require "lfs"

local function exists(command)
  return (os.execute(command .. " >/dev/null 2>&1"))
end

local LIB = os.getenv "POE_LIB" or "build/lib"
local HAS_GLIB = lfs.attributes(LIB .. "/poe/loop/glib.so") ~= nil
  and exists "pkg-config --exists glib-2.0 gobject-2.0"
local HAS_GTK = exists "pkg-config --exists gtk+-3.0"
local HAS_XVFB = exists "command -v xvfb-run"

local dir

local function shell(format, ...)
  local pipe = assert(io.popen("exec 2>&1; " .. format:format(...)))
  local output = pipe:read "a"
  local ok = pipe:close()
  assert.is_true(ok, output)
  return output
end

local function run(script, wrapper)
  return helper.run_poe([[
    local poe, program = require "poe", require "glib_program"
    local kernel = poe.kernel
    local function session(states, ...)
      states._start = states._start or function() end
      return poe.session.create { inline_states = states, args = { ... } }
    end
  ]] .. script, {
    interpreter = (wrapper or "") .. " env 'LUA_PATH=lua/?.lua;lua/?/init.lua'" ..
      (" 'LUA_CPATH=%s/?.so;%s/?.so' POE_EVENT_LOOP=glib lua5.4"):format(LIB, dir),
  })
end

local function assert_prints(expected, script, wrapper)
  local status, out, err = run(script, wrapper)
  assert.equal("", err)
  assert.equal(helper.unindent(expected) .. "\n", out)
  assert.equal(0, status)
end

describe("poe.loop.glib", function()
  if not HAS_GLIB then
    pending("is not built: GLib's headers are not installed")
    return
  end

  lazy_setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(lfs.mkdir(dir))
    shell("${CC:-gcc} -shared -fPIC -O0 -g %s -o %s/glib_program.so " ..
      "spec/glib/module.c $(pkg-config --cflags --libs lua5.4 gobject-2.0 %s)",
      HAS_GTK and "-DWITH_GTK" or "", dir, HAS_GTK and "gtk+-3.0" or "")
  end)

  lazy_teardown(function()
    shell("rm -rf %s", dir)
  end)

  it("returns from run at once without sessions, and runs those made later",
    function()
      assert_prints([[
        glib
        run has returned
        made by a timeout
        due
        the session has ended
        back in the program]], [[
        print(kernel:poe_kernel_loop())
        poe.run()
        print "run has returned"
        program.later(1, function()
          print "made by a timeout"
          session {
            _start = function() kernel:delay("due", 0.005) end,
            due = function() print "due" end,
            _stop = function()
              print "the session has ended"
              program.quit()
            end,
          }
        end)
        program.run()
        print "back in the program"
      ]])
    end)

  it("runs GLib's loop until no session is left", function()
    assert_prints([[
      timeout
      due
      run has returned
      again]], [[
      program.later(5, function() print "timeout" end)
      program.later(60000, function() print "too late" end)
      session {
        _start = function() kernel:delay("due", 0.2) end,
        due = function() print "due" end,
      }
      poe.run()
      print "run has returned"
      session { _start = function() print "again" end }
      poe.run()
    ]])
  end)

  it("serves descriptors, signals, children and timers", function()
    assert_prints([[
      readable x
      signal USR1
      child 3]], [[
      local sys = require "poe.sys"
      local read, write = sys.pipe()
      session {
        _start = function()
          kernel:select_read(read, "readable")
          kernel:sig("USR1", "signalled")
          kernel:delay("write", 0.005)
        end,
        write = function() write:write "x" end,
        readable = function()
          print("readable " .. read:read(1))
          kernel:select_read(read)
          kernel:refcount_increment(kernel.session:ID(), "waiting")
          program.later(5, function() sys.kill(sys.getpid(), "USR1") end)
        end,
        signalled = function(_, _, name)
          print("signal " .. name)
          kernel:sig "USR1"
          kernel:refcount_decrement(kernel.session:ID(), "waiting")
          io.stdout:flush()
          local pid = kernel:fork()
          if pid == 0 then os.exit(3) end
          kernel:sig_child(pid, "gone")
        end,
        gone = function(_, _, _, _, status)
          print("child " .. select(2, poe.wait_status(status)))
        end,
      }
      poe.run()
    ]])
  end)

  it("gives the child of a fork a loop of its own", function()
    assert_prints([[
      child: ready, due
      parent: due, gone]], [[
      local sys = require "poe.sys"
      local read, write = sys.pipe()
      session {
        _start = function() kernel:delay("fork", 0.005) end,
        fork = function(_, heap)
          heap.said = {}
          heap.pid = kernel:fork()
          if heap.pid > 0 then
            kernel:delay("due", 0.02)
          else
            kernel:select_read(read, "ready")
            kernel:delay("write", 0.005)
          end
        end,
        write = function() write:write "x" end,
        ready = function(_, heap)
          table.insert(heap.said, "ready")
          kernel:select_read(read)
          kernel:delay("due", 0.005)
        end,
        due = function(_, heap)
          table.insert(heap.said, "due")
          if heap.pid > 0 then
            kernel:sig_child(heap.pid, "gone")
          else
            kernel:yield "gone"
          end
        end,
        gone = function(_, heap)
          if heap.pid > 0 then table.insert(heap.said, "gone") end
          print((heap.pid == 0 and "child: " or "parent: ") ..
            table.concat(heap.said, ", "))
          io.stdout:flush()
        end,
      }
      poe.run()
    ]])
  end)

  it("raises from run what no session has handled", function()
    assert_prints([[
      false	oops
      stopped before]], [[
      local stopped = ""
      session {
        _start = function() kernel:yield "oops" end,
        oops = function() error("oops", 0) end,
        _stop = function() stopped = "stopped before" end,
      }
      print(pcall(poe.run))
      print(stopped)
    ]])
  end)

  it("logs it where there is no run to raise it, and goes on", function()
    local status, out, err = run [[
      session {
        _start = function() kernel:delay("oops", 0.005) end,
        oops = function()
          program.later(5, function()
            print "GLib goes on"
            program.quit()
          end)
          error "oops"
        end,
      }
      program.run()
    ]]
    assert.equal("GLib goes on\n", out)
    assert.truthy(err:find "^poe: event loop 'glib': [^\n]+: oops\n")
    assert.truthy(err:find("event 'oops' of session", 1, true))
    assert.equal(0, status)
  end)

  it("leaves the loop at rest while sessions wait, and after them", function()
    assert_prints([[
      true
      true]], [[
      session {
        _start = function()
          kernel:delay("due", 0.1)
          kernel:sig("USR1", "due")
        end,
        due = function() end,
      }
      print(program.turns(80) < 15)
      poe.run()
      print(program.turns(50) < 15)
    ]])
  end)

  it("refuses a run within a run", function()
    assert_prints("false\tthe kernel is running already", [[
      session {
        _start = function() kernel:yield "again" end,
        again = function() print(pcall(kernel.run, kernel)) end,
      }
      poe.run()
    ]])
  end)

  it("stops all sessions when an object ends, whatever they handle", function()
    assert_prints([[
      UIDESTROY
      stopped
      stopped
      run has returned]], [[
      local object = program.object()
      local states = {
        _start = function()
          kernel:alias_set(tostring(kernel.session))
          kernel:delay("never", 60)
        end,
        signalled = function(_, _, name) print(name) kernel:sig_handled() end,
        _stop = function() print "stopped" end,
      }
      session(states)
      session {
        _start = function()
          states._start()
          kernel:sig("UIDESTROY", "signalled")
          assert(kernel:signal_ui_destroy { _native = object })
        end,
        signalled = states.signalled,
        _stop = states._stop,
      }
      program.later(5, function() program.unref(object) end)
      poe.run()
      print "run has returned"
    ]])
  end)

  it("says what is no widget", function()
    assert_prints("widget expected, got number", [[
      session {
        _start = function()
          local _, message = pcall(kernel.signal_ui_destroy, kernel, 1)
          print(message:match "%((.*)%)$")
        end,
      }
      poe.run()
    ]])
  end)

  it("lets go of objects that outlive the kernel", function()
    assert_prints("still there", [[
      local object = program.object()
      session {
        _start = function()
          kernel:signal_ui_destroy(object)
          kernel:delay("due", 0)
        end,
        due = function() end,
      }
      poe.run()
      require("poe.core").close()
      program.unref(object)
      program.later(5, program.quit)
      program.run()
      print "still there"
    ]])
  end)

  it("stops all sessions when a window of GTK is destroyed", function()
    if not (HAS_GTK and HAS_XVFB) then
      pending("needs GTK 3 and xvfb-run")
      return
    end
    assert_prints([[
      UIDESTROY
      stopped
      run has returned]], [[
      local window = assert(program.window(), "no display")
      session {
        _start = function()
          kernel:sig("UIDESTROY", "signalled")
          kernel:signal_ui_destroy(window)
          kernel:delay("never", 60)
        end,
        signalled = function(_, _, name) print(name) end,
        _stop = function() print "stopped" end,
      }
      program.later(20, function() program.destroy(window) end)
      poe.run()
      print "run has returned"
    ]], "xvfb-run -a")
  end)
end)
