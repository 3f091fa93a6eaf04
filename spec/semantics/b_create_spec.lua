-- Section B of the semantics: how sessions come to life, what keeps them
-- alive.

local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

describe("B. Session life", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  it("19 creates synchronously: _start, the parent's _child, the object "
    .. "(B01_create_is_synchronous)", function()
    t:session("p", {
      _start = function()
        t:say "before create"
        local c = t:session("c", { _start = function() return "retval" end },
          { args = { 7, 8 } })
        t:say("after create: ", poe.type(c), " ", t:name(c))
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      before create
      c._start <- p (7, 8)
      p._child <- KERNEL (create, c, retval)
      after create: session c
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p._stop <- KERNEL
      run() returned]]
  end)

  it("19 makes the active session the parent, through call the callee "
    .. "(B17_parent_is_active_session)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        helper.later(kernel, "end")
      end,
      make = function()
        t:session("c", { _start = function(kernel) kernel:yield "x" end, x = true })
      end,
      ["end"] = function(kernel) kernel:alias_remove "a" end,
      _child = true,
    })
    t:session("b", {
      _start = function(kernel) kernel:call("a", "make") end,
      _child = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      a.make <- b
      c._start <- a
      a._child <- KERNEL (create, c, nil)
      c.x <- c
      b._stop <- KERNEL
      c._stop <- KERNEL
      a._child <- KERNEL (lose, c, nil)
      a.end <- a
      a._stop <- KERNEL
      run() returned]]
  end)

  it("19 makes the kernel the parent outside of sessions", function()
    local s = t:session("a", {})
    assert.equal(poe.kernel, poe.kernel:get_parent(s))
    assert.same({ s }, poe.kernel:get_children(poe.kernel))
    t:run()
  end)

  -- POE warns and returns undef.
  it("20 refuses a session without _start; _default does not stand in "
    .. "(B15_no_start)", function()
    local ok, message = pcall(function()
      poe.session.create { inline_states = { foo = print, _default = print } }
    end)
    assert.is_false(ok)
    assert.equal("create: no handler for _start", message:match ":%d+: (.*)")
    assert.equal(0, poe.kernel:get_event_count())
    poe.run()
  end)

  it("21 spreads args, honours their n, and takes any heap "
    .. "(B16_start_args_heap)", function()
    local function show(_, heap, ...)
      t:say("  n ", select("#", ...), " heap ", type(heap), " ", type(heap) == "table" and
        tostring(next(heap)) or tostring(heap))
    end
    t:session("a", { _start = show }, { args = { 5 } })
    t:session("b", { _start = show }, { args = { 1, { 2 } }, heap = "anything" })
    t:session("c", { _start = show }, { args = {} })
    t:session("d", { _start = show }, { args = { nil, 1, nil, n = 3 }, heap = false })
    t:run()
    t:expect [[
      a._start <- KERNEL (5)
        n 1 heap table nil
      b._start <- KERNEL (1, [2])
        n 2 heap string anything
      c._start <- KERNEL
        n 0 heap table nil
      d._start <- KERNEL (nil, 1, nil)
        n 3 heap boolean false
      d._stop <- KERNEL
      c._stop <- KERNEL
      b._stop <- KERNEL
      a._stop <- KERNEL
      run() returned]]
  end)

  it("21 gives every session a heap of its own, and get_heap the same one", function()
    local heaps, sessions = {}, {}
    for i = 1, 2 do
      sessions[i] = t:session("s" .. i, {
        _start = function(_, heap) heaps[i] = heap end,
        _stop = function(_, heap) assert.equal(heaps[i], heap) end,
      })
      assert.equal(heaps[i], sessions[i]:get_heap())
    end
    assert.are_not.equal(heaps[1], heaps[2])
    t:run()
    assert.equal("ESRCH", (select(3, sessions[1]:get_heap())))
  end)

  it("22 counts session IDs up, over several runs (B14_sid_sequence)", function()
    local last = t:session("first", {}, { quiet = true }):ID()
    poe.run()
    for _ = 1, 3 do
      for _ = 1, 3 do
        local id = t:session("next", {}, { quiet = true }):ID()
        assert.equal("integer", math.type(id))
        assert.equal(last + 1, id)
        last = id
      end
      poe.run()
    end
  end)

  it("22 has a kernel ID made of host, time, pid and a sequence", function()
    local id = poe.kernel:ID()
    assert.equal("string", type(id))
    assert.equal(("%08x"):format(sys.getpid()),
      (id:match "^.+%-%x%x%x%x%x%x%x%x%-(%x%x%x%x%x%x%x%x)%-%x%x%x%x%x%x%x%x$"))
  end)

  describe("23 is kept alive (B22_refcount_kinds) by", function()
    local read, write -- a pipe

    before_each(function()
      read, write = sys.pipe()
    end)

    after_each(function()
      read:close()
      write:close()
      read, write = nil, nil
    end)

    --- A session that `hold` in its _start keeps alive until `release`, and not
    --- longer.
    local function lives_until_released(hold, release)
      local s = t:session("s", {
        _start = hold, release = release, ignore = function() end,
      }, { quiet = true })
      local id, alive = s:ID(), {}
      t:session("watch", {
        _start = function(kernel) kernel:yield("look", 1) end,
        look = function(kernel, _, i)
          alive[i] = kernel:ID_id_to_session(id) ~= nil
          if i == 5 then
            kernel:call(id, "release")
          end
          if i < 10 then
            kernel:yield("look", i + 1)
          end
        end,
      }, { quiet = true })
      poe.run()
      for i = 1, 5 do
        assert.is_true(alive[i], "look " .. i)
      end
      assert.is_false(alive[10])
    end

    it("an alias, each of them", function()
      lives_until_released(function(kernel)
        kernel:alias_set "x"
        kernel:alias_set "y"
        kernel:alias_set "x"
        kernel:alias_remove "y"
      end, function(kernel) kernel:alias_remove "x" end)
    end)

    it("a tag, until it is counted down", function()
      lives_until_released(function(kernel)
        kernel:refcount_increment(kernel.session:ID(), "t")
        kernel:refcount_increment(kernel.session:ID(), "t")
        kernel:refcount_decrement(kernel.session:ID(), "t")
      end, function(kernel)
        kernel:refcount_decrement(kernel.session:ID(), "t")
      end)
    end)

    it("a timer, each of them", function()
      lives_until_released(function(kernel)
        kernel:delay("never", 1000)
        kernel:delay("never either", 1000)
        kernel:delay "never"
      end, function(kernel) kernel:delay "never either" end)
    end)

    it("a watched handle in any mode", function()
      lives_until_released(function(kernel)
        kernel:select_read(read, "ignore")
        kernel:select_write(read, "ignore")
        kernel:select_write(read)
      end, function(kernel) kernel:select_read(read) end)
    end)

    it("a child", function()
      local child
      lives_until_released(function()
        child = t:session("child", {
          _start = function(kernel) kernel:alias_set "child" end,
          leave = function(kernel) kernel:alias_remove "child" end,
        }, { quiet = true })
      end, function(kernel) kernel:call(child, "leave") end)
    end)

    it("a postback", function()
      local postback
      lives_until_released(function(kernel)
        postback = kernel.session:postback "ignore"
      end, function() postback:close() end)
    end)
  end)

  it("23 is kept alive by a watched process", function()
    t:session("s", {
      _start = function(kernel)
        local pid = kernel:fork()
        if pid == 0 then
          sys.exec { "sleep", "0.05" }
          sys._exit(1)
        end
        kernel:sig_child(pid, "ended")
      end,
      ended = function(_, _, _, _, status) t:say("ended ", status) end,
    }, { quiet = true })
    t:run()
    t:expect "ended 0\nrun() returned"
  end)

  it("23 is not kept alive by signal watchers or handlers", function()
    t:session("s", {
      _start = function(kernel)
        for _, signal in ipairs { "INT", "USR1", "CHLD", "FOO", "DIE", "IDLE" } do
          kernel:sig(signal, "signalled")
        end
        kernel:state("more", function() end)
      end,
      signalled = true,
    })
    t:run()
    t:expect [[
      s._start <- KERNEL
      s._stop <- KERNEL
      run() returned]]
  end)

  it("35 lives as long as its children (B05_children_keep_parent)", function()
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function(kernel) kernel:delay("d", 0.005) end, d = true,
        })
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, nil)
      c.d <- c
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p._stop <- KERNEL
      run() returned]]
  end)

  it("36 tells the parent the first value of _start and of _stop "
    .. "(B18_child_create_after_quick_child, H07_child_args)", function()
    local list = { 1, 2 }
    t:session("p", {
      _start = function()
        t:session("c", {
          _start = function(kernel)
            kernel:yield "x"
            return list, "more"
          end,
          x = true,
          _stop = function() return "bye", 2, 3 end,
        })
      end,
      _child = function(kernel, _, what, _, value, ...)
        assert.equal(0, select("#", ...))
        assert.is_nil(kernel.caller_event)
        assert.equal(what == "create" and list or "bye", value)
      end,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      c._start <- p
      p._child <- KERNEL (create, c, [1, 2])
      c.x <- c
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, bye)
      p._stop <- KERNEL
      run() returned]]
  end)

  it("36 hands sessions over as they are (C10_return_poe_object_stringified, W8)", function()
    local made
    t:session("p", {
      _start = function()
        made = t:session("c", {
          _start = function(kernel) return kernel.session end,
        })
      end,
      _child = function(_, _, _, child, value)
        t:say(value == nil and "nil" or tostring(value == child))
      end,
    }, { quiet = true })
    t:run()
    assert.equal("session", poe.type(made))
    t:expect [[
      c._start <- p
      true
      c._stop <- KERNEL
      nil
      run() returned]]
  end)
end)
