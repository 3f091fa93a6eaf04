-- SPDX-License-Identifier: MIT
-- What was killed, the latest first out.

local MAX_KILLS = 30

---@class poe.wheel.readline.kills
local Kills = {}
Kills.__index = Kills

---@return poe.wheel.readline.kills
function Kills.new()
  return setmetatable({ texts = {}, turn = 0 }, Kills)
end

--- Keeps a text: alone, or joined with the latest, at its end or in front.
---@param text string
---@param join? "after"|"before"
function Kills:push(text, join)
  if text == "" then return end
  local texts, n = self.texts, #self.texts
  if join and n > 0 then
    texts[n] = join == "after" and texts[n] .. text or text .. texts[n]
  else
    if n == MAX_KILLS then table.remove(texts, 1) end
    texts[#texts + 1] = text
  end
  self.turn = 0
end

--- The latest; again, after `rotate`, the one before it.
---@return string? text
function Kills:top()
  local n = #self.texts
  return self.texts[n > 0 and (n - 1 - self.turn) % n + 1 or 1]
end

function Kills:rotate()
  self.turn = self.turn + 1
end

return Kills
