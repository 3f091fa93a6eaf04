-- churn.lua -- so many sessions made and ended, 1,000 at a time: memory stays
-- where it was. Each has a heap, an alias, a timer or a child of its own.
--
--   poe spec/strain/churn.lua COUNT

local poe = require "poe"
local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local BATCH = 1000
local WARM_UP = 100 -- batches, before memory is looked at
local MOST = strain.is_sanitized() and math.huge or 1024 -- KiB it may grow by

local made, stopped = 0, 0

local function ended()
  stopped = stopped + 1
end

local kinds = {
  { _start = function() end, _stop = ended },
  {
    _start = function(kernel, heap)
      heap.name = "churn " .. made
      kernel:alias_set(heap.name)
      kernel:yield "go"
    end,
    go = function(kernel, heap) kernel:alias_remove(heap.name) end,
    _stop = ended,
  },
  {
    _start = function(kernel) kernel:delay("due", 0, "argument") end,
    due = function() end,
    _stop = ended,
  },
  {
    _start = function(kernel)
      made = made + 1
      poe.session.create {
        inline_states = { _start = function() end, _stop = ended },
      }
      kernel:sig("CHURN", "never")
      kernel:post(kernel.session, "go", kernel.session:postback "never")
    end,
    go = function(_, _, postback) postback:close() end,
    never = error,
    _stop = ended,
  },
}

local function resident()
  collectgarbage()
  collectgarbage()
  return strain.resident()
end

local Maker = {}

function Maker._start(kernel, heap)
  heap.batches = 0
  kernel:yield "make"
end

function Maker.make(kernel, heap)
  local goal = math.min(made + BATCH, COUNT)
  while made < goal do
    made = made + 1
    poe.session.create { inline_states = kinds[made % #kinds + 1] }
  end
  heap.batches = heap.batches + 1
  if heap.batches == WARM_UP then
    Maker.before = resident()
  end
  if made < COUNT then
    kernel:yield "make"
  end
end

poe.session.create { inline_states = { _start = Maker._start, make = Maker.make } }
local seconds = strain.run()

local before, after = Maker.before or resident(), resident()
strain.equal(made, stopped, "sessions ended")
strain.equal(0, require "poe.core".census().sessions, "sessions left")
assert(after - before < MOST, ("memory grew by %d KiB"):format(after - before))
strain.say("%d sessions made and ended in %.1f s: resident %d KiB, then %d KiB",
  made, seconds, before, after)
