-- poe.driver.sysrw: over pipes and sockets, and over handles that take as much
-- as they are told to.

local SysRW = require "poe.driver.sysrw"
local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local keep = fixture.keep

--- A handle whose write takes so many bytes each time, or fails with a code.
local function scripted(steps)
  local handle = { got = {}, calls = 0 }
  function handle.write(_, bytes, first)
    handle.calls = handle.calls + 1
    local step = table.remove(steps, 1) or "EAGAIN"
    if type(step) == "string" then return nil, step .. ": scripted", step end
    local part = bytes:sub(first, first + step - 1)
    handle.got[#handle.got + 1] = part
    return #part
  end
  return handle
end

describe("SysRW", function()
  local before

  before_each(function() before = fixture.count_fds() end)

  after_each(function()
    fixture.close_kept()
    assert.equal(before, fixture.count_fds())
  end)

  describe("get", function()
    it("reads what is there, at most a block", function()
      local r, w = keep(sys.pipe())
      w:write "abcdef\0"
      local driver = SysRW.new { block_size = 4 }
      assert.same({ "abcd" }, driver:get(r))
      assert.same({ "ef\0" }, driver:get(r))
    end)

    it("reads 64 KiB at once if nothing is said", function()
      local asked
      SysRW.new():get { read = function(_, n) asked = n return "x" end }
      assert.equal(65536, asked)
    end)

    it("gives an empty list when there is nothing now", function()
      local r = keep(sys.pipe())
      assert.same({}, SysRW.new():get(r))
    end)

    it("gives nil alone at the end", function()
      local r, w = keep(sys.pipe())
      w:write "last"
      w:close()
      local driver = SysRW.new()
      assert.same({ "last" }, driver:get(r))
      assert.same({ n = 1 }, table.pack(driver:get(r)))
    end)

    it("gives message and code of an error", function()
      local directory = keep(sys.open ".")
      local got, message, code = SysRW.new():get(directory)
      assert.is_nil(got)
      assert.equal("EISDIR", code)
      assert.equal("EISDIR", message:match "^(%u+): ")
    end)
  end)

  describe("put and flush", function()
    it("write all that there is room for, and count the rest", function()
      local r, w = keep(sys.pipe())
      local driver = SysRW.new()
      assert.equal(0, driver:flush(w))
      assert.equal(6, driver:put { "abc", "", "def" })
      assert.equal(2, driver:get_out_messages_buffered())
      assert.equal(7, driver:put { "g" })
      assert.equal(7, driver:get_out_octets_buffered())
      assert.equal(0, driver:flush(w))
      assert.equal(0, driver:get_out_messages_buffered())
      assert.equal("abcdefg", r:read())
    end)

    it("bring every byte through a pipe that is full at times", function()
      local r, w = keep(sys.pipe())
      local driver, chunks = SysRW.new(), {}
      for i = 1, 3000 do chunks[i] = ("%d,"):format(i):rep(i % 50) end
      chunks[#chunks + 1] = ("x"):rep(300000)
      local left, got = driver:put(chunks), {}
      while left > 0 do
        left = assert(driver:flush(w))
        assert.equal(left, driver:get_out_octets_buffered())
        repeat
          local bytes = r:read()
          got[#got + 1] = bytes
        until not bytes
      end
      assert.equal(table.concat(chunks), table.concat(got))
    end)

    it("go on after writes of any size", function()
      local seed = tonumber(os.getenv "SEED") or os.time()
      math.randomseed(seed)
      for _ = 1, 200 do
        local driver, chunks, got = SysRW.new { block_size = 16 }, {}, {}
        local left = 0
        for i = 1, math.random(1, 20) do
          chunks[i] = string.char(96 + i):rep(math.random(0, 30))
          left = left + #chunks[i]
        end
        assert.equal(left, driver:put(chunks))
        while left > 0 do
          local steps = {}
          for i = 1, math.random(1, 4) do steps[i] = math.random(1, 20) end
          local handle = scripted(steps)
          local now = driver:flush(handle)
          local bytes = table.concat(handle.got)
          assert.equal(left - #bytes, now, "SEED=" .. seed)
          got[#got + 1], left = bytes, now
        end
        assert.equal(table.concat(chunks), table.concat(got), "SEED=" .. seed)
        assert.equal(0, driver:get_out_messages_buffered())
      end
    end)

    it("count chunks that are not written to their end", function()
      local driver = SysRW.new()
      driver:put { "abc", "def", "ghi" }
      assert.equal(5, driver:flush(scripted { 4 }))
      assert.equal(2, driver:get_out_messages_buffered())
      assert.equal(3, driver:flush(scripted { 2 }))
      assert.equal(1, driver:get_out_messages_buffered())
    end)

    it("write many small chunks in one call, large ones as they are", function()
      local driver = SysRW.new { block_size = 10 }
      local handle = scripted { 99, 99, 99, 99 }
      driver:put { "abc", "def", "ghi", "jk", ("x"):rep(25), "l" }
      assert.equal(0, driver:flush(handle))
      assert.same({ "abcdefghi", "jk", ("x"):rep(25), "l" }, handle.got)
    end)

    it("try again later when the handle is not ready", function()
      for _, code in ipairs { "EAGAIN", "EWOULDBLOCK", "EINTR", 0 } do
        local driver = SysRW.new()
        driver:put { "abc" }
        local handle = scripted { code }
        assert.equal(3, driver:flush(handle))
        assert.equal(1, handle.calls)
      end
    end)

    it("give message and code of an error, and keep the rest", function()
      local driver = SysRW.new()
      driver:put { "abc", "def" }
      local left, message, code = driver:flush(scripted { 2, "ECONNRESET" })
      assert.is_nil(left)
      assert.equal("ECONNRESET: scripted", message)
      assert.equal("ECONNRESET", code)
      assert.equal(4, driver:get_out_octets_buffered())
      local r, w = keep(sys.pipe())
      r:close()
      assert.equal("EPIPE", select(3, driver:flush(w)))
      local full = keep(sys.open("/dev/full", "w"))
      assert.equal("ENOSPC", select(3, driver:flush(full)))
    end)

    it("refuse what is no list of strings, and take nothing of it", function()
      local driver = SysRW.new()
      assert.has_error(function() driver:put "x" end,
        "bad argument #1 to 'put' (list expected, got a string)")
      assert.has_error(function() driver:put { "x", 5 } end,
        "bad argument #1 to 'put' (element 2 must be a string, got 5)")
      assert.equal(0, driver:get_out_octets_buffered())
    end)
  end)

  it("has named parameters", function()
    assert.has_error(function() SysRW.new { blocksize = 5 } end,
      "SysRW.new: unknown parameter 'blocksize' (did you mean 'block_size'?)")
    assert.has_error(function() SysRW.new { block_size = 0 } end,
      "SysRW.new: parameter 'block_size' must be a positive integer, got 0")
  end)
end)
