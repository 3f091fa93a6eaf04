std = "lua54"
cache = false
codes = true
max_line_length = 120
-- The other is what somebody types at the prompt, mistakes included.
exclude_files = { "build/**", "spec/oom/corpus/host_prompt.lua" }

files["spec"] = { std = "lua54+busted" }
-- Declarations without bodies.
files["types"] = { ignore = { "212", "241" }, max_line_length = false }
