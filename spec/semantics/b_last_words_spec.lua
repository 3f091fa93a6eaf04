-- Section B of the semantics: what a session in its _stop can still do, what
-- becomes of what it had sent and of what was sent to it.

local helper = require "spec.helper"
local sys = require "poe.sys"

describe("B. What a stopping session does", function()
  local t

  before_each(function()
    helper.begin()
    t = helper.trace()
  end)

  after_each(function()
    t = nil
    helper.finish()
  end)

  -- POE reports success for all of it and throws it away.
  it("30 refuses in _stop what would keep the session alive, with ESRCH (W6)", function()
    local read, write = sys.pipe()
    local pid
    local refused = {
      yield = function(k) return k:yield "e" end,
      post = function(k) return k:post(k.session, "e") end,
      ["post by ID"] = function(k) return k:post(k.session:ID(), "e") end,
      signal = function(k) return k:signal(k.session, "FOO") end,
      delay = function(k) return k:delay("e", 0) end,
      delay_add = function(k) return k:delay_add("e", 0) end,
      delay_set = function(k) return k:delay_set("e", 0) end,
      alarm = function(k) return k:alarm("e", 1) end,
      alarm_add = function(k) return k:alarm_add("e", 1) end,
      alarm_set = function(k) return k:alarm_set("e", 1) end,
      alias_set = function(k) return k:alias_set "late" end,
      select_read = function(k) return k:select_read(read, "e") end,
      select_write = function(k) return k:select_write(write, "e") end,
      select_expedite = function(k) return k:select_expedite(read, "e") end,
      select = function(k) return k:select(read, "e", "e", "e") end,
      sig = function(k) return k:sig("INT", "e") end,
      sig_child = function(k) return k:sig_child(pid, "e") end,
      refcount_increment = function(k)
        return k:refcount_increment(k.session:ID(), "t")
      end,
    }
    local seen = {}
    t:session("a", {
      _start = function(kernel)
        pid = kernel:fork()
        if pid == 0 then
          sys._exit(0)
        end
        kernel:sig_child(pid, "ended") -- lest it be left behind
      end,
      ended = true,
      e = true,
      _stop = function(kernel)
        for what, try in pairs(refused) do
          local value, message, code = try(kernel)
          seen[what] = code
          assert.is_nil(value, what)
          assert.equal("ESRCH: ", message:sub(1, 7), what)
        end
      end,
    }, { quiet = true })
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        kernel:delay("d", 0.01)
      end,
      d = true,
    }, { quiet = true })
    t:run()
    read:close()
    write:close()
    for what in pairs(refused) do
      assert.equal("ESRCH", seen[what], what)
    end
    t:expect "run() returned"
  end)

  it("30 lets a _stop post, call and signal others "
    .. "(B08_event_from_stop_is_dropped, W6)", function()
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        kernel:sig("FOO", "foo")
        helper.later(kernel, "end")
      end,
      hello = function(kernel)
        t:say("sender resolves: ", tostring(kernel:ID_id_to_session(kernel.sender:ID()) ~= nil))
      end,
      sync = function() return "called" end,
      foo = true,
      ["end"] = true,
    })
    t:session("a", {
      _start = function(kernel) kernel:yield "x" end,
      x = true,
      _stop = function(kernel)
        t:say("post ", tostring(kernel:post("b", "hello")))
        t:say("call ", kernel:call("b", "sync"))
        t:say("signal ", tostring(kernel:signal("b", "FOO")))
      end,
    })
    t:run()
    t:expect [[
      b._start <- KERNEL
      a._start <- KERNEL
      a.x <- a
      a._stop <- KERNEL
      post true
      b.sync <- a
      call called
      signal true
      b.hello <- a
      sender resolves: false
      b.foo <- KERNEL (FOO)
      b.end <- b
      b._stop <- KERNEL
      run() returned]]
  end)

  it("30 refuses what others send to a stopping session, but can be called "
    .. "(W6)", function()
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        kernel:yield "wait"
      end,
      wait = true,
      ask = function(kernel)
        local sender = kernel.sender
        t:say("post ", (select(3, kernel:post(sender, "e"))))
        t:say("signal ", (select(3, kernel:signal(sender, "FOO"))))
        t:say("count ", (select(3, kernel:refcount_increment(sender:ID(), "t"))))
        t:say("call ", kernel:call(sender, "answer"))
      end,
    })
    t:session("a", {
      e = true,
      answer = function() return "answered" end,
      _stop = function(kernel) kernel:call("b", "ask") end,
    })
    t:run()
    t:expect [[
      b._start <- KERNEL
      a._start <- KERNEL
      b.wait <- b
      a._stop <- KERNEL
      b.ask <- a
      post ESRCH
      signal ESRCH
      count ESRCH
      a.answer <- b
      call answered
      b._stop <- KERNEL
      run() returned]]
  end)

  -- POE moves it to the grandparent without a word.
  it("31 gives a session created in _stop to the parent, which hears of it "
    .. "(B12_create_in_stop, W7)", function()
    t:session("p", {
      _start = function()
        t:session("a", {
          _stop = function()
            t:session("c", {
              _start = function(kernel)
                t:say("  parent is ", t:name(kernel:get_parent(kernel.session)))
                kernel:yield "x"
              end,
              x = true, _parent = true,
            })
          end,
          _child = true,
        })
      end,
      _child = true,
    })
    t:run()
    t:expect [[
      p._start <- KERNEL
      a._start <- p
      p._child <- KERNEL (create, a, nil)
      a._stop <- KERNEL
      c._start <- a
        parent is p
      p._child <- KERNEL (create, c, nil)
      p._child <- KERNEL (lose, a, nil)
      c.x <- c
      c._stop <- KERNEL
      p._child <- KERNEL (lose, c, nil)
      p._stop <- KERNEL
      run() returned]]
  end)

  -- POE drops what the stopped session had sent.
  it("33 delivers what a session sent before it was stopped "
    .. "(B09_event_of_dead_sender_dropped, W6)", function()
    t:session("b", {
      _start = function(kernel)
        kernel:alias_set "b"
        helper.later(kernel, "end")
      end,
      hello = function(kernel)
        local sender = kernel.sender
        t:say("ID resolves: ", tostring(kernel:ID_id_to_session(sender:ID()) ~= nil))
        t:say("reply: ", (select(3, kernel:post(sender, "reply"))))
      end,
      ["end"] = function(kernel) kernel:alias_remove "b" end,
    })
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:yield "x"
      end,
      x = function(kernel)
        kernel:signal("a", "TERM")
        kernel:post("b", "hello")
      end,
    })
    t:run()
    t:expect [[
      b._start <- KERNEL
      a._start <- KERNEL
      a.x <- a
      a._stop <- KERNEL
      b.hello <- a
      ID resolves: false
      reply: ESRCH
      b.end <- b
      b._stop <- KERNEL
      run() returned]]
  end)

  it("33 drops what was queued to a stopped session "
    .. "(B21_event_to_dead_session_dropped)", function()
    t:session("a", {
      _start = function(kernel)
        kernel:alias_set "a"
        kernel:delay("e", 100)
      end,
      e = true,
    })
    t:session("b", {
      _start = function(kernel)
        kernel:signal("a", "TERM")
        t:say("post ", tostring(kernel:post("a", "e", {})))
        helper.later(kernel, "d")
      end,
      d = true,
    })
    t:run()
    t:expect [[
      a._start <- KERNEL
      b._start <- KERNEL
      post true
      a._stop <- KERNEL
      b.d <- b
      b._stop <- KERNEL
      run() returned]]
  end)
end)
