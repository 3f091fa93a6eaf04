-- What specs of watched handles share: pipes, and handles that do not outlive
-- their test.

local sys = require "poe.sys"

local handles = {}

local open = {} -- to be closed by close_kept

--- A pipe with bytes in it; both ends are closed by the caller.
function handles.full_pipe(bytes)
  local r, w = assert(sys.pipe())
  assert(w:write(bytes or "abc"))
  return r, w
end

--- Watches it no more for reading.
function handles.ignore(kernel, _, handle)
  kernel:select_read(handle)
end

--- Handles, among other values, that close_kept closes.
function handles.keep(...)
  for i = 1, select("#", ...) do
    local handle = select(i, ...)
    if sys.type(handle) then
      open[#open + 1] = handle
    end
  end
  return ...
end

function handles.close_kept()
  for _, handle in ipairs(open) do
    handle:close()
  end
  open = {}
end

return handles
