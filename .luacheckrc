std = "lua54"
cache = false
codes = true
max_line_length = 100
exclude_files = { "build/**" }

files["spec"] = { std = "lua54+busted" }
files["bench/luv"] = { std = "lua54" }
