-- A descriptor that the loop cannot watch, with select(2) one from 1024 on: a
-- SocketFactory ignored it, so that nobody was told how connecting went, and its
-- socket stayed open; a ListenAccept left its duplicate open; a ReadWrite that was
-- told later which event it has for input said nothing, and nothing came.

local helper = require "spec.helper"

local SCRIPT = [[
  local ReadWrite = require "poe.wheel.readwrite"
  local ListenAccept = require "poe.wheel.listenaccept"
  local SocketFactory = require "poe.wheel.socketfactory"
  local fixture = require "spec.sys.fixture"
  local poe, sys = require "poe", require "poe.sys"

  local listener = assert(sys.tcp.listen {})
  local _, port = listener:getsockname()
  local function run(start, states)
    states = states or {}
    states._start = start
    poe.session.create { inline_states = states }
    poe.run()
  end
  local reader, near = sys.pipe()
  run(function() end) -- the loop's own descriptors come first

  local held = {}
  repeat
    held[#held + 1] = assert(sys.dup(0))
  until held[#held]:fileno() == 1023
  local before = fixture.count_fds()
  collectgarbage "stop"

  local function tell(kernel, heap, operation, code)
    print(kernel.event, operation, code)
    heap.wheel:destroy()
  end
  local function try(options)
    options.success_event, options.failure_event = "made", "failed"
    run(function(_, heap) heap.wheel = SocketFactory.new(options) end,
      { made = tell, failed = tell })
    -- A thread that looks up has its pipe for a moment more.
    fixture.wait_until(function() return fixture.count_open() == before end)
  end
  try { remote_address = "127.0.0.1", remote_port = port }
  try { remote_address = "localhost", remote_port = port }
  try {}
  run(function()
    print(select(3, ListenAccept.new { handle = listener:fileno(),
      accept_event = "accepted" }))
  end)
  local far, writer = sys.pipe()
  run(function(_, heap)
    heap.wheel = ReadWrite.new { input_handle = far, output_handle = near,
      error_event = "failed" }
    heap.wheel:event { input_event = "got" }
  end, { failed = tell, got = tell })
  writer:close()
  reader:close() -- it and `near` were open before
  print(fixture.count_open() + 2 - before)
]]

describe("A wheel whose descriptor the loop cannot watch", function()
  it("tells of it, and leaves nothing open", function()
    helper.assert_prints(
      "failed\tconnect\tEMFILE\nfailed\tresolve\tEMFILE\nfailed\taccept\tEMFILE\n" ..
      "EMFILE\nfailed\tread\tEMFILE\n0", SCRIPT,
      { environment = "POE_EVENT_LOOP=select prlimit --nofile=2000" })
  end)
end)
