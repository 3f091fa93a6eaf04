-- Section K of the semantics, with section 8 of the contract: assertions,
-- traces, and the switches of both.

local helper = require "spec.helper"
local poe = require "poe"

local PRELUDE = [[
  local poe, sys = require "poe", require "poe.sys"
  local kernel = poe.kernel
  local function session(states)
    return poe.session.create { inline_states = states }
  end
]]

--- What a script prints on stderr, its process ID taken out.
local function trace(script, environment)
  local status, out, err = helper.run_poe(PRELUDE .. script,
    { environment = environment })
  assert.equal(0, status)
  assert.equal("", out)
  return (err:gsub("=== %d+ === ", "=== PID === "))
end

--- These texts are there, in this order.
local function has_in_order(text, expected)
  local from = 1
  for _, part in ipairs(expected) do
    local first, last = text:find(part, from, true)
    assert.is_truthy(first, ("no %q in %s"):format(part, text:sub(from)))
    from = last + 1
  end
end

local function each_line_begins(text, prefix)
  assert.is_true(#text > 0)
  for line in text:gmatch "[^\n]+" do
    assert.equal("=== PID === " .. prefix, line:sub(1, 12 + #prefix))
  end
end

describe("K. Traces", function()
  local SCRIPT = [[
    local r, w = sys.pipe()
    w:write "x"
    session {
      _start = function()
        kernel:alias_set "al"
        kernel:yield "x"
        kernel:sig("FOO", "h")
        kernel:signal(kernel.session, "FOO")
        kernel:select_read(r, "rd")
        kernel:post("zz", "x")
        kernel:alias_remove "q"
      end,
      x = function() kernel:alias_remove "al" end,
      h = function() end,
      rd = function() kernel:select_read(r) end,
    }
    poe.run()
  ]]

  it("119 events: queued and dispatched (K02_trace_events)", function()
    local text = trace(SCRIPT, "POE_TRACE_EVENTS=1")
    each_line_begins(text, "<ev> ")
    has_in_order(text, { "dispatching event ``_start''",
      "enqueued event", "``x''", "dispatching event ``rd''",
      "dispatching event ``x''", "dispatching event ``h''",
      "dispatching event ``_stop''" })
  end)

  it("119 events: how their handlers end", function()
    local text = trace([[
      session {
        _start = function()
          kernel:yield "x"
          kernel:yield "nobody"
          kernel:yield "bad"
          kernel:delay("t", 0)
          kernel:sig("DIE", "d")
        end,
        x = function() kernel:call(kernel.session, "c") end,
        c = function() kernel:run_one_timeslice() end,
        bad = function() error "bad" end,
        t = function() end,
        d = function() kernel:sig_handled() end,
      }
      poe.run()]], "POE_TRACE_EVENTS=1")
    local function id_of(kind, name)
      return assert(text:match(kind .. " (%d+) ``" .. name .. "''"))
    end
    local function ends(kind, name, how)
      return ("<ev> %s %s ``%s'' %s\n"):format(kind, id_of(kind, name), name, how)
    end
    has_in_order(text, { "<ev> event ``_start'' returns\n",
      "dispatching event ``x''", "dispatching event ``c''",
      "dispatching event ``nobody''", ends("event", "nobody", "was not handled"),
      "dispatching event ``bad''", ends("event", "bad", "died"),
      "dispatching event ``t''", ends("timer", "t", "returns"),
      "<ev> event ``c'' returns\n", ends("event", "x", "returns"),
      "dispatching event ``d''",
      ("<ev> event %s ``d'' returns\n"):format(id_of("event", "DIE")),
      "<ev> event ``_stop'' was not handled\n" })
  end)

  it("119 events: what is queued when a slice begins", function()
    local text = trace([[
      poe.configure { virtual_time = true }
      session {
        _start = function()
          kernel:alias_set "al"
          kernel:delay("late", 30)
          kernel:alarm("first", poe.time() - 5)
          kernel:yield "x"
          kernel:alarm("middle", poe.time() + 10)
          session { _start = function() kernel:post("al", "y") end }
        end,
        x = function() end,
        y = function() kernel:alias_remove "al" end,
      }
      poe.run()]], "POE_TRACE_EVENTS=1")
    local slices = {}
    for line in text:gmatch "[^\n]+" do
      local name, sender, receiver, time =
        line:match "<ev> queued: %a+ %d+ ``([%a]+)'' from (.-) to (.-) at ([%d.]+)$"
      if name then
        slices[#slices + 1] = { name, sender, receiver, tonumber(time) }
      end
    end
    local function names(first, last)
      local list = {}
      for i = first, last do list[#list + 1] = slices[i][1] end
      return table.concat(list, " ")
    end
    assert.equal("first x y middle late", names(1, 5))
    assert.equal("middle late late", names(6, #slices))
    assert.same({ "session 2", 'session 1 "al"' }, { slices[3][2], slices[3][3] })
    local function after_x(i) return slices[i][4] - slices[2][4] end
    assert.is_true(math.abs(after_x(1) + 5) < 0.1)
    assert.is_true(math.abs(after_x(4) - 10) < 0.1)
    assert.is_true(math.abs(after_x(5) - 30) < 0.1)
  end)

  it("119 sessions and references (K03_trace_sessions_refcnt)", function()
    local text = trace(SCRIPT, "POE_TRACE_SESSIONS=1")
    each_line_begins(text, "<ss> ")
    has_in_order(text, { "session 1 has parent the kernel",
      "stopping session 1", "freeing session 1" })
    text = trace(SCRIPT, "POE_TRACE_REFCNT=1")
    each_line_begins(text, "<rc> ")
    has_in_order(text, { "incrementing refcount for session 1",
      "decrementing refcount for session 1" })
  end)

  it("119 return values (K04_trace_retvals)", function()
    local text = trace(SCRIPT, "POE_TRACE_RETVALS=1")
    each_line_begins(text, "<rv> ESRCH: ")
    has_in_order(text, { "zz", "q" })
  end)

  it("119 signals (K06_trace_signals)", function()
    local text = trace(SCRIPT, "POE_TRACE_SIGNALS=1")
    each_line_begins(text, "<sg> ")
    has_in_order(text, { "signal FOO", "dispatching signal FOO",
      "signal FOO to session 1 as ``h''" })
  end)

  it("119 files (K07_trace_files)", function()
    local text = trace(SCRIPT, "POE_TRACE_FILES=1")
    has_in_order(text, { "<fh> adding fd (", "in mode (0)",
      "<fh> removing fd (", "in mode (0)" })
  end)

  it("117 DEFAULT is all of them, and one may be taken out", function()
    local text = trace(SCRIPT, "POE_TRACE_DEFAULT=1 POE_TRACE_EVENTS=0")
    for _, prefix in ipairs { "<ss>", "<rc>", "<rv>", "<sg>", "<fh>" } do
      assert.is_truthy(text:find(prefix, 1, true), prefix)
    end
    assert.is_nil(text:find("dispatching event", 1, true))
  end)

  it("117 nothing is printed without a switch, or with 0 or nothing", function()
    assert.equal("", trace(SCRIPT))
    assert.equal("", trace(SCRIPT, "POE_TRACE_EVENTS=0 POE_TRACE_FILES="))
  end)

  it("117 every line begins with the process's ID", function()
    local _, _, err = helper.run_poe(PRELUDE .. [[
      io.stderr:write(sys.getpid(), "\n")
      session { _start = function() end }
      poe.run()
    ]], { environment = "POE_TRACE_SESSIONS=1" })
    local pid = err:match "^(%d+)\n"
    for line in err:gmatch "\n([^\n]+)" do
      assert.equal("=== " .. pid .. " === ", line:sub(1, #pid + 9))
    end
  end)

  it("117 goes to TRACE_FILENAME, appended", function()
    local path = os.tmpname()
    for _ = 1, 2 do
      assert.equal("", trace("session { _start = function() end } poe.run()",
        "POE_TRACE_SESSIONS=1 POE_TRACE_FILENAME=" .. path))
    end
    assert.equal("", trace(([[
      poe.configure { trace = { sessions = true }, trace_filename = %q }
      session { _start = function() end }
      poe.run()]]):format(path)))
    local n = 0
    for line in io.lines(path) do
      n = n + (line:find("stopping session 1", 1, true) and 1 or 0)
    end
    os.remove(path)
    assert.equal(3, n)
  end)

  it("goes back to the standard error if the name is false", function()
    local text = trace [[
      poe.configure { trace = { sessions = true }, trace_filename = "/dev/null" }
      session { _start = function() poe.configure { trace_filename = false } end }
      poe.run()]]
    assert.is_nil(text:find("has parent", 1, true))
    has_in_order(text, { "stopping session 1" })
  end)

  it("may be switched while the program runs", function()
    local text = trace [[
      session {
        _start = function()
          kernel:yield "silent"
          kernel:yield "loud"
        end,
        silent = function()
          poe.configure { trace = { events = true } }
        end,
        loud = function()
          poe.configure { trace = { events = false } }
        end,
      }
      poe.run()]]
    assert.is_nil(text:find("``silent''", 1, true))
    assert.is_truthy(text:find("dispatching event ``loud''", 1, true))
    assert.is_nil(text:find("``_stop''", 1, true))
  end)

  it("the environment wins over the program", function()
    assert.equal("", trace([[
      poe.configure { trace = { sessions = true } }
      session { _start = function() end }
      poe.run()]], "POE_TRACE_SESSIONS=0"))
    local text = trace([[
      poe.configure { trace = { sessions = false } }
      session { _start = function() end }
      poe.run()]], "POE_TRACE_SESSIONS=1")
    assert.is_truthy(text:find("stopping session 1", 1, true))
  end)

  it("47 the session's options trace, debug and default", function()
    local text = trace [[
      poe.session.create {
        options = { trace = true, debug = true, default = true },
        inline_states = {
          _start = function()
            kernel:yield "x"
            kernel:yield "nobody"
          end,
          x = function() kernel:state("x", function() end) end,
        },
      }
      poe.run()]]
    has_in_order(text, { "=== PID === 1 -> _start (from ",
      "=== PID === 1 -> x (from ",
      "redefining handler for event(x) for session(1)",
      "a 'nobody' event was sent from " })
  end)
end)

describe("K. Traces of one session", function()
  -- Two sessions that do the same; the second has the option.
  local SCRIPT = [[
    local option, value = %q, %s
    local function twin(name, options)
      poe.session.create {
        options = options,
        inline_states = {
          _start = function()
            kernel:alias_set(name)
            kernel:yield "x"
            kernel:delay("t", 0)
            kernel:sig("FOO", "h")
            kernel:signal(kernel.session, "FOO")
            local r, w = sys.pipe()
            w:write "x"
            kernel:select_read(r, "rd", w)
            kernel:post("zz " .. name, "x")
          end,
          x = function() end, t = function() end, h = function() end,
          rd = function(_, _, r, _, w)
            kernel:select_read(r)
            w:close()
            r:close()
          end,
        },
      }
    end
    twin("one")
    twin("two", { [option] = value })
    poe.run()
  ]]

  local function twins(value)
    return trace(SCRIPT:format("trace", value))
  end

  local PREFIXES = { events = "<ev>", refcnt = "<rc>", sessions = "<ss>",
    signals = "<sg>", files = "<fh>", retvals = "<rv>" }

  for topic, prefix in pairs(PREFIXES) do
    it("has " .. topic .. " as the whole program has", function()
      local text = twins(("%q"):format(topic))
      each_line_begins(text, prefix)
      assert.is_nil(text:find("one", 1, true))
      assert.is_nil(text:find("session 1", 1, true))
      assert.is_truthy(text:find("two", 1, true) or text:find("session 2", 1, true))
    end)
  end

  it("takes a list, a table, all of them, or none", function()
    local text = twins [["events, files"]]
    has_in_order(text, { "<fh> adding", "<ev> dispatching event ``x''" })
    assert.is_nil(text:find("<rc>", 1, true))
    assert.equal((text:gsub("%d+", "N")), (twins [[{ events = true, files = true,
      refcnt = false }]]:gsub("%d+", "N")))
    text = twins [["default"]]
    for _, prefix in pairs(PREFIXES) do
      assert.is_truthy(text:find(prefix, 1, true), prefix)
    end
    assert.equal("", twins "false")
    assert.equal("", twins "{}")
  end)

  it("leaves POE's line for each event to true", function()
    local text = twins "true"
    each_line_begins(text, "2 -> ")
  end)

  it("can be switched while the session runs, and ends with it", function()
    local text = trace [[
      local function nothing() end
      session {
        _start = function()
          kernel:yield "silent"
          kernel:yield "loud"
          session { _start = nothing }
        end,
        silent = function() kernel.session:option("trace", "events") end,
        loud = function() print = kernel.session:option("trace", false) end,
      }
      poe.run()
      session { _start = nothing }
      poe.run()]]
    has_in_order(text, { "dispatching event ``loud''" })
    assert.is_nil(text:find("dispatching event ``silent''", 1, true))
    assert.is_nil(text:find("``loud'' returns", 1, true))
    assert.is_nil(text:find("session 2", 1, true))
    assert.is_nil(text:find("session 3", 1, true))
    text = trace [[
      poe.session.create { options = { trace = "sessions" },
        inline_states = { _start = function() end } }
      poe.run()
      session { _start = function() end }
      poe.run()]]
    has_in_order(text, { "stopping session 1", "freeing session 1" })
    assert.is_nil(text:find("session 2", 1, true))
  end)

  it("tells of events that it sends to others, and of theirs", function()
    local text = trace [[
      session { _start = function() kernel:alias_set "other" end, x = function() end }
      poe.session.create { options = { trace = "events" }, inline_states = {
        _start = function() kernel:post("other", "x") end } }
      poe.run()]]
    has_in_order(text, { "enqueued event", "``x'' from session 2 to session 1 \"other\"",
      "dispatching event ``x'' from session 2 to session 1 \"other\"" })
  end)

  it("knows its topics", function()
    local function create(option, value)
      return function()
        poe.session.create { options = { [option] = value },
          inline_states = { _start = function() end } }
      end
    end
    assert.error_matches(create("trace", "evnts"), "create: unknown trace topic 'evnts'")
    assert.error_matches(create("assert", { rain = true }),
      "create: unknown assert topic 'rain'")
  end)
end)

describe("K. TRACE_DESTROY", function()
  it("tells what the heap of a session holds when it goes", function()
    local text = trace([[
      poe.session.create { heap = { count = 3, list = {}, [1] = true, text = ("x"):rep(70) },
        inline_states = { _start = function() kernel:alias_set "al" end } }
      poe.session.create { heap = "mine", inline_states = { _start = function() end } }
      poe.run()]], "POE_TRACE_DESTROY=1")
    each_line_begins(text, "<ss> ")
    has_in_order(text, {
      "session 2 is destroyed; its heap is \"mine\"\n",
      "session 1 \"al\" is destroyed; its heap is table: 0x",
      "<ss>   [1] = true\n", "<ss>   count = 3\n", "<ss>   list = table: 0x",
      "<ss>   text = \"" .. ("x"):rep(60) .. "\"...\n" })
  end)

  it("calls nothing of the values, and shows so many only", function()
    local text = trace([[
      local fields = {}
      for i = 1, 150 do fields[i] = i end
      setmetatable(fields, { __tostring = error, __pairs = error, __name = "own" })
      poe.session.create { heap = fields, inline_states = { _start = function() end } }
      poe.run()]], "POE_TRACE_DESTROY=1")
    has_in_order(text, { "[100] = 100\n", "... and more\n" })
    assert.is_nil(text:find("[101]", 1, true))
  end)

  it("is one of the topics of a session", function()
    local text = trace [[
      poe.session.create { options = { trace = "destroy" }, heap = { a = 1 },
        inline_states = { _start = function() end } }
      session { _start = function() end }
      poe.run()]]
    has_in_order(text, { "session 1 is destroyed", "<ss>   a = 1\n" })
    assert.is_nil(text:find("session 2", 1, true))
  end)
end)

describe("K. Assertions", function()
  before_each(helper.begin)
  after_each(helper.finish)

  local kernel = poe.kernel

  --- What the function raises inside a session with this assertion on.
  local function raises(topic, f)
    local ok, message
    poe.configure { assert = { [topic] = true } }
    poe.session.create {
      inline_states = {
        _start = function()
          ok, message = pcall(f)
        end,
      },
    }
    poe.configure { assert = { default = false } }
    poe.run()
    return not ok and message or nil
  end

  local function post_nobody() return kernel:post("nobody", "x") end
  local function no_timer() return kernel:alarm_remove(99999999) end
  local function bad_fd() return kernel:select_read(99999, "x") end
  local function unhandled() return kernel:call(kernel.session, "nothing") end

  it("118 data: a destination that is not there (K01_assert_default)", function()
    assert.matches("<dt> .*no such session: nobody",
      raises("data", post_nobody))
    assert.is_nil(raises("events", post_nobody))
  end)

  it("89 data: a tag that is not there, which stays away", function()
    local function decrement()
      return kernel:refcount_decrement(kernel.session:ID(), "nix")
    end
    assert.matches("<dt> .*'nix'", raises("data", decrement))
    assert.matches("<dt> .*'nix'", raises("default", decrement))
  end)

  it("118 events, files: what there is none of", function()
    assert.matches("<ev> .*99999999", raises("events", no_timer))
    assert.matches("<fh> .*99999", raises("files", bad_fd))
    assert.is_nil(raises("files", no_timer))
    assert.is_nil(raises("events", bad_fd))
  end)

  it("118 retvals: every failing return raises", function()
    for _, f in ipairs { post_nobody, no_timer, bad_fd, unhandled,
      function() return kernel:detach_myself() end,
      function() return kernel:alias_resolve "nobody" end,
      function() return kernel:alias_remove "nothing" end,
      function() return kernel:sig_child(1, "x") end } do
      assert.matches("<%a%a> E%u+: ", raises("retvals", f))
      assert.is_nil(raises("usage", f))
    end
  end)

  it("6 retvals: dispatches of the kernel's own are no failures", function()
    poe.configure { assert = { retvals = true } }
    local ok = pcall(function()
      poe.session.create {
        inline_states = {
          _start = function()
            poe.session.create { inline_states = { _start = function()
              kernel:detach_myself()
            end } }
          end,
        },
      }
      poe.run()
    end)
    assert.is_true(ok)
  end)

  it("118 usage: the kernel's own events only warn", function()
    local text = trace([[
      session {
        _start = function() kernel:yield "_child" end,
      }
      poe.run()]], "POE_ASSERT_USAGE=1")
    each_line_begins(text, "<us> ")
    has_in_order(text, { "'_child'" })
  end)

  it("42 states: an event that nobody handles (K05_assert_states)", function()
    local text = trace([[
      session { _start = function() kernel:yield "nope" end }
      poe.run()]], "POE_ASSERT_STATES=1")
    assert.matches("^=== PID === a 'nope' event was sent from %S+ at %d+ to "
      .. "session 1 but it has neither a handler for it nor one for _default\n$",
      text)
  end)

  it("are of one session, by its option", function()
    local function outcome(value, f)
      local own, other
      poe.session.create { options = { assert = value }, inline_states = {
        _start = function() own = pcall(f) end } }
      poe.session.create { inline_states = {
        _start = function() other = pcall(f) end } }
      poe.run()
      assert.is_true(other)
      return own
    end
    assert.is_false(outcome("data", post_nobody))
    assert.is_true(outcome("events", post_nobody))
    assert.is_false(outcome({ retvals = true }, unhandled))
    poe.configure { trace_filename = "/dev/null" } -- it warns too
    assert.is_false(outcome("states", unhandled))
    poe.configure { trace_filename = false }
    assert.is_false(outcome(true, bad_fd))
    assert.is_false(outcome("on", no_timer))
    assert.is_true(outcome(false, no_timer))
    assert.is_true(outcome("off", no_timer))
  end)

  it("of one session can be switched at any time", function()
    local seen = {}
    poe.session.create { inline_states = { _start = function()
      seen[1] = pcall(post_nobody)
      kernel.session:option("assert", "retvals")
      seen[2] = pcall(post_nobody)
      kernel.session:option("assert", false)
      seen[3] = pcall(post_nobody)
    end } }
    poe.run()
    assert.same({ true, false, true }, seen)
  end)

  it("of one session warn about what is sent to it, and by it", function()
    local text = trace [[
      local function twin(options)
        poe.session.create { options = options, inline_states = {
          _start = function() kernel:yield "nope"; kernel:yield "_child" end,
          _child = function() end } }
      end
      twin {}
      twin { assert = "usage,states" }
      poe.run()]]
    has_in_order(text, { "<us> '_child'", "'nope' event was sent from",
      "to session 2" })
    assert.is_nil(text:find("session 1", 1, true))
    assert.equal(2, select(2, text:gsub("\n", "")))
  end)

  it("117 POE_ASSERT_DEFAULT is all of them", function()
    local text = trace([[
      session {
        _start = function()
          io.stderr:write(select(2, pcall(kernel.post, kernel, "zz", "x")), "\n")
          kernel:yield "nope"
        end,
      }
      poe.run()]], "POE_ASSERT_DEFAULT=1")
    has_in_order(text, { "<dt>", "'nope' event was sent" })
  end)
end)
