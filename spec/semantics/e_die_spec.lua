-- Section E of the semantics: the DIE signal, who gets it, what it stops, what
-- run raises.

local helper = require "spec.helper"
local core = require "poe.core"
local poe = require "poe"

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
    assert.equal("spec/semantics/e_die_spec.lua", got.file)
    assert.equal(line, got.line)
    assert.truthy(got.error_str:find("^spec/semantics/e_die_spec.lua:%d+: boom$"))
    assert.equal(got.error_str, got.error)
    assert.truthy(got.traceback:find("e_die_spec.lua:" .. got.error_str:match ":(%d+):"))
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
      helper.later(kernel, "d") -- lest it ends before
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
      _start = function(kernel) kernel:delay("d", 100) end, d = true,
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
            t:session("c", { _start = function() kernel:delay("d", 100) end })
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
end)
