-- Section I of the semantics: what may be watched, and what handlers are given.
-- Several sessions on one handle and pauses are in i_share_spec.lua, the order
-- of events in i_order_spec.lua, what is closed or reused in i_closed_spec.lua.

local handles = require "spec.handles"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

local full_pipe, ignore, keep = handles.full_pipe, handles.ignore, handles.keep

describe("I. File watchers", function()
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

  it("96 hands over handle, mode and arguments (I01_select_args)", function()
    local r, w = keep(full_pipe())
    t:session("a", {
      _start = function()
        t:say("ret ", tostring(kernel:select_read(r, "rd", "x1", "x2")))
        kernel:select_write(w, "wr", "y")
      end,
      rd = function(_, _, handle, mode)
        t:say("same handle: ", tostring(handle == r), " mode ", mode)
        kernel:select_read(r)
      end,
      wr = function(_, _, handle, mode)
        t:say("same handle: ", tostring(handle == w), " mode ", mode)
        kernel:select_write(w)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      ret true
      a.rd <- a (FH, 0, x1, x2)
      same handle: true mode 0
      a.wr <- a (FH, 1, y)
      same handle: true mode 1
      a._stop <- KERNEL
      run() returned]]
  end)

  it("96 keeps nils and every kind of argument, each time", function()
    local r = keep(full_pipe())
    local seen, n = {}, 0
    local many = table.pack(nil, 1, 2.5, "s", true, false, seen, print, nil)
    t:session("a", {
      _start = function()
        kernel:select_read(r, "rd", table.unpack(many, 1, many.n))
      end,
      rd = function(_, _, _, _, ...)
        n = n + 1
        assert.same(many, table.pack(...))
        if n == 3 then
          kernel:select_read(r)
        end
      end,
    }, { quiet = true })
    t:run()
    assert.equal(3, n)
    t:expect "run() returned"
  end)

  it("96 hands over three hundred arguments", function()
    local r = keep(full_pipe())
    local many = {}
    for i = 1, 300 do
      many[i] = i
    end
    t:session("a", {
      _start = function()
        kernel:select_read(r, "rd", table.unpack(many))
      end,
      rd = function(_, _, _, _, ...)
        assert.same(many, { ... })
        kernel:select_read(r)
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)

  it("105 a regular file is always ready (I12_regular_file)", function()
    local file <close> = assert(io.open "Makefile")
    local n = 0
    t:session("a", {
      _start = function()
        kernel:select_read(file, "rd")
        kernel:select_write(file, "wr")
      end,
      rd = function()
        n = n + 1
        if n == 3 then
          kernel:select_read(file)
        end
      end,
      wr = function()
        kernel:select_write(file)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.rd <- a (FH, 0)
      a.wr <- a (FH, 1)
      a.rd <- a (FH, 0)
      a.rd <- a (FH, 0)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("105 an always ready file starves neither timers nor others", function()
    local file <close> = assert(io.open "Makefile")
    local r, w = keep(sys.pipe())
    t:session("a", {
      _start = function()
        kernel:select_read(file, "rd")
        kernel:select_read(r, "got")
        kernel:delay("write", 0.01)
      end,
      rd = function() end,
      write = function()
        w:write "x"
      end,
      got = function()
        t:say "got"
        kernel:select_read(r)
        kernel:select_read(file)
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      got
      run() returned]]
  end)

  it("105 a paused regular file is not ready, and costs nothing", function()
    local file <close> = assert(io.open "Makefile")
    t:session("a", {
      _start = function()
        kernel:select_read(file, "rd")
        kernel:select_pause_read(file)
        kernel:delay("resume", 0.2)
      end,
      resume = function()
        kernel:select_resume_read(file)
      end,
      rd = ignore,
    })
    local cpu = os.clock()
    t:run()
    assert.is_true(os.clock() - cpu < 0.1 * helper.SLOWNESS)
    t:expect [[
      a._start <- KERNEL
      a.resume <- a
      a.rd <- a (FH, 0)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("96 select sets and removes all three (I13_select_three)", function()
    local a, b = keep(sys.socketpair())
    b:write "q"
    t:session("a", {
      _start = function()
        t:say(tostring(kernel:select(a, "rd", "wr", "ex", "arg")))
      end,
      rd = function()
        a:read(1)
      end,
      wr = function()
        t:say(tostring(kernel:select(a)))
      end,
      ex = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      true
      a.rd <- a (FH, 0, arg)
      a.wr <- a (FH, 1, arg)
      true
      a._stop <- KERNEL
      run() returned]]
  end)

  it("96 select removes the modes it does not name", function()
    local a, b = keep(sys.socketpair())
    b:write "q"
    t:session("a", {
      _start = function()
        kernel:select(a, "rd", "wr")
        kernel:select(a, nil, "wr", nil, 1, nil, 3)
      end,
      rd = true,
      wr = function()
        kernel:select(a, nil, nil, nil)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.wr <- a (FH, 1, 1, nil, 3)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("104 watching makes the handle non-blocking (I14_handles_set_nonblocking)", function()
    helper.assert_prints([[
      0
      1]], [[
      local poe = require "poe"
      local function is_nonblocking()
        for line in io.lines "/proc/self/fdinfo/0" do
          local flags = line:match "^flags:%s*(%d+)"
          if flags then return tonumber(flags, 8) >> 11 & 1 end
        end
      end
      print(is_nonblocking())
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            kernel:select_read(0, "rd")
            print(is_nonblocking())
          end,
          rd = function(kernel) kernel:select_read(0) end,
        },
      }
      poe.run()
    ]])
  end)

  it("97 fires as long as it is ready; end of file counts (I15_eof_and_hup)", function()
    local r, w = keep(sys.pipe())
    w:close()
    local n = 0
    t:session("a", {
      _start = function()
        kernel:select_read(r, "rd")
      end,
      rd = function()
        n = n + 1
        t:say("read ", #r:read(10))
        if n == 3 then
          kernel:select_read(r)
        end
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.rd <- a (FH, 0)
      read 0
      a.rd <- a (FH, 0)
      read 0
      a.rd <- a (FH, 0)
      read 0
      a._stop <- KERNEL
      run() returned]]
  end)

  it("97 a writer whose reader has gone is told, and can find out", function()
    local r, w = keep(sys.pipe())
    while w:write(("x"):rep(65536)) do end
    t:session("a", {
      _start = function()
        kernel:select_write(w, "wr")
        kernel:delay("close", 0.01)
      end,
      close = function()
        r:close()
      end,
      wr = function()
        t:say(select(3, w:write "x"))
        kernel:select_write(w)
      end,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.close <- a
      a.wr <- a (FH, 1)
      EPIPE
      a._stop <- KERNEL
      run() returned]]
  end)
end)
