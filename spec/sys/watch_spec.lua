-- poe.sys and the kernel together: an object that is closed is unwatched.

local fixture = require "spec.sys.fixture"

--- What a script prints that has poe, sys and a `watch` that prints what it
--- reads.
local function run(script)
  local out = fixture.run([[
    local poe = require "poe"
    local function session(states)
      return poe.session.create { inline_states = states }
    end
  ]] .. script, "exec timeout 60")
  return out
end

describe("a watched descriptor object", function()
  it("holds its session, until it is closed", function()
    assert.equal("read x\nstopped\n", run [[
      local r, w = sys.pipe()
      session {
        _start = function(kernel) kernel:select_read(r, "on_read") end,
        on_read = function(_, _, handle, mode)
          assert(handle == r and mode == poe.MODE_RD)
          print("read " .. handle:read())
          handle:close()
        end,
        _stop = function() print "stopped" end,
      }
      w:write("x")
      poe.run()
    ]])
  end)

  it("is unwatched for every session and in every mode", function()
    assert.equal("closed\nstopped\nstopped\n", run [[
      local a, b = sys.socketpair()
      for _ = 1, 2 do
        session {
          _start = function(kernel)
            kernel:select(a, "never", nil, "never")
          end,
          never = function() print "never" end,
          _stop = function() print "stopped" end,
        }
      end
      session {
        _start = function(kernel) kernel:yield("close") end,
        close = function() a:close() print "closed" end,
      }
      poe.run()
      b:close()
    ]])
  end)

  it("does not pass its watch on to the next one of that number", function()
    assert.equal("new: y\n", run [[
      local r, w = sys.pipe()
      session {
        _start = function(kernel)
          kernel:select_read(r, "old")
          kernel:yield("replace")
        end,
        old = function() print "old" end,
        replace = function(kernel)
          local number = r:fileno()
          r:close()
          r = assert(sys.dup(0))
          assert(r:fileno() == number)
          r:close()
          local new, new_w = sys.pipe()
          assert(new:fileno() == number)
          new_w:write("y")
          new_w:close()
          kernel:select_read(new, "new")
        end,
        new = function(_, _, handle)
          local bytes = handle:read()
          if bytes == "" then
            handle:close()
          else
            print("new: " .. bytes)
          end
        end,
      }
      poe.run()
      w:close()
    ]])
  end)

  it("cannot be watched once it is closed", function()
    assert.equal("EBADF\ntrue\n", run [[
      local r, w = sys.pipe()
      r:close()
      session {
        _start = function(kernel)
          print((select(3, kernel:select_read(r, "never"))))
          kernel:select_read(w, "never")
          w:close()
          print(kernel:select_read(w))
        end,
      }
      poe.run()
    ]])
  end)

  it("is not collected while it is watched", function()
    assert.equal("read late\n", run [[
      local w
      session {
        _start = function(kernel)
          local r
          r, w = sys.pipe()
          kernel:select_read(r, "on_read")
          kernel:yield("collect")
        end,
        collect = function()
          collectgarbage()
          collectgarbage()
          w:write("late")
        end,
        on_read = function(_, _, handle)
          print("read " .. handle:read())
          handle:close()
        end,
      }
      poe.run()
    ]])
  end)

  it("may be closed after the kernel is gone", function()
    assert.equal("end\n", run [[
      kept = { sys.pipe() } -- a global: collected when the state closes
      session {
        _start = function(kernel)
          kernel:select_read(kept[1], "never")
          kernel:yield("stop")
        end,
        stop = function(kernel) kernel:stop() end,
      }
      poe.run()
      print "end"
    ]])
  end)
end)
