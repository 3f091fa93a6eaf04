-- SPDX-License-Identifier: MIT
-- The bridge to luv: sessions on the loop that luv's own handles live on.
--
-- In each slice the kernel turns that loop once, so timers, streams and all
-- else made with luv go on working; their callbacks run then, and may post to
-- sessions.  Our handles only record.  See doc/loops.md.
local core = require "poe.core"
local uv = require "luv"

local MODES = { [0] = "r", "w", "p" }
local FOREVER = 3600 * 1000 -- milliseconds; then the loop is turned again

---@class poe.loop.luv
local Luv = {}

function Luv:loop_initialize(_, ready, caught)
  self.ready, self.caught = ready, caught
  self.timer = assert(uv.new_timer())
  self.prepare = assert(uv.new_prepare())
  self.polls, self.signals = {}, {}
end

-- luv 1.44 crashes as its state ends if a closed handle was not seen off by
-- the loop.
local function close(self, handle)
  handle:close()
  self.has_closed = true
end

function Luv:loop_halt()
  if self.has_closed then uv.run "nowait" end
  self.has_closed = false
end

function Luv:loop_finalize()
  close(self, self.timer)
  close(self, self.prepare)
  self:loop_halt()
end

-- ---- waiting ----------------------------------------------------------------

--- libuv counts in milliseconds, and returns at once when no handle is active;
--- our timer is then the one that is. That timer, or one of somebody else, which
--- may post, is due before libuv begins to wait if the process had lost the
--- processor: without the stop libuv would then wait for whatever comes next.
function Luv:loop_do_timeslice(seconds)
  if seconds == 0 then
    uv.run "nowait"
    return
  end
  uv.update_time()
  self.timer:start(seconds and math.ceil(seconds * 1000) or FOREVER, 0, uv.stop)
  local due = uv.now() + uv.backend_timeout()
  self.prepare:start(function()
    if uv.now() >= due then uv.stop() end
  end)
  uv.run "once"
  self.prepare:stop()
  self.timer:stop()
end

-- ---- descriptors --------------------------------------------------------------

local function start(self, poll)
  local events = ""
  for mode = 0, 2 do
    events = events .. (poll[mode] and MODES[mode] or "")
  end
  if events == "" then
    return poll.handle:stop()
  end
  return poll.handle:start(events, function(err, ready)
    for mode = 0, 2 do
      -- An error is for whoever reads or writes to find out.
      if poll[mode] and (err or ready:find(MODES[mode], 1, true)) then
        self.ready(poll.fd, mode)
      end
    end
    if err then start(self, poll) end -- libuv has stopped it
  end)
end

function Luv:loop_watch_filehandle(fd, mode)
  local poll = self.polls[fd]
  if not poll then
    local handle, message, code = uv.new_poll(fd)
    if not handle then return nil, message, code end
    poll = { fd = fd, handle = handle }
    self.polls[fd] = poll
  end
  poll[mode] = true
  return start(self, poll)
end

function Luv:loop_pause_filehandle(fd, mode)
  self.polls[fd][mode] = nil
  return start(self, self.polls[fd])
end

function Luv:loop_ignore_filehandle(fd, mode)
  local poll = self.polls[fd]
  if not poll then return end
  poll[mode] = nil
  if poll[0] or poll[1] or poll[2] then return start(self, poll) end
  self.polls[fd] = nil
  close(self, poll.handle)
end

-- ---- signals --------------------------------------------------------------------

function Luv:loop_watch_signal(_, number)
  local handle = assert(uv.new_signal())
  self.signals[number] = handle
  assert(handle:start(number, function() self.caught(number) end))
end

function Luv:loop_ignore_signal(_, number)
  close(self, self.signals[number])
  self.signals[number] = nil
end

-- ---- fork ------------------------------------------------------------------------

--- In the child: luv has no uv_loop_fork, but the library behind it does.
function Luv.loop_forked()
  local path = assert(package.searchpath("luv", package.cpath))
  local code = core.fork_luv(assert(package.loadlib(path, "luv_loop")),
    assert(package.loadlib(path, "uv_loop_fork")))
  if code ~= 0 then error(uv.translate_sys_error(code)) end
end

return Luv
