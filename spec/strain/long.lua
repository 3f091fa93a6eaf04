-- long.lua -- the long form of the scripts that belong to one target; says for
-- each what it measured, and in the end how many passed and failed.
--
--   poe spec/strain/long.lua TARGET [SIZE]

local target, size = ...
local POE = os.getenv "POE_BIN" or "build/bin/poe"
local passed, failed = 0, 0

for _, script in ipairs(dofile "spec/strain/list.lua") do
  if script.target == target then
    local command = ("exec '%s' spec/strain/%s.lua %s"):format(POE, script.name,
      size or script.long)
    print("  " .. command)
    local ok = os.execute(command)
    passed, failed = passed + (ok and 1 or 0), failed + (ok and 0 or 1)
  end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0)
