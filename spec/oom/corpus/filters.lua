-- Filters: records there and back, in pieces.

local cases = {
  { "line", {}, { "one", "two" } },
  { "line", { autodetect = true }, { "one", "two" } },
  { "line", { input_pattern = "%\r?\n" }, { "one" } },
  { "stream", {}, { "one" } },
  { "block", {}, { "one", "two" } },
  { "block", { block_size = 3 }, { "one", "two" } },
  { "reference", {}, { { 1, "two", { three = 4.5 } }, true } },
}

for _, case in ipairs(cases) do
  local Filter = require("poe.filter." .. case[1])
  local filter = Filter.new(case[2])
  local bytes = table.concat(filter:put(case[3]))
  for i = 1, #bytes, 2 do filter:get { bytes:sub(i, i + 1) } end
  filter:clone()
  filter:get_pending()
end
