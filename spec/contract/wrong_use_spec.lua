-- Contract, section 6: a mistake in the program is told, by the method and the
-- argument, however the method was called; what would be silently ignored, or
-- taken for something else, is refused.

local helper = require "spec.helper"
local poe = require "poe"

local kernel = poe.kernel

local function nothing() end

--- Runs f inside of a session.
local function inside(f)
  local ok, message
  poe.session.create {
    inline_states = {
      _start = function() ok, message = xpcall(f, debug.traceback) end,
    },
  }
  poe.run()
  assert.is_true(ok, message)
end

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

describe("A wrong argument", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local expected = "bad argument #1 to 'delay' (event name expected, got nil)"

  it("is counted without self, and the method named, when pcall calls", function()
    inside(function()
      assert.equal(expected, message_of(kernel.delay, kernel, nil, 1))
      assert.equal("bad argument #2 to 'delay_set' (number of seconds expected, "
        .. "got no value)", message_of(kernel.delay_set, kernel, "x"))
      assert.equal("bad argument #2 to 'delay' (number of seconds expected, "
        .. "got NaN)", message_of(kernel.delay, kernel, "x", 0 / 0))
      assert.equal("bad argument #1 to 'post' (session ID has no integer value)",
        message_of(kernel.post, kernel, 1.5, "x"))
      assert.equal("bad argument #1 to 'alias_set' (the empty string is no alias)",
        message_of(kernel.alias_set, kernel, ""))
    end)
    assert.equal("bad argument #1 to 'run_while' (function expected, got number)",
      message_of(kernel.run_while, kernel, 1))
    assert.equal("bad argument #1 to 'session_alloc' (object has no method "
      .. "'_invoke_state')", message_of(kernel.session_alloc, kernel, {}))
    assert.equal("bad argument #1 to 'signal_ui_destroy' (widget expected, "
      .. "got no value)", message_of(kernel.signal_ui_destroy, kernel))
  end)

  it("is, when the method has another name", function()
    inside(function()
      local later = kernel.delay
      local _, message = pcall(function() later(kernel, nil, 1) end)
      assert.matches(expected, message, 1, true)
    end)
  end)

  it("is, when it is a method of sessions", function()
    local session = poe.session.create { inline_states = { _start = nothing } }
    assert.equal("bad argument #1 to 'option' (string expected, got no value)",
      message_of(session.option, session))
    assert.equal("bad argument #1 to 'postback' (event name expected, got number)",
      message_of(session.postback, session, 1))
    poe.run()
  end)

  it("may be self", function()
    assert.equal("calling 'yield' on bad self (kernel expected, got no value)",
      message_of(kernel.yield))
    local session = poe.session.create { inline_states = { _start = nothing } }
    assert.equal("calling 'ID' on bad self (poe.session expected, got poe.kernel)",
      message_of(session.ID, kernel))
    poe.run()
  end)
end)

describe("What is to be true or false", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("must be a boolean in configure: 0 would be true", function()
    for name, switches in pairs {
      events = { trace = { events = 0 } }, data = { assert = { data = "no" } },
      catch_exceptions = { catch_exceptions = 0 },
      virtual_time = { virtual_time = 0 },
    } do
      assert.matches("configure: '" .. name .. "' must be true or false, got a ",
        message_of(poe.configure, switches))
    end
  end)

  it("has a name in configure", function()
    assert.equal("configure: unknown switch 1 (a named switch expected)",
      message_of(poe.configure, { "trace" }))
    assert.equal("configure: unknown trace switch 1 (a named switch expected)",
      message_of(poe.configure, { trace = { "events" } }))
  end)
end)

describe("The n of create's args", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local function create(args)
    local n
    poe.session.create { args = args, inline_states = {
      _start = function(_, _, ...) n = select("#", ...) end,
    } }
    poe.run()
    return n
  end

  it("is honoured as a float without fraction, too", function()
    assert.equal(3, create { n = 3 })
    assert.equal(3, create { n = 3.0 })
    assert.equal(1, create { 1, 2, 3, n = 1.0 })
  end)

  it("is an error that names it, if it is no count", function()
    for _, n in ipairs { -1, 1.5, "3", true, 1 / 0 } do
      assert.matches("create: n of parameter 'args' must be a count, got "
        .. tostring(n), message_of(create, { n = n }), 1, true)
    end
    assert.matches("too many args", message_of(create, { n = 2.0 ^ 40 }))
  end)
end)

describe("A handler of _signal", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("is refused by state as by create (POE: Session.pm)", function()
    inside(function()
      for _, handler in ipairs { nothing, { _signal = nothing } } do
        assert.matches("state: a _signal handler is never called",
          message_of(kernel.state, kernel, "_signal", handler))
      end
      assert.is_true(kernel:state "_signal")
    end)
  end)
end)

describe("The kernel's parent", function()
  it("is one nil", function()
    assert.same({ n = 1 }, table.pack(kernel:get_parent(kernel)))
  end)
end)
