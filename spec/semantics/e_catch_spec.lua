-- Section E of the semantics: several deaths, several runs, and exceptions that
-- are not caught.

local helper = require "spec.helper"
local poe = require "poe"

describe("E. Exceptions, again and uncaught", function()
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
        _start = function(kernel) kernel:delay("d", 100) end, d = true,
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
          helper.later(kernel, "e")
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
