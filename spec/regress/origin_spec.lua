-- Where an event came from stays known, though the handler itself sends from
-- other files.

local poe = require "poe"
local helper = require "spec.helper"

--- A function that lies in a file of that name.
local function in_file(name, code)
  return assert(load("local poe = require 'poe' " .. code, "@" .. name))()
end

describe("the origin of a call", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local function forget_files(kernel)
    for i = 1, 8 do
      in_file(("other-file-%d.lua"):format(i), [[
        return function(kernel) kernel:post(kernel.session, "nobody") end
      ]])(kernel)
    end
  end

  it("survives that the called handler sends from other files", function()
    local seen = {}
    poe.session.create {
      inline_states = {
        _start = in_file("calling.lua", [[
          return function(kernel) kernel:call(kernel.session, "called") end]]),
        called = function(kernel)
          seen[1] = kernel.caller_file
          forget_files(kernel)
          seen[2] = kernel.caller_file
        end,
      },
    }
    poe.run()
    assert.same({ "calling.lua", "calling.lua" }, seen)
  end)

  it("survives that _start sends from other files", function()
    local seen = {}
    in_file("creating.lua", [[
      return function(states) poe.session.create { inline_states = states } end
    ]]) {
      _start = function(kernel)
        forget_files(kernel)
        seen[1] = kernel.caller_file
      end,
    }
    poe.run()
    assert.same({ "creating.lua" }, seen)
  end)

  it("survives that _parent sends from other files", function()
    local seen = {}
    poe.session.create {
      inline_states = {
        _start = function(kernel, heap)
          heap.child = poe.session.create {
            inline_states = {
              _start = function(child) child:delay("nobody", 0.001) end,
              _parent = function(child)
                forget_files(child)
                seen[1] = child.caller_file
              end,
            },
          }
          in_file("detaching.lua", [[
            return function(kernel, child) assert(kernel:detach_child(child)) end
          ]])(kernel, heap.child)
        end,
      },
    }
    poe.run()
    assert.same({ "detaching.lua" }, seen)
  end)

  --- A handler that yields "told" on the line of that number.
  local function on_line(line)
    return in_file("lines.lua", ("\n"):rep(line - 1) ..
                   "return function(kernel) kernel:yield 'told' end")
  end

  it("is that of the handler of now, wherever the one before it lay", function()
    local seen = {}
    poe.session.create {
      inline_states = {
        _start = function(kernel) kernel:yield "next" end,
        next = function(kernel)
          kernel:state("tell", on_line(#seen + 1))
          kernel:call(kernel.session, "tell")
          kernel:state "tell"
          collectgarbage() -- the next may come to lie where this one was
        end,
        told = function(kernel)
          seen[#seen + 1] = kernel.caller_line
          if #seen < 60 then kernel:yield "next" end
        end,
      },
    }
    poe.run()
    for line, told in ipairs(seen) do assert.equal(line, told) end
    assert.equal(60, #seen)
  end)

  it("is told apart for every place in one handler", function()
    local seen = {}
    local function note(kernel) seen[#seen + 1] = kernel.caller_line end
    for _ = 1, 3 do
      poe.session.create {
        inline_states = {
          _start = in_file("places.lua", [[
            return function(kernel)
              for _ = 1, 3 do
                kernel:yield "note" -- line 3
                kernel:yield("note",
                  kernel.event) -- a call of two lines: 4
                pcall(kernel.yield, kernel, "note") -- 6
              end
            end]]),
          note = note,
        },
      }
    end
    poe.run()
    assert.same(("346"):rep(9), table.concat(seen))
  end)

  it("of a function that many handlers call is its own line", function()
    local send = in_file("sender.lua", [[
      return function(kernel, name)

        kernel:yield(name) -- line 3
      end]])
    local seen = {}
    local function note(kernel)
      seen[#seen + 1] = kernel.caller_file .. kernel.caller_line
    end
    poe.session.create {
      inline_states = {
        _start = function(kernel)
          send(kernel, "note")
          kernel:yield "again"
        end,
        again = function(kernel) send(kernel, "note") end,
        note = note,
      },
    }
    poe.run()
    assert.same({ "sender.lua3", "sender.lua3" }, seen)
  end)
end)
