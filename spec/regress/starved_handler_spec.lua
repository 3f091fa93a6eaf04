-- poe --slow on a busy machine: a handler in Lua that got no processor for 100 ms
-- was told of as one in C, without its stack.

local helper = require "spec.helper"

local TOLD = "handler of 'dig'"

-- The kernel's thread shares a processor with one who takes nearly all of it.
local SCRIPT = [==[
  local poe, sys = require "poe", require "poe.sys"
  local told, pid = ..., sys.getpid()

  -- Ends with this process, or when it has told.
  local HOG = [=[
    while [ -d /proc/$1 ]; do
      while read -r line; do
        case $line in *"$2"*) exit ;; esac
      done </proc/$1/fd/2
    done]=]

  local function shell(...)
    assert(os.execute(string.format(...)))
  end

  local function starve()
    local file <close> = io.open "/proc/self/status"
    local cpu = file:read("a"):match "Cpus_allowed_list:%s*(%d+)"
    shell("taskset -c %s timeout 20 sh -c '%s' hog %d \"%s\" >/dev/null 2>&1 &", cpu,
      HOG, pid, told)
    shell("taskset -cp %s %d >/dev/null && chrt -i -p 0 %d >/dev/null", cpu, pid, pid)
  end

  poe.session.create { inline_states = {
    _start = function(kernel) starve() kernel:yield "dig" end,
    dig = function() -- waits for nothing: it would be in C then
      local enough = os.clock() + 0.05
      repeat until os.clock() > enough
    end,
  } }
]==]

describe("a slow handler that gets no processor", function()
  it("is told of with its stack, when it gets one", function()
    if not os.execute "command -v taskset chrt >/dev/null" then
      pending "no taskset here"
      return
    end
    local status, _, err = helper.run_poe(SCRIPT,
      { environment = "POE_SLOW_MS=20", arguments = '"' .. TOLD .. '"' })
    assert.equal(0, status, err)
    assert.matches("handler of 'dig' for %d+ ms\nstack traceback:\n", err)
    assert.not_matches("handler of 'dig' for %d+ ms, not in Lua", err)
  end)
end)
