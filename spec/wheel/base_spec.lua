-- poe.wheel.base: what all wheels have in common, on a wheel that only ticks.

local Base = require "poe.wheel.base"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local Ticker = Base.class("Ticker", {
  handle = { "any" },
  tick_event = { "text", required = true },
  error_event = { "text" },
})
local log

function Ticker.on_leave(core)
  log[#log + 1] = "leave " .. poe.kernel:get_active_session():ID() - core.session_id
end

function Ticker.on_gone()
  log[#log + 1] = "gone"
end

function Ticker.new(given)
  local core, checked = Base.core(Ticker, given)
  core:timer("tick", function()
    core:emit("tick_event", core.id)
    core:delay("tick", 0)
  end)
  core:deferred("soon", function() core:emit("error_event", "soon", core.id) end)
  if checked.handle then core:own(checked.handle) end
  core:delay("tick", 0)
  return Base.wheel(core)
end

function Ticker:soon()
  Base.check_alive(self, "soon"):defer "soon"
end

--- Runs a session with these states.
local function run(states)
  poe.session.create { inline_states = states }
  poe.run()
end

describe("Every wheel", function()
  before_each(function()
    helper.begin()
    log = {}
  end)
  after_each(helper.finish)

  it("has an ID of its own, and a readable name", function()
    run { _start = function()
      local a <close> = Ticker.new { tick_event = "t" }
      local b <close> = Ticker.new { tick_event = "t" }
      assert.equal(a:ID() + 1, b:ID())
      assert.equal(("poe.wheel.Ticker(%d)"):format(a:ID()), tostring(a))
    end }
  end)

  it("sends its events to the session that made it, until destroyed", function()
    local count, wheel = 0, nil
    run {
      _start = function() wheel = Ticker.new { tick_event = "tick" } end,
      tick = function(_, _, id)
        count = count + 1
        assert.equal(wheel:ID(), id)
        if count == 3 then wheel:destroy() end
      end,
      _default = function(_, _, event) error("not for _default: " .. event) end,
      _stop = function() end,
    }
    assert.equal(3, count)
    wheel:destroy()
    wheel:close()
    assert.same({ "leave 0", "gone" }, log)
    assert.equal(" (destroyed)", tostring(wheel):match " .*")
    assert.has_error(function() wheel:soon() end,
      "attempt to call 'soon' of a destroyed wheel")
  end)

  it("goes when it is collected, also in another session", function()
    local seen = 0
    run {
      _start = function(_, heap)
        heap.wheel = Ticker.new { tick_event = "tick" }
        poe.session.create { inline_states = {
          _start = function(kernel) kernel:delay("collect", 0.005) end,
          collect = function()
            heap.wheel = nil
            collectgarbage()
            seen = -math.huge
          end,
        } }
      end,
      tick = function() seen = seen + 1 end,
    }
    assert.equal(-math.huge, seen)
    assert.same({ "leave 0", "gone" }, log)
  end)

  it("goes with its session", function()
    local wheel
    run {
      _start = function(kernel)
        wheel = Ticker.new { tick_event = "tick" }
        kernel:signal(kernel.session, "TERM")
      end,
      tick = function() end,
    }
    poe.configure { assert = { default = true } }
    wheel:destroy()
    assert.same({ "gone" }, log)
  end)

  it("goes after its session, whatever is asserted", function()
    poe.configure { assert = { default = true } }
    local wheel
    run {
      _start = function(kernel)
        wheel = Ticker.new { tick_event = "tick" }
        kernel:signal(kernel.session, "TERM")
      end,
      tick = function() end,
    }
    wheel:destroy()
    assert.same({ "gone" }, log)
  end)

  it("sends an event that nobody handles without harm, whatever is asserted", function()
    poe.configure { assert = { retvals = true, events = true } }
    run {
      _start = function(kernel, heap)
        heap.wheel = Ticker.new { tick_event = "unknown" }
        kernel:delay("later", 0.01)
      end,
      later = function(_, heap) heap.wheel:destroy() end,
    }
    poe.configure { assert = { retvals = false, events = false } }
    assert.same({ "leave 0", "gone" }, log)
  end)

  it("can be destroyed by another session", function()
    run { _start = function()
      local wheel = Ticker.new { tick_event = "tick" }
      poe.session.create { inline_states = {
        _start = function() wheel:destroy() end,
      } }
    end }
    assert.same({ "leave 0", "gone" }, log)
  end)

  it("renames and drops its events", function()
    local seen, wheel = {}, nil
    local function record(kernel)
      seen[#seen + 1] = kernel.event
      if #seen == 1 then wheel:event { tick_event = "tock", error_event = "e" } end
      if #seen == 2 then wheel:soon() end
      if kernel.event == "e" then wheel:destroy() end
    end
    run {
      _start = function() wheel = Ticker.new { tick_event = "tick" } end,
      tick = record, tock = record, e = record,
    }
    assert.same({ "tick", "tock", "e" }, { seen[1], seen[2], seen[#seen] })
  end)

  it("refuses events it does not have, or cannot do without", function()
    run { _start = function()
      local wheel <close> = Ticker.new { tick_event = "tick" }
      local function refuses(message, names)
        assert.has_error(function() wheel:event(names) end, message)
      end
      refuses("event: unknown parameter 'tickevent' (did you mean 'tick_event'?)",
        { tickevent = "x" })
      refuses("event: parameter 'tick_event' cannot be false", { tick_event = false })
      refuses("event: no event is named (it is false that takes one away, not nil)",
        { error_event = nil })
      refuses("event: parameter 'error_event' must be a string or false, got true",
        { error_event = true })
      wheel:event { error_event = false }
    end }
  end)

  it("leaves nothing for _default when an event is under way", function()
    run {
      _start = function()
        local wheel <close> = Ticker.new { tick_event = "t", error_event = "e" }
        wheel:soon()
        wheel:soon()
      end,
      _default = function(_, _, event)
        assert.equal("_stop", event)
      end,
    }
  end)

  it("closes its handle, if it still is its own", function()
    local kept, handed, detached, borrowed = nil, nil, nil, io.tmpfile()
    run { _start = function()
      kept = sys.pipe()
      handed = sys.pipe()
      detached = sys.pipe()
      local with = { tick_event = "t" }
      local function make(handle)
        with.handle = handle
        return Ticker.new(with)
      end
      make(kept):destroy()
      make(borrowed):destroy()
      make(detached):detach()
      local first, second = make(handed), make(handed)
      first:destroy()
      assert.is_false(handed:is_closed())
      second:destroy()
    end }
    assert.is_true(kept:is_closed())
    assert.is_true(handed:is_closed())
    assert.is_false(detached:is_closed())
    assert.equal("file", io.type(borrowed))
    detached:close()
    borrowed:close()
  end)

  it("is made in a handler", function()
    assert.has_error(function() Ticker.new { tick_event = "t" } end,
      "Ticker.new: a wheel is made in a session's handler")
    assert.has_error(function() Ticker.new {} end, "Ticker.new: parameter " ..
      "'tick_event' is missing (a string that is not empty)")
  end)
end)
