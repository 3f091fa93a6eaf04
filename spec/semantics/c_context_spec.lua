-- What a handler learns from the kernel, at every depth of nested calls and
-- after failures; objects and modules as handlers; options of sessions.

local helper = require "spec.helper"
local poe = require "poe"

local function line_here(level)
  return debug.getinfo(level or 2, "l").currentline
end

describe("C. The context of handlers", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  --- session, event, sender, caller_event: as one line.
  local function context(kernel)
    return ("%s %s <- %s %s"):format(t:name(kernel.session), kernel.event,
      t:name(kernel.sender), tostring(kernel.caller_event))
  end

  it("44 tells the event that was active when this one was sent "
    .. "(C11_caller_state)", function()
    local function show(kernel)
      t:say("  ", tostring(kernel.caller_event))
    end
    t:session("a", {
      _start = function(kernel)
        show(kernel)
        kernel:yield "x"
        kernel:delay("d", 0)
        kernel:sig("FOO", "foo")
      end,
      x = function(kernel)
        show(kernel)
        kernel:post(kernel.session, "y")
        kernel:signal(kernel.session, "FOO")
      end,
      y = show, d = show, foo = show, _stop = show,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
        nil
      a.x <- a
        _start
      a.d <- a
        _start
      a.y <- a
        x
      a.foo <- KERNEL (FOO)
        x
      a._stop <- KERNEL
        nil
      run() returned]]
  end)

  it("44 tells the file and the line it was sent from", function()
    local lines = {}
    local function show(kernel, _, what)
      assert.equal("spec/semantics/c_context_spec.lua", kernel.caller_file)
      assert.equal(lines[what], kernel.caller_line, what)
      t:say(what)
    end
    t:session("a", {
      _start = function(kernel)
        kernel:yield("e", "yield"); lines.yield = line_here()
        kernel:post(kernel.session, "e", "post"); lines.post = line_here()
        kernel:delay("e", 0, "delay"); lines.delay = line_here()
        lines.call = line_here() + 1
        kernel:call(kernel.session, "e", "call")
      end,
      e = show,
    }, { quiet = true })
    t:run()
    t:expect "call\nyield\npost\ndelay\nrun() returned"
  end)

  it("keeps the context right at every depth, and restores it after values, "
    .. "failures and missing handlers", function()
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        kernel:sig("DIE", "handled")
      end,
      y = function(kernel, _, target)
        t:say(context(kernel))
        kernel:call(target, "z", kernel.session)
        t:say(context(kernel))
      end,
      fails = function(kernel)
        t:say(context(kernel))
        error("boom", 0)
      end,
      handled = function(kernel)
        t:say(context(kernel))
        kernel:sig_handled()
        kernel:alias_remove "b"
      end,
    }, { quiet = true })
    t:session("a", {
      _start = function(kernel)
        kernel:yield "x"
      end,
      x = function(kernel)
        t:say(context(kernel))
        kernel:call("b", "y", kernel.session)
        t:say(context(kernel))
        t:say((select(3, kernel:call("b", "fails"))), " ", context(kernel))
        t:say((select(3, kernel:call("b", "nosuch"))), " ", context(kernel))
        t:say((select(3, kernel:call("nobody", "x"))), " ", context(kernel))
        t:say(tostring((pcall(kernel.call, kernel, kernel.session, "fails"))), " ",
          context(kernel))
        t:say(tostring((pcall(kernel.delay, kernel))), " ", context(kernel))
      end,
      z = function(kernel, _, back)
        t:say(context(kernel))
        kernel:call(kernel.session, "w")
        t:say(context(kernel))
        kernel:call(back, "nosuch")
        t:say(context(kernel))
      end,
      w = function(kernel) t:say(context(kernel)) end,
      fails = function(kernel)
        t:say(context(kernel))
        error("boom", 0)
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      a x <- a _start
      b y <- a x
      a z <- b y
      a w <- a z
      a z <- b y
      a z <- b y
      b y <- a x
      a x <- a _start
      b fails <- a x
      EDIED a x <- a _start
      ENOSYS a x <- a _start
      ESRCH a x <- a _start
      a fails <- a x
      false a x <- a _start
      false a x <- a _start
      b handled <- KERNEL nil
      run() returned]]
  end)

  it("is right inside a coroutine of the handler's own", function()
    t:session("a", {
      _start = function(kernel)
        local co = coroutine.wrap(function()
          t:say(context(kernel))
          coroutine.yield()
          kernel:yield "x"
          return kernel:call(kernel.session, "y")
        end)
        co()
        t:say(co())
      end,
      x = function(kernel) t:say(context(kernel)) end,
      y = function(kernel)
        t:say(context(kernel))
        return "from y"
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      a _start <- KERNEL nil
      a y <- a _start
      from y
      a x <- a _start
      run() returned]]
  end)

  it("lets no handler yield to nobody", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("DIE", "died")
        kernel:yield "x"
      end,
      x = function() coroutine.yield() end,
      died = function(kernel, _, _, ex)
        t:say(ex.error_str)
        kernel:sig_handled()
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      attempt to yield in a handler (only a coroutine of its own may yield)
      run() returned]]
  end)

  it("cannot be assigned to, nor can the kernel", function()
    for _, field in ipairs { "session", "sender", "event", "caller_event", "post", "new" } do
      local ok, message = pcall(function() poe.kernel[field] = 1 end)
      assert.is_false(ok)
      assert.truthy(message:find(
        ("attempt to assign to the kernel's field '%s'"):format(field), 1, true))
    end
    assert.is_nil(poe.kernel.no_such_field)
  end)

  describe("object and package states", function()
    it("are methods, looked up when an event is dispatched", function()
      local Class = {}
      Class.__index = Class
      function Class:_start(kernel)
        t:say(self.name, "._start ", kernel.event)
        kernel:yield("list", 1, nil)
        kernel:yield "named"
        kernel:yield "packaged"
        function self.list()
          t:say "replaced"
        end
      end
      function Class.list() t:say "never" end
      function Class:method(kernel, heap)
        t:say(self.name, ".method ", kernel.event, " ", heap)
      end
      package.loaded["spec.package"] = {
        packaged = function(self, kernel, heap)
          t:say(tostring(self == package.loaded["spec.package"]), " ", kernel.event,
            " ", heap)
        end,
      }
      poe.session.create {
        heap = "heap",
        object_states = {
          [setmetatable({ name = "one" }, Class)] = { "_start", "list", named = "method" },
        },
        package_states = { ["spec.package"] = { "packaged" } },
      }
      t:run()
      package.loaded["spec.package"] = nil
      t:expect [[
        one._start _start
        replaced
        one.method named heap
        true packaged heap
        run() returned]]
    end)

    it("fail as handlers do when the method is gone", function()
      local object = { e = print }
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            object.e = nil
            kernel:yield "e"
          end,
        },
        object_states = { [object] = { "e" } },
      }
      t:run()
      assert.truthy(t.lines[1]:find("object has no method 'e'", 1, true), t.lines[1])
    end)
  end)

  describe("47 options", function()
    it("are read and set, the old value returned (C14_option_api)", function()
      local s = t:session("a", {}, { options = { mine = "x", debug = "on" } })
      assert.is_nil((s:option "default"))
      assert.is_nil((s:option("default", "on")))
      assert.is_true(s:option "default")
      assert.is_true(s:option("default", "no"))
      assert.is_false(s:option "default")
      assert.is_false(s:option("default", nil))
      assert.is_nil((s:option "default"))
      assert.equal("x", s:option "mine")
      assert.is_true(s:option "debug")
      s:option("debug", nil)
      t:run()
      assert.equal("ESRCH", (select(3, s:option "mine")))
    end)

    it("trace and debug print (C13_debug_trace_options)", function()
      local status, out, err = helper.run_poe [[
        local poe = require "poe"
        poe.session.create {
          options = { trace = true, debug = true },
          inline_states = {
            _start = function(kernel)
              kernel:state("x", function() end)
              kernel:state("x", function() end)
              kernel:yield "x"
              kernel:yield "zz"
            end,
            _stop = function() end,
            _default = function() end,
          },
        }
        poe.run()]]
      assert.same({ 0, "" }, { status, out })
      err = err:gsub("=== %d+ ===", "==="):gsub("%(from %S+ at", "(from FILE at")
      assert.equal(helper.unindent [[
        === 1 -> _start (from FILE at 2)
        === redefining handler for event(x) for session(1)
        === 1 -> x (from FILE at 8)
        === 1 -> zz (from FILE at 9)
        === 1 -> zz redirected to _default]],
        (err:gsub("\n=== 1 %-> _stop[^\n]*\n$", "")))
      assert.truthy(err:find("=== 1 -> _stop ", 1, true))
    end)
  end)
end)
