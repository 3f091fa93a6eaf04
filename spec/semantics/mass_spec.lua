-- Great numbers: a million events, a million timers, 100,000 sessions, calls a
-- hundred thousand times.  Each in a process of its own, which ends with the
-- kernel empty.

local helper = require "spec.helper"

local PRELUDE = [[
  local poe = require "poe"
  local core = require "poe.core"
  local function run()
    poe.run()
    local left = core.census()
    print(left.sessions + left.events + left.timers + left.values)
  end
]]

describe("In great numbers", function()
  local function prints(expected, script)
    helper.assert_prints(expected, PRELUDE .. script, { virtual = true, patience = 200 })
  end

  it("a million queued events keep their order", function()
    prints("1000000\n1000000\n0", [[
      local n = 0
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            for i = 1, 1000000 do
              kernel:yield("e", i)
            end
            print(kernel:get_event_count())
          end,
          e = function(_, _, i)
            n = n + 1
            assert(i == n)
          end,
          _stop = function() print(n) end,
        },
      }
      run()]])
  end)

  it("a million timers fire in due order", function()
    prints("1000000\n1000000\n0", [[
      local n = 0
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            local base = poe.time() + 1
            for i = 1, 1000000 do
              local due = i * 7919 % 1000003
              kernel:alarm_add("e", base + due / 1e6, due)
            end
            print(kernel:get_event_count())
          end,
          e = function(_, heap, due)
            n = n + 1
            assert(due >= (heap.last or 0))
            heap.last = due
          end,
          _stop = function() print(n) end,
        },
      }
      run()]])
  end)

  it("a million timers are adjusted and removed by ID and by name", function()
    prints("400000\n400000\n0", [[
      local fired = 0
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            local ids = {}
            for i = 1, 1000000 do
              ids[i] = kernel:delay_set(i % 2 == 0 and "even" or "odd", i)
            end
            kernel:delay "odd"
            for i = 2, 1000000, 10 do
              assert(kernel:alarm_remove(ids[i]) == "even")
            end
            for i = 4, 1000000, 10 do
              assert(kernel:delay_adjust(ids[i], 1))
            end
            print(kernel:get_event_count())
          end,
          even = function() fired = fired + 1 end,
          odd = error,
          _stop = function() print(fired) end,
        },
      }
      run()]])
  end)

  it("100,000 sessions live, work and stop", function()
    prints("100000\n100000\n0", [[
      local worked, stopped = 0, 0
      for i = 1, 100000 do
        poe.session.create {
          args = { i },
          inline_states = {
            _start = function(kernel, heap, n)
              heap.n = n
              kernel:yield("e", n)
            end,
            e = function(_, heap, n)
              assert(heap.n == n)
              worked = worked + 1
            end,
            _stop = function() stopped = stopped + 1 end,
          },
        }
      end
      poe.run()
      print(worked)
      print(stopped)
      run()]])
  end)

  it("a signal reaches 100,000 sessions, and stops them", function()
    prints("100000\n100000\n0", [[
      local told, stopped = 0, 0
      for i = 1, 100000 do
        poe.session.create {
          inline_states = {
            _start = function(kernel)
              kernel:alias_set("session " .. i)
              kernel:sig("TERM", "told")
            end,
            told = function() told = told + 1 end,
            _stop = function() stopped = stopped + 1 end,
          },
        }
      end
      poe.kernel:signal(poe.kernel, "TERM")
      poe.run()
      print(told)
      print(stopped)
      run()]])
  end)

  it("a chain of 10,000 descendants ends from the last to the first", function()
    prints("10000\n0", [[
      local order = {}
      local function create(i)
        poe.session.create {
          inline_states = {
            _start = function(kernel) kernel:yield "more" end,
            more = function()
              if i < 10000 then
                create(i + 1)
              end
            end,
            _stop = function() order[#order + 1] = i end,
          },
        }
      end
      create(1)
      poe.run()
      print(#order)
      for i, n in ipairs(order) do
        assert(n == 10000 - i + 1)
      end
      run()]])
  end)

  it("a million calls leave nothing", function()
    prints("1000000\n0", [[
      local n = 0
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            for i = 1, 1000000 do
              assert(kernel:call(kernel.session, "e", i) == i)
            end
          end,
          e = function(_, _, i)
            n = n + 1
            return i
          end,
          _stop = function() print(n) end,
        },
      }
      run()]])
  end)
end)
