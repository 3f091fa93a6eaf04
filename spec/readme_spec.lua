-- What README.md says can be done: its programs run, the names of its table are
-- there, and two programs ported by that table alone behave as in POE.

local core = require "poe.core"
local sys = require "poe.sys"
local fixture = require "spec.host.fixture"

local function read_readme()
  local file <close> = assert(io.open "README.md")
  return file:read "a"
end

local README = read_readme()

local function program(n)
  for code in README:gmatch "\n```lua\n(.-)\n```\n" do
    n = n - 1
    if n == 0 then return code end
  end
end

local function table_of_contents()
  return README:match "\n## From Perl to Lua\n(.-)\n## "
end

--- The right-hand column: ours.
local function lua_column()
  local cells = {}
  for cell in table_of_contents():gmatch "\n|[^\n]*|([^\n]*)|%f[\n]" do
    cells[#cells + 1] = cell
  end
  return table.concat(cells, "\n")
end

-- POE's SYNOPSIS.
local SYNOPSIS = [[
local poe = require "poe"

local function handler_start(kernel, heap)
  print("Session " .. kernel.session:ID() .. " has started.")
  heap.count = 0
  kernel:yield("increment")
end

local function handler_increment(kernel, heap)
  heap.count = heap.count + 1
  print("Session " .. kernel.session:ID() ..
    " counted to " .. heap.count .. ".")
  if heap.count < 10 then kernel:yield("increment") end
end

local function handler_stop(kernel)
  print("Session " .. kernel.session:ID() .. " has stopped.")
end

for _ = 1, 10 do
  poe.session.create {
    inline_states = {
      _start = handler_start,
      increment = handler_increment,
      _stop = handler_stop,
    },
  }
end

poe.run()
]]

-- What POE 1.370 prints for it.
local function synopsis_output()
  local lines = {}
  for i = 1, 10 do lines[i] = ("Session %d has started."):format(i) end
  for count = 1, 10 do
    for i = 1, 10 do
      lines[#lines + 1] = ("Session %d counted to %d."):format(i, count)
    end
  end
  for i = 10, 1, -1 do
    lines[#lines + 1] = ("Session %d has stopped."):format(i)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- bench/perl-poe/echo.pl, line for line; and a client, so that it ends.
local ECHO = [[
local poe = require "poe"
local sys = require "poe.sys"

poe.session.create {
  inline_states = {
    _start = function(kernel, heap)
      local listener = assert(sys.tcp.listen { backlog = 511, port = 0 })
      kernel:select_read(listener, "accept")
      local _, port = listener:getsockname()
      heap.client = assert(sys.tcp.connect { port = port })
      kernel:select_write(heap.client, "connected")
    end,
    accept = function(kernel, _, listener)
      local client = listener:accept()
      if not client then return end
      kernel:select_read(client, "readable")
      listener:close()
    end,
    readable = function(_, _, client)
      local bytes, _, code = client:read()
      if code == "EAGAIN" then return end
      if not bytes or bytes == "" or client:write(bytes) ~= #bytes then
        client:close()
      end
    end,
    connected = function(kernel, heap, client)
      assert(client:connect_error() == nil)
      kernel:select_write(client)
      kernel:select_read(client, "answered")
      client:write("hello")
    end,
    answered = function(_, _, client)
      print(client:read())
      client:close()
    end,
  },
}

poe.run()
]]

describe("README.md", function()
  setup(fixture.make_dir)
  teardown(fixture.remove_dir)

  it("begins with a program of at most ten lines", function()
    local lines = 0
    for line in (program(1) .. "\n"):gmatch "(.-)\n" do
      lines = lines + (line ~= "" and 1 or 0)
    end
    assert.is_true(lines <= 10, tostring(lines))
    fixture.assert_out("tick\t1\ntick\t2\ntick\t3\n",
      fixture.run_script(program(1)))
  end)

  it("has a program that shows the handlers", function()
    fixture.assert_out("more\t42\ttrue\nbye\t42\n",
      fixture.run_script(program(2)))
  end)

  it("quotes the errors as they are", function()
    fixture.assert_out("bad argument #1 to 'delay' (event name expected, " ..
      "got nil)\nnil\tESRCH: no such session: logger\tESRCH\n",
      fixture.run_script [[
        local poe = require "poe"
        poe.session.create { inline_states = { _start = function(kernel)
          local _, mistake = pcall(function() kernel:delay(nil, 1) end)
          print((mistake:gsub("^.-: ", "")))
          print(kernel:post("logger", "line"))
        end } }]])
    assert.is_truthy(README:find("(event\nname expected, got nil)", 1, true))
    assert.is_truthy(README:find("ESRCH: no such session: logger", 1, true))
  end)

  it("has in its table the POE SYNOPSIS, which prints the same", function()
    fixture.assert_out(synopsis_output(), fixture.run_script(SYNOPSIS))
  end)

  it("has in its table an echo server over selects", function()
    fixture.assert_out("hello\n", fixture.run_script(ECHO))
  end)

  it("names only methods that are there", function()
    local kernel, count = core.kernel, 0
    for name in lua_column():gmatch "kernel:([%w_]+)" do
      assert.is_function(kernel[name], name)
      count = count + 1
    end
    assert.is_true(count >= 40)
    for name in lua_column():gmatch "sys%.([%w_]+)" do
      assert.is_not_nil(sys[name], name)
    end
  end)

  it("names every method of the kernel that POE has", function()
    local ours = { fork = true, session_alloc = true, session_create = true,
      get_children = true, get_parent = true, get_event_count = true,
      get_next_event_time = true, poe_kernel_loop = true, run = true,
      has_forked = true, signal_ui_destroy = true, why = true }
    local text = table_of_contents()
    for name in pairs(getmetatable(core.kernel).__index) do
      if not ours[name] and not name:find "^__" then
        local short = name:gsub("^.*(_write)$", "%1")
          :gsub("^.*(_decrement)$", "%1")
        assert.is_truthy(text:find(short, 1, true), name)
      end
    end
  end)
end)
