-- Errors of every kind of value, in every place where code of the program may
-- run: nothing crashes, nothing is swallowed, the value arrives as raised.

local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

local function session(states)
  states._start = states._start or function() end
  return poe.session.create { inline_states = states }
end

--- What run raises when a handler raises this.
local function raised(value)
  session {
    _start = function() kernel:yield "fail" end,
    fail = function() error(value, 0) end,
  }
  return select(2, pcall(poe.run))
end

--- The exception that DIE carries.
local function exception(value)
  local ex
  session {
    _start = function()
      kernel:sig("DIE", "died")
      kernel:yield "fail"
    end,
    fail = function() error(value, 0) end,
    died = function(_, _, _, given)
      ex = given
      kernel:sig_handled()
    end,
  }
  poe.run()
  return ex
end

describe("An error value", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("may be nil", function()
    assert.is_nil(raised(nil))
    local ex = exception(nil)
    assert.is_nil(ex.error)
    assert.equal("nil", ex.error_str)
  end)

  it("may be anything, and arrives as it is", function()
    local co = coroutine.create(print)
    for _, value in ipairs { false, 0, 1.5, {}, print, co, io.stdout,
      kernel } do
      assert.equal(value, raised(value))
      local ex = exception(value)
      assert.equal(value, ex.error)
      assert.equal("string", type(ex.error_str))
      assert.equal("string", type(ex.traceback))
      assert.equal("fail", ex.event)
    end
  end)

  it("may say itself what it is", function()
    local value = setmetatable({}, { __tostring = function() return "me" end })
    assert.equal(value, raised(value))
    assert.equal("me", exception(value).error_str)
  end)

  it("may fail to say what it is", function()
    for _, f in ipairs { function() error "again" end, function() return 1 end,
      function() return nil end, function() coroutine.yield() end } do
      local value = setmetatable({}, { __tostring = f })
      assert.equal(value, raised(value))
      assert.equal("string", type(exception(value).error_str))
    end
  end)

  it("may stop the kernel while it is made a text", function()
    local value = setmetatable({}, {
      __tostring = function()
        kernel:stop()
        return "stopped"
      end,
    })
    session {
      _start = function() kernel:yield "fail" end,
      fail = function() error(value) end,
    }
    assert.equal(value, select(2, pcall(poe.run)))
  end)

  it("may hold every byte, and a lot of them", function()
    local text = "a\0b\255" .. ("x"):rep(1000000)
    assert.equal(text, raised(text))
    assert.equal(text, exception(text).error_str)
  end)

  it("may come from a closing variable; the first is what is reported", function()
    session {
      _start = function() kernel:yield "fail" end,
      fail = function()
        local _ <close> = setmetatable({}, { __close = function()
          error("closing", 0)
        end })
        kernel:yield "never"
      end,
    }
    assert.equal("closing", select(2, pcall(poe.run)))
  end)

  it("closes the variables of the handler that failed", function()
    local seen = {}
    local pb
    session {
      _start = function() kernel:yield "fail" end,
      fail = function()
        pb = kernel.session:postback "x"
        local _ <close> = pb
        local _ <close> = setmetatable({}, { __close = function(_, why)
          seen[#seen + 1] = why
          seen[#seen + 1] = kernel.event
        end })
        error("failed", 0)
      end,
    }
    assert.equal("failed", select(2, pcall(poe.run)))
    assert.same({ "failed", "fail" }, seen)
    assert.error_matches(pb, "closed postback")
  end)

  it("of a finalizer only warns; the program goes on", function()
    local status, out, err = helper.run_poe([[
      warn "@on"
      local poe = require "poe"
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            local pb = kernel.session:postback "x"
            setmetatable({}, { __gc = function() error "final" end })
            pb = nil
            collectgarbage()
            kernel:yield "on"
          end,
          on = function() print "on" end,
        },
      }
      poe.run()]])
    assert.equal(0, status)
    assert.equal("on\n", out)
    assert.matches("warning.*__gc.*final", err)
  end)
end)

