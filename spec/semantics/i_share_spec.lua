-- Section I of the semantics: watching again, several sessions on one handle,
-- pauses.

local handles = require "spec.handles"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

local full_pipe, ignore, keep = handles.full_pipe, handles.ignore, handles.keep

describe("I. File watchers, shared and paused", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    handles.close_kept()
    t = nil
    helper.finish()
  end)

  it("W17 a second watch replaces event and arguments (I02_reregister_event_ignored)", function()
    local r = keep(full_pipe())
    t:session("a", {
      _start = function()
        kernel:select_read(r, "first", 1)
        kernel:select_read(r, "second", 2)
      end,
      first = ignore,
      second = ignore,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.second <- a (FH, 0, 2)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("W17 also from its own handler, in place", function()
    local r = keep(full_pipe())
    t:session("a", {
      _start = function()
        kernel:select_read(r, "first")
      end,
      first = function()
        kernel:select_read(r, "second")
      end,
      second = ignore,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.first <- a (FH, 0)
      a.second <- a (FH, 0)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("100 two sessions watch one handle, in order of registration (I03_two_sessions_same_handle)", function()
    local r = keep(full_pipe())
    for _, name in ipairs { "a", "b", "c" } do
      t:session(name, {
        _start = function()
          kernel:select_read(r, "rd")
        end,
        rd = ignore,
      })
    end
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      c._start <- KERNEL
      a.rd <- a (FH, 0)
      b.rd <- b (FH, 0)
      c.rd <- c (FH, 0)
      c._stop <- KERNEL
      b._stop <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("W17 one of two unwatches and watches again (I04_two_sessions_remove_readd)", function()
    local r = keep(full_pipe())
    t:session("b", {
      _start = function()
        kernel:select_read(r, "rd")
      end,
      rd = ignore,
    })
    t:session("a", {
      _start = function()
        kernel:select_read(r, "rd")
        kernel:select_read(r)
        kernel:select_read(r, "rd")
      end,
      rd = ignore,
    })
    t:run()
    t:expect [[
      b._start <- KERNEL
      a._start <- KERNEL
      b.rd <- b (FH, 0)
      a.rd <- a (FH, 0)
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]]
  end)

  it("103 pauses and resumes (I06_pause_resume)", function()
    local r = keep(full_pipe())
    t:session("a", {
      _start = function()
        t:say("pause unwatched ", tostring(kernel:select_pause_read(r)))
        t:say("resume unwatched ", tostring(kernel:select_resume_read(r)))
        kernel:select_read(r, "rd")
        t:say("pause ", tostring(kernel:select_pause_read(r)))
        t:say("again ", tostring(kernel:select_pause_read(r)))
        t:say("write ", tostring(kernel:select_pause_write(r)))
        kernel:delay("res", 0.01)
      end,
      res = function()
        t:say("resume ", tostring(kernel:select_resume_read(r)))
        t:say("again ", tostring(kernel:select_resume_read(r)))
      end,
      rd = ignore,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      pause unwatched false
      resume unwatched false
      pause true
      again true
      write false
      a.res <- a
      resume true
      again true
      a.rd <- a (FH, 0)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("103 pauses the session's own watcher, nobody else's", function()
    local r = keep(full_pipe())
    t:session("a", {
      _start = function()
        kernel:select_read(r, "rd")
      end,
      rd = ignore,
      _stop = function()
        kernel:post("b", "res")
      end,
    })
    t:session("b", {
      _start = function()
        t:say(tostring(kernel:select_pause_read(r)))
        kernel:alias_set "b"
        kernel:select_read(r, "rd")
        kernel:select_pause_read(r)
      end,
      res = function()
        kernel:select_resume_read(r)
        kernel:alias_remove "b"
      end,
      rd = ignore,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      false
      a.rd <- a (FH, 0)
      a._stop <- KERNEL
      b.res <- a
      b.rd <- b (FH, 0)
      b._stop <- KERNEL
      run() returned]]
  end)

  it("103 pauses one mode of a handle", function()
    local a, b = keep(sys.socketpair())
    b:write "x"
    t:session("a", {
      _start = function()
        kernel:select(a, "rd", "wr")
        kernel:select_pause_write(a)
      end,
      rd = function()
        kernel:select_pause_read(a)
        kernel:select_resume_write(a)
      end,
      wr = function()
        kernel:select(a)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.rd <- a (FH, 0)
      a.wr <- a (FH, 1)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("103 a pause in the same pass keeps the event away", function()
    local r1 = keep(full_pipe())
    local r2 = keep(full_pipe())
    local n = 0
    t:session("a", {
      _start = function()
        kernel:select_read(r1, "rd")
        kernel:select_read(r2, "rd")
      end,
      rd = function(_, _, handle)
        n = n + 1
        kernel:select_read(handle)
        kernel:select_pause_read(handle == r1 and r2 or r1)
        kernel:delay("finish", 0.01)
      end,
      finish = function()
        t:say(n)
        kernel:select_read(r1)
        kernel:select_read(r2)
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      1
      run() returned]]
  end)

  it("99 watching again resumes (I07_reselect_resumes_paused)", function()
    local r = keep(full_pipe())
    t:session("a", {
      _start = function()
        kernel:select_read(r, "rd")
        kernel:select_pause_read(r)
        kernel:select_read(r, "rd")
      end,
      rd = ignore,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.rd <- a (FH, 0)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("103 a paused handle keeps the kernel, at no cost (I08_paused_handle_keeps_kernel)", function()
    local status, out = helper.run_poe("local SLOWNESS = " .. helper.SLOWNESS
      .. helper.WAITS .. [[
      local poe, sys = require "poe", require "poe.sys"
      local began
      local r, w = sys.pipe()
      w:write "x"
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            kernel:select_read(r, "rd")
            kernel:select_pause_read(r)
            began = os.clock()
            kernel:delay("tick", 0.5)
          end,
          tick = function()
            print(os.clock() - began < 0.3 * SLOWNESS)
            waits_for_ever()
          end,
          rd = function() print "rd" end,
          _stop = function() print "stopped" end,
        },
      }
      poe.run()]])
    assert.equal(helper.WAITED, status)
    assert.equal("true\n", out)
  end)
end)
