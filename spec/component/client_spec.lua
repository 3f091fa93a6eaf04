-- poe.component.client.tcp: what its callbacks see.

local Client = require "poe.component.client.tcp"
local Server = require "poe.component.server.tcp"
local Stream = require "poe.filter.stream"
local fixture = require "spec.component.fixture"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"
local free_path = require "spec.sys.fixture".free_path

describe("Client.TCP", function()
  local log

  before_each(function()
    helper.begin()
    log = fixture.log()
  end)
  after_each(helper.finish)

  local function has_logged(...)
    assert.same({ ... }, { table.unpack(log) })
  end

  --- A server that answers lines with "echo" before them, ends on "bye", and is
  --- ended by `stop`; beside it a client whose callbacks are logged.
  local function talk(options, server_options)
    local server = { alias = "server",
      client_input = function(kernel, heap, line)
        if line == "bye" then return kernel:yield "shutdown" end
        heap.client:put("echo " .. line)
      end,
    }
    for key, value in pairs(server_options or {}) do server[key] = value end
    local client = { remote_address = "127.0.0.1", alias = "client" }
    for _, name in ipairs { "started", "pre_connect", "connected", "connect_error",
      "disconnected", "server_input", "server_error", "server_flushed" } do
      if name ~= "pre_connect" or options.pre_connect then
        client[name] = log:handler(name, options[name])
      end
      options[name] = nil
    end
    for key, value in pairs(options) do client[key] = value end
    function server.started(_, heap)
      local host, port = heap.listener:getsockname()
      client.remote_port = port
      if not port then client.remote_address = host end
      Client.new(client)
    end
    Server.new(server)
    poe.run()
    for i, line in ipairs(log) do log[i] = line:gsub("socket %d+.*%)", "socket)") end
  end

  local function stop(kernel) kernel:post("server", "shutdown") end

  it("has callbacks in POE's order", function()
    talk {
      args = { "a", "b" },
      pre_connect = function(_, heap, socket)
        assert.is_false(heap.connected)
        return socket
      end,
      connected = function(_, heap, _, host, port)
        assert.is_true(heap.connected)
        assert.equal("127.0.0.1", host)
        assert.is_true(port > 1023)
        heap.server:put "hi"
      end,
      server_input = function(kernel, heap, _, id)
        assert.equal(heap.server:ID(), id)
        kernel:yield "shutdown"
      end,
      disconnected = function(kernel, heap)
        assert.is_true(heap.shutdown)
        assert.is_nil(heap.server)
        stop(kernel)
      end,
      inline_states = { _stop = log:handler "_stop" },
    }
    assert.matches("^server_flushed", log[4])
    has_logged("started(a, b)", "pre_connect(socket)", "connected(socket)", log[4],
      "server_input(echo hi)", "disconnected()", "_stop()")
  end)

  it("tells of the server's end, and may connect again", function()
    local times = 0
    talk {
      connected = function(_, heap) heap.server:put "bye" end,
      disconnected = function(kernel)
        times = times + 1
        if times == 1 then kernel:yield "reconnect" else stop(kernel) end
      end,
    }
    local last = table.concat(log, " "):gsub("server_flushed%(%d+%) ", "")
    assert.equal("started() connected(socket) server_error(read, 0, ) disconnected() "
      .. "connected(socket) server_error(read, 0, ) disconnected()", last)
  end)

  it("sends all before it shuts down", function()
    local text, got = ("x"):rep(3000000), {}
    talk({
      filter = Stream,
      connected = function(kernel, heap)
        heap.server:put(text)
        kernel:yield "shutdown"
      end,
      disconnected = stop,
    }, {
      client_filter = Stream,
      client_connected = function(_, heap) heap.client:put "never read" end,
      client_input = function(_, _, bytes) got[#got + 1] = bytes end,
    })
    assert.is_true(table.concat(got) == text)
  end)

  it("drops a connection to make another", function()
    local times = 0
    talk {
      connected = function(kernel, heap)
        times = times + 1
        heap.server:put(("x"):rep(100000))
        kernel:yield(times == 1 and "reconnect" or "shutdown")
      end,
      disconnected = stop,
    }
    assert.equal(2, times)
    assert.equal("disconnected()", log[#log])
  end)

  it("connects to where it is told", function()
    talk {
      started = function(kernel)
        kernel:state("go", function(_, _, port)
          kernel:post("client", "connect", "127.0.0.1", port)
        end)
        local other = Server.new { alias = "other",
          client_connected = function(_, heap) heap.client:put "other" end,
          client_input = function() end,
          started = function(_, heap)
            local _, port = heap.listener:getsockname()
            kernel:post("client", "connect", nil, port)
          end,
        }
        assert.is_true(math.type(other) == "integer")
      end,
      server_input = function(kernel)
        kernel:yield "shutdown"
        kernel:post("other", "shutdown")
        stop(kernel)
      end,
    }
    assert.truthy(table.concat(log, " "):find("server_input(other)", 1, true))
  end)

  it("makes no mistake of its own, and nor does the server, if that is asserted", function()
    poe.configure { assert = { default = true } }
    talk {
      connected = function(_, heap) heap.server:put "one" end,
      server_input = function(kernel) kernel:yield "shutdown" end,
      disconnected = function(kernel)
        kernel:yield "shutdown"
        stop(kernel)
      end,
    }
    has_logged("started()", "connected(socket)", log[3], "server_input(echo one)",
      "disconnected()")
  end)

  it("tells that nobody answers, and ends", function()
    -- At a port that a client is bound to nobody listens, nor will.
    local listener <close> = assert(sys.tcp.listen {})
    local taken <close> = assert(sys.tcp.connect { bind_host = "127.0.0.1",
      port = select(2, listener:getsockname()) })
    local _, port = taken:getsockname()
    Client.new { remote_address = "127.0.0.1", remote_port = port,
      server_input = print, disconnected = log:handler "disconnected",
      connect_error = log:handler("connect_error", function(_, heap)
        assert.is_false(heap.connected)
      end),
    }
    poe.run()
    has_logged(("connect_error(connect, ECONNREFUSED, Connection refused: 127.0.0.1 "
      .. "port %d)"):format(port))
  end)

  it("gives up to connect after a time", function()
    local listener <close> = assert(sys.tcp.listen { backlog = 0 })
    local _, port = listener:getsockname()
    local kept = {}
    for i = 1, 4 do kept[i] = sys.tcp.connect { port = port } end
    Client.new { remote_address = "127.0.0.1", remote_port = port,
      connect_timeout = 0.03, server_input = print,
      connect_error = log:handler "connect_error" }
    poe.run()
    assert.matches("^connect_error%(connect, ETIMEDOUT", log[1])
    for _, socket in ipairs(kept) do socket:close() end
  end)

  it("can be shut down while it connects", function()
    local listener <close> = assert(sys.tcp.listen { backlog = 0 })
    local _, port = listener:getsockname()
    local kept = {}
    for i = 1, 4 do kept[i] = sys.tcp.connect { port = port } end
    Client.new { remote_address = "127.0.0.1", remote_port = port, alias = "client",
      server_input = print, connect_error = log:handler "connect_error",
      disconnected = log:handler "disconnected",
      started = function(kernel) kernel:delay("shutdown", 0.01) end }
    poe.run()
    has_logged()
    for _, socket in ipairs(kept) do socket:close() end
  end)

  it("is not connected if pre_connect does not want it", function()
    talk {
      pre_connect = function() end,
      connect_error = stop,
    }
    assert.equal("connect_error(connect, ECANCELED, pre_connect gave the connection up)",
      log[3])
    assert.equal(3, #log)
  end)

  it("tells of a server that takes nothing", function()
    talk({
      write_timeout = 0.03, max_output = 1 << 24, filter = Stream,
      connected = function(_, heap) heap.server:put(("x"):rep(1 << 23)) end,
      disconnected = function(kernel) kernel:stop() end,
    }, {
      client_connected = function(_, heap) heap.client:pause_input() end,
    })
    assert.matches("^server_error%(write, ETIMEDOUT", log[3])
    assert.equal("disconnected()", log[4])
  end)

  it("talks to Unix sockets", function()
    local path = free_path()
    talk({ domain = "unix", connected = function(_, heap) heap.server:put "hi" end,
      server_input = function(kernel)
        kernel:yield "shutdown"
        stop(kernel)
      end,
    }, { domain = "unix", address = path })
    assert.truthy(table.concat(log, " "):find("server_input(echo hi)", 1, true))
    os.remove(path)
  end)

  describe("that reconnects by itself", function()
    --- Runs a client on the virtual clock, whose port nobody listens on; returns
    --- the times of its failures, in seconds.
    local function failures(reconnect, more)
      local status, out, err = helper.run_virtual(([[
        local Client = require "poe.component.client.tcp"
        local poe, sys = require "poe", require "poe.sys"
        local dead = assert(sys.tcp.listen {})
        local _, port = dead:getsockname()
        dead:close()
        local begun, failures = poe.monotime(), 0
        Client.new {
          remote_address = "127.0.0.1", remote_port = port, alias = "client",
          reconnect = %s, server_input = print,
          inline_states = { _stop = function() print "end" end },
          connect_error = function(kernel, heap)
            failures = failures + 1
            print(("%%.2f"):format(poe.monotime() - begun))
            %s
          end,
        }
        poe.run()
      ]]):format(reconnect, more or ""))
      assert.equal("", err)
      assert.equal(0, status)
      return (out:gsub("\n", " "))
    end

    it("waits longer each time, up to a limit, and gives up", function()
      assert.equal("0.00 1.00 3.00 7.00 12.00 17.00 end ", failures
        "{ max = 5, jitter = 0, tries = 5 }")
      assert.equal("0.00 0.50 2.00 end ", failures
        "{ delay = 0.5, factor = 3, jitter = 0, tries = 2 }")
    end)

    it("waits a little less by chance", function()
      local out = failures "{ delay = 10, jitter = 0.5, tries = 1 }"
      local waited = tonumber(out:match " (%S+)")
      assert.is_true(waited >= 5 and waited < 10, out)
    end)

    it("is shut down while it waits", function()
      assert.equal("0.00 1.00 end ", failures("{ jitter = 0 }",
        "if failures == 2 then kernel:delay('shutdown', 0.5) end"))
    end)

    it("does not when it was shut down", function()
      talk { reconnect = true,
        connected = function(kernel) kernel:yield "shutdown" end,
        disconnected = stop }
      assert.equal("disconnected()", log[#log])
    end)

    it("begins anew after a connection that held", function()
      local status, out, err = helper.run_virtual [[
        local Client = require "poe.component.client.tcp"
        local Server = require "poe.component.server.tcp"
        local poe = require "poe"
        local times, ended = 0, poe.monotime()
        Server.new { alias = "server",
          client_input = function(kernel) kernel:yield "shutdown" end,
          started = function(_, heap)
            local host, port = heap.listener:getsockname()
            Client.new {
              remote_address = host, remote_port = port, server_input = print,
              reconnect = { delay = 1, jitter = 0, factor = 5, max = 60 },
              connected = function(kernel, client)
                print(("%.1f"):format(poe.monotime() - ended))
                times = times + 1
                if times == 6 then
                  kernel:post("server", "shutdown")
                  return kernel:yield "shutdown"
                end
                kernel:delay("bye", times == 3 and 5 or times == 4 and 0.5 or 0)
              end,
              inline_states = { bye = function(_, client) client.server:put "bye" end },
              disconnected = function() ended = poe.monotime() end,
            }
          end,
        }
        poe.run()
      ]]
      assert.equal("", err)
      assert.equal(0, status)
      -- Before the third one five seconds were waited, and it held as long.
      assert.equal("0.0 1.0 5.0 1.0 5.0 25.0 ", (out:gsub("\n", " ")))
    end)
  end)

  describe("refuses", function()
    for text, options in pairs {
      ["parameter 'remote_address' is missing (a string that is not empty)"] =
        { server_input = print, remote_port = 1 },
      ["parameter 'remote_port' is missing (a port)"] =
        { server_input = print, remote_address = "x" },
      ["unknown parameter 'server_inputs' (did you mean 'server_input'?)"] =
        { server_inputs = print },
      ["reconnect: unknown parameter 'backoff' (did you mean 'factor'?)"] =
        { server_input = print, remote_address = "x", remote_port = 1,
          reconnect = { backoff = 2 } },
      ["reconnect: parameter 'factor' must be a number of at least 1, got 0.5"] =
        { server_input = print, remote_address = "x", remote_port = 1,
          reconnect = { factor = 0.5 } },
      ["parameter 'inline_states' has 'reconnect', which is the component's own"] =
        { server_input = print, remote_address = "x", remote_port = 1,
          inline_states = { reconnect = print } },
      ["parameter 'remote_port' must be a port (0 to 65535, or the name of a "
        .. "service), got 'echo!'"] =
        { server_input = print, remote_address = "x", remote_port = "echo!" },
      ["parameter 'remote_address' must be the name or address of a host, got 'x:1'"] =
        { server_input = print, remote_address = "x:1", remote_port = 1 },
      ["parameter 'bind_address' must be the name or IPv4 address of a host, "
        .. "got '::1'"] = { server_input = print, remote_address = "x",
          remote_port = 1, bind_address = "::1", domain = "inet" },
      ["parameter 'remote_port' is not for Unix sockets"] =
        { server_input = print, remote_address = "/x", remote_port = 1,
          domain = "unix" },
      ["parameter 'remote_address' excludes 'bind_address'"] =
        { server_input = print, remote_address = "/x", bind_address = "/y",
          domain = "unix" },
    } do
      it(text, function()
        local ok, message = pcall(Client.new, options)
        assert.is_false(ok)
        assert.equal(text, message:match "Client%.TCP%.new: (.*)$")
        assert.matches("client_spec%.lua:%d+: ", message)
      end)
    end
  end)
end)
