-- poe.wheel.readline.history: lines, the way through them, files.

local History = require "poe.wheel.readline.history"
local fixture = require "spec.sys.fixture"
local lfs = require "lfs"

local function history(...)
  local self = History.new(100)
  for _, line in ipairs { ... } do self:add(line) end
  return self
end

describe("The history", function()
  local path

  before_each(function() path = fixture.free_path() end)
  after_each(function() os.remove(path) end)

  local function write(text)
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
  end

  local function read()
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
  end

  it("has no more lines than it may", function()
    local self = History.new(3)
    for i = 1, 5 do self:add(tostring(i)) end
    assert.same({ "3", "4", "5" }, self.lines)
    assert.equal(4, self.at)
  end)

  it("shows lines as they were left, until it is rewound", function()
    local self = history("a", "b")
    assert.equal("b", self:go(2, "new"))
    assert.equal("a", self:go(1, "b edited"))
    assert.is_nil(self:go(0, "x"))
    assert.equal("b edited", self:go(2, "a"))
    assert.equal("new", self:go(3, "b edited"))
    assert.is_nil(self:go(4, "x"))
    self:rewind()
    assert.equal("b", self:go(2, ""))
  end)

  it("finds lines that begin alike", function()
    local self = history("abx", "abc", "abc", "b", "%a")
    assert.equal(3, self:find("ab", 4, -1, ""))
    assert.equal(1, self:find("ab", 3, -1, "abc"))
    assert.equal(2, self:find("abc", 1, 1, ""))
    assert.equal(5, self:find("", 5, -1, "b"))
    assert.is_nil(self:find("c", 5, -1, ""))
    assert.is_nil(self:find("%w", 5, -1, ""))
  end)

  it("goes to a file that only its owner can read, and comes back", function()
    local self = history("one", "zwölf", "\xFF")
    assert.is_true(self:write(path))
    assert.equal("one\nzwölf\n\xFF\n", read())
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    local other = history("before")
    assert.is_true(other:read(path))
    assert.same({ "before", "one", "zwölf", "\xFF" }, other.lines)
    assert.is_true(history():write(path))
    assert.equal("", read())
  end)

  it("takes some lines of a file", function()
    write "1\n2\n\n3\n4\n5"
    for expected, range in pairs {
      ["2,3"] = { 2, 3 }, ["4,5"] = { 4 }, ["1"] = { nil, 1 }, ["3,4,5"] = { 3, 2 },
      ["1,2,3,4,5"] = { 0, 99 }, [""] = { 6 },
    } do
      local self = history()
      assert.is_true(self:read(path, range[1], range[2]))
      assert.equal(expected, table.concat(self.lines, ","))
    end
  end)

  it("truncates a file", function()
    write "1\n2\n3\n"
    assert.is_true(History.truncate(path, 5))
    assert.equal("1\n2\n3\n", read())
    assert.is_true(History.truncate(path, 2))
    assert.equal("2\n3\n", read())
    assert.is_true(History.truncate(path))
    assert.equal("", read())
  end)

  it("says what is wrong with a file", function()
    for _, result in ipairs {
      table.pack(history():read(path)), table.pack(History.truncate(path, 1)),
      table.pack(history():write(path .. "/none")),
    } do
      assert.is_nil(result[1])
      assert.matches("^E%u+: ", result[2])
      assert.matches("^E%u+$", result[3])
    end
    assert.equal("EISDIR", select(3, history():read "/"))
    assert.equal("ENOSPC", select(3, history("x"):write "/dev/full"))
  end)
end)