describe("A handler that yields", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("fails with a clear error, and leaves nothing", function()
    session {
      _start = function() kernel:yield "wait" end,
      wait = function() coroutine.yield(1, 2, 3) end,
    }
    assert.matches("attempt to yield in a handler",
      select(2, pcall(poe.run)))
  end)
end)

describe("Closing", function()
  local function prints(expected, script)
    helper.assert_prints(expected, [[
      local poe, core = require "poe", require "poe.core"
      local kernel = poe.kernel
      local function session(states)
        states._start = states._start or function() end
        return poe.session.create { inline_states = states }
      end
    ]] .. script, { interpreter = "lua5.4" })
  end

  it("the kernel ends everything without a word; then all of it raises", function()
    prints("true", [[
      local s = session {
        _start = function()
          kernel:alias_set "x"
          kernel:delay("d", 3600)
          kernel:sig("USR1", "u")
          kernel:select_read(0, "r")
          kernel:yield("y", {}, "args")
        end,
        _stop = function() print "stop" end,
      }
      local pb, cb = s:postback "x", s:callback "x"
      core.close()
      core.close()
      for name, method in pairs(getmetatable(kernel).__index) do
        local ok, message = pcall(method, kernel, s, "x", 1)
        assert(not ok and message:find "the kernel is closed", name)
      end
      for _, f in ipairs { poe.time, poe.run, pb, cb,
        function() poe.session.create { inline_states = {} } end,
        function() poe.configure {} end,
        function() return s:get_heap() end,
        function() return s:option "x" end,
        function() return s:postback "x" end,
        function() return kernel.session end } do
        local ok, message = pcall(f)
        assert(not ok and message:find "the kernel is closed")
      end
      assert(s:ID() == 1 and tostring(s) == "session 1")
      assert(tostring(kernel) == "kernel (closed)")
      assert(poe.type(kernel) == "kernel")
      pb:weaken()
      pb:close()
      pb, cb = nil, nil
      collectgarbage()
      print(true)]])
  end)

  it("the kernel is refused while a handler runs", function()
    prints([[
      false
      end]], [[
      session {
        _start = function() kernel:yield "x" end,
        x = function() print((pcall(core.close))) end,
      }
      poe.run()
      print "end"]])
  end)

  it("the kernel is refused in a slice, also when no handler runs", function()
    helper.assert_prints([[
      close: the kernel is running
      end]], [[
      local poe, core = require "poe", require "poe.core"
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            collectgarbage "stop" -- so that it collects when nothing is left
            setmetatable({ kernel.session:postback "x" }, {
              __gc = function() print(select(2, pcall(core.close))) end,
            })
          end,
        },
      }
      poe.run()
      core.close()
      print "end"]])
  end)

  it("the kernel leaves the host nothing to run", function()
    local status, out, err = helper.run_poe [[
      require "poe"
      require("poe.core").close()
      print "closed"]]
    assert.equal("", err)
    assert.equal("closed\n", out)
    assert.equal(0, status)
  end)

  it("the state with everything pending is silent", function()
    prints("end", [[
      kept = session {
        _start = function()
          pb = kernel.session:postback("x", {})
          kernel:alias_set "x"
          kernel:delay("d", 3600, {})
          kernel:sig("USR1", "u", {})
          kernel:sig("CHLD", "u", {})
          kernel:select_read(0, "r", {})
          kernel:refcount_increment(kernel.session:ID(), "tag")
          for i = 1, 1000 do kernel:yield("y", {}, tostring(i)) end
        end,
        _stop = function() print "stop" end,
      }
      print "end"]])
  end)

  it("the state with finalizers that use the kernel", function()
    prints("end", [[
      early = setmetatable({}, { __gc = function() kernel:stop() end })
      session { _start = function() kernel:alias_set "x" end }
      late = setmetatable({}, { __gc = function()
        kernel:post("x", "y")
        kernel:stop()
        poe.run()
      end })
      print "end"]])
  end)

  it("the state from inside a handler", function()
    prints("leaving", [[
      session {
        _start = function() kernel:yield "x" end,
        x = function()
          kernel:call(kernel.session, "y")
        end,
        y = function()
          print "leaving"
          os.exit(0, true)
        end,
        _stop = function() print "stop" end,
      }
      poe.run()]])
  end)
end)
