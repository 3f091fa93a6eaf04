-- follow.lua -- shows what is added to files, across their rotation.
--
--   poe examples/follow.lua [-s state] file...
--
-- Each line comes with the name of its file, if there are several.  A file may be
-- renamed, deleted, truncated, or not be there yet: it is followed by its name.
-- Ends on SIGINT or SIGTERM, or when nobody reads its output, and says how many
-- lines there were.  With -s it remembers in the file `state` where it was, and
-- begins there the next time: no line of the file is shown twice or left out.

local poe = require "poe"
local sys = require "poe.sys"
local FollowTail = require "poe.wheel.followtail"

local INTERVAL = 0.2 -- seconds between two looks at a file

local function parse(...)
  local names, state = { ... }, nil
  if names[1] == "-s" then
    state = names[2]
    table.move(names, 3, #names + 2, 1)
  end
  if #names == 0 then
    io.stderr:write("usage: follow.lua [-s state] file...\n")
    os.exit(2)
  end
  return names, state
end

--- Lines of device, inode, position and name.
local function read_places(path)
  local places = {}
  local file = path and io.open(path)
  for line in file and file:lines() or function() end do
    local dev, ino, position, name = line:match("^(%d+) (%d+) (%d+) (.*)$")
    if name then
      places[name] = { dev = tonumber(dev), ino = tonumber(ino),
        position = tonumber(position) }
    end
  end
  if file then
    file:close()
  end
  return places
end

local Follower = {}

function Follower.new(names, state)
  return setmetatable({
    names = names, state = state,
    places = read_places(state),
    wheels = {}, -- name -> wheel
    by_id = {},  -- wheel ID -> name
    lines = 0,
  }, { __index = Follower })
end

function Follower:_start(kernel)
  kernel:sig("INT", "on_signal")
  kernel:sig("TERM", "on_signal")
  for _, name in ipairs(self.names) do
    self:follow(name)
  end
end

--- Where to begin: where we were if it is the file it was, at its beginning if it
--- is another one; at its end if we have never seen it.
function Follower:place(name)
  local place, stat = self.places[name], sys.stat(name)
  if not place or not stat then
    return nil
  end
  local is_same = stat.ino == place.ino and stat.dev == place.dev
    and stat.size >= place.position
  return is_same and place.position or 0
end

function Follower:follow(name)
  local wheel = assert(FollowTail.new {
    filename = name, poll_interval = INTERVAL, seek = self:place(name),
    input_event = "on_line", reset_event = "on_reset", error_event = "on_error",
  })
  self.wheels[name], self.by_id[wheel:ID()] = wheel, name
end

function Follower:show(text)
  if not (io.write(text, "\n") and io.stdout:flush()) then
    self:finish()
  end
end

function Follower:on_line(_, _, line, id)
  self.lines = self.lines + 1
  self:show(#self.names > 1 and self.by_id[id] .. ": " .. line or line)
end

function Follower:on_reset(_, _, id)
  self:show("-- " .. self.by_id[id] .. " is another file, or begins anew --")
end

function Follower:on_error(_, _, operation, code, text, id)
  io.stderr:write(("%s: %s: %s (%s)\n"):format(self.by_id[id], operation, text,
    code))
end

function Follower:on_signal(kernel)
  kernel:sig_handled()
  self:finish()
end

--- Without its wheels the session has nothing to live for.
function Follower:finish()
  self:save()
  for name, wheel in pairs(self.wheels) do
    self.wheels[name] = nil
    wheel:destroy()
  end
end

--- The old state stays until the new one is whole.
function Follower:save()
  if not self.state or not next(self.wheels) then
    return
  end
  local file <close> = assert(io.open(self.state .. ".new", "w"))
  for name, wheel in pairs(self.wheels) do
    local position = wheel:tell()
    local stat = position and sys.stat(wheel:get_handle())
    if stat then
      file:write(("%d %d %d %s\n"):format(stat.dev, stat.ino, position, name))
    end
  end
  file:close()
  assert(os.rename(self.state .. ".new", self.state))
end

function Follower:_stop()
  io.stderr:write(self.lines, " lines\n")
end

poe.session.create {
  object_states = {
    [Follower.new(parse(...))] = {
      "_start", "_stop", "on_line", "on_reset", "on_error", "on_signal",
    },
  },
}

poe.run()
