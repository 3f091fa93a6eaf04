-- Which programs there are for a case, and how each is run and measured.

local here = arg[0]:match(".*/") or "./"
local shell = dofile(here .. "lib/shell.lua")

local programs = {}

local TIMEOUT = "timeout 300 "

--- The peers that can be run here, each with its version; and the others.
---@return table[] installed, string[] missing
function programs.peers(wanted)
  local installed, missing = {}, {}
  for _, peer in ipairs(dofile(here .. "peers.lua")) do
    if not wanted or wanted[peer.name] then
      local version = shell.read("{ " .. peer.version .. "\n} 2>/dev/null")
      if version then
        peer.version_text = version:gsub("%s+", " "):gsub(" $", "")
        peer.files = shell.list(peer.folder)
        installed[#installed + 1] = peer
      else
        missing[#missing + 1] = peer.title
      end
    end
  end
  return installed, missing
end

-- "" for the program itself, the variant's name for another way to write it.
local function variant_of(peer, program, file)
  local stem = file:match("^(.+)%." .. peer.extension .. "$")
  if stem == program then return "" end
  local mark = peer.command and "." or "_"
  if stem and stem:sub(1, #program + 1) == program .. mark then
    return stem:sub(#program + 2)
  end
end

local function command_of(peer, file)
  if not peer.command then return "build/bench/" .. file:gsub("%.c$", "") end
  return peer.command .. " bench/" .. peer.folder .. "/" .. file
end

--- Adds the variants of a program that a peer has; whether there is one.
local function add_variants(list, peer, program)
  local count = #list
  for _, file in ipairs(peer.files) do
    local variant = variant_of(peer, program, file)
    if variant then
      list[#list + 1] = {
        peer = peer,
        variant = variant,
        title = peer.title .. (variant ~= "" and " " .. variant or ""),
        command = command_of(peer, file),
      }
    end
  end
  return #list > count
end

--- The programs for a case: all variants of all peers, in the peers' order.
---@return table[]
function programs.of_case(case, peers)
  local list = {}
  for _, peer in ipairs(peers) do
    if not add_variants(list, peer, case.program or case.name) and case.beside then
      add_variants(list, peer, case.beside)
    end
  end
  return list
end

local function with_args(command, args)
  if not args then return command end
  return command .. " " .. shell.join(args)
end

--- The command that measures one program of a case.
---@return string
function programs.measure(case, program, options)
  local is_slow = program.peer.is_slow
  local scale = "BENCH_SCALE=" .. options.scale .. " "
  local command = options.pin .. program.command
  if case.kind == "start" then
    return ("build/bench/spawn -n %d -- %s"):format(
      options.scale < 1 and 10 or 30, command
    )
  end
  if case.kind == "server" then
    local load = is_slow and case.slow_load or case.load
    return TIMEOUT .. with_args("build/bench/load", load) .. " -- " .. command
  end
  return scale .. TIMEOUT .. with_args(command, case.args)
end

--- The command line that counts the instructions of n operations of a case.
---@return string
function programs.count(case, program, n, prefix)
  if case.kind == "server" then
    return ("build/bench/load -n %d -- %s%s"):format(n, prefix, program.command)
  end
  return ("%s%s %d"):format(prefix, program.command, n)
end

--- The figures that a program printed as key=value.
---@return table<string, number>
function programs.parse(output)
  local figures = {}
  for key, value in output:gmatch "([%w_]+)=(%S+)" do
    figures[key] = tonumber(value)
  end
  return figures
end

return programs
