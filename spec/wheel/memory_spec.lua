-- What one of many idle wheels takes.

local ReadWrite = require "poe.wheel.readwrite"
local Stream = require "poe.filter.stream"
local fixture = require "spec.sys.fixture"
local helper = require "spec.helper"
local keep = fixture.keep
local poe = require "poe"
local sys = require "poe.sys"

local MANY = 200

--- Bytes of Lua.
local function memory()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end

describe("A ReadWrite wheel", function()
  before_each(helper.begin)
  after_each(function()
    fixture.close_kept()
    helper.finish()
  end)

  it("takes at most 2,300 bytes while nothing waits", function()
    local sockets, each = {}, nil
    for i = 1, MANY do sockets[i] = keep(assert(sys.socketpair())) end
    poe.session.create { inline_states = {
      _start = function()
        local wheels = table.pack(table.unpack(sockets)) -- its room is there
        local before = memory()
        for i = 1, MANY do
          wheels[i] = assert(ReadWrite.new { handle = sockets[i],
            filter = Stream.new(), input_event = "input", error_event = "failed" })
        end
        each = (memory() - before) / MANY
        for i = 1, MANY do wheels[i]:destroy() end
      end,
      input = function() end,
      failed = function() end,
    } }
    poe.run()
    assert.is_true(each > 1000 and each <= 2300, each)
  end)
end)
