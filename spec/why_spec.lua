-- kernel:why and poe --why: what keeps the program alive, and who made it.

local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

--- The reasons of one kind.
local function of_kind(reasons, kind)
  local list = {}
  for _, reason in ipairs(reasons) do
    if reason.kind == kind then list[#list + 1] = reason end
  end
  return list
end

--- Runs a session that owns one of everything and then calls look(kernel).
local function with_everything(look)
  poe.session.create {
    inline_states = {
      _start = function(kernel, heap)
        local id = kernel.session:ID()
        kernel:alias_set "owner"
        heap.timer = kernel:delay_set("tick", 1000, "argument")
        heap.read, heap.write = sys.pipe()
        kernel:select_read(heap.read, "readable")
        kernel:select_pause_read(heap.read)
        heap.pid = kernel:fork()
        if heap.pid == 0 then sys._exit(0) end
        kernel:sig_child(heap.pid, "ended")
        kernel:refcount_increment(id, "tag")
        kernel:refcount_increment(id, "tag")
        heap.postback = kernel.session:postback "answer"
        poe.session.create { inline_states = { _start = function()
          kernel:alias_set "child"
          for _ = 1, 2 do kernel:post("owner", "hello") end
        end } }
        look(kernel, heap)
      end,
      ended = function(kernel, heap)
        kernel:stop()
        heap.read:close()
        heap.write:close()
        heap.postback:close()
      end,
    },
  }
  poe.run()
end

describe("kernel:why", function()
  before_each(helper.begin)
  after_each(function()
    poe.configure { why = false }
    helper.finish()
  end)

  it("lists everything that keeps a session, with who made it and when", function()
    poe.configure { why = true }
    local reasons, heap, fd, self, child
    with_everything(function(kernel, its_heap)
      heap, self = its_heap, kernel.session
      fd = heap.read:fileno()
      child = kernel:alias_resolve "child"
      reasons = kernel:why(self)
    end)
    local kinds = {}
    for i, reason in ipairs(reasons) do
      kinds[i] = reason.kind
      assert.equal(self, reason.session)
      assert.is_string(reason.text)
      if reason.kind ~= "handler" then
        assert.is_true(reason.age >= 0 and reason.age < 60)
        assert.matches("why_spec.lua$", reason.file)
        assert.is_true(reason.line > 0)
      end
    end
    assert.same({ "handler", "event", "timer", "select", "child", "tag",
      "postback", "session", "alias" }, kinds)
    local handler, event, timer, watch, process, tag, postback, session, alias =
      table.unpack(reasons)
    assert.equal("_start", handler.event)
    assert.same({ "hello", 2, child },
      { event.event, event.count, event.by })
    assert.same({ "tick", heap.timer }, { timer.event, timer.id })
    assert.is_true(timer.due_in > 990 and timer.due_in <= 1000)
    assert.same({ "readable", fd, poe.MODE_RD, true },
      { watch.event, watch.fd, watch.mode, watch.paused })
    assert.same({ "ended", heap.pid }, { process.event, process.pid })
    assert.same({ "tag", 2, self }, { tag.name, tag.count, tag.by })
    assert.same({ "answer", 1, self },
      { postback.event, postback.count, postback.by })
    assert.same({ child, "session" }, { session.child, session.keeps })
    assert.same({ "owner", "session" }, { alias.name, alias.keeps })
    assert.same({ "program", "_start" }, { timer.keeps, timer.from })
  end)

  it("lists the program session by session, and events at both ends", function()
    local reasons
    with_everything(function(kernel) reasons = kernel:why() end)
    local sent = of_kind(reasons, "sent")
    assert.equal(1, #sent)
    assert.same({ 2, "hello" }, { sent[1].count, sent[1].event })
    assert.equal(of_kind(reasons, "event")[1].session, sent[1].to)
    assert.equal(2, #of_kind(reasons, "alias"))
  end)

  it("knows where events, timers and watchers come from in any case", function()
    local reasons
    with_everything(function(kernel) reasons = kernel:why "owner" end)
    for _, kind in ipairs { "event", "timer", "select", "child" } do
      local reason = of_kind(reasons, kind)[1]
      assert.matches("why_spec.lua$", reason.file)
      assert.is_nil(reason.age)
    end
    for _, kind in ipairs { "tag", "postback", "alias", "session" } do
      local reason = of_kind(reasons, kind)[1]
      assert.is_nil(reason.file)
      assert.is_nil(reason.age)
      assert.is_nil(reason.by)
      assert.matches(", made while why was off$", reason.text)
    end
  end)

  it("is text for tostring", function()
    local text, one
    with_everything(function(kernel)
      text, one = tostring(kernel:why()), tostring(kernel:why "owner")
    end)
    assert.matches("^what keeps this program alive:\nsession %d+ \"owner\":\n", text)
    assert.matches("\n  2 events 'hello', sent by session %d+ \"child\" at ", text)
    assert.matches("\n  timer %d+ 'tick', due in %d+%.%d+ s, set at "
      .. "%S+why_spec.lua:%d+, in the handler of '_start'\n", text)
    assert.matches("\n  descriptor %d+ for reading, as 'readable', paused, ", text)
    assert.matches("\n  alias 'child', .- %(keeps the session only%)\n$", text)
    assert.matches("^what keeps this session alive:\n", one)
  end)

  it("cuts long lists short in its text only", function()
    local reasons
    poe.session.create { inline_states = { _start = function(kernel)
      for i = 1, 100 do kernel:delay_set("tick", i) end
      reasons = kernel:why()
      kernel:alarm_remove_all()
    end } }
    poe.run()
    assert.equal(100, #of_kind(reasons, "timer"))
    local _, lines = tostring(reasons):gsub("\n  timer ", "")
    assert.equal(20, lines)
    assert.matches("\n  and 80 more of this kind: timer\n", tostring(reasons))
  end)

  it("has nothing to say of a program without sessions", function()
    assert.equal(0, #poe.kernel:why())
    assert.equal("nothing keeps this program alive\n", tostring(poe.kernel:why()))
  end)

  it("tells each postback by itself, as long as it is strong", function()
    poe.configure { why = true }
    local first, second, third
    poe.session.create { inline_states = { _start = function(kernel)
      local a = kernel.session:postback "a"
      local b = kernel.session:callback "b"
      first = of_kind(kernel:why(), "postback")
      a:weaken()
      second = of_kind(kernel:why(), "postback")
      b:close()
      a:close()
      third = of_kind(kernel:why(), "postback")
    end } }
    poe.run()
    assert.same({ "a", "b" }, { first[1].event, first[2].event })
    assert.equal(first[1].line + 1, first[2].line)
    assert.same({ 1, "b" }, { #second, second[1].event })
    assert.equal(0, #third)
  end)

  it("tells who held a tag though he has ended", function()
    poe.configure { why = true }
    local reason
    poe.session.create { inline_states = {
      _start = function(kernel)
        kernel:alias_set "held"
        poe.session.create { inline_states = { _start = function()
          kernel:refcount_increment(kernel:alias_resolve("held"):ID(), "tag")
        end } }
        helper.later(kernel, "look")
      end,
      look = function(kernel)
        reason = of_kind(kernel:why "held", "tag")[1]
        kernel:refcount_decrement(kernel.session:ID(), "tag")
      end,
    } }
    poe.run()
    assert.equal("session", poe.type(reason.by))
    assert.matches("last taken by session %d+, which has ended ", reason.text)
  end)

  it("of nobody is nil, message, code", function()
    local none, message, code = poe.kernel:why "nobody"
    assert.is_nil(none)
    assert.equal("ESRCH", code)
    assert.matches("nobody", message)
    assert.has_error(function() poe.kernel:why {} end,
      "bad argument #1 to 'why' (session, ID or alias expected, got table)")
  end)

  it("is switched by configure, which knows its values", function()
    assert.error_matches(function() poe.configure { why = "yes" } end,
      "configure: 'why' must be true, false or \"signals\", got yes")
    assert.error_matches(function() poe.configure { why = 1 } end, "got number")
  end)
end)

describe("poe --why", function()
  local PRELUDE = [[
    local poe, sys = require "poe", require "poe.sys"
    local function signal(name) sys.kill(sys.getpid(), name) end
  ]]

  local function run(script, environment)
    return helper.run_poe(PRELUDE .. script, { environment = environment })
  end

  for _, loop in ipairs { "uv", "poll", "select" } do
    it("prints it on SIGUSR1, with no handler running, on " .. loop, function()
      local status, out, err = run([[
        local pid = sys.getpid()
        poe.session.create { inline_states = {
          _start = function(kernel)
            kernel:delay("end", 20)
            kernel:alias_set "waiting"
            local child = kernel:fork()
            if child == 0 then
              sys.kill(pid, "USR1")
              sys._exit(0)
            end
            kernel:sig_child(child, "asked")
          end,
          asked = function(kernel) kernel:delay("end", 0.02) end,
          ["end"] = function() end,
        } }]], "POE_WHY=1 POE_EVENT_LOOP=" .. loop)
      assert.equal("", out)
      assert.equal(0, status)
      assert.matches("^what keeps this program alive:\nsession 1 \"waiting\":\n"
        .. "  .*timer %d 'end', due in %d+%.%d+ s, set %d%.%d+ s ago at %S+:%d+, "
        .. "in the handler of '[%a_]+'\n", err)
    end)
  end

  it("leaves SIGUSR1 to the sessions that watch it", function()
    local status, out, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:sig("USR1", "usr1"); kernel:delay("end", 20); signal "USR1" end,
        usr1 = function(kernel, _, name) print(name); kernel:delay "end" end,
      } }]], "POE_WHY=1")
    assert.equal("USR1\n", out)
    assert.matches("^what keeps this program alive:\n", err)
    assert.equal(0, status)
  end)

  it("prints it when SIGINT ends the program", function()
    local status, _, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:delay("end", 20); signal "INT" end,
      } }]], "POE_WHY=1")
    assert.equal(130, status)
    assert.matches("timer 1 'end'", err)
  end)

  it("prints it when an INT that is not handled stops the sessions", function()
    local status, out, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel) kernel:sig("INT", "int"); kernel:delay("end", 20); signal "INT" end,
        int = function() end,
        _stop = function() print "stopped" end,
      } }]], "POE_WHY=1")
    assert.equal("stopped\n", out)
    assert.matches("timer 1 'end'", err)
    assert.equal(0, status)
  end)

  it("prints nothing when INT is handled, and listens on", function()
    local status, out, err = run([[
      poe.session.create { inline_states = {
        _start = function(kernel, heap) heap.n = 0; kernel:sig("INT", "int"); kernel:delay("end", 20); signal "INT" end,
        int = function(kernel, heap)
          heap.n = heap.n + 1
          kernel:sig_handled()
          if heap.n < 3 then signal "INT" else kernel:delay "end"; print(heap.n) end
        end,
      } }]], "POE_WHY=1")
    assert.equal("3\n", out)
    assert.equal("", err)
    assert.equal(0, status)
  end)

  it("does not keep a handler that hangs from being interrupted", function()
    local status = run([[
      poe.session.create { inline_states = {
        _start = function() signal "INT"; signal "INT"; while true do end end,
      } }]], "POE_WHY=1")
    assert.equal(130, status)
  end)

  it("is an option of the command", function()
    helper.assert_prints("true", [[
      local poe = require "poe"
      poe.session.create { inline_states = { _start = function(kernel)
        print(kernel:why()[1].by ~= nil)
      end } }]], { interpreter = helper.POE .. " --why" })
  end)

  it("prints nothing when nobody asks", function()
    local _, _, err = run([[
      poe.session.create { inline_states = { _start = function(kernel) kernel:yield "x" end } }]],
      "POE_WHY=1")
    assert.equal("", err)
  end)
