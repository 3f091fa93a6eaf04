-- States that are methods of objects and modules.

local poe = require "poe"

local Counter = {}
function Counter:_start(kernel) kernel:yield("count", 3); self.n = 0 end
function Counter:count(kernel, _, left)
  self.n = self.n + 1
  if left > 0 then kernel:yield("count", left - 1) end
end

local Talker = {}
function Talker.talk(_, _, _, ...) return ... end

poe.session.create {
  object_states = { [Counter] = { "_start", "count" } },
  package_states = { [Talker] = { speak = "talk" } },
  options = { default = true, trace = false },
  heap = {},
}
poe.run()
