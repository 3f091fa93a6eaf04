-- Section I of the semantics, as the contract spells it: what a handle may be.

local helper = require "spec.helper"
local poe = require "poe"
local sys = require "poe.sys"

local kernel = poe.kernel

local function code(...)
  local value, _, why = ...
  return value == nil and why or tostring(value)
end

--- A call of a method by its name, so that errors tell it.
local function caller(method)
  return load("local k = ... return function(...) return k:" .. method
    .. "(...) end")(kernel)
end

--- An object that knows its descriptor by one method, as a table.
local function object(method, descriptor)
  return {
    [method] = function(self)
      assert(type(self) == "table")
      return descriptor
    end,
  }
end

describe("Handles", function()
  local r, w

  before_each(function()
    helper.begin()
    r, w = assert(sys.pipe())
    w:write "x"
  end)

  after_each(function()
    r:close()
    w:close()
    r, w = nil, nil
    helper.finish()
  end)

  --- Watches a handle until it was readable once; is what the handler got.
  local function watch(handle)
    local got
    poe.session.create {
      inline_states = {
        _start = function()
          assert(kernel:select_read(handle, "rd"))
        end,
        rd = function(_, _, given)
          got = given
          assert(kernel:select_read(handle))
        end,
      },
    }
    poe.run()
    return got
  end

  it("may be a descriptor", function()
    assert.equal(r:fileno(), watch(r:fileno()))
  end)

  it("may be a descriptor as a float without fraction", function()
    assert.equal("float", math.type(watch(r:fileno() + 0.0)))
  end)

  for _, method in ipairs { "fileno", "getfd", "pollfd" } do
    it("may be a table with " .. method, function()
      local handle = object(method, r:fileno())
      assert.equal(handle, watch(handle))
    end)

    it("may have a " .. method .. " that returns a float", function()
      local handle = object(method, r:fileno() + 0.0)
      assert.equal(handle, watch(handle))
    end)

    it("may inherit " .. method, function()
      local handle = setmetatable({}, { __index = object(method, r:fileno()) })
      assert.equal(handle, watch(handle))
    end)
  end

  it("prefers fileno to getfd to pollfd", function()
    local number = r:fileno()
    local function never()
      error "asked"
    end
    assert.is_table(watch { fileno = function() return number end,
      getfd = never, pollfd = never })
    assert.is_table(watch { getfd = function() return number end,
      pollfd = never })
  end)

  it("may be an object of poe.sys", function()
    assert.equal(r, watch(r))
  end)

  it("may be a file of io.open", function()
    local file <close> = assert(io.open "Makefile")
    assert.equal(file, watch(file))
  end)

  it("may be a file of io.popen", function()
    local file = assert(io.popen "echo hello")
    assert.equal(file, watch(file))
    assert.equal("hello", file:read "l") -- to the end it might not be ready
    file:close()
  end)

  it("may be io.stdin", function()
    helper.assert_prints("0", [[
      local poe = require "poe"
      poe.session.create {
        inline_states = {
          _start = function(kernel) kernel:select_read(io.stdin, "rd") end,
          rd = function(kernel, _, handle)
            print(#handle:read "a")
            kernel:select_read(handle)
          end,
        },
      }
      poe.run()
    ]])
  end)

  it("may be /dev/null, which is always ready", function()
    local file <close> = assert(io.open "/dev/null")
    assert.equal(file, watch(file))
  end)

  it("may be a LuaSocket socket", function()
    local socket = require "socket"
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client = assert(socket.tcp())
    client:settimeout(0)
    client:connect("127.0.0.1", port)
    assert.equal(server, watch(server))
    local peer = assert(server:accept())
    client:send "hello\n"
    assert.equal(peer, watch(peer))
    assert.equal("hello", peer:receive "*l")
    for _, handle in ipairs { peer, client, server } do
      handle:close()
    end
  end)

  it("may be a LuaSocket socket that was closed before it is unwatched", function()
    local socket = require "socket"
    local server = assert(socket.bind("127.0.0.1", 0))
    local done
    poe.session.create {
      inline_states = {
        _start = function()
          assert(kernel:select_read(server, "never"))
          kernel:delay("close", 0.01)
        end,
        close = function()
          server:close()
          done = kernel:select_read(server)
        end,
      },
    }
    poe.run()
    assert.is_true(done)
  end)

  it("may be a luv handle", function()
    helper.assert_prints("read hello", [[
      local poe, sys, uv = require "poe", require "poe.sys", require "luv"
      local r, w = sys.pipe()
      local pipe = uv.new_pipe(false)
      pipe:open(r:fileno())
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            kernel:select_read(pipe, "rd")
            w:write "hello"
          end,
          rd = function(kernel, _, handle)
            assert(handle == pipe)
            print("read " .. r:read())
            kernel:select_read(pipe)
          end,
        },
      }
      poe.run()
    ]])
  end)

  it("may be a cqueues socket", function()
    local socket = require "cqueues.socket"
    local a, b = socket.pair()
    b:write "x\n"
    b:flush()
    assert.equal(a, watch(a))
    a:close()
    b:close()
  end)

  it("may be watched by object and unwatched by number", function()
    local handle = object("fileno", r:fileno())
    local n = 0
    poe.session.create {
      inline_states = {
        _start = function()
          kernel:select_read(handle, "rd")
        end,
        rd = function()
          n = n + 1
          assert.is_true(kernel:select_read(r:fileno()))
        end,
      },
    }
    poe.run()
    assert.equal(1, n)
  end)

  it("changes what it is given when watched by another object", function()
    local first, second = object("fileno", r:fileno()),
      object("getfd", r:fileno())
    local got
    poe.session.create {
      inline_states = {
        _start = function()
          kernel:select_read(first, "rd")
          kernel:select_read(second, "rd")
        end,
        rd = function(_, _, handle)
          got = handle
          kernel:select_read(handle)
        end,
      },
    }
    poe.run()
    assert.equal(second, got)
  end)

  it("may get another descriptor: the next watch finds the new one", function()
    local r2, w2 = assert(sys.pipe())
    w2:write "y"
    local number = r:fileno()
    r:read(1) -- nothing to be read there
    local handle = { fileno = function() return number end }
    local n = 0
    poe.session.create {
      inline_states = {
        _start = function()
          kernel:select_read(handle, "rd")
          number = r2:fileno()
          kernel:select_read(handle, "rd")
        end,
        rd = function()
          n = n + 1
          kernel:select_read(handle)
        end,
      },
    }
    poe.run() -- returns: nothing is left on the old descriptor
    assert.equal(1, n)
    r2:close()
    w2:close()
  end)

  it("raises for what is no handle", function()
    local seen = 0
    poe.session.create {
      inline_states = {
        _start = function()
          for _, method in ipairs { "select_read", "select_write",
            "select_expedite", "select", "select_pause_read",
            "select_resume_read", "select_pause_write",
            "select_resume_write" } do
            for _, bad in ipairs { "0", 1.5, true, {}, print, kernel,
              kernel.session, 0 / 0, 1 / 0, -1 / 0, coroutine.create(print),
              { fileno = 1 }, setmetatable({}, { __index = {} }) } do
              local ok, message = pcall(caller(method), bad, "rd")
              assert.is_false(ok)
              assert.matches("bad argument #1 to '" .. method
                .. "' %(handle expected", message)
              seen = seen + 1
            end
            assert.is_false((pcall(kernel[method], kernel)))
            assert.is_false((pcall(kernel[method], kernel, nil, "rd")))
          end
        end,
      },
    }
    poe.run()
    assert.equal(8 * 13, seen)
  end)

  it("is EBADF when it is closed or no descriptor", function()
    local closed = assert(sys.pipe())
    closed:close()
    local file = assert(io.open "Makefile")
    file:close()
    local seen = {}
    local bad = { closed, file, -1, 999999, 2 ^ 31, 2 ^ 53, math.mininteger,
      math.maxinteger, object("fileno", -1), object("getfd", nil),
      object("pollfd", "text"), object("fileno", 999999) }
    poe.session.create {
      inline_states = {
        _start = function()
          for i, handle in ipairs(bad) do
            seen[i] = code(kernel:select_read(handle, "rd"))
            assert.equal("EBADF", code(kernel:select_write(handle, "wr")))
            assert.equal("EBADF", code(kernel:select_expedite(handle, "ex")))
            assert.equal("EBADF", code(kernel:select(handle, "r", "w", "e")))
            assert.is_true(kernel:select_read(handle))
            assert.is_true(kernel:select(handle))
            assert.is_false(kernel:select_pause_read(handle))
            assert.is_false(kernel:select_resume_write(handle))
          end
        end,
      },
    }
    poe.run() -- and it returns: nothing is watched
    for i = 1, #bad do
      assert.equal("EBADF", seen[i])
    end
  end)

  it("may raise from its own method", function()
    local handle = { fileno = function() error("no idea", 0) end }
    local ok, message
    poe.session.create {
      inline_states = {
        _start = function()
          ok, message = pcall(kernel.select_read, kernel, handle, "rd")
        end,
      },
    }
    poe.run()
    assert.is_false(ok)
    assert.equal("no idea", message)
  end)

  it("may stop the kernel from its own method: nothing is left", function()
    local ok, message, why
    local handle = {
      fileno = function()
        kernel:stop()
        return r:fileno()
      end,
    }
    poe.session.create {
      inline_states = {
        _start = function()
          ok, message, why = kernel:select_read(handle, "rd")
        end,
      },
    }
    poe.run()
    assert.is_nil(ok)
    assert.matches("^ESRCH", message)
    assert.equal("ESRCH", why)
  end)

  it("may be one of a thousand", function()
    helper.assert_prints("1000", [[
      local poe, sys = require "poe", require "poe.sys"
      local pipes, n = {}, 0
      local r, w = sys.pipe()
      for i = 1, 500 do
        local d, e = sys.dup(r), sys.dup(w)
        if not d or not e then break end
        pipes[i] = { d, e }
      end
      poe.session.create {
        inline_states = {
          _start = function(kernel)
            for _, pair in ipairs(pipes) do
              assert(kernel:select_read(pair[1], "rd"))
              assert(kernel:select_write(pair[2], "wr"))
            end
            w:write "x"
          end,
          rd = function(kernel, _, handle)
            n = n + 1
            kernel:select_read(handle)
          end,
          wr = function(kernel, _, handle)
            n = n + 1
            kernel:select_write(handle)
          end,
        },
      }
      poe.run()
      print(n)
    ]])
  end)
end)
