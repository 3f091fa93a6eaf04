-- What TERM is said to be, and the modes of terminals.

local terminal = {}

local getenv = os.getenv

--- What TERM is from now on; nil: what it was.
function terminal.set_term(name)
  os.getenv = name and function(variable) -- luacheck: ignore 122
    if variable == "TERM" then return name end
    return getenv(variable)
  end or getenv
end

--- The modes of a terminal, as stty tells them.
function terminal.modes_of(path)
  local pipe <close> = assert(io.popen("stty -g <" .. path))
  return pipe:read "a"
end

--- Whether a mode ("-echo") is set.
function terminal.has_mode(path, mode)
  local pipe <close> = assert(io.popen("stty -a <" .. path))
  return pipe:read "a":find("%s" .. mode:gsub("%-", "%%-") .. "[%s;]") ~= nil
end

return terminal
