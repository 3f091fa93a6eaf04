-- SPDX-License-Identifier: MIT
-- The bridge to cqueues: sessions beside the coroutines of a controller.
--
-- Two ways round. kernel:run() in the main program steps the controller below,
-- once in each slice; wrap your coroutines on it. kernel:run() in a coroutine
-- of your own controller lives in that one until no session is left. Either
-- way each watched descriptor has a coroutine that waits for it and records.
-- See doc/loops.md.
local condition = require "cqueues.condition"
local cqueues = require "cqueues"

local EVENTS = { [0] = "r", "w", "p" }

---@class poe.loop.cqueues
---@field controller table for coroutines that live beside sessions
local Cqueues = { controller = cqueues.new() }

function Cqueues:loop_initialize(_, ready)
  self.ready = ready
  self.home = self.controller -- where our coroutines live now
  self.watched, self.ours = {}, setmetatable({}, { __mode = "k" })
  self.controller:wrap(function() -- an empty one would not wait
    cqueues.poll(condition.new())
  end)
end

function Cqueues:loop_finalize()
  for fd in pairs(self.watched) do self.home:cancel(fd) end
  self.watched = {}
end

-- ---- descriptors ----------------------------------------------------------------

local function record(self, entry, item)
  local mode = type(item) == "table" and item.mode
  if not mode or entry[mode] ~= item then return end
  self.ready(entry.fd, mode)
  if self.alarm then self.alarm:signal() end
end

--- Waits for one descriptor until another takes its place, or none. An error or
--- a hang-up is told by waking up for nothing; it is for whoever reads or
--- writes to find out.
local function attend(self, entry)
  while self.watched[entry.fd] == entry do
    local list = entry.list
    local ready = table.pack(cqueues.poll(table.unpack(list)))
    if ready.n == 0 then ready = list end
    for i = 1, #ready do record(self, entry, ready[i]) end
  end
end

local function begin(self, fd)
  local entry = { fd = fd, changed = condition.new() }
  entry.list = { entry.changed }
  self.watched[fd] = entry
  local thread = coroutine.create(function() attend(self, entry) end)
  self.ours[thread] = true
  self.home:attach(thread)
  return entry
end

local function change(self, entry, mode, item)
  entry[mode] = item
  entry.list = { entry.changed }
  for other = 0, 2 do
    entry.list[#entry.list + 1] = entry[other] -- nil adds nothing
  end
  entry.changed:signal()
  self.has_changed = true
end

function Cqueues:loop_watch_filehandle(fd, mode)
  local entry = self.watched[fd] or begin(self, fd)
  change(self, entry, mode, { pollfd = fd, events = EVENTS[mode], mode = mode })
end

function Cqueues:loop_ignore_filehandle(fd, mode)
  local entry = self.watched[fd]
  if not entry then return end
  change(self, entry, mode, nil)
  if not (entry[0] or entry[1] or entry[2]) then
    self.watched[fd] = nil
    self.home:cancel(fd)
  end
end

-- ---- waiting ----------------------------------------------------------------------

-- A coroutine that fails ends the run, as it ends controller:loop(); ours may,
-- if its descriptor was closed behind our back.
local function step(self, seconds)
  local ok, message, errno, thread = self.controller:step(seconds)
  if ok or errno and self.ours[thread] then return end
  error(thread and debug.traceback(thread, tostring(message)) or message, 0)
end

--- What has changed, a first step tells cqueues and a second one finds out.
function Cqueues:loop_do_timeslice(seconds)
  self.seconds = seconds
  if self.alarm then return end -- loop_run waits
  if self.has_changed then
    self.has_changed, seconds = false, 0
    step(self, 0)
  end
  step(self, seconds)
end

-- ---- in somebody else's controller --------------------------------------------------

local function move(self, home)
  local entries = self.watched
  self.watched = {}
  for fd, entry in pairs(entries) do
    self.home:cancel(fd)
    entry.changed:signal()
  end
  self.home = home
  for fd, entry in pairs(entries) do
    for mode = 0, 2 do
      if entry[mode] then self:loop_watch_filehandle(fd, mode) end
    end
  end
end

local function come_home(self)
  self.alarm = nil
  move(self, self.controller)
end

function Cqueues:loop_run(slice)
  local running = cqueues.running()
  if not running then
    while slice() do end
    return
  end
  move(self, running)
  self.alarm = condition.new()
  local _ <close> = setmetatable({}, {
    __close = function() come_home(self) end
  })
  while slice() do
    cqueues.poll(self.alarm, self.seconds)
  end
end

--- Something was sent to a session while loop_run waits.
function Cqueues:loop_resume_time_watcher(seconds)
  if self.alarm and seconds == 0 then self.alarm:signal() end
end

-- ---- fork ---------------------------------------------------------------------------

--- In the child: a kernel queue of its own.
function Cqueues:loop_forked()
  self.controller:reset()
  if self.home ~= self.controller then self.home:reset() end
end

return Cqueues
