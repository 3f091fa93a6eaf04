-- What the specs of the editor share: one that is typed at, without a terminal.

local Editor = require "poe.wheel.readline.editor"
local History = require "poe.wheel.readline.history"
local Keys = require "poe.wheel.readline.keys"

local fixture = {}

---@class spec.editor
---@field editor poe.wheel.readline.editor
---@field did string[]  what the host was asked for
local Typist = {}
Typist.__index = Typist

--- An editor with these lines in its history.
function fixture.editor(lines, attribs)
  local self = setmetatable({ did = {}, keys = Keys.new(1000) }, Typist)
  local function note(name)
    return function(what, why)
      if type(what) == "table" then what = table.concat(what, "\n") end
      self.did[#self.did + 1] = name .. (what and " " .. what or "")
        .. (why and " " .. why or "")
    end
  end
  local host = { columns = function() return 40 end }
  for _, name in ipairs { "finish", "list", "bell", "clear", "redraw", "suspend" } do
    host[name] = note(name)
  end
  local all = {
    completion_append_character = " ", completion_query_items = 10,
    word_break_characters = " ", show_all_if_ambiguous = false,
  }
  for name, value in pairs(attribs or {}) do all[name] = value end
  local history = History.new(100)
  for _, line in ipairs(lines or {}) do history:add(line) end
  self.editor = Editor.new(host, all, 200, history)
  self.editor.prompt = "> "
  self.editor:start()
  return self
end

--- What keys send; returns self.
function Typist:type(bytes)
  self.keys:feed(bytes)
  for key, raw in self.keys.next, self.keys do self.editor:key(key, raw) end
  return self
end

--- The line with "|" for the cursor; behind the prompt, if that is another one.
function Typist:see()
  local prompt, _, at = self.editor:view()
  local buffer = self.editor.buffer
  return (prompt ~= "> " and prompt or "") .. buffer:text(0, at) .. "|"
    .. buffer:text(at)
end

--- What was asked for since the last time.
function Typist:asked()
  local did = self.did
  self.did = {}
  return did
end

return fixture
