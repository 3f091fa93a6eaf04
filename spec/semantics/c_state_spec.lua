-- Section C of the semantics: events that nobody handles, handlers that come
-- and go, and what is there outside of any session.

local helper = require "spec.helper"
local poe = require "poe"

describe("C. States", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("42 sends what is not handled to _default, whose values are the event's "
    .. "(C04_default)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:yield("unknown", 1, "two", nil)
        t:say("values: ", t:format(kernel:call(kernel.session, "unk2", nil)))
      end,
      _default = function(kernel, _, event, args, ...)
        t:say("  ", kernel.event, " ", event, " n=", args.n, " ", select("#", ...))
        return "dret", nil
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._default <- a (unk2, [nil])
        _default unk2 n=1 0
      values: dret, nil
      a._default <- a (unknown, [1, two, nil])
        _default unknown n=3 0
      a._stop <- KERNEL
      run() returned]]
  end)

  it("42 judges when it dispatches, not when it posts; drops silently without "
    .. "_default", function()
    t:session("a", {
      _start = function(kernel)
        kernel:yield "dropped"
        kernel:yield "known later"
        kernel:state("known later", function() t:say "known" end)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      known
      a._stop <- KERNEL
      run() returned]]
  end)

  it("42 warns with the option default, and with ASSERT_STATES "
    .. "(C05_unknown_event_no_default, K05_assert_states)", function()
    local script = [[
      local poe = require "poe"
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            kernel:yield "silent"
            if not arg[1] then
              kernel.session:option("default", true)
            end
            kernel:yield "noisy"
          end,
        },
      }
      poe.run()]]
    local expected = "^=== %d+ === a 'silent' event was sent from %S+ at 5 to session 1 "
      .. "but it has neither a handler for it nor one for _default\n"
      .. "=== %d+ === a 'noisy' event was sent from %S+ at 9 to session 1 "
      .. "but it has neither a handler for it nor one for _default\n$"
    local function warnings(options)
      local status, out, err = helper.run_poe(script, options)
      assert.same({ 0, "" }, { status, out })
      return err
    end
    assert.truthy(warnings():find(expected))
    assert.truthy(warnings {
      arguments = "x", environment = "POE_ASSERT_STATES=1",
    }:find(expected))
    assert.equal("", warnings { arguments = "x" })
  end)

  it("43 changes handlers at once, also for what is queued (C06_state_changes)",
    function()
      t:session("a", {
        _start = function(kernel)
          kernel:yield("x", 1)
          kernel:yield("y", 2)
          kernel:state("y", function(_, _, i) t:say("new handler (", i, ")") end)
          kernel:state "x"
        end,
        x = true, y = true, _default = true,
      })
      t:run()
      t:expect [[
        a._start <- KERNEL
        a._default <- a (x, [1])
        new handler (2)
        a._stop <- KERNEL
        run() returned]]
    end)

  it("43 replaces the running handler from its next dispatch "
    .. "(C07_replace_running_handler)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:yield "x"
        kernel:yield "x"
      end,
      x = function(kernel)
        kernel:state("x", function() t:say "second version" end)
        t:say "first version goes on"
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.x <- a
      first version goes on
      second version
      a._stop <- KERNEL
      run() returned]]
  end)

  it("43 takes methods of objects and of modules", function()
    local object = { name = "object" }
    function object:greet(kernel, heap, i)
      t:say(self.name, " ", kernel.event, " ", heap.mark, " ", i)
    end
    object.hello = object.greet
    package.loaded["spec.greeter"] = { name = "module", greet = object.greet }
    t:session("a", {
      _start = function(kernel, heap)
        heap.mark = "heap"
        kernel:state("hello", object)
        kernel:yield("hello", 1)
        kernel:state("other", object, "greet")
        kernel:yield("other", 2)
        kernel:state("third", "spec.greeter", "greet")
        kernel:yield("third", 3)
      end,
    }, { quiet = true })
    t:run()
    package.loaded["spec.greeter"] = nil
    t:expect [[
      object hello heap 1
      object other heap 2
      module third heap 3
      run() returned]]
  end)

  it("45 takes its own event names as ordinary events when posted "
    .. "(C12_post_internal_names)", function()
    t:session("a", {
      _start = function(kernel, heap)
        if not heap.again then
          heap.again = true
          kernel:yield "_start"
          kernel:yield "_stop"
          kernel:yield("_child", "x")
          kernel:yield("_parent", "y")
        end
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._start <- a
      a._stop <- a
      a._child <- a (x)
      a._stop <- KERNEL
      run() returned]]
  end)

  -- POE: a silent sink.
  it("46 raises outside of any session (C08_yield_outside_session, W10)", function()
    local needs = {
      yield = { "x" }, alarm = { "x", 1 }, alarm_add = { "x", 1 }, alarm_set = { "x", 1 },
      alarm_adjust = { 1, 1 }, alarm_remove = { 1 }, alarm_remove_all = {},
      delay = { "x", 1 }, delay_add = { "x", 1 }, delay_set = { "x", 1 },
      delay_adjust = { 1, 1 }, alias_set = { "x" }, alias_remove = { "x" },
      sig = { "INT", "x" }, sig_child = { 1, "x" }, state = { "x", print },
      select = { 0, "x" }, select_read = { 0, "x" }, select_write = { 0, "x" },
      select_expedite = { 0, "x" }, select_pause_read = { 0 }, select_resume_read = { 0 },
      select_pause_write = { 0 }, select_resume_write = { 0 },
      detach_myself = {}, detach_child = { 1 },
    }
    for method, args in pairs(needs) do
      local ok, message = pcall(function()
        poe.kernel[method](poe.kernel, table.unpack(args))
      end)
      assert.is_false(ok, method)
      assert.equal(("kernel:%s needs a running session"):format(method),
        message:match ":%d+: (.*)$")
    end
    assert.equal(0, poe.kernel:get_event_count())
  end)

  it("46 has the kernel as session and sender there, and no event", function()
    local kernel = poe.kernel
    assert.equal(kernel, kernel.session)
    assert.equal(kernel, kernel:get_active_session())
    assert.equal(kernel, kernel.sender)
    assert.equal("", kernel.event)
    assert.equal("", kernel:get_active_event())
    assert.is_nil(kernel.caller_event)
    assert.is_nil(kernel.caller_file)
    assert.is_nil(kernel.caller_line)
  end)
end)
