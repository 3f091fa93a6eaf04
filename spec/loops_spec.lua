-- Event loops: which one is chosen, what every bridge must do, and what lives
-- beside sessions on the loops that others share.

local Loops = require "poe.test.loops"
local helper = require "spec.helper"

local NEEDS = {
  luv = function() return package.searchpath("luv", package.cpath) end,
  cqueues = function() return package.searchpath("cqueues", package.path) end,
  glib = function()
    return package.searchpath("poe.loop.glib",
      "build/lib/?.so;" .. package.cpath)
  end,
  luasocket = function() return package.searchpath("socket", package.path) end,
}

local function has(loop)
  return not NEEDS[loop] or NEEDS[loop]()
end

-- it, where what the loop needs is installed.
local function it_on(loop, title, body)
  if has(loop) then
    it(title, body)
  else
    pending(title .. " (" .. loop .. " is not installed)")
  end
end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function write_file(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function on(loop)
  return { environment = "POE_EVENT_LOOP=" .. loop }
end

-- The script fails, and says all of these.
local function assert_fails(script, options, ...)
  local status, _, err = helper.run_poe(script, options)
  assert.equal(1, status)
  for _, text in ipairs { ... } do
    assert.is_truthy(err:find(text, 1, true), err)
  end
end

local dir -- for bridges of the specs

-- A bridge that does nothing, but for these lines; its environment.
local function make_bridge(name, lines)
  write_file(dir .. "/poe/loop/" .. name .. ".lua", [[
    local Bridge = {}
    function Bridge.loop_initialize() end
    function Bridge.loop_do_timeslice() end
    function Bridge.loop_watch_filehandle() end
    function Bridge.loop_ignore_filehandle() end
    ]] .. lines .. "\nreturn Bridge\n")
  return { environment = ("POE_EVENT_LOOP=%s LUA_PATH='%s/?.lua;;'")
    :format(name, dir) }
end

describe("event loops", function()
  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir -p " .. dir .. "/poe/loop"))
  end)

  teardown(function()
    os.execute("rm -rf " .. dir)
  end)

  for _, loop in ipairs { "uv", "poll", "select", "luv", "cqueues", "glib" } do
    describe(loop, function()
      for _, name in ipairs(Loops.names()) do
        it_on(loop, name, function()
          local ok, output = Loops.run_one(loop, name)
          assert.is_true(ok, output)
        end)
      end
    end)
  end

  describe("are chosen", function()
    local TELL = 'print(require "poe".kernel:poe_kernel_loop())'

    it("as uv by default", function()
      helper.assert_prints("uv", TELL)
    end)

    for _, loop in ipairs { "luv", "cqueues" } do
      it_on(loop, "by what is loaded: " .. loop, function()
        helper.assert_prints(loop, ("require %q %s"):format(loop, TELL))
      end)
    end

    it_on("luv", "by the environment, whatever is loaded or configured", function()
      helper.assert_prints("poll", [[
        require "luv"
        require "poe".configure { loop = "select" }
      ]] .. TELL, on "poll")
    end)

    it_on("luv", "by configure, whatever is loaded", function()
      helper.assert_prints("select", [[
        require "luv"
        require "poe".configure { loop = "select" }
      ]] .. TELL)
    end)

    it_on("luv", "not by what is loaded after poe", function()
      helper.assert_prints("uv", 'require "poe" require "luv" ' .. TELL)
    end)

    it("not when two are loaded, which is an error naming both", function()
      assert_fails([[
        package.loaded.luv, package.loaded.cqueues = {}, {}
        require "poe"
      ]], nil, "'luv'", "'cqueues'", "POE_EVENT_LOOP")
    end)

    it("of two that are loaded, by the environment", function()
      helper.assert_prints("uv", [[
        package.loaded.luv, package.loaded.cqueues = {}, {}
      ]] .. TELL, on "uv")
    end)

    it("not under an unknown name", function()
      assert_fails('require "poe"', on "nonesuch",
        "POE_EVENT_LOOP: unknown event loop 'nonesuch'", "uv, poll, select")
      assert_fails('require "poe".configure { loop = "nonesuch" }', nil,
        ":1: configure: unknown event loop 'nonesuch'")
    end)

    it("not once a session is there, which is an error naming both", function()
      assert_fails([[
        local poe = require "poe"
        poe.session.create { inline_states = { _start = function() end } }
        poe.configure { loop = "poll" }
      ]], nil, ":3: configure: too late for event loop 'poll': 'uv' is in use")
    end)

    it("again as they are, at any time", function()
      helper.assert_prints("uv", [[
        local poe = require "poe"
        poe.session.create { inline_states = { _start = function() end } }
        poe.configure { loop = "uv" }
      ]] .. TELL)
    end)

    it("not if the module is broken, and its error is told", function()
      write_file(dir .. "/poe/loop/broken.lua", "error 'out of order'")
      assert_fails('require "poe"',
        { environment = "POE_EVENT_LOOP=broken LUA_PATH='" .. dir .. "/?.lua;;'" },
        "POE_EVENT_LOOP: event loop 'broken': ", "out of order")
    end)

    it("not if the module is no bridge", function()
      write_file(dir .. "/poe/loop/number.lua", "return 1")
      write_file(dir .. "/poe/loop/half.lua", "return {}")
      for name, message in pairs {
        number = "event loop 'number': module poe.loop.number is no bridge",
        half = "event loop 'half': its bridge has no method 'loop_initialize'",
      } do
        assert_fails('require "poe"', { environment =
          ("POE_EVENT_LOOP=%s LUA_PATH='%s/?.lua;;'"):format(name, dir) }, message)
      end
    end)
  end)

  describe("dispatch in one order", function()
    local SCRIPT = [[
      local poe, sys = require "poe", require "poe.sys"
      local ends, names = {}, {}
      local quiet, keep = sys.pipe() -- the loop is asked while it is watched
      for i = 1, 3 do
        local a, b = sys.socketpair()
        ends[i], names[a] = a, i
        b:write "x"
        ends[-i] = b
      end
      local function session(name)
        poe.session.create { inline_states = {
          _start = function(kernel)
            for i = 3, 1, -1 do kernel:select(ends[i], "ready", "ready") end
            kernel:select_read(quiet, "never")
            kernel:sig("USR1", "signalled")
            kernel:delay("timer", 0.02)
            kernel:delay("timer_too", 0.02)
            kernel:yield("posted", 1)
          end,
          ready = function(kernel, _, socket, mode)
            print(name, "ready", names[socket], mode)
            if mode == 0 then kernel:select_read(socket)
            else kernel:select_write(socket) end
            kernel:yield("from_ready", names[socket])
          end,
          from_ready = function(_, _, i) print(name, "from_ready", i) end,
          posted = function(kernel, _, n)
            print(name, "posted", n)
            if n == 1 and name == "a" then sys.kill(sys.getpid(), "USR1") end
            if n < 3 then kernel:yield("posted", n + 1) end
          end,
          signalled = function() print(name, "signalled") end,
          timer = function() print(name, "timer") end,
          timer_too = function(kernel)
            print(name, "timer too")
            kernel:select_read(quiet)
          end,
          _stop = function() print(name, "stop") end,
        } }
      end
      session "a"
      session "b"
      poe.run()
      keep:close()
    ]]
    local expected

    setup(function()
      local _, out = helper.run_virtual(SCRIPT, on "uv")
      expected = out
      assert.is_truthy(out:find("b\tstop\na\tstop\n$"), out)
    end)

    for _, loop in ipairs { "poll", "select", "luv", "cqueues" } do
      it_on(loop, "on " .. loop .. " as on uv", function()
        local _, out, err = helper.run_virtual(SCRIPT, on(loop))
        assert.equal(expected, out .. err)
      end)
    end
  end)

  it("select refuses descriptors from FD_SETSIZE on, and says so", function()
    helper.assert_prints([[
      false
      EMFILE: the loop 'select' cannot watch descriptor 1030: it is not below FD_SETSIZE (1024)
      EMFILE
      1023 is watched
    ]], [[
      local poe, sys = require "poe", require "poe.sys"
      local read, write = sys.pipe()
      write:write "x"
      poe.session.create { inline_states = {
        _start = function(kernel)
          sys.dup2(read, 1030)
          sys.dup2(read, 1023)
          local ok, message, code = kernel:select_read(1030, "readable")
          print(not not ok)
          print(message)
          print(code)
          kernel:select_read(1023, "readable")
        end,
        readable = function(kernel, _, fd)
          print(fd .. " is watched")
          kernel:select_read(fd)
        end,
      } }
      poe.run()
    ]], { environment = "POE_EVENT_LOOP=select" })
  end)

  describe("in Lua", function()
    it_on("luasocket", "can be the skeleton in doc/loops.md", function()
      local skeleton = read_file("doc/loops.md"):match
        "```lua\n(%-%- poe/loop/luasocket%.lua.-)```"
      local _, lines = skeleton:gsub("\n", "")
      assert.equal(40, lines)
      write_file(dir .. "/poe/loop/luasocket.lua", skeleton)
      local path = package.path
      package.path = dir .. "/?.lua;" .. path
      local failed = {}
      for _, name in ipairs(Loops.names()) do
        if name ~= "what is urgent is expedited" -- it would wait for ever
          and not Loops.run_one("luasocket", name) then
          failed[#failed + 1] = name
        end
      end
      package.path = path
      assert.same(
        { "a descriptor closed behind our back neither spins nor speaks" }, failed)
    end)

    local DELAY = [[
      local poe = require "poe"
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:delay("late", 0.01) end,
        late = function() print "late" end,
      } }
      print(pcall(poe.run))
    ]]

    it("raise from run with their name", function()
      local options = make_bridge("failing",
        "function Bridge.loop_do_timeslice() error 'no turn' end")
      local status, out = helper.run_poe(DELAY, options)
      assert.equal(0, status)
      assert.is_truthy(out:find("^false\tevent loop 'failing': [^\n]*no turn\n"), out)
    end)

    it("raise from run what failed while nothing could be raised", function()
      local status, out = helper.run_poe([[
        local poe, sys = require "poe", require "poe.sys"
        local read = sys.pipe()
        poe.session.create { inline_states = {
          _start = function(kernel)
            kernel:select_read(read, "readable")
            kernel:delay("late", 0.01)
          end,
          late = function(kernel) kernel:select_read(read) end,
        } }
        print(pcall(poe.run))
      ]], make_bridge("stubborn",
        "function Bridge.loop_ignore_filehandle() error 'never' end"))
      assert.equal(0, status)
      assert.is_truthy(out:find("^false\tevent loop 'stubborn': [^\n]*never\n"), out)
    end)

    it("raise from create what failed at the beginning", function()
      assert_fails([[
        require "poe".session.create { inline_states = { _start = print } }
      ]], make_bridge("unready",
        "function Bridge.loop_initialize() return nil, 'not ready' end"),
        "event loop 'unready': loop_initialize: not ready")
    end)

    it("need not wait at all", function()
      helper.assert_prints("late\ntrue", DELAY, make_bridge("idle", ""))
    end)

    -- Unless it has come already: on a busy machine, now and then.
    it("are told the time", function()
      local bridge = make_bridge("timed", [[
        local function tell(name)
          Bridge[name] = function(_, seconds)
            assert(not seconds or seconds >= 0 and seconds <= 0.01)
            io.write(name, "\n")
            Bridge[name] = function() end
          end
        end
        tell "loop_resume_time_watcher"
        tell "loop_reset_time_watcher"
        tell "loop_halt"
      ]])
      local status, out
      for _ = 1, 20 do
        status, out = helper.run_poe(DELAY, bridge)
        assert.equal(0, status)
        assert.matches("late\nloop_halt\ntrue\n$", out)
        if out:find "^loop_resume.*loop_reset" then break end
      end
      assert.equal("loop_resume_time_watcher\nloop_reset_time_watcher\n"
        .. "late\nloop_halt\ntrue\n", out)
    end)

    it("run the kernel themselves if they like", function()
      helper.assert_prints("begin\nlate\nhalt\nend\ntrue", DELAY,
        make_bridge("own", [[
          function Bridge.loop_run(_, slice)
            print "begin"
            while slice() do end
            print "end"
          end
          function Bridge.loop_halt() print "halt" end
        ]]))
    end)

    it("tell the end of a widget", function()
      helper.assert_prints([[
        true
        UIDESTROY
        stop
      ]], [[
        local poe = require "poe"
        local widget = {}
        poe.session.create { inline_states = {
          _start = function(kernel)
            kernel:sig("UIDESTROY", "gone")
            print(kernel:signal_ui_destroy(widget))
            kernel:delay("destroy", 0.01)
            kernel:delay("never", 1000)
          end,
          destroy = function() widget.destroy() end,
          gone = function(_, _, name) print(name) end,
          _stop = function() print "stop" end,
        } }
        poe.run()
      ]], make_bridge("ui", [[
        function Bridge.loop_attach_uidestroy(_, widget, destroyed)
          widget.destroy = destroyed
        end
      ]]))
    end)
  end)

  describe("shared with luv", function()
    it_on("luv", "turn its timers and streams beside sessions", function()
      helper.assert_prints([[
        stream	hello
        posted	from luv
        true
      ]], [[
        local uv = require "luv"
        local poe = require "poe"
        local ticks, timer = 0, uv.new_timer()
        timer:start(1, 1, function() ticks = ticks + 1 end)
        local fds = uv.socketpair()
        local a, b = uv.new_tcp(), uv.new_tcp()
        a:open(fds[1])
        b:open(fds[2])
        poe.session.create { inline_states = {
          _start = function(kernel)
            local post = kernel.session:postback "posted"
            b:read_start(function(_, data)
              print("stream", data)
              b:close()
              post "from luv"
            end)
            a:write "hello"
            kernel:delay("late", 0.05)
            kernel:yield "spin"
          end,
          spin = function(kernel, heap)
            if not heap.late then kernel:yield "spin" end
          end,
          posted = function(_, _, _, args) print("posted", args[1]) end,
          late = function(kernel, heap)
            heap.late = ticks > 5 -- a loaded machine takes its time
            if not heap.late then kernel:delay("late", 0.05) end
          end,
        } }
        poe.run()
        print(ticks > 5)
      ]])
    end)

    it_on("luv", "end run with the last session, whatever is active", function()
      helper.assert_prints("done", [[
        local uv = require "luv"
        local poe = require "poe"
        uv.new_timer():start(1000000, 0, function() end)
        poe.session.create { inline_states = {
          _start = function(kernel) kernel:delay("late", 0.01) end,
          late = function() print "done" end,
        } }
        poe.run()
      ]])
    end)

    it_on("luv", "wait for luv while a postback is out", function()
      helper.assert_prints("posted\nstop", [[
        local uv = require "luv"
        local poe = require "poe"
        poe.session.create { inline_states = {
          _start = function(kernel)
            local post, timer = kernel.session:postback "posted", uv.new_timer()
            timer:start(30, 0, function()
              post()
              post:close()
              timer:close()
            end)
          end,
          posted = function() print "posted" end,
          _stop = function() print "stop" end,
        } }
        poe.run()
      ]])
    end)

    it_on("luv", "leave its signals and processes alone", function()
      helper.assert_prints("ended\t3\nsession\t4", [[
        local uv = require "luv"
        local poe, sys = require "poe", require "poe.sys"
        poe.session.create { inline_states = {
          _start = function(kernel)
            local both = kernel.session:postback "ended"
            local process
            process = uv.spawn("sh", { args = { "-c", "exit 3" } }, function(code)
              print("ended", code)
              process:close()
              both()
              both:close()
            end)
          end,
          ended = function(kernel)
            local pid = kernel:fork()
            if pid == 0 then sys._exit(4) end
            kernel:sig_child(pid, "mine")
          end,
          mine = function(_, _, _, _, status)
            print("session", select(2, poe.wait_status(status)))
          end,
        } }
        poe.run()
      ]])
    end)

    it_on("luv", "refuse run inside its callbacks", function()
      helper.assert_prints("false\ttrue", [[
        local uv = require "luv"
        local poe = require "poe"
        poe.session.create { inline_states = {
          _start = function(kernel)
            local post = kernel.session:postback "done"
            uv.new_timer():start(1, 0, function()
              local ok, message = pcall(poe.run)
              print(ok, message:find "running already" ~= nil)
              post()
              post:close()
            end)
          end,
          done = function() end,
        } }
        poe.run()
      ]])
    end)
  end)

  describe("shared with cqueues", function()
    it_on("cqueues", "step the coroutines of their controller", function()
      helper.assert_prints("coroutine\t3\nposted\tfrom a coroutine", [[
        local cqueues = require "cqueues"
        local poe = require "poe"
        poe.session.create { inline_states = {
          _start = function(kernel)
            local post = kernel.session:postback "posted"
            require "poe.loop.cqueues".controller:wrap(function()
              for _ = 1, 3 do cqueues.sleep(0.005) end
              print("coroutine", 3)
              post "from a coroutine"
              post:close()
            end)
          end,
          posted = function(_, _, _, args) print("posted", args[1]) end,
        } }
        poe.run()
      ]])
    end)

    it_on("cqueues", "raise from run what a coroutine raises", function()
      local _, out = helper.run_poe([[
        require "cqueues"
        local poe = require "poe"
        require "poe.loop.cqueues".controller:wrap(function() error "oops" end)
        poe.session.create { inline_states = {
          _start = function(kernel) kernel:delay("late", 1) end,
          late = function() end,
        } }
        print(pcall(poe.run))
        poe.kernel:stop()
      ]])
      assert.is_truthy(out:find("^false\tevent loop 'cqueues': [^\n]*oops\n"), out)
    end)

    it_on("cqueues", "live in a controller of the program's own", function()
      helper.assert_prints([[
        coroutine posts	true
        got	hello
        read	bytes
        run returned
        true
      ]], [[
        local cqueues = require "cqueues"
        local poe, sys = require "poe", require "poe.sys"
        local read, write = sys.pipe()
        local mine, counted = cqueues.new(), 0
        poe.session.create { inline_states = {
          _start = function(kernel)
            kernel:alias_set "server"
            kernel:select_read(read, "readable")
          end,
          hello = function(kernel, _, text)
            print("got", text)
            kernel:delay("write", 0.02)
          end,
          write = function() write:write "bytes" end,
          readable = function(kernel, _, pipe)
            print("read", pipe:read(10))
            kernel:select_read(pipe)
          end,
        } }
        mine:wrap(function()
          poe.run()
          print "run returned"
        end)
        mine:wrap(function()
          cqueues.sleep(0.02)
          print("coroutine posts", poe.kernel:post("server", "hello", "hello"))
        end)
        mine:wrap(function()
          for _ = 1, 5 do
            cqueues.sleep(0.002)
            counted = counted + 1
          end
        end)
        assert(mine:loop())
        print(counted == 5)
      ]])
    end)

    it_on("cqueues", "raise a session's error in the coroutine that runs", function()
      helper.assert_prints("false\ttrue\nagain", [[
        local cqueues = require "cqueues"
        local poe = require "poe"
        local mine, value = cqueues.new(), {}
        local function session(event)
          poe.session.create { inline_states = {
            _start = function(kernel) kernel:delay(event, 0.01) end,
            fail = function() error(value) end,
            go = function() print "again" end,
          } }
        end
        mine:wrap(function()
          session "fail"
          local ok, err = pcall(poe.run)
          print(ok, err == value)
          session "go"
          poe.run()
        end)
        assert(mine:loop())
      ]])
    end)
  end)
end)
