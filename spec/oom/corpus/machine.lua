-- A state machine.

local NFA = require "poe.nfa"
local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function()
      NFA.spawn {
        inline_states = {
          begin = {
            go = function(kernel) kernel.session:goto_state("second", "enter", 1) end,
          },
          second = { enter = function(kernel) kernel.session:stop() end },
        },
      }:goto_state("begin", "go")
    end,
  },
}
poe.run()
