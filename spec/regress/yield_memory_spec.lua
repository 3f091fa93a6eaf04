-- An event for which there is no memory: yield and post said nothing, or that
-- the session had ended.

local helper = require "spec.helper"

-- Fills the queue until something fails; then lets it run.
local SCRIPT = [[
  local poe = require "poe"
  local posted, came = 0, 0
  poe.session.create { inline_states = {
    _start = function(kernel) kernel:delay("fill", 0.001) end,
    fill = function(kernel)
      local reserve, ok, why = ("x"):rep(1 << 20)
      repeat
        ok, why = pcall(kernel.%s)
        posted = posted + (ok and 1 or 0)
      until not ok or posted == 5000000
      reserve = #reserve
      print(why)
    end,
    count = function() came = came + 1 end,
    _stop = function() print(came == posted) end,
  } }
  poe.run()
]]

local CALLS = {
  yield = 'yield, kernel, "count"',
  post = 'post, kernel, kernel.session, "count"',
  signal = 'signal, kernel, kernel.session, "NONE"',
}

local function is_sanitized()
  local maps <close> = assert(io.open "/proc/self/maps")
  return maps:read "a":find "libasan" ~= nil
end

describe("Without memory", function()
  for method, call in pairs(CALLS) do
    it(method .. " raises", function()
      if is_sanitized() then
        return pending "ASan needs memory without bound"
      end
      local status, out, err = helper.run_poe(SCRIPT:format(call),
        { environment = "sh -c 'ulimit -v 30000; exec \"$@\"' sh" })
      assert.equal("", err)
      assert.equal("not enough memory\n" .. tostring(method ~= "signal") .. "\n", out)
      assert.equal(0, status)
    end)
  end
end)
