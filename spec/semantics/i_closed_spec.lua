-- Section I of the semantics, W18: what is closed while it is watched, and
-- numbers that come back.  Nothing spins, nothing crashes, nobody is told of a
-- descriptor that he did not ask for; with every bridge.

local helper = require "spec.helper"

--- Runs a script with a session `a` of these states; `r`, `w` are the ends of
--- a pipe, `n` is r's number, which the kernel knows r by.
local function script(body)
  return "local SLOWNESS = " .. helper.SLOWNESS .. [[

    local poe, sys = require "poe", require "poe.sys"
    local kernel = poe.kernel
    local function print(...)
      local words = { ... }
      for i, word in ipairs(words) do words[i] = tostring(word) end
      io.write(table.concat(words, " "), "\n")
    end
    local function session(states)
      states._start = states._start or function() end
      return poe.session.create { inline_states = states }
    end
    local function run()
      local began = os.clock()
      poe.run()
      local used = (os.clock() - began) / SLOWNESS
      print(used < 0.4 and "calm" or "spinning")
    end
    local r, w = sys.pipe()
    local n = r:fileno()
    -- the number n again, as another file
    local function reuse()
      local other = sys.open("/dev/null")
      local r2, w2 = sys.pipe()
      assert(r2:fileno() == n or other:fileno() == n)
      if other:fileno() == n then
        other:close()
        r2:close()
        w2:close()
        r2, w2 = sys.pipe()
      else
        other:close()
      end
      assert(r2:fileno() == n)
      return r2, w2
    end
  ]] .. body
end

