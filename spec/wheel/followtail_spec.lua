-- poe.wheel.followtail: files that grow, are truncated, renamed and deleted, and
-- what is no file.

local FollowTail = require "poe.wheel.followtail"
local Line = require "poe.filter.line"
local Stream = require "poe.filter.stream"
local SysRW = require "poe.driver.sysrw"
local fixture = require "spec.wheel.fixture"
local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"
local sys_fixture = require "spec.sys.fixture"

local finish = fixture.finish
local close_kept, keep = sys_fixture.close_kept, sys_fixture.keep

local EVENTS = { "input", "failed", "reset" }

local path

local function append(text, name)
  local file <close> = assert(io.open(name or path, "a"))
  file:write(text)
end

--- A session that follows the file. Each time that nothing happens, the next of
--- the steps runs; after the last the wheel is destroyed. Returns the log, with #
--- for the wheel's ID.
local function follow(options, steps, states)
  local id
  local handlers = {}
  for name, handler in pairs(states or {}) do handlers[name] = handler end
  function handlers._start(_, heap)
    local all = { filename = path, poll_interval = 0.001, input_event = "input",
      error_event = "failed", reset_event = "reset", idle_event = "idle" }
    for name, value in pairs(options) do all[name] = value or nil end
    heap.step = 0
    heap.wheel = assert(FollowTail.new(all))
    id = heap.wheel:ID()
  end
  function handlers.idle(kernel, heap, its_id)
    assert.equal(id, its_id)
    heap.step = heap.step + 1
    local step = steps[heap.step]
    if not step then return finish(kernel, heap) end
    step(kernel, heap)
  end
  local log = fixture.run(EVENTS, handlers)
  for i, line in ipairs(log) do log[i] = line:gsub("%f[%d]" .. id .. "%)", "#)") end
  return log
end

local function nothing() end

