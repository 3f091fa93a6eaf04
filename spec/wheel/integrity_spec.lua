-- ReadWrite: whatever is done to it at random, every byte arrives once and in order.

local Block = require "poe.filter.block"
local ReadWrite = require "poe.wheel.readwrite"
local Stream = require "poe.filter.stream"
local fixture = require "spec.wheel.fixture"
local helper = require "spec.helper"
local sockets = require "spec.sys.fixture"
local sys = require "poe.sys"

local SEED = 20261122
local ROUNDS = 40
local random = math.random

local function bytes(count)
  local parts = {}
  for i = 1, count do parts[i] = string.char(random(0, 255)) end
  return table.concat(parts)
end

local function new_filter()
  if random(3) == 1 then return Stream.new() end
  return Block.new { block_size = random(1, 50) }
end

-- What may happen to the input between two records.
local DISTURBANCES = {
  function(_, wheel) wheel:set_input_filter(new_filter()) end,
  function(kernel, wheel)
    wheel:pause_input()
    kernel:yield "resume"
  end,
  function(kernel, wheel)
    wheel:event { input_event = false }
    kernel:yield "listen"
  end,
  function(kernel, wheel)
    wheel:event { input_event = random(2) == 1 and "input" or "other" }
    kernel:yield "change"
  end,
}

--- What comes out when `sent` goes in, in pieces, while it is disturbed.
local function through_input(sent)
  local got = {}
  local function take(kernel, heap, record)
    got[#got + 1] = record
    if random(4) == 1 then DISTURBANCES[random(#DISTURBANCES)](kernel, heap.wheel) end
  end
  fixture.run({}, {
    _start = function(kernel, heap)
      local handle
      handle, heap.peer = sockets.keep(assert(sys.socketpair()))
      heap.wheel = ReadWrite.new { handle = handle, filter = new_filter(),
        input_event = "input", error_event = "ended" }
      kernel:yield("send", 1)
    end,
    send = function(kernel, heap, from)
      if from > #sent then return heap.peer:shutdown "w" end
      local count = heap.peer:write(sent:sub(from, from + random(0, 300)))
      kernel:yield("send", from + (count or 0))
    end,
    input = take, other = take,
    resume = function(_, heap) heap.wheel:resume_input() end,
    listen = function(_, heap) heap.wheel:event { input_event = "input" } end,
    change = function(_, heap)
      if heap.wheel then heap.wheel:set_input_filter(new_filter()) end
    end,
    ended = function(kernel, heap, _, code)
      assert.equal(0, code)
      local rest = heap.wheel:get_input_filter():get_pending() or {}
      got[#got + 1] = table.concat(rest)
      fixture.finish(kernel, heap)
    end,
  })
  return table.concat(got)
end

--- What the peer reads of the pieces that are put, in handlers of all kinds.
local function through_output(pieces)
  local got, flushed = {}, 0
  local function put(heap, most)
    for _ = 1, random(0, most) do
      local piece = table.remove(pieces)
      if piece then heap.wheel:put(piece) end
      if random(5) == 1 then heap.wheel:flush() end
      if random(5) == 1 then heap.wheel:set_output_filter(Stream.new()) end
    end
  end
  fixture.run({}, {
    _start = function(kernel, heap)
      local handle
      handle, heap.peer = sockets.keep(assert(sys.socketpair()))
      handle:setsockopt("SO_SNDBUF", random(1, 20000))
      heap.wheel = ReadWrite.new { handle = handle, filter = Stream.new(),
        input_event = "input", flushed_event = "flushed", low_event = "low",
        error_event = "ended", high_mark = random(1, 5000) }
      kernel:yield "step"
    end,
    step = function(kernel, heap)
      put(heap, 3)
      if random(2) == 1 then heap.peer:write "x" end
      for _ = 1, random(0, 2) do got[#got + 1] = heap.peer:read(random(1, 9000)) end
      if #pieces > 0 or got[#got] ~= "" then return kernel:yield "step" end
      heap.peer:close()
    end,
    input = function(_, heap) put(heap, 2) end,
    low = function(_, heap) put(heap, 2) end,
    flushed = function(_, heap)
      flushed = flushed + 1
      put(heap, 1)
      if #pieces == 0 then heap.wheel:shutdown_output() end
    end,
    ended = fixture.finish,
  })
  assert.is_true(flushed > 0)
  return table.concat(got)
end

describe("Every byte", function()
  before_each(function()
    helper.begin()
    math.randomseed(SEED)
  end)
  after_each(function()
    sockets.close_kept()
    helper.finish()
  end)

  it("is read once and in order", function()
    for _ = 1, ROUNDS do
      local sent = bytes(random(1, 3000))
      assert.equal(sent, through_input(sent))
    end
  end)

  it("is written once and in order", function()
    for _ = 1, ROUNDS do
      local pieces, all = {}, {}
      for i = 1, random(1, 60) do
        all[i] = bytes(random(1, 2000))
        pieces[#pieces + 1] = all[i]
      end
      for i = 1, #pieces // 2 do
        pieces[i], pieces[#pieces + 1 - i] = pieces[#pieces + 1 - i], pieces[i]
      end
      assert.equal(table.concat(all), through_output(pieces))
    end
  end)
end)
