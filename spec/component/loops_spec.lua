-- The specs of the components on the loops beside uv, the default one.

local lfs = require "lfs"

local POE = os.getenv "POE_BIN" or "build/bin/poe"
local BUSTED = os.getenv "BUSTED" or "busted"

local function run(loop, files)
  local command = ("exec 2>&1; POE_EVENT_LOOP=%s POE_BIN=%s %s --lua=%s %s"):format(
    loop, POE, BUSTED, POE, files)
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  return pipe:close(), output
end

describe("The components", function()
  local files = {}
  for file in lfs.dir "spec/component" do
    if file:find "_spec%.lua$" and file ~= "loops_spec.lua" then
      files[#files + 1] = "spec/component/" .. file
    end
  end
  table.sort(files)

  for _, loop in ipairs { "poll", "select" } do
    it("pass on " .. loop, function()
      local ok, output = run(loop, table.concat(files, " "))
      assert.is_true(ok, output)
    end)
  end
end)
