-- What busted loads before the specs (.busted): it keeps every file, with all
-- that its closures hold, until the last has run, and each proof that nothing
-- is left collects the whole heap.  A file that has ended is let go.

local busted = require "busted"

-- busted never forgets an element, so what it holds has to go.
local function release(element)
  local children = busted.children(element)
  for i = #children, 1, -1 do
    release(children[i])
    children[i].run = nil
    children[i] = nil
  end
  for key, value in pairs(element) do
    if type(value) == "table" and key ~= "attributes" and key ~= "run" then
      element[key] = nil
    end
  end
end

busted.subscribe({ "file", "end" }, function(file)
  release(file)
  return nil, true -- and tell the others
end)
