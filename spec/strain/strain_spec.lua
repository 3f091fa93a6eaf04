-- The quick forms of what strains the kernel; the long ones are targets of the
-- Makefile, see list.lua.

local helper = require "spec.helper"

local PATIENCE = 120 -- seconds, under a sanitizer on a loaded machine

describe("Under strain", function()
  for _, script in ipairs(dofile "spec/strain/list.lua") do
    it(script.shows, function()
      local status, out, err = helper.run_poe("spec/strain/" .. script.name .. ".lua",
        { arguments = tostring(script.quick), patience = PATIENCE })
      assert.equal("", err)
      assert.equal(0, status, out)
      if out:find "^skipped" then
        pending(out)
      end
    end)
  end
end)
