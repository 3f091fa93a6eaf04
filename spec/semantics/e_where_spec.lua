-- Section E of the semantics: errors in handlers of every kind: called ones,
-- _start, _stop, those of signals and handles, and of DIE itself.

local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

describe("E. Exceptions, by kind of handler", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  local function raise(message)
    return function() error(message, 0) end
  end

  local function survive(kernel) kernel:sig_handled() end

  local DIE = "(DIE, {dest_session=%s, error_str=%s, event=%s, %ssource_session=%s})"

  --- ARG0 and ARG1 of DIE as the recorder writes them.
  local function die(dest, message, event, from, source)
    return DIE:format(dest, message, event, from and "from_state=" .. from .. ", " or "", source)
  end

  -- POE: the caller goes on with undef and no sign.
  it("73 returns nil, message, EDIED from a call whose handler in another session "
    .. "failed; DIE goes there (E04_die_in_call, E05_die_in_call_list_ctx, W13)", function()
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        kernel:sig("DIE", "oops")
      end,
      bad = raise "boom",
      oops = function(kernel)
        kernel:sig_handled()
        kernel:alias_remove "b"
      end,
    })
    t:session("a", {
      _start = function(kernel)
        local results = table.pack(kernel:call("b", "bad", 1))
        t:say(results.n, " ", (t:format(table.unpack(results)):gsub("session %d+", "session N")))
        kernel:yield "next"
      end,
      next = true,
    })
    t:run()
    t:expect([[
      b._start <- KERNEL
      a._start <- KERNEL
      b.bad <- a (1)
      3 nil, EDIED: the handler of 'bad' in session N "b" failed, EDIED
      b.oops <- KERNEL ]] .. die("b", "boom", "bad", "_start", "a") .. [[

      a.next <- a
      a._stop <- KERNEL
      b._stop <- KERNEL
      run() returned]])
  end)

  it("73 does so outside of sessions as well", function()
    t:session("b", {
      _start = function(kernel) kernel:alias_set "b" end,
      bad = raise "boom",
    }, { quiet = true })
    assert.equal("EDIED", (select(3, poe.kernel:call("b", "bad"))))
    t:run()
    t:expect "run() died: boom"
  end)

  it("74 leaves an error in a call to oneself to the caller; caught, there is no "
    .. "DIE (E06_die_in_call_self)", function()
    local value = {}
    t:session("a", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        local ok, got = pcall(kernel.call, kernel, kernel.session, "bad")
        t:say(tostring(ok), " ", tostring(rawequal(value, got)))
      end,
      bad = function() error(value) end, oops = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.bad <- a
      false true
      a._stop <- KERNEL
      run() returned]]
  end)

  it("74 makes one DIE of it when it is not caught, the outer event's", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        kernel:yield "x"
      end,
      x = function(kernel) kernel:call(kernel.session, "bad") end,
      bad = raise "boom", oops = survive,
    })
    t:run()
    t:expect([[
      a._start <- KERNEL
      a.x <- a
      a.bad <- a
      a.oops <- KERNEL ]] .. die("a", "boom", "x", "_start", "a") .. [[

      a._stop <- KERNEL
      run() returned]])
  end)

  it("75 returns the session from create though _start failed "
    .. "(E07_die_in_start)", function()
    t:session("p", {
      _start = function(kernel)
        local c = t:session("c", { _start = raise "boom" })
        t:say("create returned ", t:name(c))
        kernel:sig("DIE", "oops")
      end,
      oops = survive, _child = true,
    })
    t:run()
    t:expect([[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      create returned c
      p.oops <- KERNEL ]] .. die("c", "boom", "_start", nil, "p") .. [[

      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p._stop <- KERNEL
      run() returned]])
  end)

  -- POE parks the error and throws it out of some later call.
  describe("76 in _stop", function()
    it("is raised from run in this slice, all sessions being stopped "
      .. "(E08_die_in_stop, W14)", function()
      t:session("z", {
        _start = function(kernel) kernel:delay("d", 100) end, d = true,
      })
      t:session("a", { _stop = raise "boom in stop" })
      t:run()
      t:expect [[
        z._start <- KERNEL
        a._start <- KERNEL
        a._stop <- KERNEL
        z._stop <- KERNEL
        run() died: boom in stop]]
    end)

    it("is DIE to the parent and its ancestors, at once (W14)", function()
      t:session("g", {
        _start = function(kernel)
          kernel:sig("DIE", "oops")
          t:session("p", {
            _start = function()
              kernel:sig("DIE", "oops")
              t:session("a", { _stop = raise "boom" })
              t:session("sister", {
                _start = function()
                  kernel:sig("DIE", "oops")
                  kernel:alias_set "sister"
                  helper.later(kernel, "d")
                end,
                oops = true, d = true,
              })
            end,
            oops = true,
          })
        end,
        oops = survive,
      })
      t.lines = {}
      t:run()
      assert.same({
        "a._stop <- KERNEL",
        "p.oops <- KERNEL " .. die("a", "boom", "_stop", nil, "KERNEL"),
        "g.oops <- KERNEL " .. die("a", "boom", "_stop", nil, "KERNEL"),
        "sister.d <- sister",
      }, table.move(t.lines, 1, 4, 1, {}))
      assert.equal("run() returned", t.lines[#t.lines])
    end)

    it("is thrown out of no call (E09_die_in_stop_then_call_rethrows, W14)", function()
      t:session("b", {
        _start = function(kernel)
          kernel:alias_set "b"
          helper.later(kernel, "end", 20)
        end,
        hi = function() return "hi" end, ["end"] = true,
      })
      t:session("z", {
        _start = function(kernel)
          kernel:sig("DIE", "oops")
          t:session("a", { _stop = raise "boom" })
          helper.later(kernel, "d", 10)
        end,
        oops = survive,
        d = function(kernel) t:say("call ", kernel:call("b", "hi")) end,
      })
      t:run()
      assert.truthy(table.concat(t.lines, "\n"):find("b.hi <- z\ncall hi\n", 1, true))
      assert.equal("run() returned", t.lines[#t.lines])
    end)
  end)

  describe("78 in a DIE handler", function()
    it("gives one string made of both (E10_die_in_die_handler)", function()
      t:session("a", {
        _start = function(kernel)
          kernel:sig("DIE", "oops")
          kernel:yield "x"
        end,
        x = raise "first", oops = raise "second",
      }, { quiet = true })
      t:run()
      t:expect [[
        run() died: first
        Additional error thrown in handler for previous error:
        second]]
    end)

    it("gives the first value, the second in ex.also", function()
      local first, second, ex = {}, {}, nil
      t:session("a", {
        _start = function(kernel)
          kernel:sig("DIE", "oops")
          kernel:yield "x"
        end,
        x = function() error(first) end,
        oops = function(_, _, _, given)
          ex = given
          error(second)
        end,
      }, { quiet = true })
      local ok, got = pcall(poe.run)
      assert.is_false(ok)
      assert.is_true(rawequal(first, got))
      assert.is_true(rawequal(second, ex.also))
    end)
  end)

  it("79 is the same in handlers of signals (E11_die_in_signal_handler)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        kernel:sig("FOO", "f")
        kernel:signal(kernel.session, "FOO")
      end,
      f = raise "in sig", oops = survive,
    })
    t:run()
    t:expect([[
      a._start <- KERNEL
      a.f <- KERNEL (FOO)
      a.oops <- KERNEL ]] .. die("a", "in sig", "f", "_start", "KERNEL") .. [[

      a._stop <- KERNEL
      run() returned]])
  end)

  it("79 is the same in _child (E12_die_in_child_handler)", function()
    t:session("p", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        t:session("c", {})
        t:say "after create"
      end,
      _child = function(_, _, what)
        if what == "create" then
          error("in _child", 0)
        end
      end,
      oops = survive,
    })
    t:run()
    t:expect([[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      after create
      p.oops <- KERNEL ]] .. die("p", "in _child", "_child", nil, "KERNEL") .. [[

      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p._stop <- KERNEL
      run() returned]])
  end)

  it("79 is the same in _parent and in _default", function()
    t:session("p", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        t:session("c", {
          _start = function()
            kernel:sig("DIE", "oops")
            kernel:yield "go"
          end,
          go = function()
            kernel:detach_myself()
            kernel:yield "nosuch"
          end,
          _parent = raise "in _parent", _default = raise "in _default", oops = survive,
          _child = function() end,
        })
      end,
      oops = survive,
    })
    t:run()
    local text = table.concat(t.lines, "\n")
    assert.truthy(text:find("c.oops <- KERNEL "
      .. die("c", "in _parent", "_parent", nil, "KERNEL"), 1, true), text)
    assert.truthy(text:find("c.oops <- KERNEL "
      .. die("c", "in _default", "nosuch", "go", "c"), 1, true), text)
    assert.equal("run() returned", t.lines[#t.lines])
  end)

  it("79 is the same in handlers of handles and timers (E19_die_in_io_handler)", function()
    local read, write = sys.pipe()
    write:write "x"
    t:session("a", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        kernel:select_read(read, "rd")
      end,
      rd = function(kernel)
        kernel:select_read(read)
        error("io boom", 0)
      end,
      d = raise "timer boom",
      oops = function(kernel, heap)
        kernel:sig_handled()
        if not heap.again then
          heap.again = true
          kernel:delay("d", 0)
        end
      end,
    })
    t:run()
    read:close()
    write:close()
    t:expect([[
      a._start <- KERNEL
      a.rd <- a (FH, 0)
      a.oops <- KERNEL ]] .. die("a", "io boom", "rd", nil, "a") .. [[

      a.d <- a
      a.oops <- KERNEL ]] .. die("a", "timer boom", "d", "oops", "a") .. [[

      a._stop <- KERNEL
      run() returned]])
  end)
end)
