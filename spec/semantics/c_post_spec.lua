-- Section C of the semantics: post, yield and call, their destinations and
-- their values.

local helper = require "spec.helper"
local poe = require "poe"

describe("C. post, call, yield", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("37 returns true from post, nothing from yield, ESRCH for the unknown "
    .. "(C03_post_returns)", function()
    t:session("a", {
      _start = function(kernel)
        local me = kernel.session
        t:say("post: ", t:format(kernel:post(me, "x")))
        t:say("yield: ", select("#", kernel:yield "x"))
        t:say("bad: ", t:format(kernel:post("zzz", "x")))
        t:say("by ID: ", t:format(kernel:post(me:ID(), "x")))
        t:say("by text: ", t:format(kernel:post(tostring(me), "x")))
        kernel:alias_set "me"
        t:say("by alias: ", t:format(kernel:post("me", "x")))
        t:say("by text with alias: ", t:format(kernel:post(tostring(me), "x")))
        kernel:alias_remove "me"
      end,
      x = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      post: true
      yield: 0
      bad: nil, ESRCH: no such session: zzz, ESRCH
      by ID: true
      by text: true
      by alias: true
      by text with alias: true
      a.x <- a
      a.x <- a
      a.x <- a
      a.x <- a
      a.x <- a
      a.x <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  -- POE: an alias that looks like an ID is shadowed by it.
  it("38 takes an integer for an ID and a string for an alias, first of all "
    .. "(F03_alias_shadowed_by_id, W9)", function()
    local a, b
    a = t:session("a", {
      _start = function(kernel)
        kernel:alias_set(tostring(kernel.session:ID() + 1))
      end,
      x = true,
    })
    b = t:session("b", { x = true })
    local id = b:ID()
    local kernel = poe.kernel
    assert.equal(a, kernel:alias_resolve(tostring(id)))
    assert.equal(b, kernel:alias_resolve(id))
    assert.equal(b, kernel:alias_resolve(id + 0.0))
    assert.equal("ESRCH", (select(3, kernel:alias_resolve(tostring(a:ID())))))
    t:run()
  end)

  it("38 takes an alias before the text of a session", function()
    local b = t:session("b", {})
    local a = t:session("a", {
      _start = function(kernel) kernel:alias_set(tostring(b)) end,
    })
    assert.equal(a, poe.kernel:alias_resolve(tostring(b)))
    t:run()
  end)

  it("38 raises for what can be no destination", function()
    local function refuses(message, dest)
      for _, method in ipairs { "post", "call", "signal" } do
        local call = load(("local kernel, dest = ...; kernel:%s(dest, 'x')"):format(method), "=")
        local ok, got = pcall(call, poe.kernel, dest)
        assert.is_false(ok)
        assert.equal(":1: " .. message:format(method), got)
      end
    end
    refuses "bad argument #1 to '%s' (session, ID or alias expected, got nil)"
    refuses("bad argument #1 to '%s' (session, ID or alias expected, got table)", {})
    refuses("bad argument #1 to '%s' (session ID has no integer value)", 1.5)
    assert.equal("ESRCH", (select(3, poe.kernel:post(0, "x"))))
    assert.equal("ESRCH", (select(3, poe.kernel:post(-1, "x"))))
    assert.equal("ESRCH", (select(3, poe.kernel:post(math.maxinteger, "x"))))
    assert.equal("ESRCH", (select(3, poe.kernel:post("", "x"))))
  end)

  it("39 returns all values of the called handler (C02_call_returns)", function()
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        kernel:delay("e", 0.005)
      end,
      e = function(kernel) kernel:alias_remove "b" end,
      list = function() return 1, nil, 3, nil end,
      none = function() end,
      echo = function(_, _, ...) return ... end,
    }, { quiet = true })
    t:session("a", {
      _start = function(kernel)
        t:say("list: ", t:format(kernel:call("b", "list")))
        t:say("none: ", select("#", kernel:call("b", "none")))
        t:say("echo: ", t:format(kernel:call("b", "echo", nil, 1, nil)))
        local many = table.pack(kernel:call("b", "echo", table.unpack({}, 1, 5000)))
        t:say("many: ", many.n)
        t:say("unknown event: ", t:format(kernel:call("b", "nosuch")))
        t:say("unknown session: ", t:format(kernel:call("nobody", "x")))
      end,
    })
    t:run()
    local text = table.concat(t.lines, "\n"):gsub("session %d+", "session N")
    assert.equal(helper.unindent [[
      a._start <- KERNEL
      list: 1, nil, 3, nil
      none: 0
      echo: nil, 1, nil
      many: 5000
      unknown event: nil, ENOSYS: session N "b" has no handler for 'nosuch', ENOSYS
      unknown session: nil, ESRCH: no such session: nobody, ESRCH
      a._stop <- KERNEL
      run() returned]], text)
  end)

  it("39 hands arguments and values over as they are "
    .. "(C10_return_poe_object_stringified, W8)", function()
    local values = { {}, print, 1.0, "s" }
    local b = t:session("b", {
      me = function(kernel) return kernel.session, kernel end,
      echo = function(_, _, ...) return ... end,
    }, { quiet = true })
    t:session("a", {
      _start = function(kernel)
        local session, same_kernel = kernel:call(b, "me")
        assert.equal(b, session)
        assert.equal(kernel, same_kernel)
        local got = { kernel:call(b, "echo", table.unpack(values)) }
        for i, value in ipairs(values) do
          assert.is_true(rawequal(value, got[i]))
        end
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("39 switches session and event, and back (C09_nested_call_depth)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:yield "x"
      end,
      x = function(kernel)
        t:say("  got ", kernel:call("b", "y"))
        kernel:alias_remove "a"
      end,
      z = function(kernel) return "z:" .. t:name(kernel.sender) end,
    })
    t:session("b", {
      _start = function(kernel) kernel:alias_set "b" end,
      y = function(kernel)
        kernel:alias_remove "b"
        return "y>" .. kernel:call("a", "z")
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.x <- a
      b.y <- a
      a.z <- b
        got y>z:b
      b._stop <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("39 calls from outside of any session, the kernel being the sender", function()
    t:session("a", {
      x = function(_, _, n) return n + 1 end,
      _start = function(kernel) kernel:alias_set "a" end,
    })
    assert.equal(8, poe.kernel:call("a", "x", 7))
    t:expect [[
      a._start <- KERNEL
      a.x <- KERNEL (7)]]
    t:run()
  end)

  it("40 keeps the active event in a call to oneself, but tells the event called "
    .. "(C01_call_self_vs_other)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:yield "x"
      end,
      x = function(kernel)
        kernel:call("a", "inner")
        kernel:call("b", "other")
        t:say("  back in ", kernel.event, " of ", t:name(kernel.session))
        kernel:alias_remove "a"
      end,
      inner = function(kernel)
        t:say("  event ", kernel.event, " caller ", kernel.caller_event)
        kernel:yield "from_inner"
      end,
      from_inner = function(kernel) t:say("  sent in ", kernel.caller_event) end,
    })
    t:session("b", {
      _start = function(kernel) kernel:alias_set "b" end,
      other = function(kernel)
        t:say("  event ", kernel:get_active_event(), " of ",
          t:name(kernel:get_active_session()), " caller ", kernel.caller_event)
        kernel:yield "mine"
        kernel:alias_remove "b"
      end,
      mine = function(kernel) t:say("  sent in ", kernel.caller_event) end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.x <- a
      a.inner <- a
        event inner caller x
      b.other <- a
        event other of b caller x
        back in x of a
      a.from_inner <- a
        sent in x
      b.mine <- b
        sent in other
      b._stop <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("41 accepts posts to the kernel and returns 0 from calls to it", function()
    t:session("a", {
      _start = function(kernel)
        t:say(t:format(kernel:call(kernel, "x", 1)))
        t:say(t:format(kernel:post(kernel, "x", {})))
        t:say(t:format(kernel:post(kernel:ID(), "x")))
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      0
      true
      true
      a._stop <- KERNEL
      run() returned]]
  end)
end)
