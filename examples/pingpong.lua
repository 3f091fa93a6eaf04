-- pingpong.lua -- two sessions that talk to each other.
--
--   poe examples/pingpong.lua [rallies]
--
-- Sessions never share variables; they post events.  One finds the other by
-- its alias, and answers go to kernel.sender, whoever that is.  The alias also
-- keeps its session alive while nothing is on its way to it.

local poe = require "poe"

local rallies = tonumber((...)) or 5

-- The returner answers each ball until it is told that the game is over.
poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:alias_set("returner")
    end,

    ping = function(kernel, _, n)
      print("ping", n)
      kernel:post(kernel.sender, "pong", n)
    end,

    game_over = function(kernel)
      kernel:alias_remove("returner")
    end,

    _stop = function()
      print("the returner goes home")
    end,
  },
}

-- The server plays the given number of balls.
poe.session.create {
  inline_states = {
    _start = function(kernel)
      kernel:post("returner", "ping", 1)
    end,

    pong = function(kernel, _, n)
      print("pong", n)
      if n < rallies then
        kernel:post(kernel.sender, "ping", n + 1)
      else
        kernel:post(kernel.sender, "game_over")
      end
    end,

    _stop = function()
      print("the server goes home")
    end,
  },
}

poe.run()
