-- Section E of the semantics: what becomes of an error in a handler: the DIE
-- signal, who gets it, what it stops, what run raises.

local helper = require "spec.helper"
local core = require "poe.core"
local poe = require "poe"
local sys = require "poe.sys"

describe("E. Exceptions", function()
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

  it("69 queues DIE: what was queued before runs before, for the session that "
    .. "failed too (E18_die_signal_is_queued)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        kernel:yield "x"
        kernel:yield "y"
      end,
      x = function(kernel)
        kernel:yield "z"
        error("boom", 0)
      end,
      y = true, z = true, oops = survive,
    })
    t:run()
    t:expect([[
      a._start <- KERNEL
      a.x <- a
      a.y <- a
      a.z <- a
      a.oops <- KERNEL ]] .. die("a", "boom", "x", "_start", "a") .. [[

      a._stop <- KERNEL
      run() returned]])
  end)

  it("69 tells who sent what to whom, from where, and the error "
    .. "(E17_die_ex_fields)", function()
    local line, got
    local b = t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        kernel:sig("DIE", "oops", "extra")
      end,
      bad = function() error "boom" end,
      oops = function(kernel, _, name, ex, extra)
        got = ex
        assert.equal("DIE", name)
        assert.equal("extra", extra)
        kernel:sig_handled()
        kernel:alias_remove "b"
      end,
    }, { quiet = true })
    local a = t:session("a", {
      _start = function(kernel) kernel:yield "go" end,
      go = function(kernel)
        line = debug.getinfo(1, "l").currentline + 1
        kernel:post("b", "bad")
      end,
    }, { quiet = true })
    poe.run()
    assert.equal(a, got.source_session)
    assert.equal(b, got.dest_session)
    assert.equal("bad", got.event)
    assert.equal("go", got.from_state)
    assert.equal("spec/semantics/e_exception_spec.lua", got.file)
    assert.equal(line, got.line)
    assert.truthy(got.error_str:find("^spec/semantics/e_exception_spec.lua:%d+: boom$"))
    assert.equal(got.error_str, got.error)
    assert.truthy(got.traceback:find("e_exception_spec.lua:" .. got.error_str:match ":(%d+):"))
  end)

  it("69 keeps the value raised, whatever it was (E16_die_object)", function()
    local bad_text = setmetatable({}, { __tostring = function() error "no text" end })
    local good_text = setmetatable({}, { __tostring = function() return "text" end })
    local values = { { 1, 2 }, 42, false, bad_text, good_text, print }
    t:session("a", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        for i = 1, #values do
          kernel:yield("x", i)
        end
        kernel:yield("x", #values + 1) -- error(nil)
      end,
      x = function(_, _, i) error(values[i], 0) end,
      oops = function(kernel, heap, _, ex)
        heap.n = (heap.n or 0) + 1
        assert.is_true(rawequal(values[heap.n], ex.error))
        assert.equal("string", type(ex.error_str))
        t:say(heap.n, " ", (ex.error_str:gsub("0x%x+", "ADDRESS"):gsub("builtin: %w+", "ADDRESS")))
        kernel:sig_handled()
      end,
    }, { quiet = true })
    t:run()
    t:expect [[
      1 table: ADDRESS
      2 42
      3 false
      4 (error object is a table value)
      5 text
      6 function: ADDRESS
      7 nil
      run() returned]]
  end)

  it("70 goes to descendants, deepest first, to itself, then up; to no others "
    .. "(E03_die_order_children_self_parents)", function()
    local function watch(kernel)
      kernel:sig("DIE", "oops")
      kernel:delay("d", 0.01) -- lest it ends before
    end
    t:session("p", {
      _start = function(kernel)
        watch(kernel)
        t:session("m", {
          _start = function()
            watch(kernel)
            t:session("c", {
              _start = function()
                watch(kernel)
                t:session("g", { _start = watch, oops = true })
              end,
              oops = true,
            })
            kernel:yield "x"
          end,
          x = raise "boom", oops = true,
        })
        t:session("sister", { _start = watch, oops = true })
      end,
      oops = survive,
    })
    t:session("other", { _start = watch, oops = true })
    t:run()
    local told = {}
    for _, line in ipairs(t.lines) do
      told[#told + 1] = line:match "^(%w+)%.oops <%- KERNEL %(DIE, "
    end
    assert.same({ "g", "c", "m", "p" }, told)
    assert.equal("run() returned", t.lines[#t.lines])
  end)

  it("71 lets all live when one handled it (E02_handled_die)", function()
    t:session("p", {
      _start = function(kernel)
        t:session("a", {
          _start = function()
            kernel:sig("DIE", "oops")
            kernel:yield "x"
          end,
          x = raise "boom",
          oops = function()
            kernel:sig_handled()
            kernel:yield "lives"
          end,
          lives = true,
        })
      end,
    })
    t:run()
    t:expect([[
      p._start <- KERNEL
      a._start <- p
      a.x <- a
      a.oops <- KERNEL ]] .. die("a", "boom", "x", "_start", "a") .. [[

      a.lives <- a
      a._stop <- KERNEL
      p._stop <- KERNEL
      run() returned]])
  end)

  it("72 stops all when nobody handled it, and run raises it "
    .. "(E01_unhandled_die)", function()
    t:session("z", {
      _start = function(kernel) kernel:delay("d", 0.05) end, d = true,
    })
    t:session("a", {
      _start = function(kernel)
        kernel:yield "x"
        kernel:yield "y"
      end,
      x = raise "boom", y = true,
    })
    t:session("b", {
      _start = function(kernel) kernel:yield "w1" end,
      w1 = function(kernel) kernel:yield "w2" end,
      w2 = true,
    })
    t:run()
    t:expect [[
      z._start <- KERNEL
      a._start <- KERNEL
      b._start <- KERNEL
      a.x <- a
      a.y <- a
      b.w1 <- b
      a._stop <- KERNEL
      b._stop <- KERNEL
      z._stop <- KERNEL
      run() died: boom]]
  end)

  it("72 stops those of its blood first, then all others; the rest of the slice "
    .. "is dropped (E22_unhandled_die_stops_rest_of_slice)", function()
    t:session("o", { _start = function(kernel) kernel:alias_set "o" end, late = true })
    t:session("p", {
      _start = function(kernel)
        t:session("m", {
          _start = function()
            t:session("c", { _start = function() kernel:delay("d", 0.05) end })
            kernel:yield "x"
            kernel:yield "y"
          end,
          x = raise "boom",
          y = function() kernel:post("o", "late") end,
          _child = true,
        })
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      o._start <- KERNEL
      p._start <- KERNEL
      m._start <- p
      c._start <- m
      m._child <- KERNEL (create, c, nil)
      p._child <- KERNEL (create, m, nil)
      m.x <- m
      m.y <- m
      c._stop <- KERNEL
      m._child <- KERNEL (lose, c, nil)
      m._stop <- KERNEL
      p._child <- KERNEL (lose, m, nil)
      p._stop <- KERNEL
      o._stop <- KERNEL
      run() died: boom]]
  end)

  it("72 raises the very value from run, its traceback kept", function()
    local value = {}
    t:session("a", {
      _start = function(kernel) kernel:yield "x" end,
      x = function()
        local function named_function() error(value) end
        named_function()
      end,
    }, { quiet = true })
    local ok, got = pcall(poe.run)
    assert.is_false(ok)
    assert.is_true(rawequal(value, got))
    local traceback, of = core.last_traceback()
    assert.is_true(rawequal(value, of))
    assert.truthy(traceback:find("named_function", 1, true), traceback)
    assert.truthy(traceback:find("event 'x' of session %d+, posted by session %d+ at %S+:%d+, "
      .. "in its handler of '_start'"), traceback)
  end)

  it("72 is printed by the host, with where it happened, status 1", function()
    local status, out, err = helper.run_poe [[
      local poe = require "poe"
      poe.session.create {
        inline_states = {
          _start = function(kernel) kernel:yield "x" end,
          x = function()
            error "boom"
          end,
          _stop = function() print "stopped" end,
        },
      }
      poe.run()]]
    assert.same({ 1, "stopped\n" }, { status, out })
    assert.truthy(err:find "^poe: [^\n]*:6: boom\nstack traceback:\n.*:6: in ", err)
  end)

  it("72 comes when it happens before run, too (E20_die_before_run)", function()
    t:session("a", { _start = raise "early" })
    t:say("queue ", poe.kernel:get_event_count())
    t:run()
    t:expect [[
      a._start <- KERNEL
      queue 2
      a._stop <- KERNEL
      run() died: early]]
  end)

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
        _start = function(kernel) kernel:delay("d", 0.02) end, d = true,
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
                  kernel:delay("d", 0.005)
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
          kernel:delay("end", 0.01)
        end,
        hi = function() return "hi" end, ["end"] = true,
      })
      t:session("z", {
        _start = function(kernel)
          kernel:sig("DIE", "oops")
          t:session("a", { _stop = raise "boom" })
          kernel:delay("d", 0.005)
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
        kernel:delay("d", 0.005)
      end,
      rd = function(kernel)
        kernel:select_read(read)
        error("io boom", 0)
      end,
      d = raise "timer boom", oops = survive,
    })
    t:run()
    read:close()
    write:close()
    t:expect([[
      a._start <- KERNEL
      a.rd <- a (FH, 0)
      a.oops <- KERNEL ]] .. die("a", "io boom", "rd", nil, "a") .. [[

      a.d <- a
      a.oops <- KERNEL ]] .. die("a", "timer boom", "d", "_start", "a") .. [[

      a._stop <- KERNEL
      run() returned]])
  end)

  it("80 gives a DIE for each death of a slice "
    .. "(E21_kernel_survives_handled_then_unhandled)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("DIE", "oops")
        kernel:yield "x1"
        kernel:yield "x2"
      end,
      x1 = raise "one", x2 = raise "two", oops = survive,
    })
    t:run()
    t:expect([[
      a._start <- KERNEL
      a.x1 <- a
      a.x2 <- a
      a.oops <- KERNEL ]] .. die("a", "one", "x1", "_start", "a") .. [[

      a.oops <- KERNEL ]] .. die("a", "two", "x2", "_start", "a") .. [[

      a._stop <- KERNEL
      run() returned]])
  end)

  it("81 lets new sessions run after run has died (E13_run_again_after_die)", function()
    for i = 1, 3 do
      t:session("a", {
        _start = function(kernel) kernel:yield "x" end,
        x = raise("boom " .. i),
      })
      t:run()
    end
    t:session("b", { _start = function(kernel) kernel:yield "x" end, x = true })
    t:run()
    t.lines = table.move(t.lines, 9, #t.lines, 1, {})
    t:expect [[
      a._start <- KERNEL
      a.x <- a
      a._stop <- KERNEL
      run() died: boom 3
      b._start <- KERNEL
      b.x <- b
      b._stop <- KERNEL
      run() returned]]
  end)

  describe("82 with catch_exceptions off", function()
    before_each(function() poe.configure { catch_exceptions = false } end)

    it("there is no DIE, the first death stops all (E14_catch_off)", function()
      t:session("z", {
        _start = function(kernel) kernel:delay("d", 0.05) end, d = true,
      })
      t:session("a", {
        _start = function(kernel)
          kernel:sig("DIE", "oops")
          kernel:yield "x"
          kernel:yield "y"
        end,
        x = raise "boom", y = true, oops = true,
      })
      t:run()
      t:expect [[
        z._start <- KERNEL
        a._start <- KERNEL
        a.x <- a
        a._stop <- KERNEL
        z._stop <- KERNEL
        run() died: boom]]
    end)

    it("call raises in the caller, who may catch it (E15_catch_off_call)", function()
      t:session("b", {
        _start = function(kernel)
          kernel:alias_set "b"
          kernel:delay("e", 0.005)
        end,
        bad = raise "boom", e = true,
      })
      t:session("a", {
        _start = function(kernel)
          local _, message = pcall(kernel.call, kernel, "b", "bad")
          t:say("caught: ", message)
          kernel:yield "next"
        end,
        next = true,
      })
      t:run()
      t:expect [[
        b._start <- KERNEL
        a._start <- KERNEL
        b.bad <- a
        caught: boom
        a.next <- a
        a._stop <- KERNEL
        b.e <- b
        b._stop <- KERNEL
        run() returned]]
    end)
  end)

  it("82 POE_CATCH_EXCEPTIONS=0 does the same", function()
    local script = [[
      local poe = require "poe"
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            kernel:sig("DIE", "oops")
            kernel:yield "x"
          end,
          x = function() error("boom", 0) end,
          oops = function(kernel)
            print "oops"
            kernel:sig_handled()
          end,
        },
      }
      print(pcall(poe.run))]]
    assert.same({ 0, "oops\ntrue\n", "" }, { helper.run_poe(script) })
    assert.same({ 0, "false\tboom\n", "" },
      { helper.run_poe(script, { environment = "POE_CATCH_EXCEPTIONS=0" }) })
  end)
end)
