-- poe.wheel.readwrite: a record that comes alone, and what answers it. They go
-- past the driver and lists, and must look as if they did not.

local Line = require "poe.filter.line"
local ReadWrite = require "poe.wheel.readwrite"
local Stream = require "poe.filter.stream"
local SysRW = require "poe.driver.sysrw"
local helper = require "spec.helper"
local keep = require "spec.sys.fixture".keep
local close_kept = require "spec.sys.fixture".close_kept
local poe = require "poe"
local sys = require "poe.sys"

local BIG = ("0123456789"):rep(100000)

--- A wheel whose handler of input is `input`; its peer sends "ping\n" and reads to
--- the end. Returns all that it read and the log of other events.
local function exchange(input, options)
  local log, got = {}, {}
  local function note(name)
    return function(_, heap, ...)
      log[#log + 1] = table.concat({ name, ... }, " ")
      if heap.wheel and name == "failed" then heap.wheel = heap.wheel:destroy() end
    end
  end
  poe.session.create { inline_states = {
    _start = function(kernel, heap)
      local handle
      handle, heap.peer = keep(assert(sys.socketpair()))
      local all = { handle = handle, input_event = "input",
        flushed_event = "flushed", error_event = "failed" }
      for name, value in pairs(options or {}) do all[name] = value end
      heap.wheel = assert(ReadWrite.new(all))
      heap.peer:write "ping\n"
      kernel:yield "read"
    end,
    input = input,
    flushed = note "flushed",
    failed = note "failed",
    read = function(kernel, heap)
      if heap.peer:is_closed() then return end
      local bytes = heap.peer:read()
      got[#got + 1] = bytes
      if bytes ~= "" then return kernel:yield "read" end
      heap.wheel = heap.wheel and heap.wheel:destroy()
    end,
  } }
  poe.run()
  return table.concat(got), log
end

local function done(heap)
  heap.wheel:shutdown_output()
end

describe("A record that comes alone", function()
  before_each(helper.begin)
  after_each(function()
    close_kept()
    helper.finish()
  end)

  it("is answered", function()
    local got, log = exchange(function(_, heap, record, id)
      assert.equal("ping", record)
      assert.equal(heap.wheel:ID(), id)
      assert.is_false(heap.wheel:put "pong")
      assert.equal(6, heap.wheel:get_driver_out_octets())
      assert.equal(1, heap.wheel:get_driver_out_messages())
      done(heap)
    end)
    assert.equal("pong\r\n", got)
    assert.same({ "flushed" }, { log[1]:match "^%a+" })
  end)

  it("is answered in several parts, in their order", function()
    local got, log = exchange(function(_, heap)
      for i = 1, 3 do heap.wheel:put("a" .. i, "b") end
      heap.wheel:put "c"
      heap.wheel:put "d"
      done(heap)
    end)
    assert.equal("a1 b a2 b a3 b c d ", (got:gsub("\r\n", " ")))
    assert.equal(1, #log)
  end)

  it("is answered by more than there is room for", function()
    local got, log = exchange(function(kernel, heap)
      heap.wheel:put(BIG)
      assert.equal(#BIG, heap.wheel:get_driver_out_octets())
      kernel:delay("finish", 0)
      kernel:state("finish", function() done(heap) end)
    end, { output_filter = Stream.new() })
    assert.is_true(got == BIG)
    assert.equal(1, #log)
  end)

  it("may be answered later", function()
    local got = exchange(function(kernel, heap)
      kernel:state("later", function()
        heap.wheel:put "late"
        done(heap)
      end)
      kernel:yield "later"
    end)
    assert.equal("late\r\n", got)
  end)

  it("is not answered when the wheel goes", function()
    local got = exchange(function(_, heap)
      heap.wheel:put "never"
      heap.wheel = heap.wheel:destroy()
    end)
    assert.equal("", got)
  end)

  it("is answered through the filter of now", function()
    local got = exchange(function(_, heap)
      heap.wheel:set_output_filter(Line.new { output_literal = "!" })
      heap.wheel:put "pong"
      heap.wheel:set_output_filter(Stream.new())
      heap.wheel:put(7)
      done(heap)
    end)
    assert.equal("pong!7", got)
  end)

  it("is answered by nothing but records", function()
    local message
    local got = exchange(function(_, heap)
      message = select(2, pcall(heap.wheel.put, heap.wheel, {}))
      done(heap)
    end)
    assert.matches("element 1 must be a string or a number, got a table", message)
    assert.equal("", got)
  end)

  it("has an answer that reaches the high mark", function()
    local returned
    local _, log = exchange(function(kernel, heap)
      returned = heap.wheel:put "0123456789"
      kernel:state("high", function(_, _, id)
        assert.equal(id, heap.wheel:ID())
        done(heap)
      end)
    end, { high_mark = 12, high_event = "high" })
    assert.is_true(returned)
    assert.equal(1, #log)
  end)

  it("whose answer nobody takes is one error", function()
    local _, log = exchange(function(_, heap)
      heap.peer:close()
      heap.wheel:put "pong"
    end)
    assert.equal(1, #log)
    assert.matches("^failed write EPIPE Broken pipe %d+$", log[1])
  end)

  it("goes through a driver of the user's", function()
    local seen = {}
    local Driver = setmetatable({}, { __index = SysRW })
    Driver.__index = Driver
    function Driver:put(chunks)
      table.move(chunks, 1, #chunks, #seen + 1, seen)
      return SysRW.put(self, chunks)
    end
    exchange(function(_, heap)
      heap.wheel:put "pong"
      done(heap)
    end, { driver = setmetatable(SysRW.new(), Driver) })
    assert.same({ "pong\r\n" }, seen)
  end)

  it("is activity", function()
    local before, after, again
    exchange(function(_, heap)
      before, after = heap.wheel:was_active(), heap.wheel:was_active()
      heap.peer:write "two\nthree\n"
      heap.wheel:event { input_event = function(_, _, record)
        if record == "two" then return end
        again = heap.wheel:was_active()
        done(heap)
      end }
    end)
    assert.same({ true, false, true }, { before, after, again })
  end)

  it("may go to a function", function()
    local records = {}
    local function second(kernel, heap, record)
      records[#records + 1] = record
      assert.matches("ReadWrite", kernel.event)
      if record == "b" then heap.wheel:event { input_event = "input" } end
    end
    local got = exchange(function(_, heap, record)
      records[#records + 1] = record
      if record == "c" then return done(heap) end
      heap.peer:write "b\nc\n"
      heap.wheel:event { input_event = second }
      heap.wheel:put "first"
    end)
    assert.same({ "ping", "b", "c" }, records)
    assert.equal("first\r\n", got)
  end)
end)
