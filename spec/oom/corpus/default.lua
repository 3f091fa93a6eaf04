-- Events that nobody handles, with and without _default.

local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel)
      for i = 1, 5 do kernel:yield("unknown " .. i, i, nil) end
    end,
    _default = function(_, heap, event, args) heap[event] = args end,
  },
}
poe.session.create { inline_states = {
  _start = function(kernel) kernel:yield("lost"); kernel:call(kernel, "lost") end,
} }
poe.run()
