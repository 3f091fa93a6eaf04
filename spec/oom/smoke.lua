-- What a kernel must still do after an allocation failed: a known program.

local core = require "poe.core"
local poe = require "poe"
local sys = require "poe.sys"

-- What the failed program left is no part of it.
poe.kernel:stop()
pcall(poe.run)
collectgarbage()
collectgarbage()

local log = {}

local function note(kernel, _, ...)
  local is_plain = kernel.event ~= "_child"
  log[#log + 1] = kernel.event .. (is_plain and table.concat({ ... }, ",") or "")
end

local function ready(kernel, heap, handle)
  log[#log + 1] = "ready" .. handle:read(10)
  kernel:select_read(handle)
  heap.read:close()
  heap.write:close()
end

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      heap.read, heap.write = assert(sys.pipe())
      assert(kernel:alias_set("smoke"))
      kernel:sig("SMOKE", "signalled")
      poe.session.create {
        inline_states = { _start = note, _stop = note },
        args = { 1 },
      }
      kernel:yield("posted", 2, 3)
      kernel:delay("late", 0.001, 4)
      assert(kernel:signal("smoke", "SMOKE"))
      assert(kernel:select_read(heap.read, "ready"))
      heap.write:write("x")
      assert(kernel:call(kernel.session, "called") == "value")
    end,
    called = function() return "value" end,
    posted = note,
    signalled = note,
    ready = ready,
    late = function(kernel, ...)
      note(kernel, ...)
      assert(kernel:alias_remove("smoke"))
    end,
    _child = note,
    _stop = note,
  },
}
poe.run()

local text = table.concat(log, " ")
local is_good = text:find("^_start1 _child ") and text:find("posted2,3", 1, true)
  and text:find("signalledSMOKE", 1, true) and text:find("readyx", 1, true)
  and text:find("late4", 1, true) and text:find("_stop$")
assert(is_good, text)

for name, count in pairs(core.census()) do
  local is_kept = name == "allocations" or name == "names"
  assert(is_kept or count == 0, name .. " left: " .. tostring(count))
end
