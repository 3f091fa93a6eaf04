-- Section I of the semantics, W18: descriptors that are closed while they are
-- watched, and whose open file lives on elsewhere: in a duplicate, or in a
-- child.  epoll(7) goes on telling of them.  Nothing spins, and nobody is told
-- of what he does not watch; with every bridge.

local helper = require "spec.helper"

--- A script with a pipe `r`, `w` whose reading end has a duplicate; `n` is r's
--- number, which the kernel knows it by.  `quiet_run` says how it went.
local function script(body)
  return "local SLOWNESS = " .. helper.SLOWNESS .. [[

    local poe, sys = require "poe", require "poe.sys"
    local kernel = poe.kernel
    local r, w = sys.pipe()
    local n = r:fileno()
    local twin = sys.dup(r)
    local keep = {}
    local function print(...)
      local words = { ... }
      for i, word in ipairs(words) do words[i] = tostring(word) end
      io.write(table.concat(words, " "), "\n")
    end
    local function session(states)
      states.rd = states.rd or function() print "rd" end
      return poe.session.create { inline_states = states }
    end
    -- the number n again, as the reading end of another pipe
    local function reuse()
      keep.r, keep.w = sys.pipe()
      assert(keep.r:fileno() == n)
    end
    -- waits, and says whether that cost time of the processor
    local began
    local function begin_wait(event)
      began = os.clock()
      kernel:delay(event, 0.2)
    end
    local function how_it_was()
      local used = (os.clock() - began) / SLOWNESS
      return used < 0.02 and "calm" or "spinning"
    end
  ]] .. body
end

for _, loop in ipairs { "uv", "poll", "select" } do
  local function prints(expected, body)
    helper.assert_prints(expected, script(body),
      { environment = "POE_EVENT_LOOP=" .. loop })
  end

  describe("W18 with " .. loop .. ", a closed descriptor whose file lives on", function()
    it("while it is watched", function()
      prints("calm", [[
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:delay("go", 0.01)
          end,
          go = function()
            r:close()
            w:write "x"
            begin_wait "end"
          end,
          ["end"] = function()
            print(how_it_was())
            kernel:stop()
          end,
        }
        poe.run()]])
    end)

    it("unwatched after it was closed", function()
      prints("calm", [[
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:delay("go", 0.01)
          end,
          go = function()
            r:close()
            w:write "x"
            kernel:select_read(n)
            begin_wait "end"
          end,
          ["end"] = function() print(how_it_was()) end,
        }
        poe.run()]])
    end)

    it("ready only while the loop waits already", function()
      prints("calm", [[
        local child
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:yield "go"
          end,
          go = function()
            local writer = ("/proc/%d/fd/%d"):format(sys.getpid(), w:fileno())
            child = io.popen("sleep 0.05; echo x >" .. writer)
            r:close()
            kernel:select_read(n)
            begin_wait "end"
          end,
          ["end"] = function() print(how_it_was()) child:close() end,
        }
        poe.run()]])
    end)

    it("paused after it was closed", function()
      prints("true calm", [[
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:delay("go", 0.01)
          end,
          go = function()
            r:close()
            w:write "x"
            keep.paused = kernel:select_pause_read(n)
            begin_wait "end"
          end,
          ["end"] = function()
            print(keep.paused, how_it_was())
            kernel:stop()
          end,
        }
        poe.run()]])
    end)

    it("a file of Lua's that a child inherited", function()
      prints("calm", [[
        local path = os.tmpname()
        os.remove(path)
        assert(os.execute("mkfifo " .. path))
        local file, child = io.open(path, "r+"), nil
        session {
          _start = function()
            kernel:select_read(file, "rd")
            kernel:delay("go", 0.01)
          end,
          go = function()
            child = io.popen("read line", "w")
            file:write "x"
            file:close()
            kernel:select_read(file)
            begin_wait "end"
          end,
          ["end"] = function()
            print(how_it_was())
            child:close()
          end,
        }
        poe.run()
        os.remove(path)]])
    end)

    for _, again in ipairs { "keep.r", "n" } do
      for _, unwatch in ipairs { "", "kernel:select_read(n)" } do
        it(("its number watched by another session as %s, the first one's %q"):format(again, unwatch), function()
          prints([[
            calm
            got x
            calm]], ([[
            session {
              _start = function()
                kernel:alias_set "a"
                kernel:select_read(n, "rd")
                kernel:delay("go", 0.01)
              end,
              go = function()
                r:close()
                %s
                kernel:post("b", "take")
              end,
            }
            session {
              _start = function() kernel:alias_set "b" end,
              take = function()
                reuse()
                kernel:select_read(%s, "rd")
                w:write "ghost"
                begin_wait "write"
              end,
              write = function()
                print(how_it_was())
                keep.w:write "x"
              end,
              rd = function()
                print("got", keep.r:read() or "nothing")
                begin_wait "end"
              end,
              ["end"] = function()
                print(how_it_was())
                kernel:stop()
              end,
            }
            poe.run()]]):format(unwatch, again))
        end)
      end
    end

    it("its number watched again, for something else", function()
      prints("calm", [[
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:delay("go", 0.01)
          end,
          go = function()
            r:close()
            kernel:select_read(n)
            reuse()
            kernel:select_expedite(keep.r, "rd")
            w:write "ghost"
            begin_wait "end"
          end,
          ["end"] = function()
            print(how_it_was())
            kernel:select_expedite(keep.r)
          end,
        }
        poe.run()]])
    end)

    it("leaves other descriptors and signals alone, also closed ones", function()
      prints([[
        calm
        got x
        USR1
        stop]], [[
        local r2, w2 = sys.pipe()
        local r3, w3 = sys.pipe()
        session {
          _start = function()
            kernel:sig("USR1", "signalled")
            kernel:select_read(n, "rd")
            kernel:select_read(r2, "got")
            kernel:select_read(r3:fileno(), "rd")
            kernel:delay("go", 0.01)
          end,
          go = function()
            r3:close() -- its file is gone: nothing tells of it
            r:close()
            w:write "x"
            kernel:select_read(n)
            begin_wait "end"
          end,
          ["end"] = function()
            print(how_it_was())
            w2:write "x"
          end,
          got = function()
            print("got", r2:read())
            sys.kill(sys.getpid(), "USR1")
          end,
          signalled = function(_, _, name)
            print(name)
            kernel:stop()
          end,
          _stop = function() print "stop" end,
        }
        poe.run()
        assert(w3)]])
    end)

    it("does not end the child of a fork", function()
      prints([[
        got x
        exit 7]], [[
        local r2, w2 = sys.pipe()
        session {
          _start = function()
            kernel:select_read(n, "rd")
            kernel:select_read(r2, "got")
            kernel:delay("go", 0.01)
          end,
          go = function()
            r:close()
            keep.pid = kernel:fork()
            if keep.pid == 0 then
              w2:write "x"
            else
              kernel:select_read(r2)
              kernel:sig_child(keep.pid, "gone")
            end
          end,
          got = function()
            print("got", r2:read())
            io.stdout:flush()
            os.exit(7)
          end,
          gone = function(_, _, _, _, status)
            print(poe.wait_status(status))
            kernel:stop()
          end,
        }
        poe.run()]])
    end)
  end)
end