describe("FollowTail", function()
  before_each(function()
    helper.begin()
    path = sys_fixture.free_path()
  end)

  after_each(function()
    close_kept()
    os.remove(path)
    os.remove(path .. ".1")
    helper.finish()
  end)

  it("tells what is added, not what was there", function()
    append "old\nolder\n"
    assert.same({ "input(one, #)", "input(two, #)", "input(three, #)" },
      follow({}, {
        function() append "one\ntwo\nthr" end,
        function() append "ee\n" end,
      }))
  end)

  it("begins with a whole record, though one was under way", function()
    append(("x"):rep(5000) .. "\nhalf of")
    assert.same({ "input(half of a line, #)" }, follow({}, {
      function() append " a line\n" end,
    }))
  end)

  it("begins where it is told to", function()
    local function first(options)
      os.remove(path)
      append "0\n2\n4\n6\n8\n"
      return (follow(options, {})[1] or ""):match "%((.*), "
    end
    assert.equal("0", first { seek = 0 })
    assert.equal("4", first { seek = 4 })
    assert.equal("6", first { seek = -4 })
    assert.equal("0", first { seek = -100 })
    assert.is_nil(first { seek = 100 })
    assert.equal("6", first { seek_back = 4 })
    assert.equal("0", first { seek_back = 100 })
    assert.is_nil(first { seek_back = 0 })
    assert.equal("4", first { seek_back = -4 })
  end)

  it("waits for a file that is not there", function()
    assert.same({ "reset(#)", "input(one, #)", "input(two, #)" }, follow({}, {
      nothing,
      function() append "one\n" end,
      function() append "two\n" end,
    }))
  end)

  it("goes on with a file that was truncated, from its beginning", function()
    append "old\n"
    assert.same({ "input(one, #)", "reset(#)", "input(new, #)", "input(er, #)" },
      follow({}, {
        function() append "one\nand half a" end,
        function()
          local file <close> = assert(io.open(path, "w"))
          file:write "new\n"
        end,
        function() append "er\n" end,
      }))
  end)

  it("goes from a renamed file to the new one, and loses no line", function()
    local old
    append ""
    assert.same({ "input(1, #)", "input(2, #)", "input(3, #)", "input(4, #)",
      "reset(#)", "input(5, #)", "input(6, #)" },
      follow({}, {
        function()
          old = keep(assert(sys.open(path, "a")))
          old:write "1\n"
        end,
        function()
          assert(os.rename(path, path .. ".1"))
          old:write "2\n"
        end,
        function()
          append "" -- as logrotate makes a new one
          old:write "3\n"
        end,
        function() -- the writer hears of it, and opens the new one
          old:write "4\n"
          append "5\n"
        end,
        function() append "6\n" end,
      }))
  end)

  it("reads what was written while it looked for the new file", function()
    append ""
    local driver = SysRW.new()
    local get, has_rotated = driver.get, false
    function driver:get(handle)
      local chunks, message, code = get(self, handle)
      if not chunks and not has_rotated then
        has_rotated = true
        assert(os.rename(path, path .. ".1"))
        append("late\n", path .. ".1")
        append "new\n"
      end
      return chunks, message, code
    end
    assert.same({ "input(late, #)", "reset(#)", "input(new, #)" },
      follow({ seek = 0, driver = driver }, {}))
  end)

  it("goes to a new file that stays empty, too", function()
    append ""
    assert.same({ "input(1, #)", "reset(#)", "input(2, #)" }, follow({}, {
      function()
        append "1\n"
        assert(os.rename(path, path .. ".1"))
        append ""
      end,
      nothing, nothing, nothing, nothing,
      function() append "2\n" end,
    }))
  end)

  it("reads all of an old file that is long", function()
    append ""
    local count, last = 0, nil
    follow({}, {
      function()
        local lines = {}
        for i = 1, 50000 do lines[i] = ("%d of the old file\n"):format(i) end
        append(table.concat(lines))
        assert(os.rename(path, path .. ".1"))
        append "new\n"
      end,
    }, {
      input = function(_, _, line)
        count = count + 1
        if line ~= "new" then assert.equal(count .. " of the old file", line) end
        last = line
      end,
    })
    assert.same({ 50001, "new" }, { count, last })
  end)

  it("loses no line and tells none twice, however the file is rotated", function()
    local seed = tonumber(os.getenv "SEED") or os.time()
    math.randomseed(seed)
    append ""
    local writer = keep(assert(sys.open(path, "a")))
    local next_line, next_seen, renamed, is_half = 1, 1, nil, false
    local function write()
      local parts = { is_half and "line\n" or "" }
      for i = 1, math.random(0, 30) do
        parts[i + 1] = ("%d %s line\n"):format(next_line, ("x"):rep(math.random(200)))
        next_line = next_line + 1
      end
      is_half = math.random() < 0.3
      if is_half then
        parts[#parts + 1] = next_line .. " "
        next_line = next_line + 1
      end
      writer:write(table.concat(parts))
    end
    local function rename()
      if renamed then return end
      assert(os.rename(path, path .. ".1"))
      renamed = 0 -- steps ago
      if math.random() < 0.5 then append "" end
    end
    local function reopen()
      if not renamed then return end
      if is_half then writer:write "line\n" end
      writer:close()
      writer = keep(assert(sys.open(path, "a")))
      renamed, is_half = nil, false
      writer:write(next_line .. " line\n")
      next_line = next_line + 1
    end
    local actions = { write, write, write, rename, reopen }
    local function step()
      renamed = renamed and renamed + 1
      local action = renamed == 3 and reopen or actions[math.random(#actions)]
      action()
    end
    local list = { write }
    for i = 2, 300 do list[i] = step end
    list[301] = reopen
    list[302] = nothing
    follow({}, list, {
      input = function(_, _, line)
        local number = tonumber(line:match "^(%d+) .*line$")
        assert.equal(next_seen, number, "SEED=" .. seed)
        next_seen = next_seen + 1
      end,
    })
    assert.equal(next_line - (is_half and 1 or 0), next_seen, "SEED=" .. seed)
  end)

  it("goes on with a file that was deleted and made again", function()
    append "old\n"
    assert.same({ "input(1, #)", "reset(#)", "input(2, #)" }, follow({}, {
      function()
        append "1\n"
        os.remove(path)
      end,
      nothing,
      function() append "2\n" end,
    }))
  end)

  it("follows a link that is turned to another file", function()
    local other = sys_fixture.free_path()
    append("first\n", other)
    assert(os.execute(("ln -s %s %s"):format(other, path)))
    append("second\n", path .. ".1")
    assert.same({ "reset(#)", "input(second, #)" }, follow({}, {
      function()
        assert(os.execute(("ln -sfn %s %s"):format(path .. ".1", path)))
      end,
    }))
    os.remove(other)
  end)

  it("tells once what hinders it, and goes on when it can", function()
    append "old\n"
    local log = follow({}, {
      function()
        os.remove(path)
        assert(os.execute("mkdir " .. path))
      end,
      nothing,
      nothing,
      function()
        assert(os.remove(path))
        append "new\n"
      end,
    })
    assert.same({ "failed(open, EISDIR, it is a directory: " .. path .. ", #)",
      "reset(#)", "input(new, #)" }, log)
  end)

  it("ends with an error at a line that is too long", function()
    append ""
    local log = follow({ idle_event = "idle" }, {
      function() append(("x"):rep(70000) .. "\nmore\n") end,
    }, { failed = function(kernel)
      kernel:delay "_hung" -- nothing else keeps the session alive now
    end })
    assert.same({ "failed(read, EMSGSIZE, line of more than 65536 bytes, #)" }, log)
  end)

  it("knows where to go on after the record that came last", function()
    append "one\ntwo\nthree\nhalf"
    local places = {}
    local function tell(_, heap)
      places[#places + 1] = heap.wheel:tell()
    end
    follow({ seek = 0 }, {}, { input = tell })
    assert.same({ 4, 8, 14 }, places)
    places = {}
    assert.same({ "input(two, #)", "input(three, #)" },
      follow({ seek = 4, filter = Line.new { literal = "\n" } }, {},
        { input = tell }))
    assert.same({ 8, 14 }, places)
    os.remove(path)
    follow({}, { function(_, heap)
      assert.equal("ENOENT", select(3, heap.wheel:tell()))
      assert.is_nil(heap.wheel:get_handle())
    end })
  end)

  describe("a handle", function()
    it("is followed like a file, but cannot be another one", function()
      append "old\n"
      for _, open in ipairs { sys.open, io.open } do
        local file = assert(open(path))
        assert.same({ "input(1, #)", "reset(#)", "input(2, #)" },
          follow({ filename = false, handle = file }, {
            function() append "1\n" end,
            function()
              local other <close> = assert(io.open(path, "w"))
              other:write "2\n"
            end,
            function() os.remove(path) end,
            nothing,
          }))
        if io.type(file) then
          assert.equal("file", io.type(file))
          file:close()
        else
          assert.is_true(file:is_closed())
        end
        append "old\n"
      end
    end)

    it("that is a pipe is watched, to its end", function()
      local r, w = assert(sys.pipe())
      w:write "one\ntwo\n"
      w:close()
      assert.same({ "input(one, #)", "input(two, #)", "failed(read, 0, , #)" },
        follow({ filename = false, handle = r }, {}, { failed = finish }))
    end)

    it("that is a terminal is watched", function()
      local master, slave = assert(sys.openpty())
      keep(slave)
      slave:write "one\n"
      assert.same({ "input(one, #)" }, follow({ filename = false, handle = master },
        {}, { input = finish }))
    end)
  end)

  it("watches a fifo, which has no end", function()
    assert(os.execute("mkfifo " .. path))
    local writer = keep(assert(sys.open(path, "r+")))
    writer:write "one\n"
    assert.same({ "input(one, #)", "input(two, #)" }, follow({}, {}, {
      input = function(kernel, heap, line)
        if line == "two" then return finish(kernel, heap) end
        append "two\n"
      end,
    }))
  end)

  it("watches a fifo that is made later", function()
    assert.same({ "reset(#)", "input(one, #)" }, follow({}, {
      function()
        assert(os.execute("mkfifo " .. path))
      end,
    }, {
      reset = function() append "one\n" end,
      input = finish,
    }))
  end)

  it("renames its events", function()
    append ""
    assert.same({ "failed(one, #)" }, follow({}, {
      function(_, heap)
        heap.wheel:event { input_event = "failed", reset_event = false }
        append "one\n"
      end,
      function()
        assert(io.open(path, "w")):close()
      end,
    }))
  end)

  it("uses the filter and the driver it is given", function()
    append ""
    local filter = Stream.new()
    assert.same({ "input(on, #)", "input(e\n, #)" }, follow({ filter = filter,
      driver = SysRW.new { block_size = 2 } }, {
        function(_, heap)
          assert.equal(filter, heap.wheel:get_filter())
          assert.same(sys.stat(path), sys.stat(heap.wheel:get_handle()))
          append "one\n"
        end,
      }))
  end)

  it("goes on after a handler that raised, with the next record", function()
    append ""
    local log = follow({}, { function() append "one\ntwo\n" end }, {
      input = function(kernel, _, line)
        kernel:sig("DIE", "die")
        if line == "one" then error "oops" end
      end,
      die = function(kernel) kernel:sig_handled() end,
    })
    assert.same({ "input(one, #)", "input(two, #)" }, log)
  end)

  it("can be destroyed by any handler, and then sends nothing", function()
    append ""
    local function run(steps, states)
      return #follow({}, steps, states)
    end
    assert.equal(1, run({ function() append "one\ntwo\n" end }, { input = finish }))
    assert.equal(1, run({ function()
      os.remove(path)
      append "one\n"
    end }, { reset = finish }))
    assert.equal(0, run({ finish }))
  end)

  it("is collected when it is forgotten", function()
    append ""
    poe.session.create { inline_states = {
      _start = function(kernel, heap)
        heap.wheel = FollowTail.new { filename = path, input_event = "input" }
        kernel:yield "drop"
      end,
      drop = function(_, heap)
        heap.wheel = nil
        collectgarbage()
      end,
    } }
    poe.run()
  end)

  it("cannot follow what cannot be followed", function()
    poe.session.create { inline_states = {
      _start = function()
        local function fails(code, options)
          options.input_event = "input"
          local wheel, _, got = FollowTail.new(options)
          assert.same({ nil, code }, { wheel, got })
        end
        fails("EISDIR", { filename = "/" })
        fails("ENOTDIR", { filename = "/dev/null/x" })
        fails("ESPIPE", { handle = keep(assert(sys.pipe())), seek = 1 })
        local closed = sys.pipe()
        closed:close()
        fails("EBADF", { handle = closed })
        local function refuses(message, options)
          options.input_event = options.input_event or "input"
          assert.has_error(function() FollowTail.new(options) end,
            "FollowTail.new: " .. message)
        end
        refuses("parameter 'filename' is missing (or 'handle')", {})
        refuses("parameter 'filename' excludes 'handle'",
          { filename = "x", handle = 0 })
        refuses("parameter 'seek' excludes 'seek_back'",
          { filename = "x", seek = 0, seek_back = 0 })
        refuses("unknown parameter 'file_name' (did you mean 'filename'?)",
          { file_name = "x" })
        assert.has_error(function() FollowTail.new { filename = "x" } end,
          "FollowTail.new: parameter 'input_event' is missing "
          .. "(a string that is not empty)")
      end,
    } }
    poe.run()
  end)
end)
