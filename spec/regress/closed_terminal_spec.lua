-- A terminal of tty_open whose object was closed, not restored: another descriptor
-- that got the number of the object was taken for it, and its place was lost.

local fixture = require "spec.sys.fixture"
local helper = require "spec.helper"
local sys = require "poe.sys"

local keep = fixture.keep

describe("a terminal whose object was closed before it was restored", function()
  local slave

  before_each(function()
    helper.begin()
    local _
    _, slave = keep(assert(sys.openpty()))
  end)

  after_each(function()
    fixture.close_kept()
    helper.finish()
  end)

  --- Opens and closes it; returns the number that it had.
  local function lose()
    local tty <close> = assert(sys.tty_open(slave))
    return tty:fileno()
  end

  --- Room for none of those that were lost.
  local function use_all()
    local list = {}
    for i = 1, 8 do list[i] = keep(assert(sys.tty_open(slave))) end
    for _, tty in ipairs(list) do assert.is_true(sys.tty_restore(tty)) end
  end

  it("is not the one that has its number now", function()
    local number = lose()
    local r = keep(sys.pipe())
    assert.equal(number, r:fileno())
    assert.equal("ENOTTY", select(3, sys.tty_edit(r)))
    assert.equal("ENOTTY", select(3, sys.tty_restore(r)))
    use_all()
  end)

  it("makes room for others", function()
    for _ = 1, 20 do lose() end
    use_all()
  end)
end)
