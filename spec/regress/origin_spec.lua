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
end)
