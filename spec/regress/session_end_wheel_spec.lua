-- A wheel ended with its session only when a collection came to it: until then a
-- peer was not told, a port not free, and in a program that had nothing to do no
-- collection ever came.

local helper = require "spec.helper"
local FollowTail = require "poe.wheel.followtail"
local ReadWrite = require "poe.wheel.readwrite"
local Server = require "poe.component.server.tcp"
local SocketFactory = require "poe.wheel.socketfactory"
local core = require "poe.core"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

local ENDS = {
  signal = function(session) kernel:signal(session, "KILL") end,
  stop = function() kernel:stop() end,
  stop_session = core.stop_session,
}

describe("With its session a wheel ends", function()
  before_each(helper.begin)
  after_each(helper.finish)

  --- Makes wheels in a session that `how` ends; nothing is collected meanwhile.
  ---@return table heap
  local function make(how, start)
    local heap = {}
    local running = collectgarbage "isrunning"
    collectgarbage "stop"
    poe.session.create { heap = heap, inline_states = {
      _start = function(k)
        start(k, heap)
        k:yield "finish"
      end,
      finish = function(k) ENDS[how](k.session) end,
      input = function() end,
      failed = function() end,
      _stop = function() heap.was_open = not heap[1]:is_closed() end,
    } }
    poe.run()
    if running then collectgarbage "restart" end
    return heap
  end

  for how in pairs(ENDS) do
    it("whose handles are closed after _stop, by " .. how, function()
      local peers = {}
      local heap = make(how, function(_, heap)
        for i = 1, 3 do
          heap[i], peers[i] = sys.socketpair()
          heap["wheel" .. i] = ReadWrite.new { handle = heap[i],
            input_event = "input" }
        end
      end)
      assert.is_true(heap.was_open)
      for i = 1, 3 do
        assert.equal("", peers[i]:read())
        assert.is_true(heap[i]:is_closed())
        local wheel = heap["wheel" .. i]
        wheel:pause_input()
        wheel:shutdown_input()
        assert.equal("ESRCH", (select(3, wheel:put "x")))
        peers[i]:close()
      end
    end)

    it("whose port is free again, by " .. how, function()
      local heap = make(how, function(_, heap)
        heap.wheel = SocketFactory.new { bind_port = 0, reuse = false,
          success_event = "input", failure_event = "failed" }
        heap[1] = { is_closed = function() return false end }
        heap.port = select(2, heap.wheel:getsockname())
      end)
      local socket = assert(sys.tcp.listen { port = heap.port, reuse = false })
      socket:close()
    end)
  end

  for _, text in ipairs { "one\n", "one\ntwo\n" } do
    for _, put in ipairs { "", "bye" } do
      it(("when its own handler ended it: %q, %q"):format(text, put), function()
        local handle, peer = sys.socketpair()
        peer:write(text)
        local function input(k, heap)
          if put ~= "" then heap.wheel:put(put) end
          k:stop()
        end
        collectgarbage "stop"
        poe.session.create { inline_states = { _start = function(_, heap)
          heap.wheel = ReadWrite.new { handle = handle, input_event = input }
        end } }
        poe.run()
        collectgarbage "restart"
        assert.is_true(handle:is_closed())
        assert.equal(put ~= "" and put .. "\r\n" or "", peer:read())
        peer:close()
      end)
    end
  end

  it("but not one that was destroyed, nor a handle it gave away", function()
    local peers = {}
    local heap = make("signal", function(_, heap)
      for i = 1, 2 do heap[i], peers[i] = sys.socketpair() end
      heap.first = ReadWrite.new { handle = heap[1], input_event = "input" }
      heap.first:detach()
      heap.second = ReadWrite.new { handle = heap[2], input_event = "input" }
      heap.second:destroy()
      heap.third = FollowTail.new { filename = "/etc/passwd", input_event = "input" }
      heap.file = heap.third:get_handle()
    end)
    assert.is_false(heap[1]:is_closed())
    assert.is_true(heap.file:is_closed())
    for i = 1, 2 do
      heap[i]:close()
      peers[i]:close()
    end
  end)

  it("and a client is told whose session was ended by who handles DIE", function()
    local peer, seen
    poe.session.create { inline_states = {
      _start = function(k)
        k:sig("DIE", "died")
        k:alias_set "test"
        Server.new {
          alias = "server",
          started = function(_, heap)
            k:post("test", "started", heap.listener:getsockname())
          end,
          client_input = function() error "on purpose" end,
        }
      end,
      started = function(k, _, host, port)
        peer = assert(sys.tcp.connect { host = host, port = port })
        k:select_write(peer, "connected")
      end,
      connected = function(k)
        k:select_write(peer)
        peer:write "line\r\n"
      end,
      died = function(k, _, _, ex)
        k:sig_handled()
        k:signal(ex.dest_session, "KILL")
        k:select_read(peer, "told")
        k:delay("told", 5)
      end,
      told = function(k)
        seen = peer:read()
        k:delay "told"
        k:select_read(peer)
        k:post("server", "shutdown")
      end,
    } }
    poe.run()
    assert.equal("", seen)
    peer:close()
  end)
end)
