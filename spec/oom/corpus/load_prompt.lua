-- What only some programs load.

require "poe"
for _, name in ipairs { "poe.options", "poe.nfa", "poe.driver.sysrw",
  "poe.filter.line", "poe.filter.block", "poe.filter.reference",
  "poe.wheel.readwrite" } do
  require(name)
end