for _, loop in ipairs { "uv", "poll", "select" } do
  local function prints(expected, body)
    helper.assert_prints(expected, script(body),
      { environment = "POE_EVENT_LOOP=" .. loop })
  end

  describe("W18 with " .. loop .. ", a descriptor closed behind the kernel's back", function()
    it("does not spin, and the session can be ended (I09_closed_without_unwatch)", function()
      prints([[
        chk
        end true
        calm]], [[
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:delay("chk", 0.01)
          end,
          rd = function() print "rd" end,
          chk = function()
            print "chk"
            r:close()
            w:close()
            kernel:delay("end", 0.3)
          end,
          ["end"] = function()
            print("end", kernel:select_read(n))
          end,
        }
        run()]])
    end)

    it("may be closed before the loop has seen it", function()
      prints([[
        end
        stop
        calm]], [[
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:select_write(w:fileno(), "wr")
            r:close()
            w:close()
            kernel:delay("end", 0.1)
          end,
          rd = function() print "rd" end,
          wr = function() print "wr" end,
          ["end"] = function() print "end" kernel:stop() end,
          _stop = function() print "stop" end,
        }
        run()]])
    end)

    it("may be paused and resumed, widened and narrowed", function()
      prints([[
        EBADF
        stop
        calm]], [[
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:select_expedite(n, "ex")
            kernel:delay("chk", 0.01)
          end,
          rd = function() print "rd" end,
          ex = function() print "ex" end,
          chk = function()
            r:close()
            kernel:select_pause_read(n)
            kernel:delay("resume", 0.01)
          end,
          resume = function()
            kernel:select_resume_read(n)
            print((select(3, kernel:select_write(n, "wr"))))
            kernel:delay("narrow", 0.01)
          end,
          narrow = function()
            kernel:select_expedite(n)
            kernel:delay("end", 0.1)
          end,
          ["end"] = function() kernel:stop() end,
          _stop = function() print "stop" end,
        }
        run()]])
    end)

    it("may be unwatched by the object it belonged to", function()
      prints([[
        true
        stop
        calm]], [[
        local handle = { fd = n }
        function handle:fileno() return self.fd end
        session {
          _start = function()
            kernel:select_read(handle, "rd")
            kernel:delay("chk", 0.01)
          end,
          rd = function() print "rd" end,
          chk = function()
            r:close()
            handle.fd = -1
            print(kernel:select_read(handle))
          end,
          _stop = function() print "stop" end,
        }
        run()]])
    end)

    it("number reused by the same session: the new event, the new handle (I10_fd_reuse_same_session)", function()
      prints([[
        new true
        calm]], [[
        local keep = {}
        session {
          _start = function()
            kernel:select_read(n, "old")
            kernel:yield "go"
          end,
          go = function()
            r:close()
            keep.r, keep.w = reuse()
            kernel:select_read(keep.r, "new")
            keep.w:write "x"
          end,
          old = function() print "old" end,
          new = function(_, _, handle)
            print("new", handle == keep.r)
            kernel:select_read(handle)
          end,
        }
        run()]])
    end)

    it("number reused by another session: only that one is told (I11_fd_reuse_other_session)", function()
      prints([[
        b: x
        calm]], [[
        local keep = {}
        session {
          _start = function() kernel:select_read(n, "rd") end,
          rd = function() print "a was told" end,
        }
        session {
          _start = function() kernel:yield "go" end,
          go = function()
            r:close()
            keep.r, keep.w = reuse()
            kernel:select_read(keep.r, "rd")
            keep.w:write "x"
          end,
          rd = function(_, _, handle)
            print("b: " .. handle:read())
            kernel:select_read(handle)
            kernel:stop()
          end,
        }
        run()]])
    end)

    it("number reused without being watched: nobody is told", function()
      prints([[
        end
        calm]], [[
        local keep = {}
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:delay("go", 0.01)
          end,
          rd = function() print "a was told" end,
          go = function()
            r:close()
            keep.r, keep.w = reuse()
            keep.w:write "x"
            kernel:delay("end", 0.1)
          end,
          ["end"] = function() print "end" kernel:stop() end,
        }
        run()]])
    end)

    it("reused twice over, by three sessions", function()
      prints([[
        b 1
        c 2
        calm]], [[
        local keep = {}
        local function follow(name, text)
          session {
            _start = function() kernel:alias_set(name) end,
            go = function()
              if keep.r then keep.r:close() else r:close() end
              local old = keep.w
              keep.r, keep.w = reuse()
              if old then old:close() end
              kernel:select_read(n, "rd") -- by number: no own handle helps
              keep.w:write(text)
            end,
            rd = function()
              local text = keep.r:read()
              print(name, text)
              if text == "2" then kernel:stop() else kernel:post("c", "go") end
            end,
          }
        end
        session {
          _start = function() kernel:select_read(n, "rd") end,
          rd = function() print "a was told" end,
        }
        follow("b", "1")
        follow("c", "2")
        kernel:post("b", "go")
        run()]])
    end)

    it("of a stopped session does not bring it back (I20_event_after_stop_on_leaked_fd)", function()
      prints([[
        stop
        d
        e
        calm]], [[
        local keep = {}
        local a = session {
          _start = function()
            kernel:alias_set "a"
            kernel:select_read(n, "rd")
            kernel:signal(kernel.session, "TERM")
          end,
          rd = function() print "called after _stop" end,
          _stop = function() print "stop" r:close() end,
        }
        session {
          _start = function() kernel:delay("d", 0.02) end,
          d = function()
            print "d"
            keep.r, keep.w = reuse()
            keep.w:write "x"
            kernel:delay("e", 0.02)
          end,
          e = function() print "e" end,
        }
        run()]])
    end)

    it("opened again as the very same file is told of it", function()
      prints([[
        got x
        calm]], [[
        local path = os.tmpname()
        os.remove(path)
        assert(os.execute("mkfifo " .. path))
        local fifo = assert(sys.open(path, "r+"))
        local number = fifo:fileno()
        local keep
        session {
          _start = function()
            kernel:select_read(number, "rd")
            kernel:delay("go", 0.01)
          end,
          go = function()
            fifo:close()
            keep = assert(sys.open(path, "r+"))
            assert(keep:fileno() == number)
            kernel:select_read(number, "rd")
            keep:write "x"
            kernel:delay("late", 1)
          end,
          rd = function()
            print("got " .. keep:read())
            kernel:select_read(number)
            kernel:delay "late"
          end,
          late = function() print "late" kernel:stop() end,
        }
        run()
        os.remove(path)]])
    end)

    it("that became a regular file is forgotten", function()
      prints([[
        end
        calm]], [[
        session {
          _start = function()
            kernel:select_read(n, "rd")
            local file = sys.open("Makefile")
            sys.dup2(file, n)
            kernel:delay("end", 0.1)
          end,
          rd = function() print "rd" end,
          ["end"] = function() print "end" kernel:stop() end,
        }
        run()]])
    end)

    it("leaves those beside it alone", function()
      prints([[
        got 1
        got 2
        got 3
        calm]], [[
        local other_r, other_w = sys.pipe()
        local count = 0
        session {
          _start = function()
            kernel:select_read(n, "never")
            kernel:select_read(other_r, "rd")
            kernel:delay("go", 0.01)
          end,
          never = function() print "never" end,
          go = function()
            if r then r:close() r = nil end
            count = count + 1
            other_w:write(tostring(count))
          end,
          rd = function(_, _, handle)
            print("got " .. handle:read())
            if count == 3 then kernel:stop() else kernel:delay("go", 0.01) end
          end,
        }
        run()]])
    end)

    it("of another's handle: its own watcher of it ends when it closes", function()
      prints([[
        stop b
        stop a
        calm]], [[
        session {
          _start = function() kernel:select_read(r, "rd") end,
          _stop = function() print "stop a" end,
        }
        session {
          _start = function()
            kernel:select_read(r, "rd")
            kernel:yield "go"
          end,
          go = function() r:close() end,
          _stop = function() print "stop b" end,
        }
        run()]])
    end)
  end)
end
