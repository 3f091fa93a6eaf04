-- A recursion of calls that ended at the kernel's limit left a traceback of four
-- thousand lines, which was built anew at each of a thousand levels. What a call
-- had raised was the traceback of every later failure with the same text.

local helper = require "spec.helper"
local poe = require "poe"

--- What DIE carries after so many calls to oneself, and an error.
local function exception(depth)
  local ex
  poe.session.create {
    inline_states = {
      _start = function(kernel)
        kernel:sig("DIE", "died")
        kernel:yield("go_in", depth)
      end,
      go_in = function(kernel, _, n)
        if n == 0 then
          error "at the bottom"
        end
        kernel:call(kernel.session, "go_in", n - 1)
      end,
      died = function(kernel, _, _, given)
        ex = given
        kernel:sig_handled()
      end,
    },
  }
  poe.run()
  return ex
end

local function count(text, what)
  return select(2, text:gsub(what, ""))
end

describe("The traceback of calls in calls", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("tells all of a few", function()
    local trace = exception(8).traceback
    assert.equal(9, count(trace, "stack traceback:"))
    assert.equal(9, count(trace, "event 'go_in' of session"))
    assert.is_nil(trace:find "%.%.%.")
  end)

  it("tells the first and the last of many", function()
    for depth, skipped in pairs { [199] = 179, [100000] = 979 } do
      local ex = exception(depth)
      local trace = ex.traceback
      assert.equal(10, count(trace, "stack traceback:"))
      assert.equal(21, count(trace, "event 'go_in' of session"))
      assert.equal(1, count(trace, "%(skipping " .. skipped .. " events%)"))
      assert.equal(1, count(trace, "%(and the calls around that%)"))
      assert.matches("posted by session", trace)
      assert.is_true(#trace < 10000)
    end
  end)
end)

describe("The traceback of a failure", function()
  before_each(helper.begin)
  after_each(helper.finish)

  --- Those of the handlers of "fails" and "again", by event.
  local function traces(first, send)
    local of = {}
    poe.session.create {
      inline_states = {
        _start = function(kernel)
          kernel:sig("DIE", "died")
          send(kernel, first)
          send(kernel, "again")
        end,
        inner = function() error("the same", 0) end,
        fails = function(kernel) kernel:call(kernel.session, "inner") end,
        catches = function(kernel)
          assert.is_false((pcall(kernel.call, kernel, kernel.session, "inner")))
        end,
        again = function() error("the same", 0) end,
        died = function(kernel, _, _, ex)
          of[ex.event] = ex.traceback
          kernel:sig_handled()
        end,
      },
    }
    poe.run()
    return of
  end

  for name, send in pairs {
    posts = function(kernel, event) kernel:yield(event) end,
    timers = function(kernel, event) kernel:delay(event, 0) end,
  } do
    for _, first in ipairs { "fails", "catches" } do
      it(("is its own, though one before had its text: %s, %s"):format(first, name),
        function()
          local of = traces(first, send)
          assert.equal(first == "fails", of.fails ~= nil)
          if of.fails then
            assert.equal(2, count(of.fails, "stack traceback:"))
            assert.equal(1, count(of.fails, "event 'inner'"))
          end
          assert.equal(1, count(of.again, "stack traceback:"))
          assert.equal(1, count(of.again, "event '"))
          assert.matches("event 'again' of session", of.again)
        end)
    end
  end
end)
