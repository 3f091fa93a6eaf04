-- poe: sessions, events, timers, selects and signals; POE::Kernel for Lua.
local core = require "poe.core"

---@class poe
local poe = {
  kernel = core.kernel,
  session = { create = core.create },
  configure = core.configure,
  time = core.time,
  monotime = core.monotime,
  type = core.type,
  wait_status = core.wait_status,
  version = core.version,
  MODE_RD = 0,
  MODE_WR = 1,
  MODE_EX = 2,
}

--- Run the kernel until no session is left.
--- Raises what no session has handled.
function poe.run()
  return core.kernel:run()
end

core.find_loop()

return poe
