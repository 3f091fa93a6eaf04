-- Who is measured beside us: where the programs lie, what runs them, how to
-- see whether they are installed, and which version it is. `limit` and `c` are
-- the C programs that say what the machine allows.

local function perl(module)
  return ([[perl -M%s -e 'print $%s::VERSION, " on Perl ", $^V' ]])
    :format(module, module)
end

-- Neither Lua module says its own version; the package does.
local function lua(module)
  return ([[lua5.4 -e 'require "%s"' && { dpkg-query -W -f '${Version}' lua-%s ||
    echo "unknown version"; } && lua5.4 -e 'print(" on " .. _VERSION)']])
    :format(module, module)
end

return {
  {
    name = "poe", title = "poe", folder = "poe", extension = "lua",
    command = "build/bin/poe",
    version = [[build/bin/poe -e 'print(require("poe").version)']],
  },
  {
    name = "limit", title = "limit", folder = "limit", extension = "lua",
    command = "build/bench/limit",
    version = [[echo 'print("C over " .. _VERSION)' | build/bench/limit /dev/stdin]],
  },
  {
    name = "c", title = "C", folder = "limit", extension = "c",
    version = "pkg-config --modversion libuv | sed 's/^/libuv /'",
  },
  {
    name = "perl-poe", title = "POE", folder = "perl-poe", extension = "pl",
    command = "perl", version = perl "POE", is_slow = true,
  },
  {
    name = "luv", title = "luv", folder = "luv", extension = "lua",
    command = "lua5.4", version = lua "luv",
  },
  {
    name = "cqueues", title = "cqueues", folder = "cqueues", extension = "lua",
    command = "lua5.4", version = lua "cqueues",
  },
  {
    name = "ev", title = "EV", folder = "ev", extension = "pl",
    command = "perl", version = perl "EV",
  },
  {
    name = "anyevent", title = "AnyEvent", folder = "anyevent",
    extension = "pl", command = "perl", version = perl "AnyEvent",
  },
  {
    name = "node", title = "node", folder = "node", extension = "js",
    command = "node", version = "node --version", is_jit = true,
  },
  {
    name = "lua", title = "plain Lua", folder = "lua", extension = "lua",
    command = "lua5.4", version = [[lua5.4 -e 'print(_VERSION)']],
  },
}
