-- A handler that unwatches its own handle, sends something from another file,
-- and fails: the traceback still knows where the handle was watched. (The name
-- of the file was the watcher's alone; the sanitizer saw it read when freed.)

local core = require "poe.core"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

--- A function in a file of that name.
local function in_file(name, code)
  return assert(load("local kernel, handle = ... " .. code, "@" .. name))
end

describe("A watcher that its own handler removes", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("leaves the place where it was made for the traceback", function()
    local watch = in_file("watches.lua", "kernel:select_read(handle, 'ready')")
    local forget = in_file("forgets.lua", "kernel:select_read(handle)")
    local call = in_file("calls.lua", "kernel:call(kernel.session, 'fail')")
    local read, write = assert(sys.pipe())
    write:write "x"
    poe.session.create { inline_states = {
      _start = function(kernel) watch(kernel, read) end,
      ready = function(kernel)
        forget(kernel, read)
        call(kernel)
      end,
      fail = function() error "wrong" end,
      _stop = function()
        read:close()
        write:close()
      end,
    } }
    assert.is_false(pcall(poe.run))
    assert.matches("event 'ready' of session %d+, selected by session %d+"
      .. " at watches.lua:1", core.last_traceback())
  end)
end)
