-- The library for C programs: the example as a stranger builds it, and
-- spec/embed/program.c, fact by fact, alone and under sanitizers.

local lfs = require "lfs"

-- A build of its own, shared with install_spec: that under test stays.
local MAKE = "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s CFLAGS='-O0 -g' LTO= "
local CFLAGS = "-std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -O0 -g -Isrc "
local here = lfs.currentdir()

local dir

local function shell(format, ...)
  local pipe = assert(io.popen("exec 2>&1; " .. format:format(...)))
  local output = pipe:read "a"
  local ok = pipe:close()
  assert.is_true(ok, output)
  return output
end

--- Builds spec/embed/program.c with the static library; returns its path.
local function build(name, sanitizer)
  local flags = sanitizer and "-fsanitize=" .. sanitizer .. " " or ""
  shell("%s BUILD=build/%s SAN=%s build/%s/lib/libpoe.a", MAKE, name,
    sanitizer or "", name)
  shell("${CC:-gcc} %s %s $(pkg-config --cflags lua5.4 libuv) -o %s/%s " ..
    "spec/embed/program.c build/%s/lib/libpoe.a " ..
    "$(pkg-config --libs lua5.4 libuv) -lm -ldl", CFLAGS, flags, dir, name,
    name)
  return dir .. "/" .. name
end

local function run(program, fact)
  return shell("LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua' timeout 60 %s %s",
    here, here, program, fact)
end

local EXPECTED = {
  arguments = [[
_start
result 0
back nil true false -9223372036854775808 0.10000000000000001 'text'/4 'a'/3 ''/0 nil
other other 'T'
enough
_stop
]],
  strangers = [[
result 1
result 1
_start
result 0
result 1
result 0
error: script:1: syntax error near 'is'
result 1
error: 42
result 1
error: cannot open /nowhere/x.lua: No such file or directory
result 1
error: script:1: configure: too late for event loop 'poll': 'uv' is in use
result 1
_stop
]],
  errors = [[
stopped
error: script:4: oops
traceback: script:4
tick
tick
tick
a session made later
]],
  close_on_error = "error: oops\nresult 0\n",
  close_early = "result 1\n",
  descriptors = "ready\nmore\n",
  run_in_script = [[
nothing to run
tick
tick
due
false	the kernel is running already
back
false	oops
]],
  waiting = "_start\ntrue\nenough\n_stop\nat rest\n",
  idle = [[
idle
stop
_start
result 0
enough
_stop
stop
]],
  nested = "inner\nouter\n",
  forks = [[
_start
child ready
child last
enough
_stop
parent	true	0
enough
_stop
]],
  foreign_state = [[
result 1
error: the Lua state has no library 'package'
result 1
the state of the program	uv
result 0
result 1
[string "require 'poe'.session.create { inline_states ..."]:1: the kernel is closed
]],
  threads = "_start\n4	true\nenough\n_stop\n",
  send_to_nobody = [[
_start
error: ESRCH: no session 'nobody' for the event 'event' sent (no traceback)
enough
_stop
]],
}

local SENTENCES = {
  arguments = "takes every kind of argument there and back",
  strangers = "says what it cannot do",
  errors = "tells on_error what no session handles, and goes on",
  close_on_error = "can be closed where an error is told",
  close_early = "discards what is left when it is closed",
  descriptors = "serves descriptors that sessions watch",
  run_in_script = "runs the program's loop where a script calls run",
  waiting = "leaves the loop at rest until a timer is due",
  idle = "ends idle sessions, unless there is one of C",
  nested = "runs slices within a handler",
  forks = "gives the child of a fork a loop of its own",
  foreign_state = "uses the program's Lua state",
  threads = "takes what threads send, each in its order",
  send_to_nobody = "tells of what a thread sent to nobody",
}

describe("a C program", function()
  local program

  lazy_setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(lfs.mkdir(dir))
    program = build "install"
  end)

  lazy_teardown(function()
    shell("rm -rf %s", dir)
  end)

  for fact, sentence in pairs(SENTENCES) do
    it(sentence, function()
      assert.equal(EXPECTED[fact], run(program, fact))
    end)
  end

  it("shares a signal with sessions", function()
    local lines = {}
    for line in run(program, "signals"):gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    assert.same({ "the program's handler", "the session\tUSR1" }, lines)
  end)

  it("is clean under the address and undefined-behaviour sanitizers", function()
    local clean = build("embed-asan", "address,undefined")
    for fact, output in pairs(EXPECTED) do
      assert.equal(output, run(clean, fact))
    end
  end)

  it("is clean under the thread sanitizer", function()
    local clean = build("embed-tsan", "thread")
    for _, fact in ipairs { "threads", "send_to_nobody" } do
      assert.equal(EXPECTED[fact], run(clean, fact))
    end
  end)

  it("builds the example from what is installed, and runs it", function()
    local function make(format, ...)
      return shell("%s BUILD=build/install PREFIX=%s/prefix %s", MAKE, dir,
        format:format(...))
    end
    make "install"
    shell("cp -r examples/embed %s/example", dir)
    local pkg = ("PKG_CONFIG_PATH=%s/prefix/lib/pkgconfig"):format(dir)
    shell("%s make -s -C %s/example", pkg, dir)
    -- Two threads speak: only what each says has an order.
    local output = shell("cd %s/example && env -u LUA_PATH LD_LIBRARY_PATH=" ..
      "%s/prefix/lib timeout 60 ./host", dir, dir)
    assert.truthy(output:find("hello to a thread\n", 1, true))
    assert.truthy(output:find("count 1\n.*count 2\n.*count 3\n.*" ..
      "the counter has ended\n$"))
    assert.equal("libpoe.so.0", shell("objdump -p %s/prefix/lib/libpoe.so", dir)
      :match "SONAME%s+(%S+)")
    local flags = shell("%s pkg-config --cflags --libs poe", pkg)
    assert.truthy(flags:find(("-L%s/prefix/lib -lpoe"):format(dir), 1, true))
    assert.truthy(flags:find(("-I%s/prefix/include"):format(dir), 1, true))
    assert.is_nil(flags:find("-llua", 1, true))
    make "uninstall"
    assert.equal("", shell("find %s/prefix ! -type d", dir))
  end)

  it("sees of the shared library what the headers have, and no more", function()
    shell("%s BUILD=build/install lib", MAKE)
    for name in shell("nm -D --defined-only build/install/lib/libpoe.so")
      :gmatch " %a (%S+)" do
      assert.truthy(name:find "^poe_[a-z]" or name:find "^luaopen_poe_", name)
    end
  end)
end)
