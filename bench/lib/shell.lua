-- Running programs from the project's root, and reading what they print.

local shell = {}

local bench = (arg[0]:match(".*/") or "./")
local root = bench .. ".."

--- One word for the shell.
---@return string
function shell.quote(word)
  word = tostring(word)
  if word:find "^[%w%-%._/=,:]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Words joined into a command; nil stands for none.
---@return string
function shell.join(words)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = shell.quote(word) end
  return table.concat(quoted, " ")
end

--- The output of a shell command run in the project's root, or nil and its
--- output if it failed. The limit of descriptors is raised as far as it goes.
---@return string? output, string? failed
function shell.read(command)
  local pipe = assert(io.popen(
    ("cd %s && ulimit -n $(ulimit -Hn) && { %s\n}"):format(
      shell.quote(root), command
    )
  ))
  local output = pipe:read "a"
  if pipe:close() then return output end
  return nil, output
end

--- The path of a file of the project, for io.open.
function shell.path(name) return root .. "/" .. name end

--- The names in one of the bench's folders.
---@return string[]
function shell.list(folder)
  local names = {}
  local listing = shell.read("ls bench/" .. shell.quote(folder)) or ""
  for name in listing:gmatch "[^\n]+" do names[#names + 1] = name end
  return names
end

--- Writes a whole file.
function shell.write(name, text)
  local file = assert(io.open(shell.path(name), "w"))
  file:write(text)
  file:close()
end

return shell
