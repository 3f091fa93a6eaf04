-- .ci/summary adds up what runners report, and loses no crash.

local fixture = require "spec.host.fixture"

local SCRIPT = fixture.quote(fixture.checkout .. "/.ci/summary")

--- Runs runners given as "name: command"; returns the last line and the status.
local function sum(...)
  local words = {}
  for i, runner in ipairs { ... } do words[i] = fixture.quote(runner) end
  local result = fixture.shell(
    ("TEST_TIMEOUT=2 sh %s logs %s"):format(SCRIPT, table.concat(words, " ")))
  return result.out:match "([^\n]*)\n$", result.status, result.out
end

describe("the summary of the tests", function()
  setup(fixture.make_dir)
  teardown(fixture.remove_dir)

  it("adds up runners of both kinds", function()
    local line, status = sum("a: echo 3 passed, 0 failed",
      "b: echo '1 success / 0 failures / 0 errors / 2 pending : 0.1 seconds'")
    assert.equal("4 passed, 0 failed", line)
    assert.equal(0, status)
  end)

  it("counts failures and errors, and fails", function()
    local line, status = sum("a: echo 3 passed, 1 failed; exit 1",
      "b: echo '5 successes / 2 failures / 3 errors / 0 pending : 1 seconds'" ..
      "; exit 5")
    assert.equal("8 passed, 6 failed", line)
    assert.equal(1, status)
  end)

  it("believes the report when the status is lost", function()
    local line, status = sum(
      "a: echo '0 successes / 256 failures / 0 errors / 0 pending : 1 seconds'")
    assert.equal("0 passed, 256 failed", line)
    assert.equal(1, status)
  end)

  it("counts a runner that crashed before its report", function()
    local line, status, out = sum("a: echo 3 passed, 0 failed",
      "b: echo ++++; kill -SEGV $$")
    assert.equal("3 passed, 1 failed", line)
    assert.equal(1, status)
    assert.is_truthy(out:find "b .* ended with status 139 before its summary")
  end)

  it("counts a runner that fails after a good report", function()
    local line, status = sum("a: echo 3 passed, 0 failed; exit 23")
    assert.equal("3 passed, 1 failed", line)
    assert.equal(1, status)
  end)

  it("counts a runner that ends well and says nothing", function()
    local line, status = sum("a: true")
    assert.equal("0 passed, 1 failed", line)
    assert.equal(1, status)
  end)

  it("counts a runner that is not there", function()
    assert.equal("0 passed, 1 failed", (sum "a: ./no-such-runner"))
  end)

  it("ends a runner that hangs", function()
    assert.equal("0 passed, 1 failed", (sum "a: exec sleep 60"))
  end)

  it("takes the last report of a runner", function()
    assert.equal("2 passed, 0 failed",
      (sum "a: echo 9 passed, 9 failed; echo 2 passed, 0 failed"))
  end)

  it("is not misled by the report of a run within a failure", function()
    local line = sum("a: echo '7 successes / 1 failure / 0 errors / 0 pending : 1'"
      .. "; echo '2 successes / 1 failure / 0 errors / 0 pending : 1'"
      .. "; echo 2 passed, 0 failed; exit 1")
    assert.equal("7 passed, 1 failed", line)
  end)

  it("gives the runners no input", function()
    assert.equal("1 passed, 0 failed", (sum "a: cat; echo 1 passed, 0 failed"))
  end)
end)
