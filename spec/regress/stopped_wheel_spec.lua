-- A handler of a wheel's event that ends its session: the wheel is not told, and
-- went on with the next records, without a heap.

local ReadWrite = require "poe.wheel.readwrite"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local MORE_THAN_FITS = ("x"):rep(4 * 1024 * 1024)

describe("a wheel whose session is ended by its own event", function()
  before_each(helper.begin)
  after_each(helper.finish)

  --- What the handler of the records of `text` got, what the peer got, and what
  --- became of the run.
  local function run(text, by_function, handler)
    local handle, peer = sys.socketpair()
    local got = {}
    local function input(kernel, heap, record)
      assert.equal("table", type(heap))
      got[#got + 1] = record
      return handler(kernel, heap.wheel)
    end
    poe.session.create { inline_states = {
      _start = function(_, heap)
        peer:write(text)
        heap.wheel = ReadWrite.new { handle = handle,
          input_event = by_function and input or "input", flushed_event = "flushed",
          high_mark = 1000, high_event = "flushed" }
      end,
      input = input,
      flushed = function() end,
    } }
    local ok, message = pcall(poe.run)
    local bytes = peer:read()
    peer:close()
    handle:close()
    return got, bytes, ok or message
  end

  for _, by_function in ipairs { true, false } do
    for _, text in ipairs { "one\n", "one\ntwo\n" } do
      local name = (" (%s, %q)"):format(by_function and "a function" or "an event", text)

      it("gives out no more" .. name, function()
        local got, _, result = run(text, by_function, function(kernel) kernel:stop() end)
        assert.same({ "one" }, got)
        assert.is_true(result)
      end)

      it("writes what was put, as far as it can" .. name, function()
        local got, bytes, result = run(text, by_function, function(kernel, wheel)
          wheel:put "bye"
          kernel:stop()
        end)
        assert.same({ "one" }, got)
        assert.is_true(result)
        assert.equal("bye\r\n", bytes)
        got, bytes, result = run(text, by_function, function(kernel, wheel)
          wheel:put(MORE_THAN_FITS)
          kernel:stop()
        end)
        assert.same({ "one" }, got)
        assert.is_true(result)
        assert.equal("x", bytes:sub(1, 1))
      end)

      it("fails as its handler does" .. name, function()
        local got, _, result = run(text, by_function, function(kernel, wheel)
          wheel:put "bye"
          kernel:stop()
          error("mine", 0)
        end)
        assert.same({ "one" }, got)
        assert.equal("mine", result)
      end)
    end
  end

  it("is destroyed, as the first method says that needs the session", function()
    local wheel
    poe.session.create { inline_states = {
      _start = function(kernel)
        wheel = ReadWrite.new { handle = sys.socketpair(), input_event = "input" }
        kernel:yield "stop"
      end,
      stop = function(kernel) kernel:stop() end,
    } }
    poe.run()
    assert.same({ nil, "ESRCH: the session has gone", "ESRCH" }, { wheel:put "late" })
    assert.error_matches(function() wheel:put "late" end,
      "attempt to call 'put' of a destroyed wheel")
  end)
end)
