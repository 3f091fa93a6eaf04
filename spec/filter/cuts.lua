-- What the specs of filters share: one corpus, cut in every way, must give the
-- same records and the same failure.
--
-- SEED=n in the environment repeats the random cuts of a run that failed.

local assert = require "luassert"

---@class spec.filter.cuts
local cuts = {}

local ROUNDS = 20

local seed = tonumber(os.getenv "SEED") or os.time()
local random_seed = ("SEED=%d"):format(seed)
math.randomseed(seed)

--- The corpus in pieces of random sizes, short ones most of all.
local function cut_at_random(corpus)
  local pieces, at = {}, 1
  local longest = math.random(1, math.random(1, #corpus + 1))
  while at <= #corpus do
    local n = math.random(0, longest)
    pieces[#pieces + 1] = corpus:sub(at, at + n - 1)
    at = at + n
  end
  return pieces
end

local function cut_by(corpus, n)
  local pieces = {}
  for at = 1, #corpus, n do pieces[#pieces + 1] = corpus:sub(at, at + n - 1) end
  return pieces
end

local function append(to, list)
  table.move(list, 1, #list, #to + 1, to)
end

--- Feeds piece after piece with get. Returns the records, what is pending (one
--- string, or the list if it is none of strings), the code of the failure.
function cuts.by_get(filter, pieces)
  local records = {}
  for _, piece in ipairs(pieces) do
    local got, message, code, before = filter:get { piece }
    append(records, got or before)
    if not got then
      assert.equal(code, message:match "^(%u+): ")
      return records, nil, code
    end
  end
  return records, filter:get_pending()
end

--- The same with get_one, and with get_pending asked between.
function cuts.by_get_one(filter, pieces)
  local records = {}
  for _, piece in ipairs(pieces) do
    filter:get_one_start { piece }
    while true do
      filter:get_pending()
      local got, message, code = filter:get_one()
      if not got then
        assert.equal(code, message:match "^(%u+): ")
        assert.same({ filter:get_one() }, { nil, message, code })
        return records, nil, code
      end
      assert.is_true(#got <= 1)
      if #got == 0 then break end
      records[#records + 1] = got[1]
    end
  end
  return records, filter:get_pending()
end

--- The same with all pieces at once.
function cuts.at_once(filter, pieces)
  local got, _, code, before = filter:get(pieces)
  return got or before, got and filter:get_pending() or nil, code
end

local function joined(pending)
  return pending and table.concat(pending) or ""
end

--- Asserts that `corpus`, however cut and fed to filters that `make` makes,
--- gives `expected` records, leaves `pending`, ends with failure `code`.
function cuts.assert_same(make, corpus, expected, pending, code)
  local function try(how, pieces, name)
    local records, left, failure = how(make(), pieces)
    local where = name .. " " .. random_seed
    assert.same(expected, records, where)
    assert.equal(code, failure, where)
    if not code then assert.equal(pending or "", joined(left), where) end
  end
  for name, how in pairs {
    get = cuts.by_get, get_one = cuts.by_get_one, at_once = cuts.at_once,
  } do
    try(how, { corpus }, name .. ", whole")
    try(how, cut_by(corpus, 1), name .. ", byte by byte")
    try(how, cut_by(corpus, 2), name .. ", in twos")
    for round = 1, ROUNDS do
      try(how, cut_at_random(corpus), name .. ", round " .. round)
    end
  end
end

--- Random bytes of a few kinds, so that terminators are among them.
function cuts.garbage(alphabet, length)
  local bytes = {}
  for i = 1, length do
    local at = math.random(1, #alphabet)
    bytes[i] = alphabet:sub(at, at)
  end
  return table.concat(bytes)
end

return cuts