end)

describe("doc/debugging.md", function()
  local text = assert(io.open "doc/debugging.md"):read "a"

  --- Indented lines after `from`, numbers of seconds and paths taken out.
  local function list_after(from)
    local list = text:match(from .. ".-\n\n(    .-)\n\n"):gsub("%f[^\n]    ", "")
    return (list:gsub("^    ", ""))
  end

  local function plain(list)
    return (list:gsub("%d+%.%d+ s", "N s"):gsub("at %S-([%w_]+%.lua)", "at cache.lua")
      :gsub("at /tmp/[^:]+", "at cache.lua"))
  end

  it("has examples that run, but for the one that does not end", function()
    local blocks, programs = 0, 0
    for code in text:gmatch "```lua\n(.-)```" do
      blocks = blocks + 1
      assert(load(code))
      if blocks > 1 and code:find "^local poe" then
        programs = programs + 1
        assert.equal(0, (helper.run_poe(code)))
      end
    end
    assert.same({ 5, 2 }, { blocks, programs })
  end)

  it("shows the list that its program gives", function()
    local program = text:match "```lua\n(local poe.-)```"
    local asked = program:gsub("poe.run%(%)", [[
      local sys = require "poe.sys"
      sys.kill(sys.getpid(), "INT")
      poe.run()]])
    local _, _, err = helper.run_poe(asked, { environment = "POE_WHY=1" })
    err = err:gsub("  event '_garbage_collect'[^\n]*\n", ""):gsub("\n$", "")
    assert.equal(plain(list_after "it says on the standard error:"), plain(err))
  end)
end)
