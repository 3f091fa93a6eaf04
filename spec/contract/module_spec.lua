-- Contract, sections 2, 4 and 8: the module's functions, session objects,
-- sessions of one's own kind, options; used rightly and wrongly.

local helper = require "spec.helper"
local core = require "poe.core"
local poe = require "poe"

local kernel = poe.kernel

local function code(...)
  local value, _, why = ...
  return value == nil and why or value
end

local function session(states, options)
  states._start = states._start or function() end
  local parameters = { inline_states = states }
  for key, value in pairs(options or {}) do
    parameters[key] = value
  end
  return poe.session.create(parameters)
end

describe("The module", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("tells times with at least microseconds", function()
    local wall, mono = poe.time(), poe.monotime()
    assert.equal("float", math.type(wall))
    assert.equal("float", math.type(mono))
    assert.is_true(math.abs(wall - os.time()) < 2)
    while poe.time() == wall or poe.monotime() == mono do end
    assert.is_true(poe.time() - wall < 10)
    assert.is_true(poe.monotime() - mono > 0)
  end)

  it("tells types", function()
    local s = session {}
    assert.equal("kernel", poe.type(kernel))
    assert.equal("session", poe.type(s))
    poe.run()
    assert.equal("session", poe.type(s))
    for _, other in ipairs { 1, "session 1", {}, print, io.stdout, true } do
      assert.is_nil(poe.type(other))
    end
    assert.is_nil(poe.type(nil))
    assert.error_matches(function() poe.type() end, "bad argument #1")
  end)

  it("has constants and a version", function()
    assert.same({ 0, 1, 2 }, { poe.MODE_RD, poe.MODE_WR, poe.MODE_EX })
    assert.matches("^%d+%.%d+%.%d+$", poe.version)
    assert.equal(kernel, require "poe".kernel)
  end)

  it("tells wait statuses", function()
    assert.same({ "exit", 0 }, { poe.wait_status(0) })
    assert.same({ "exit", 3 }, { poe.wait_status(3 << 8) })
    assert.same({ "signal", 9 }, { poe.wait_status(9) })
    assert.same({ "signal", 11 }, { poe.wait_status(11 | 128) })
    for _, bad in ipairs { "x", {}, 1.5, 0 / 0, 1 / 0 } do
      assert.error_matches(function() poe.wait_status(bad) end,
        "bad argument #1 to '.-wait_status' %(number")
    end
  end)

  it("names what is wrong in configure", function()
    local cases = {
      [{ nope = 1 }] = "unknown switch 'nope'",
      [{ 1 }] = "unknown switch",
      [{ trace = 1 }] = "'trace' must be a table of switches, got a number",
      [{ assert = "x" }] = "'assert' must be a table of switches, got a string",
      [{ trace = { nope = true } }] = "unknown trace switch 'nope'",
      [{ assert = { nope = true } }] = "unknown assert switch 'nope'",
      [{ trace = { true } }] = "unknown trace switch",
      [{ loop = 1 }] = "'loop' must be a string, got a number",
      [{ loop = "nope" }] = "nope",
      [{ loop = "a\0b" }] = "a",
      [{ trace_filename = 1 }] = "'trace_filename' must be a string",
      [{ trace_filename = "/no/such/file" }] = "/no/such/file",
    }
    for switches, pattern in pairs(cases) do
      assert.error_matches(function() poe.configure(switches) end, pattern)
    end
    assert.error_matches(function() poe.configure() end, "table expected")
    assert.error_matches(function() poe.configure "loop" end, "table expected")
  end)

  it("takes another loop before it has begun, not after", function()
    helper.assert_prints([[
      poll
      false]], [[
      local poe = require "poe"
      poe.configure { loop = "poll" }
      print(poe.kernel:poe_kernel_loop())
      poe.session.create { inline_states = { _start = function() end } }
      print((pcall(poe.configure, { loop = "select" })))
      poe.configure { loop = "poll" }
      poe.run()]])
    helper.assert_prints("select", [[
      local poe = require "poe"
      poe.configure { loop = "poll" }
      print(poe.kernel:poe_kernel_loop())]],
      { environment = "POE_EVENT_LOOP=select" })
  end)

  it("takes virtual time before there are sessions, not after", function()
    helper.assert_prints([[
      false
      true]], [[
      local poe = require "poe"
      poe.session.create { inline_states = { _start = function(kernel)
        kernel:delay("d", 0.01)
      end } }
      print((pcall(poe.configure, { virtual_time = true })))
      poe.run()
      print((pcall(poe.configure, { virtual_time = true })))]])
  end)

  it("catches exceptions or not, as the switch says", function()
    poe.configure { catch_exceptions = false }
    local seen = {}
    session {
      _start = function() kernel:yield "fail" end,
      fail = function() error("at once", 0) end,
      _stop = function() seen[#seen + 1] = "stop" end,
    }
    assert.error_matches(poe.run, "^at once$")
    assert.same({ "stop" }, seen)
  end)
end)

describe("Session objects", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("have integer IDs that are never reused", function()
    local last = 0
    for _ = 1, 3 do
      local s = session {}
      assert.equal("integer", math.type(s:ID()))
      assert.is_true(s:ID() > last)
      last = s:ID()
      poe.run()
    end
  end)

  it("are one object for one session", function()
    local inside
    local s = session { _start = function() inside = kernel.session end }
    assert.equal(s, inside)
    assert.is_true(rawequal(s, kernel:alias_resolve(s:ID())))
    poe.run()
  end)

  it("give their heap, any value, until they end", function()
    for _, heap in ipairs { "text", 1, false, print, kernel } do
      local s = session({}, { heap = heap })
      assert.equal(heap, s:get_heap())
      poe.run()
      assert.equal("ESRCH", code(s:get_heap()))
    end
    local given
    local s = session { _start = function(_, heap) given = heap end }
    assert.is_table(given)
    assert.equal(given, s:get_heap())
    poe.run()
  end)

  it("have options: the value, or the previous one (C14_option_api)", function()
    local s = session({}, { options = { trace = false, mine = "yes" } })
    assert.is_false(s:option "trace")
    assert.is_true(s:option "mine")
    assert.is_nil(s:option "other")
    assert.is_nil(s:option("other", "off"))
    assert.is_false(s:option("other", 7))
    assert.equal(7, s:option("other", nil))
    assert.is_nil(s:option "other")
    assert.is_nil(s:option("a\0b", 1))
    assert.equal(1, s:option "a\0b")
    poe.run()
    assert.equal("ESRCH", code(s:option "trace"))
    assert.equal("ESRCH", code(s:option("trace", true)))
  end)

  it("refuse another self and wrong arguments", function()
    local s = session {}
    for _, method in ipairs { "ID", "get_heap", "option", "postback",
      "callback" } do
      for _, wrong in ipairs { 1, "session 1", {}, kernel, io.stdout } do
        assert.error_matches(function() s[method](wrong, "x") end,
          "session expected")
      end
      assert.is_false((pcall(s[method])))
    end
    for _, method in ipairs { "option", "postback", "callback" } do
      for _, wrong in ipairs { 1, {}, true, print } do
        assert.error_matches(function() s[method](s, wrong) end,
          "bad argument #[12]")
      end
      assert.is_false((pcall(s[method], s)))
    end
    assert.is_false((pcall(function() s.field = 1 end)))
    poe.run()
  end)

  it("make postbacks that refuse another self", function()
    local s = session {}
    local pb <close> = s:postback "x"
    for _, wrong in ipairs { 1, {}, s, kernel } do
      for _, method in ipairs { "weaken", "close", "__call", "__gc" } do
        assert.is_false((pcall(pb[method], wrong)))
      end
    end
    assert.is_false((pcall(pb.close)))
    assert.is_true(pb(table.unpack({}, 1, 300)))
  end)

  it("carry three hundred arguments through a postback", function()
    local many, made, called = {}, nil, nil
    for i = 1, 300 do many[i] = i end
    session {
      _start = function()
        local pb <close> = kernel.session:postback("got", table.unpack(many))
        pb(table.unpack(many))
      end,
      got = function(_, _, a, b) made, called = a, b end,
    }
    poe.run()
    many.n = 300
    assert.same(many, made)
    assert.same(many, called)
  end)
end)

describe("Sessions of one's own kind", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local function recorder()
    local object = { seen = {} }
    function object:_invoke_state(sender, event, args, file, line, from)
      self.seen[#self.seen + 1] = { event, args, from }
      self.sender, self.file, self.line = sender, file, line
      self.last = kernel.session
      return event .. " result", 2
    end
    return object
  end

  it("are told everything by _invoke_state", function()
    local object = recorder()
    assert.equal(object, kernel:session_alloc(object, "a", nil))
    assert.same({ "_start", { "a", n = 2 } }, object.seen[1])
    assert.equal(object, object.last)
    assert.equal(kernel, object.sender)
    assert.equal("session", poe.type(object))
    local id = kernel:ID_session_to_id(object)
    assert.equal("integer", math.type(id))
    assert.equal(object, kernel:ID_id_to_session(id))
    session {
      _start = function()
        assert.same({ "asked result", 2 }, { kernel:call(object, "asked", 1) })
        kernel:post(object, "posted", 2)
        assert.is_true(kernel:post(id, "by id"))
      end,
    }
    poe.run()
    assert.same({ "asked", { 1, n = 1 }, "_start" }, object.seen[2])
    assert.same({ "posted", { 2, n = 1 }, "_start" }, object.seen[3])
    assert.same({ "by id", { n = 0 }, "_start" }, object.seen[4])
    assert.equal("_stop", object.seen[5][1])
  end)

  it("are refused, and may be used again, when they have ended", function()
    local object = recorder()
    kernel:session_alloc(object)
    assert.error_matches(function() kernel:session_alloc(object) end,
      "bad argument #1 to 'session_alloc' %(object is a session already")
    poe.run()
    assert.equal("ESRCH", code(kernel:post(object, "x")))
    assert.equal("ESRCH", code(kernel:alias_resolve(object)))
    kernel:session_alloc(object)
    poe.run()
    assert.equal("_stop", object.seen[#object.seen][1])
  end)

  it("keep their states themselves, by _register_state", function()
    local object, seen = recorder(), {}
    kernel:session_alloc(object)
    local function register()
      kernel:state("inline", print)
      kernel:state("method", seen)
      kernel:state("renamed", seen, "method")
      return kernel:state "gone"
    end
    function object._invoke_state(_, _, event)
      if event == "x" then return pcall(register) end
    end
    local ok, message = kernel:call(object, "x")
    assert.is_false(ok)
    assert.matches("the running session has no '_register_state'", message)
    function object:_register_state(...)
      assert.equal(object, self)
      seen[#seen + 1] = table.pack(...)
    end
    assert.is_true(kernel:call(object, "x"))
    assert.same({
      { "inline", print, nil, n = 3 }, { "method", seen, nil, n = 3 },
      { "renamed", seen, "method", n = 3 }, { "gone", nil, nil, n = 3 },
    }, seen)
    poe.run()
  end)

  it("may have the methods of sessions", function()
    local object = recorder()
    for _, name in ipairs { "ID", "option", "postback", "callback" } do
      object[name] = core.session_class[name]
    end
    kernel:session_alloc(object)
    assert.equal(kernel:ID_session_to_id(object), object:ID())
    assert.is_nil(object:option("mine", 3))
    assert.equal(3, object:option "mine")
    assert.equal("called result", object:callback("called", 1)())
    assert.is_true(object:postback("posted", 2)(3))
    poe.run()
    assert.same({ "called", { { 1, n = 1 }, { n = 0 }, n = 2 } },
      object.seen[2])
    assert.same({ "posted", { { 2, n = 1 }, { 3, n = 1 }, n = 2 } },
      object.seen[3])
    for _, name in ipairs { "option", "postback", "callback" } do
      assert.equal("ESRCH", code(object[name](object, "x")))
    end
    assert.error_matches(function() core.session_class.ID {} end,
      "poe.session expected, got table")
  end)

  it("keep their ID when they have ended, and are told of by it", function()
    local object = recorder()
    for _, name in ipairs { "ID", "option", "__tostring" } do
      object[name] = core.session_class[name]
    end
    kernel:session_alloc(setmetatable(object, object))
    local id = kernel:ID_session_to_id(object)
    poe.run()
    assert.equal(id, object:ID())
    assert.equal("session " .. id, tostring(object))
    poe.configure { assert = { data = true } }
    assert.error_matches(function() object:option "x" end,
      "ESRCH: session " .. id .. " has ended")
    assert.error_matches(function() kernel:post(object, "x") end,
      "ESRCH: no such session: session " .. id)
    assert.error_matches(function() core.stop_session(object) end,
      "ESRCH: session " .. id .. " has ended")
    kernel:session_alloc(object)
    assert.equal(kernel:ID_session_to_id(object), object:ID())
    assert.not_equal(id, object:ID())
    poe.run()
  end)

  it("may be stopped, though they wait", function()
    local object = recorder()
    local forever
    function object:_invoke_state(_, event)
      self.seen[#self.seen + 1] = event
      if event == "_start" then
        kernel:refcount_increment(kernel:ID_session_to_id(object), "tag")
        kernel:delay("never", 1000)
      elseif event == "stop" then
        forever = kernel:delay_set("never", 1000)
        assert.is_true(core.stop_session(object))
        assert.equal(kernel, kernel.session)
      end
    end
    kernel:session_alloc(object)
    kernel:post(object, "stop")
    kernel:post(object, "dropped")
    poe.run()
    assert.same({ "_start", "stop", "_stop" }, object.seen)
    assert.equal("integer", math.type(forever))
    assert.equal("ESRCH", code(core.stop_session(object)))
    local other = session {}
    assert.is_true(core.stop_session(other))
    assert.equal("ESRCH", code(core.stop_session(other)))
    assert.error_matches(function() core.stop_session(kernel) end,
      "bad argument #1 to 'stop_session' %(poe.session expected, got poe.kernel")
  end)

  it("need an _invoke_state", function()
    assert.error_matches(function() kernel:session_alloc {} end,
      "no method '_invoke_state'")
    assert.error_matches(function() kernel:session_alloc(1) end,
      "bad argument #1 to 'session_alloc' %(table expected")
    assert.equal(0, core.census().sessions)
    local object = { _invoke_state = 1 } -- found out when it is called
    kernel:session_alloc(object)
    assert.error_matches(poe.run, "attempt to call a number value")
  end)
end)
