local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local assert_failed, keep = fixture.assert_failed, fixture.keep

describe("a descriptor object", function()
  local before, path

  before_each(function()
    path = fixture.free_path()
    before = fixture.count_fds()
  end)

  after_each(function()
    fixture.close_kept()
    os.remove(path)
    assert.equal(before, fixture.count_fds())
  end)

  it("carries bytes through a pipe, zeros included", function()
    local r, w = keep(sys.pipe())
    assert.equal(5, w:write("a\0b\n\255"))
    assert.equal("a\0b\n\255", r:read())
  end)

  it("reads at most as many bytes as asked for", function()
    local r, w = keep(sys.pipe())
    w:write("abcdef")
    assert.equal("abc", r:read(3))
    assert.equal("d", r:read(1))
    assert.equal("ef", r:read(math.maxinteger))
  end)

  it("reads no more than 64 KiB at once, however much is asked for",
    function()
      local file = assert(io.open(path, "w"))
      file:write(("x"):rep(100000))
      file:close()
      local f <close> = assert(sys.open(path))
      assert.equal(65536, #f:read(1 << 40))
      assert.equal(100000 - 65536, #f:read())
    end)

  it("answers EAGAIN when there is nothing to read", function()
    local r = keep(sys.pipe())
    assert_failed("EAGAIN", r:read())
  end)

  it("answers the empty string at the end of the file", function()
    local r, w = keep(sys.pipe())
    w:write("last")
    w:close()
    assert.equal("last", r:read())
    assert.equal("", r:read())
    assert.equal("", r:read())
  end)

  it("writes what fits, then answers EAGAIN", function()
    local r, w = keep(sys.pipe())
    local bytes = ("x"):rep(1 << 20)
    local done = w:write(bytes)
    assert.is_true(done > 0 and done < #bytes)
    assert_failed("EAGAIN", w:write(bytes))
    local got = 0
    while got < done do
      got = got + #r:read()
    end
    assert.equal(done, got)
  end)

  it("writes from a position, so that a rest needs no copy", function()
    local r, w = keep(sys.pipe())
    assert.equal(3, w:write("abcdef", 4))
    assert.equal(0, w:write("abcdef", 7))
    assert.equal("def", r:read())
  end)

  it("answers EPIPE when nobody reads", function()
    local r, w = keep(sys.pipe())
    r:close()
    assert_failed("EPIPE", w:write("x"))
  end)

  it("is closed once, by close, and a second close does nothing", function()
    local r, w = keep(sys.pipe())
    assert.is_false(r:is_closed())
    assert.is_true(r:fileno() >= 0)
    assert.is_true(r:close())
    assert.is_true(r:is_closed())
    assert.equal(-1, r:fileno())
    assert.is_true(r:close())
    w:close()
  end)

  it("is closed by a to-be-closed variable", function()
    local kept
    do
      local r, w = keep(sys.pipe())
      local closing <close> = r
      kept = closing
      assert.is_false(w:is_closed())
    end
    assert.is_true(kept:is_closed())
  end)

  it("is closed when collected", function()
    local open = fixture.count_fds()
    for _ = 1, 50 do
      sys.pipe()
    end
    assert.equal(open, fixture.count_fds())
  end)

  it("raises when it is used after its close", function()
    local r, w = keep(sys.pipe())
    r:close()
    local closed = "(attempt to use a closed descriptor)"
    assert.has_error(function() r:read(1) end, "calling 'read' on bad self " .. closed)
    assert.has_error(function() r:write("x") end,
      "calling 'write' on bad self " .. closed)
    assert.has_error(function() sys.dup(r) end, "bad argument #1 to 'dup' " .. closed)
    assert.has_error(function() sys.dup2(r, w:fileno()) end,
      "bad argument #1 to 'dup2' " .. closed)
  end)

  it("says what it is", function()
    local r, w = keep(sys.pipe())
    local s, t = keep(sys.socketpair())
    assert.equal("fd " .. r:fileno(), tostring(r))
    assert.equal("socket " .. s:fileno(), tostring(s))
    assert.equal("fd", sys.type(r))
    assert.equal("socket", sys.type(t))
    assert.is_nil(sys.type(io.stdin))
    assert.is_nil(sys.type(w:fileno()))
    r:close()
    assert.equal("fd (closed)", tostring(r))
    assert.equal("fd", sys.type(r))
  end)

  it("is non-blocking and closed on exec, wherever it comes from", function()
    local r, w = keep(sys.pipe())
    local file <close> = assert(sys.open("/dev/null"))
    local s, t = keep(sys.socketpair())
    local l <close> = assert(sys.tcp.listen {})
    local u <close> = assert(sys.udp.bind {})
    local d <close> = assert(sys.dup(0))
    local O_NONBLOCK, O_CLOEXEC = 0x800, 0x80000
    for _, object in ipairs { r, w, file, s, t, l, u, d } do
      local info = assert(io.open("/proc/self/fdinfo/" .. object:fileno()))
      local flags = tonumber(info:read("a"):match("flags:%s*(%d+)"), 8)
      info:close()
      assert.equal(O_NONBLOCK | O_CLOEXEC,
        flags & (O_NONBLOCK | O_CLOEXEC), tostring(object))
    end
  end)

  describe("made by open", function()
    it("writes, appends and reads a file", function()
      local w <close> = assert(sys.open(path, "w"))
      w:write("one")
      local a <close> = assert(sys.open(path, "a"))
      a:write("two")
      local r <close> = assert(sys.open(path))
      assert.equal("onetwo", r:read())
      assert.equal("", r:read())
    end)

    it("updates with r+ and starts afresh with w+", function()
      local a <close> = assert(sys.open(path, "a+"))
      a:write("abc")
      local u <close> = assert(sys.open(path, "r+"))
      assert.equal("a", u:read(1))
      u:write("X")
      assert.equal("c", u:read())
      local w <close> = assert(sys.open(path, "w+"))
      assert.equal("", w:read())
    end)

    it("knows further flags", function()
      local w <close> = assert(sys.open(path, "w,excl"))
      assert_failed("EEXIST", sys.open(path, "w,excl"))
      assert_failed("ENOTDIR", sys.open(path, "r,directory"))
      assert.equal("fd", sys.type(w))
    end)

    it("gives a new file the mode asked for", function()
      local w <close> = assert(sys.open(path, "w", tonumber("600", 8)))
      assert.equal("rw-------",
        require("lfs").attributes(path, "permissions"))
      assert.equal(1, w:write("x"))
    end)

    it("fails with the path in the message", function()
      assert_failed("ENOENT", sys.open("/nowhere/at/all"))
      local _, message = sys.open("/nowhere/at/all")
      assert.matches("/nowhere/at/all", message, 1, true)
    end)

    it("refuses paths and flags that make no sense", function()
      assert.has_error(function() sys.open("/dev/null\0x") end,
        "bad argument #1 to 'open' (path contains a zero byte)")
      assert.has_error(function() sys.open("") end,
        "bad argument #1 to 'open' (path is empty)")
      assert.has_error(function() sys.open() end,
        "bad argument #1 to 'open' (string expected, got no value)")
      for _, flags in ipairs { "", "rw", "r,", "r,w", ",excl", "r\0" } do
        assert.has_error(function() sys.open("/dev/null", flags) end)
      end
      assert.has_error(function() sys.open("/dev/null", "r", -1) end)
      assert.has_error(function() sys.open("/dev/null", "r", 1 << 20) end)
    end)
  end)

  describe("made from a number", function()
    it("owns it with fdopen, and shares the file with dup", function()
      local r, w = keep(sys.pipe())
      local copy = assert(sys.dup(w))
      assert.not_equal(w:fileno(), copy:fileno())
      local number = assert(sys.dup2(copy, 200))
      assert.equal(200, number)
      copy:close()
      local owner = assert(sys.fdopen(200))
      assert.equal(200, owner:fileno())
      owner:write("through 200")
      owner:close()
      assert_failed("EBADF", sys.fdopen(200))
      assert.equal("through 200", r:read())
    end)

    it("is a socket if the number is one's", function()
      local a, b = keep(sys.socketpair())
      local copy <close> = assert(sys.dup(a:fileno()))
      assert.equal("socket", sys.type(copy))
      copy:send("hi")
      assert.equal("hi", b:recv())
    end)

    it("takes Lua files too", function()
      local file <close> = assert(io.open(path, "w"))
      local copy <close> = assert(sys.dup(file))
      assert.equal(2, copy:write("ok"))
      file:close()
      assert.has_error(function() sys.dup(file) end,
        "bad argument #1 to 'dup' (attempt to use a closed descriptor)")
    end)

    it("refuses what is no descriptor", function()
      for _, bad in ipairs { -1, 1 << 31, 1.5, 0 / 0, "0", true, {} } do
        assert.has_error(function() sys.dup(bad) end)
      end
      for _, bad in ipairs { -1, 1 << 31, 1.5, 0 / 0, true, {} } do
        assert.has_error(function() sys.fdopen(bad) end)
        assert.has_error(function() sys.dup2(0, bad) end)
      end
      assert.has_error(function() sys.dup() end,
        "bad argument #1 to 'dup' (descriptor expected, got no value)")
      assert_failed("EBADF", sys.dup(12345))
      assert_failed("EBADF", sys.fdopen(12345))
      assert_failed("EBADF", sys.dup2(12345, 200))
    end)

    it("knows a terminal from a pipe", function()
      local r, w = keep(sys.pipe())
      w:close()
      assert.is_false(sys.isatty(r))
      assert.is_false(sys.isatty(w))
      assert.is_false(sys.isatty(12345))
      assert.has_error(function() sys.isatty("x") end)
    end)
  end)

  describe("that is wrong", function()
    it("is told apart in every method", function()
      local r, w = keep(sys.pipe())
      local s, t = keep(sys.socketpair())
      for _, object in ipairs { r, s } do
        local methods = getmetatable(object).__index
        for name, method in pairs(methods) do
          for _, bad in ipairs { 1, "x", {}, io.stdout, print } do
            assert.has_error(function() method(bad) end, nil, name)
          end
          assert.has_error(function() method() end, nil, name)
        end
      end
      local recv = getmetatable(s).__index.recv
      assert.has_error(function() recv(r) end,
        "bad argument #1 to 'recv' (socket expected, got poe.sys.fd)")
      assert.equal("socket", sys.type(t))
      assert.equal(1, w:write("x"))
    end)

    it("has no way to read nothing or less", function()
      local r = keep(sys.pipe())
      for _, n in ipairs { 0, -1, math.mininteger, 0.5, 0 / 0, "x", {} } do
        assert.has_error(function() r:read(n) end)
      end
    end)

    it("has no way to write what is no string", function()
      local w = select(2, keep(sys.pipe()))
      for _, bytes in ipairs { true, {}, print } do
        assert.has_error(function() w:write(bytes) end)
      end
      assert.has_error(function() w:write() end)
      for _, first in ipairs { 0, -1, 5, math.maxinteger, math.mininteger } do
        assert.has_error(function() w:write("abc", first) end)
      end
    end)

    it("does no harm when its metamethods are called by hand", function()
      local r, w = keep(sys.pipe())
      local meta = getmetatable(r)
      meta.__gc(r)
      meta.__gc(r)
      meta.__close(r)
      assert.is_true(r:is_closed())
      assert.has_error(function() meta.__gc({}) end)
      assert.has_error(function() meta.__gc() end)
      assert.is_false(w:is_closed())
    end)
  end)

  it("answers EMFILE when the process may open no more, and loses none",
    function()
      local out = fixture.run([[
        local listener = sys.tcp.listen {}
        local _, port = listener:getsockname()
        local client = sys.tcp.connect { port = port }
        local all = {}
        repeat
          local object, message, code = sys.open("/dev/null")
          all[#all + 1] = object
        until not object
        local function check(value, message, code)
          assert(value == nil and code == "EMFILE", message)
        end
        for _ = 1, 100 do
          check(sys.open("/dev/null"))
          check(sys.dup(0))
          check(sys.tcp.listen {})
          check(sys.unix.connect { path = "/nowhere" })
          check(listener:accept())
          all[#all]:close() -- one is too few for those that make two
          check(sys.pipe())
          check(sys.socketpair())
          all[#all] = assert(sys.open("/dev/null"))
        end
        print("ok", client:is_closed())
      ]], "ulimit -n 64; exec")
      assert.equal("ok\tfalse\n", out)
    end)

  it("is still the module's own when the module is opened again", function()
    local r, w = keep(sys.pipe())
    package.loaded["poe.sys"] = nil
    local again = require "poe.sys"
    package.loaded["poe.sys"] = sys
    assert.equal("fd", again.type(r))
    assert.equal(1, again.dup(w):write("x"))
  end)
end)

describe("the close hook", function()
  local registry, key = debug.getregistry(), "poe.sys.on_close"
  local kept

  before_each(function()
    kept = registry[key]
  end)

  after_each(function()
    registry[key] = kept
  end)

  it("sees each object once, still open", function()
    local seen = {}
    registry[key] = function(object)
      seen[#seen + 1] = { object, object:fileno() }
    end
    local r, w = sys.pipe()
    local number = r:fileno()
    r:close()
    r:close()
    assert.same({ { r, number } }, seen)
    w:close()
    assert.equal(2, #seen)
  end)

  it("sees objects that are collected", function()
    local seen = 0
    registry[key] = function(object)
      assert(not object:is_closed())
      seen = seen + 1
    end
    sys.pipe()
    collectgarbage()
    collectgarbage()
    assert.equal(2, seen)
  end)

  it("may fail, or close the object itself", function()
    registry[key] = function() error("no") end
    local r, w = sys.pipe()
    assert.is_true(r:close())
    registry[key] = function(object) object:close() end
    assert.is_true(w:close())
    assert.is_true(r:is_closed() and w:is_closed())
  end)

  it("is not needed", function()
    for _, value in ipairs { false, 1, {} } do
      registry[key] = value or nil
      local r, w = sys.pipe()
      assert.is_true(r:close() and w:close())
    end
  end)
end)
