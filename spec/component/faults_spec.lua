-- Server.TCP and peers that end, reset, or send what they should not, at any byte:
-- one error, then the end, then nothing.
--
-- SEED=n in the environment repeats a run that failed.

local fixture = require "spec.component.fixture"
local helper = require "spec.helper"

local PEERS, AT_ONCE = 1000, 50

local seed = tonumber(os.getenv "SEED") or os.time()
local SEED = "SEED=" .. seed
math.randomseed(seed)

local function random_text()
  local lines = {}
  for i = 1, math.random(1, 8) do
    lines[i] = ("%d:"):format(i) .. ("x"):rep(math.random(0, 40)) .. "\n"
  end
  return table.concat(lines)
end

local ENDS = { "half", "close", "reset", "garbage" }

--- The steps of a peer that says its number, then a part of a text.
local function peer(number, plan)
  local text = random_text()
  local part = text:sub(1, math.random(0, #text))
  local how = ENDS[math.random(#ENDS)]
  plan[number] = { text = part, how = how, inputs = {} }
  local list = { { "send", number .. "\n" }, { "expect", number .. "\r\n" },
    { "send", part } }
  if how == "garbage" then
    list[#list + 1] = { "send", ("x"):rep(70000) }
    list[#list + 1] = { "finish" }
  elseif how == "half" then
    list[#list + 1] = { "half" }
    list[#list + 1] = { "finish" }
  else
    list[#list + 1] = { how }
  end
  return list
end

--- The complete lines of what a peer has sent.
local function lines_of(plan)
  local lines = {}
  for line in plan.text:gmatch "(.-)\n" do lines[#lines + 1] = line end
  return lines
end

--- Callbacks that check their order, and note what came for each peer.
local function callbacks(plan)
  local function of(heap) return plan[heap.number] end
  return {
    client_input = function(_, heap, line)
      heap.client:put(line)
      if not heap.number then
        heap.number = math.tointeger(line)
        return
      end
      local mine = of(heap)
      assert(not mine.code and not mine.is_over, SEED)
      mine.inputs[#mine.inputs + 1] = line
    end,
    client_error = function(_, heap, _, code)
      local mine = of(heap)
      assert(not mine.code and not mine.is_over, SEED)
      mine.code = code
    end,
    client_disconnected = function(_, heap)
      local mine = of(heap)
      assert(mine.code and not mine.is_over, SEED)
      mine.is_over = true
    end,
    client_flushed = function(_, heap)
      assert(not (of(heap) or {}).is_over, SEED)
    end,
  }
end

local CODES = {
  half = { [0] = true }, garbage = { EMSGSIZE = true },
  close = { [0] = true, ECONNRESET = true, EPIPE = true },
  reset = { [0] = true, ECONNRESET = true, EPIPE = true },
}

local function check(mine)
  assert.is_true(mine.is_over, SEED)
  assert.is_true(CODES[mine.how][mine.code], mine.how .. " " .. mine.code .. SEED)
  local lines = lines_of(mine)
  if mine.how == "half" then assert.same(lines, mine.inputs, SEED) end
  assert.is_true(#mine.inputs <= #lines, SEED)
  for i, line in ipairs(mine.inputs) do assert.equal(lines[i], line, SEED) end
end

describe("Server.TCP", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it(("survives %d peers that fail at any byte"):format(PEERS), function()
    for _ = 1, PEERS / AT_ONCE do
      local plan, peers = {}, {}
      for number = 1, AT_ONCE do peers[number] = peer(number, plan) end
      fixture.serve(callbacks(plan), peers)
      for number = 1, AT_ONCE do check(plan[number]) end
    end
  end)
end)
