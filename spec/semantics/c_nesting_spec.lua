-- How deep calls and creations may nest.

local helper = require "spec.helper"
local poe = require "poe"

describe("C. Nesting", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  --- session, event, sender, caller_event: as one line.
  local function context(kernel)
    return ("%s %s <- %s %s"):format(t:name(kernel.session), kernel.event,
      t:name(kernel.sender), tostring(kernel.caller_event))
  end

  describe("nesting", function()
    --- Calls deeper and deeper until it fails: how deep, and how it failed.
    local function dive(kernel, call)
      local depth, deepest, message = 0, 0, nil
      local function deeper()
        depth = depth + 1
        deepest = math.max(deepest, depth)
        local ok, value, why = pcall(call)
        if not ok or value == nil then
          message = message or (ok and why or value)
        end
        depth = depth - 1
        return true
      end
      kernel:state("deeper", deeper)
      deeper()
      return deepest, message
    end

    it("goes 200 deep by calls to oneself; past the limit is an ordinary error",
      function()
        t:session("a", {
          _start = function(kernel)
            local deepest, message = dive(kernel, function()
              return kernel:call(kernel.session, "deeper")
            end)
            assert.is_true(deepest >= 200, "depth " .. deepest)
            assert.truthy(message:find("too deep", 1, true), message)
            t:say(context(kernel))
            t:say(kernel:call(kernel.session, "after"))
          end,
          after = function() return "works again" end,
        })
        t:run()
        t:expect [[
          a._start <- KERNEL
          a _start <- KERNEL nil
          a.after <- a
          works again
          a._stop <- KERNEL
          run() returned]]
      end)

    it("goes 200 deep between two sessions, each level right", function()
      local depth = 0
      local function deeper(kernel, _, other)
        depth = depth + 1
        local before = context(kernel)
        if depth < 200 then
          kernel:call(other, "deeper", kernel.session)
        end
        assert.equal(before, context(kernel))
        return depth
      end
      local b = t:session("b", { deeper = deeper }, { quiet = true })
      t:session("a", {
        _start = function(kernel) t:say(kernel:call(b, "deeper", kernel.session)) end,
        deeper = deeper,
      }, { quiet = true })
      t:run()
      t:expect "200\nrun() returned"
    end)

    it("goes 200 deep by creating sessions within each other", function()
      local depth, message = 0, nil
      local function create()
        return poe.session.create {
          inline_states = {
            _start = function()
              depth = depth + 1
              local ok, why = pcall(create)
              if not ok then
                message = message or why
              end
            end,
          },
        }
      end
      create()
      poe.run()
      assert.is_true(depth >= 200, "depth " .. depth)
      assert.truthy(message:find("too deep", 1, true), message)
    end)
  end)
end)
