-- Section D of the semantics: signals between sessions: who watches, whom one
-- reaches, in which order.

local helper = require "spec.helper"
local poe = require "poe"

describe("D. Watching signals", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  --- A session that keeps an alias, watches FOO and has these children.
  local function family(name, children, more)
    local states = { h = true, _child = true }
    for event, handler in pairs(more or {}) do
      states[event] = handler
    end
    states._start = function(kernel)
      kernel:alias_set(name)
      kernel:sig("FOO", "h")
      for _, child in ipairs(children or {}) do
        child()
      end
    end
    return function() return t:session(name, states) end
  end

  local function lines_with(pattern)
    local found = {}
    for _, line in ipairs(t.lines) do
      found[#found + 1] = line:match(pattern)
    end
    return table.concat(found, " ")
  end

  it("48 carries its name, signal's arguments, then sig's "
    .. "(D01_signal_args_sender)", function()
    t:session("a", {
      _start = function(kernel)
        t:say("sig ", tostring(kernel:sig("USR1", "h", "extra", nil)))
        t:say("signal ", tostring(kernel:signal(kernel.session, "USR1", 1, nil, 2)))
        t:say("bad ", t:format(kernel:signal("zz", "USR1")))
      end,
      h = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      sig true
      signal true
      bad nil, ESRCH: no such session: zz, ESRCH
      a.h <- KERNEL (USR1, 1, nil, 2, extra, nil)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("49 has one watcher for a session and a signal; sig again replaces, sig "
    .. "without event removes (D18_sig_replace_remove)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("FOO", "h1", 1)
        kernel:sig("FOO", "h2", 2)
        kernel:signal(kernel.session, "FOO")
        kernel:yield "off"
      end,
      off = function(kernel)
        t:say(tostring(kernel:sig "FOO"), " ", tostring(kernel:sig "FOO"))
        kernel:signal(kernel.session, "FOO")
        kernel:yield "end"
      end,
      ["end"] = true, h1 = true, h2 = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.h2 <- KERNEL (FOO, 2)
      a.off <- a
      true true
      a.end <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("49 looks for watchers when it is dispatched "
    .. "(D19_sig_removed_before_dispatch)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:signal(kernel.session, "FOO")
        kernel:sig("FOO", "h")
      end,
      h = true,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:sig("FOO", "h")
        kernel:signal(kernel.session, "FOO")
        kernel:sig "FOO"
      end,
      h = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.h <- KERNEL (FOO)
      b._stop <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("49 dispatches to the watchers there were when it began "
    .. "(D20_handler_adds_removes_watchers_mid_dispatch)", function()
    t:session("p", {
      _start = function(kernel)
        kernel:alias_set "p"
        kernel:sig("FOO", "h")
        t:session("q", {
          _start = function() kernel:alias_set "q" end,
          watch = function() kernel:sig("FOO", "h") end, h = true,
        })
        t:session("c", {
          _start = function()
            kernel:alias_set "c"
            kernel:sig("FOO", "h")
          end,
          h = function()
            kernel:call("p", "unwatch")
            kernel:call("q", "watch")
          end,
        })
        kernel:signal("p", "FOO")
      end,
      unwatch = function(kernel) kernel:sig "FOO" end,
      h = true,
    })
    t:run()
    assert.equal("c.h p.h", lines_with "^(%l%.h) ")
  end)

  -- POE: siblings come in the order of a hash.
  it("50 reaches the deepest level first, the target last, siblings newest first "
    .. "(D02_propagation_children_first, W11)", function()
    family("p", {
      family("c1", { family "g1" }),
      family("c2", { family "g2" }),
    })()
    poe.kernel:signal("p", "FOO")
    t:run()
    assert.equal("g2 g1 c2 c1 p", lines_with "^(%w+)%.h <%- KERNEL %(FOO%)$")
  end)

  it("50 goes by levels, not by branches (D03_depth_not_dfs)", function()
    family("p", {
      family("c", { family "g" }),
      family("d", { family("e", { family "f" }) }),
    })()
    poe.kernel:signal("p", "FOO")
    t:run()
    assert.equal("f e g d c p", lines_with "^(%w+)%.h ")
  end)

  it("50 reaches nobody beside and above the target", function()
    family("p", { family("c", { family "g" }), family "d" })()
    family "other" ()
    poe.kernel:signal("c", "FOO")
    t:run()
    assert.equal("g c", lines_with "^(%w+)%.h ")
  end)

  it("51 reaches every session when sent to the kernel "
    .. "(D33_signal_kernel_target)", function()
    family "a" ()
    family("b", { family "c" })()
    poe.kernel:signal(poe.kernel, "FOO")
    t:run()
    assert.equal("c b a", lines_with "^(%w+)%.h ")
  end)

  it("66 queues a signal sent in a signal's handler (D21_nested_signal)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("FOO", "f")
        kernel:sig("BAR", "b")
        kernel:signal(kernel.session, "FOO")
      end,
      f = function(kernel)
        kernel:signal(kernel.session, "BAR")
        t:say "  after signal()"
      end,
      b = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.f <- KERNEL (FOO)
        after signal()
      a.b <- KERNEL (BAR)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("67 goes to _default under the event's name "
    .. "(D35_signal_handler_missing_state)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("FOO", "nostate")
        kernel:signal(kernel.session, "FOO", 9)
      end,
      _default = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a._default <- KERNEL (nostate, [FOO, 9])
      a._stop <- KERNEL
      run() returned]]
  end)

  it("68 is not handled by sig_handled outside of its dispatch "
    .. "(D34_sig_handled_outside)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:sig("TERM", "h")
        kernel:sig_handled()
        kernel:signal(kernel.session, "TERM")
        kernel:sig_handled()
        kernel:yield "x"
      end,
      x = true, h = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      a.h <- KERNEL (TERM)
      a._stop <- KERNEL
      run() returned]]
  end)

  it("raises for what is no signal or event name", function()
    t:session("a", {
      _start = function(kernel)
        local function refuses(message, f)
          local ok, got = pcall(f)
          assert.is_false(ok)
          assert.equal(message, got:match ":%d+: (.*)")
        end
        refuses("bad argument #1 to 'sig' (signal name expected, got nil)",
          function() kernel:sig(nil, "x") end)
        refuses("bad argument #2 to 'sig' (event name expected, got table)",
          function() kernel:sig("INT", {}) end)
        refuses("bad argument #2 to 'signal' (signal name expected, got nil)",
          function() kernel:signal(kernel, nil) end)
        refuses("bad argument #1 to 'sig_child' (process ID expected, got string)",
          function() kernel:sig_child("1", "x") end)
      end,
    }, { quiet = true })
    t:run()
    t:expect "run() returned"
  end)
end)
