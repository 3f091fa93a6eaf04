-- Section I of the semantics: when the events of handles come, and how they end.

local handles = require "spec.handles"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

local full_pipe, ignore, keep = handles.full_pipe, handles.ignore, handles.keep

describe("I. File watchers, in order", function()
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

  it("102 a handle unwatched in the same pass is not told (I05_unwatch_other_in_same_pass)", function()
    local r1 = keep(full_pipe())
    local r2 = keep(full_pipe())
    t:session("a", {
      _start = function()
        kernel:select_read(r1, "rd")
        kernel:select_read(r2, "rd")
      end,
      rd = function()
        kernel:select_read(r1)
        kernel:select_read(r2)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.rd <- a (FH, 0)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("102 nor in another mode, nor in another session that was stopped", function()
    local a, b = keep(sys.socketpair())
    b:write "x"
    local other
    t:session("a", {
      _start = function()
        kernel:select_read(a, "rd")
        kernel:select_write(a, "wr")
      end,
      rd = function()
        kernel:select(a)
        kernel:signal(other, "KILL")
        kernel:run_one_timeslice()
      end,
      wr = true,
    })
    other = t:session("b", {
      _start = function()
        kernel:select_write(a, "wr")
      end,
      wr = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.rd <- a (FH, 0)
      b.wr <- b (FH, 1)
      b._stop <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("98 comes straight from the poll, ahead of what is queued (I16_select_event_dispatch_is_sync)", function()
    local r = keep(full_pipe())
    t:session("a", {
      _start = function()
        kernel:yield "queued"
        kernel:select_read(r, "rd")
      end,
      queued = true,
      rd = function()
        t:say("count in rd: ", kernel:get_event_count())
        kernel:select_read(r)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.rd <- a (FH, 0)
      count in rd: 2
      a.queued <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("44 says where it was set up: the watch, no event, the session", function()
    local r = keep(full_pipe())
    local line
    t:session("a", {
      _start = function()
        line = debug.getinfo(1, "l").currentline + 1
        kernel:select_read(r, "rd")
      end,
      rd = function()
        assert.is_nil(kernel.caller_event)
        assert.equal(line, kernel.caller_line)
        assert.matches("i_order_spec", kernel.caller_file)
        assert.equal(kernel.session, kernel.sender)
        kernel:select_read(r)
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("2 what ended by a read is collected before the queue goes on (I17_io_gc_after_handler)", function()
    local r, w = keep(sys.pipe())
    t:session("a", {
      _start = function()
        kernel:select_read(r, "rd")
      end,
      rd = ignore,
    })
    t:session("b", {
      _start = function()
        kernel:yield "x"
      end,
      x = function()
        kernel:yield "y"
      end,
      y = function()
        w:write "x"
        kernel:yield "queued"
      end,
      queued = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      b.x <- b
      b.y <- b
      a.rd <- a (FH, 0)
      a._stop <- KERNEL
      b.queued <- b
      b._stop <- KERNEL
      run() returned]]
  end)

  it("98 reads come before writes (I19_write_then_read_order)", function()
    local a, b = keep(sys.socketpair())
    b:write "q"
    t:session("a", {
      _start = function()
        kernel:select_write(a, "wr")
        kernel:select_read(a, "rd")
      end,
      rd = ignore,
      wr = function()
        kernel:select_write(a)
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

  it("98 all reads, then all writes, then all expedites", function()
    local server = keep(assert(sys.tcp.listen { host = "127.0.0.1" }))
    local port = select(2, server:getsockname())
    local client = keep(assert(sys.tcp.connect {
      host = "127.0.0.1", port = port }))
    local peer
    t:session("a", {
      _start = function()
        kernel:select_read(server, "accept")
      end,
      accept = function()
        peer = keep(assert(server:accept()))
        kernel:select_read(server)
        client:send "x"
        client:send("!", "oob")
        kernel:delay("watch", 0.02)
      end,
      watch = function()
        kernel:select_expedite(peer, "ex")
        kernel:select_write(peer, "wr")
        kernel:select_read(peer, "rd")
      end,
      ex = function()
        kernel:select_expedite(peer)
        t:say((peer:recv(1, "oob")))
      end,
      rd = ignore,
      wr = function()
        kernel:select_write(peer)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.accept <- a (FH, 0)
      a.watch <- a
      a.rd <- a (FH, 0)
      a.wr <- a (FH, 1)
      a.ex <- a (FH, 2)
      !
      a._stop <- KERNEL
      run() returned]]
  end)

  it("23 counts once for each descriptor, whatever the modes", function()
    local a = keep(sys.socketpair())
    t:session("a", {
      _start = function()
        kernel:select(a, "never", "wr", "never")
      end,
      wr = function()
        kernel:select_write(a)
        kernel:select_read(a)
        t:say "one is left"
        kernel:select_expedite(a)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.wr <- a (FH, 1)
      one is left
      a._stop <- KERNEL
      run() returned]]
  end)

  it("30 W6 cannot be watched in _stop", function()
    local r = keep(full_pipe())
    t:session("a", {
      _stop = function()
        t:say((select(3, kernel:select_read(r, "rd"))))
        t:say((select(3, kernel:select(r, "rd"))))
        t:say(tostring(kernel:select_read(r)))
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._stop <- KERNEL
      ESRCH
      ESRCH
      true
      run() returned]]
  end)

  it("79 a failing handler is sent DIE, and is told again", function()
    local r = keep(full_pipe())
    t:session("a", {
      _start = function()
        kernel:sig("DIE", "died")
        kernel:select_read(r, "rd")
      end,
      rd = function()
        error("read", 0)
      end,
      died = function(_, _, _, ex)
        kernel:sig_handled()
        t:say(ex.error, " in ", ex.event)
        kernel:select_read(r)
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      read in rd
      run() returned]]
  end)

  it("42 a watcher without a handler goes to _default", function()
    local r = keep(full_pipe())
    t:session("a", {
      _start = function()
        kernel:select_read(r, "nobody", 1)
      end,
      _default = function(_, _, event, args)
        if event == "nobody" then
          assert.equal(r, args[1])
          kernel:select_read(r)
        end
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._default <- a (nobody, [FH, 0, 1])
      a._stop <- KERNEL
      run() returned]]
  end)
end)
