std = "lua54"
cache = false
codes = true
max_line_length = 120
exclude_files = { "build/**" }

files["spec"] = { std = "lua54+busted" }
-- Declarations without bodies.
files["types"] = { ignore = { "212", "241" }, max_line_length = false }
