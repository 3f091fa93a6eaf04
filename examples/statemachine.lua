-- statemachine.lua -- a state machine with object states.
--
--   poe examples/statemachine.lua [seconds]
--
-- A pedestrian crossing.  What an event does depends on the state of the
-- lights: each state is a table of methods, and entering one makes the
-- session's events call them.  An event that a state leaves out goes to
-- _default.  When nobody is left to press the button, the session has nothing
-- to wait for, and ends.  A step takes one second unless told otherwise.

local poe = require "poe"

local step = tonumber((...)) or 1

local Crossing = {}

-- state -> event -> method
local STATES = {
  cars = { enter = "cars_go", button = "remember", timer = "look_back" },
  waiting = { button = "stop_cars" },
  clearing = { enter = "cars_stop", timer = "let_walk" },
  walking = { enter = "people_go", timer = "let_drive" },
}

local EVENTS = { "enter", "button", "timer" }

function Crossing.new(people)
  return setmetatable({ people = people, is_wished = false },
    { __index = Crossing })
end

function Crossing:_start(kernel)
  self:become(kernel, "cars")
  for _, seconds in ipairs(self.people) do
    kernel:delay_add("button", seconds * step)
  end
end

--- Makes the events of this session mean what they mean in that state.
function Crossing:become(kernel, name)
  for _, event in ipairs(EVENTS) do
    local method = STATES[name][event]
    if method then
      kernel:state(event, self, method)
    else
      kernel:state(event)
    end
  end
  kernel:yield("enter")
end

-- cars: they have some time for themselves

function Crossing.cars_go(_, kernel)
  print("cars: green, people: red")
  kernel:delay("timer", 3 * step)
end

function Crossing:remember()
  print("  (button: please wait)")
  self.is_wished = true
end

function Crossing:look_back(kernel)
  self:become(kernel, self.is_wished and "clearing" or "waiting")
end

-- waiting: they drive until somebody wants to cross

function Crossing:stop_cars(kernel)
  self:become(kernel, "clearing")
end

-- clearing: everybody waits, and the button does nothing new

function Crossing.cars_stop(_, kernel)
  print("cars: yellow, people: red")
  kernel:delay("timer", step)
end

function Crossing:let_walk(kernel)
  self:become(kernel, "walking")
end

-- walking: those who press the button now are crossing already

function Crossing:people_go(kernel)
  print("cars: red, people: green")
  self.is_wished = false
  kernel:delay("timer", 2 * step)
end

function Crossing:let_drive(kernel)
  self:become(kernel, "cars")
end

-- in no state at all

function Crossing._default(_, _, _, event)
  if event == "button" then
    print("  (button: no need)")
  end
end

function Crossing._stop()
  print("the lights go out")
end

-- When people come, in steps.
local crossing = Crossing.new { 1.5, 3.5, 5, 14.5 }

poe.session.create {
  object_states = { [crossing] = { "_start", "_default", "_stop" } },
}

poe.run()
