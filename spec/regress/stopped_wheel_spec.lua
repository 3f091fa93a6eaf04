-- A handler of a wheel's event that ends its session: the wheel is not told, and
-- went on with the next records, without a heap. With assertions it failed.

local Client = require "poe.component.client.tcp"
local FollowTail = require "poe.wheel.followtail"
local ReadWrite = require "poe.wheel.readwrite"
local Server = require "poe.component.server.tcp"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local MORE_THAN_FITS = ("x"):rep(4 * 1024 * 1024)

local function describe_wheels(asserted)
  before_each(function()
    helper.begin()
    poe.configure { assert = { [asserted] = true } }
  end)
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

  for event, path in pairs { input_event = "spec/helper.lua", idle_event = "spec/none" } do
    it("looks no more at its file: " .. event, function()
      local count = 0
      poe.session.create { inline_states = {
        _start = function(_, heap)
          heap.wheel = assert(FollowTail.new { filename = path, seek = 0,
            input_event = "other", [event] = "seen", poll_interval = 0.001 })
        end,
        other = function() end,
        seen = function(kernel)
          count = count + 1
          kernel:stop()
        end,
      } }
      poe.run()
      assert.equal(1, count)
    end)
  end

  it("is not made when the kernel was stopped before it", function()
    local count = 0
    local function pre_connect(kernel, _, socket)
      count = count + 1
      kernel:stop()
      return socket
    end
    local function ignore() end
    for _, name in ipairs { "client_pre_connect", "pre_connect" } do
      Server.new {
        client_input = ignore, client_pre_connect = name == "client_pre_connect"
          and pre_connect or nil,
        started = function(_, heap)
          local host, port = heap.listener:getsockname()
          Client.new { remote_address = host, remote_port = port, server_input = ignore,
            pre_connect = name == "pre_connect" and pre_connect or nil }
        end,
      }
      poe.run()
    end
    assert.equal(2, count)
  end)

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
end

-- With all of these but the first a call to a session that has ended raises.
for _, asserted in ipairs { "usage", "data", "retvals", "default" } do
  describe("a wheel whose session is ended by its own event, asserted: " .. asserted,
    function() describe_wheels(asserted) end)
end
