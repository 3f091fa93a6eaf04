-- Peers that close, reset, half-close, stall or send garbage, at any byte: a wheel
-- sends one error event or ends cleanly, sends nothing after it, leaves nothing.

local Block = require "poe.filter.block"
local Line = require "poe.filter.line"
local ReadWrite = require "poe.wheel.readwrite"
local SocketFactory = require "poe.wheel.socketfactory"
local fixture = require "spec.wheel.fixture"
local helper = require "spec.helper"
local sockets = require "spec.sys.fixture"
local sys = require "poe.sys"

local COUNT = 1000
local AT_ONCE = 20
local SEED = 20261122

--- What a peer sends if nothing happens, and the records in it.
local function conversation(random)
  local records = {}
  for i = 1, random(1, 40) do
    records[i] = ("x"):rep(random(0, 300)) .. i
  end
  return records
end

-- Each filter with what tells where a record ends in its bytes.
local KINDS = {
  {
    filter = function() return Line.new { max_length = 400 } end,
    wire = function(records) return Line.new():put(records) end,
  },
  {
    filter = function() return Block.new { max_length = 400 } end,
    wire = function(records) return Block.new():put(records) end,
  },
}

-- What a peer does after its last byte. Some stay open, and are closed at the end.
local FAULTS = {
  close = function(peer) peer:close() end,
  reset = function(peer)
    peer:setsockopt("SO_LINGER", 0)
    peer:close()
  end,
  half = function(peer) peer:shutdown "w" end,
  garbage = function(peer, random)
    local bytes = {}
    for i = 1, random(1, 2000) do bytes[i] = string.char(random(0, 255)) end
    peer:write(table.concat(bytes))
    peer:close()
  end,
  long = function(peer)
    peer:write(("9"):rep(3000))
  end,
  stall = function() end,
}
local NAMES = { "close", "reset", "half", "garbage", "long", "stall" }

--- One connection: what its peer does, and what came of it.
local function new_case(random, number)
  local records = conversation(random)
  local kind = KINDS[random(#KINDS)]
  local wire = table.concat(kind.wire(records))
  return {
    number = number, kind = kind, records = records,
    fault = NAMES[random(#NAMES)], offset = random(0, #wire), wire = wire,
    pieces = random(1, 4), is_destroyer = random(2) == 1, got = 0, events = {},
  }
end

local function fail(case, text)
  error(("case %d (%s at byte %d of %d, seed %d): %s"):format(case.number, case.fault,
    case.offset, #case.wire, SEED, text))
end

local Run = {}

function Run._start(kernel, heap)
  heap.server = SocketFactory.new { success_event = "accepted",
    failure_event = "server_failed" }
  heap.waiting, heap.by_id, heap.by_port = 0, {}, {}
  for _ = 1, AT_ONCE do kernel:yield "connect" end
end

function Run.connect(kernel, heap)
  local case = table.remove(heap.todo)
  if not case then return end
  heap.waiting = heap.waiting + 1
  local _, port = heap.server:getsockname()
  case.peer = assert(sys.tcp.connect { port = port })
  local _, from = case.peer:getsockname()
  heap.by_port[from] = case
  kernel:yield("send", case, 1)
end

--- The bytes before the offset in a few pieces, then what goes wrong.
function Run.send(kernel, heap, case, from)
  local size = case.offset // case.pieces + 1
  local to = math.min(from + size - 1, case.offset)
  if to >= from then
    local sent = case.peer:write(case.wire:sub(from, to))
    return kernel:yield("send", case, from + (sent or 0))
  end
  FAULTS[case.fault](case.peer, heap.random)
  if case.fault == "stall" then kernel:delay_add("stalled", 0.001, case) end
end

function Run.accepted(_, heap, socket, _, port)
  local case = heap.by_port[port]
  heap.by_port[port] = nil
  case.handle = socket
  case.wheel = ReadWrite.new { handle = socket, filter = case.kind.filter(),
    input_event = "input", error_event = "failed", flushed_event = "flushed" }
  heap.by_id[case.wheel:ID()] = case
end

function Run.input(_, heap, record, id)
  local case = heap.by_id[id]
  case.got = case.got + 1
  if #case.events > 0 then fail(case, "input after an error") end
  local is_intact = record == case.records[case.got]
  if not is_intact and case.fault ~= "garbage" and case.fault ~= "long" then
    fail(case, "record " .. case.got .. " is another")
  end
  case.wheel:put(record)
end

function Run.flushed() end

function Run.failed(kernel, heap, operation, code, _, id)
  local case = heap.by_id[id]
  case.events[#case.events + 1] = operation .. " " .. code
  if case.is_destroyer or #case.events > 1 then
    case.wheel:destroy()
  elseif code == 0 then
    case.wheel:shutdown_output()
  end
  if #case.events == 1 then
    kernel:delay_add("done", 0.002, case)
  end
end

function Run.stalled(kernel, _, case)
  if #case.events > 0 then fail(case, "error: " .. case.events[1]) end
  case.wheel:destroy()
  kernel:yield("done", case)
end

--- Some time after its error nothing more has come.
function Run.done(kernel, heap, case)
  local events = table.concat(case.events, ", ")
  heap.seen[events] = (heap.seen[events] or 0) + 1
  if #case.events > (case.is_destroyer and 1 or 2) then fail(case, events) end
  if case.events[2] and case.events[1] ~= "read 0" then fail(case, events) end
  case.wheel:destroy()
  if not case.handle:is_closed() then fail(case, "still open") end
  case.peer:close()
  heap.waiting = heap.waiting - 1
  kernel:yield "connect"
  if heap.waiting == 0 and #heap.todo == 0 then
    heap.server:destroy()
    kernel:delay "_hung"
  end
end

describe("A peer", function()
  before_each(helper.begin)
  after_each(function()
    sockets.close_kept()
    helper.finish()
  end)

  it("may do anything at any byte", function()
    math.randomseed(SEED)
    local todo, seen = {}, {}
    for i = COUNT, 1, -1 do todo[i] = new_case(math.random, i) end
    local states = {}
    for name, handler in pairs(Run) do states[name] = handler end
    function states._start(kernel, heap)
      heap.todo, heap.seen, heap.random = todo, seen, math.random
      Run._start(kernel, heap)
    end
    function states._default(_, _, event)
      if event:find "^poe%.wheel" then error("left behind: " .. event) end
    end
    fixture.run({}, states)
    local total = 0
    for _, count in pairs(seen) do total = total + count end
    assert.equal(COUNT, total)
    -- Every kind of end has been met.
    assert.truthy(seen["read 0"] and seen["read ECONNRESET"] and seen["read EMSGSIZE"])
    assert.truthy(seen[""])
  end)
end)
