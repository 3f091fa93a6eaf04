-- The echo server, with a session that yields for ever beside it.
local poe = require "poe"

poe.session.create {
  inline_states = {
    _start = function(kernel) kernel:yield "spin" end,
    spin = function(kernel) kernel:yield "spin" end,
  },
}

dofile((arg[0]:match(".*/") or "./") .. "echo.lua")
