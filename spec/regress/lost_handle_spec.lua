-- A handle that was closed behind the back of its wheel: the wheel was not told, and
-- a server's client ended without client_disconnected.

local ReadWrite = require "poe.wheel.readwrite"
local Server = require "poe.component.server.tcp"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

describe("a handle that somebody else closes", function()
  before_each(helper.begin)
  after_each(helper.finish)

  --- What a wheel's session gets when `close` is called, by it or by another one.
  local function events_of(parameters, close, is_other)
    local got = {}
    local function input(_, heap, record)
      got[#got + 1] = record
      if not is_other then close(heap.wheel, got) end
    end
    local reader = poe.session.create { inline_states = {
      _start = function(_, heap)
        parameters.error_event, parameters.input_event = "failed", input
        heap.wheel = assert(ReadWrite.new(parameters))
      end,
      failed = function(_, heap, operation, code, text, id)
        assert.equal(heap.wheel:ID(), id)
        got[#got + 1] = ("%s %s %s"):format(operation, code, text)
        if code == 0 and not is_other then close(heap.wheel, got) end
      end,
    } }
    if is_other then
      poe.session.create { inline_states = { _start = function()
        close(reader:get_heap().wheel, got)
      end } }
    end
    poe.run()
    return got
  end

  it("is told by error_event, once, and no more records come", function()
    local handle, peer <close> = sys.socketpair()
    peer:write "one\ntwo\n"
    local got = events_of({ handle = handle }, function(wheel, got)
      wheel:put "lost"
      handle:close()
      got[#got + 1] = select(3, wheel:put "late")
    end)
    assert.same({ "one", "EPIPE", "read EBADF the handle was closed" }, got)
    assert.equal("", peer:read())
  end)

  it("may be closed in another session", function()
    local handle, peer <close> = sys.socketpair()
    assert.same({ "read EBADF the handle was closed" },
      events_of({ handle = handle }, function() handle:close() end, true))
    assert.equal("", peer:read())
  end)

  it("may be one of two", function()
    local read, peer <close> = sys.pipe()
    local other <close>, write = sys.pipe()
    local got = events_of({ input_handle = read, output_handle = write },
      function(wheel, got)
        write:close()
        got[#got + 1] = select(3, wheel:put "late")
        peer:write "two\n"
        peer:close()
      end, true)
    assert.same({ "EPIPE", "two", "write EBADF the handle was closed", "read 0 " }, got)
    assert.equal("", other:read())
  end)

  it("is no news after the end of the file", function()
    local handle, peer <close> = sys.socketpair()
    peer:shutdown "w"
    assert.same({ "read 0 " },
      events_of({ handle = handle }, function() handle:close() end))
  end)

  it("waits for no deadline of what was to be written", function()
    local handle, peer <close> = sys.socketpair()
    assert.same({ "read EBADF the handle was closed" },
      events_of({ handle = handle, stall_timeout = 0.01 }, function(wheel)
        wheel:put(("x"):rep(4 * 1024 * 1024))
        wheel:flush()
        handle:close()
      end, true))
    assert.equal("x", peer:read():sub(1, 1))
  end)

  it("was of a session that has ended", function()
    local handle, peer <close> = sys.socketpair()
    local wheel
    poe.session.create { inline_states = {
      _start = function()
        wheel = assert(ReadWrite.new { handle = handle, input_event = "input" })
      end,
      input = function(kernel) kernel:stop() end,
    } }
    peer:write "x\n"
    poe.run()
    handle:close()
    assert.error_matches(function() wheel:put "x" end, "destroyed wheel")
  end)

  it("ends a server's client as any other end does", function()
    local seen = {}
    Server.new {
      alias = "server",
      client_input = function(_, heap)
        heap.client:get_input_handle():close()
      end,
      client_error = function(_, _, operation, code)
        seen[#seen + 1] = operation .. " " .. code
      end,
      client_disconnected = function(kernel)
        seen[#seen + 1] = "disconnected"
        kernel:post("server", "shutdown")
      end,
      started = function(kernel, heap)
        local _, port = heap.listener:getsockname()
        heap.peer = sys.tcp.connect { host = "127.0.0.1", port = port }
        kernel:state("connected", function(_, _, socket)
          socket:write "x\n"
          kernel:select_write(socket)
        end)
        kernel:select_write(heap.peer, "connected")
      end,
    }
    poe.run()
    assert.same({ "read EBADF", "disconnected" }, seen)
  end)
end)
