-- The echo server, with a function that queues itself for ever beside it.
local queue = dofile((arg[0]:match(".*/") or "./") .. "queue.lua")

local function spin() queue.post(spin) end

queue.post(spin)
dofile((arg[0]:match(".*/") or "./") .. "echo.try.lua")
