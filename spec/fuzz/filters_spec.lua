-- A short run of the fuzzer of filters; `make fuzz-filters` is the long one.
--
-- SEED=n in the environment repeats the cases of a run that failed.

local fuzz = require "spec.fuzz.fuzz"

local CASES = 1000

describe("a fuzzed filter", function()
  for _, name in ipairs(fuzz.names()) do
    it("says the same however bytes are cut: " .. name, function()
      local first = (tonumber(os.getenv "SEED") or os.time()) * 1000
      for case = first, first + CASES - 1 do
        local wrong = fuzz.run(name, case)
        if wrong then error(wrong, 0) end
      end
    end)
  end
end)
