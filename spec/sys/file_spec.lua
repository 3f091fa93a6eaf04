local fixture = require "spec.sys.fixture"
local sys = require "poe.sys"

local assert_failed, keep = fixture.assert_failed, fixture.keep

describe("a file", function()
  local path

  before_each(function()
    path = fixture.free_path()
    local file <close> = assert(io.open(path, "w"))
    file:write "0123456789"
  end)

  after_each(function()
    fixture.close_kept()
    os.remove(path)
  end)

  it("is read from where one seeks to", function()
    local file = keep(assert(sys.open(path)))
    assert.equal(0, file:seek())
    assert.equal(7, file:seek("end", -3))
    assert.equal("789", file:read())
    assert.equal(2, file:seek("set", 2))
    assert.equal("23", file:read(2))
    assert.equal(5, file:seek("cur", 1))
    assert.equal(10, file:seek "end")
    assert_failed("EINVAL", file:seek("set", -1))
    assert.has_error(function() file:seek "nowhere" end)
    local r = keep(assert(sys.pipe()))
    assert_failed("ESPIPE", r:seek())
  end)

  it("tells what it is, by its path or open", function()
    local file = keep(assert(sys.open(path)))
    local by_path, by_object = assert(sys.stat(path)), assert(sys.stat(file))
    assert.same(by_path, by_object)
    assert.equal("file", by_path.type)
    assert.equal(10, by_path.size)
    assert.equal(1, by_path.nlink)
    assert.is_true(math.abs(by_path.mtime - os.time()) < 60)
    assert.equal(by_path.ino, sys.stat(file:fileno()).ino)
    os.remove(path)
    assert.equal(0, sys.stat(file).nlink)
    assert_failed("ENOENT", sys.stat(path))
    file:close()
    assert_failed("EBADF", sys.stat(file))
    assert.has_error(function() sys.stat {} end)
    assert.has_error(function() sys.stat "" end)
  end)

  it("tells how much of it can be read", function()
    local file = keep(assert(sys.open(path)))
    file:seek("set", 4)
    assert.same({ 6, false }, { file:available() })
    local r, w = keep(assert(sys.pipe()))
    assert.equal(0, r:available())
    w:write "abc"
    assert.equal(3, r:available())
    local s, t = keep(assert(sys.socketpair()))
    s:write "ab"
    s:write "cd"
    assert.equal(4, t:available())
    local master, slave = keep(assert(sys.openpty()))
    slave:write "abc"
    assert.same({ 3, false }, { master:available() })
    for _, other in ipairs { slave, w, s } do other:close() end
    assert.same({ 3, true }, { master:available() })
    assert.same({ 3, true }, { r:available() })
    assert.same({ 4, true }, { t:available() })
    assert_failed("ENOTTY", keep(assert(sys.open "/dev/null")):available())
  end)

  it("is of a type", function()
    local r = keep(assert(sys.pipe()))
    local s = keep(assert(sys.socketpair()))
    assert.equal("fifo", sys.stat(r).type)
    assert.equal("socket", sys.stat(s).type)
    assert.equal("char", sys.stat("/dev/null").type)
    assert.equal("directory", sys.stat("/").type)
    assert(os.execute("ln -s " .. path .. " " .. path .. ".link"))
    assert.equal("file", sys.stat(path .. ".link").type)
    os.remove(path .. ".link")
  end)
end)
