-- Every scenario of spec/oracle/cases, run by our kernel and compared line by
-- line with what real POE printed, or with our own expected trace where we
-- differ on purpose (NAME.WHY.trace; README.md has the reasons).

local HERE = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local CASES = HERE .. "cases/"
local HOST = os.getenv("POE_BIN") or HERE .. "../../build/bin/poe"

-- Scenarios mostly wait on the real clock, so that many share a processor.
local AT_ONCE = 12
-- A late machine may change a trace on the real clock, never on the other.
local RETRIES = 2
local CONTEXT, SHOWN = 3, 8

local json = dofile(HERE .. "json.lua")

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n?") do
    lines[#lines + 1] = line
  end
  while lines[#lines] == "" do
    lines[#lines] = nil
  end
  return lines
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function file_names()
  local list = assert(io.popen('ls "' .. CASES .. '"'))
  local names = lines_of(list:read("a"))
  list:close()
  return names
end

local function load_cases()
  local cases, by_name = {}, {}
  for _, file in ipairs(file_names()) do
    local name = file:match("^(.+)%.json$")
    if name then
      by_name[name] = { name = name }
      cases[#cases + 1] = by_name[name]
    end
  end
  for _, file in ipairs(file_names()) do
    local name, why = file:match("^([^.]+)%.?([^.]*)%.trace$")
    if name then
      by_name[name][why == "" and "poe" or "own"] = read_file(CASES .. file)
      by_name[name].why = why ~= "" and why or by_name[name].why
    end
  end
  return cases
end

-- The lines from a little before `at`, each behind the mark.
local function excerpt(lines, from, to, mark)
  local shown = {}
  for i = from, math.min(to, #lines) do
    shown[#shown + 1] = ("%s %3d  %s"):format(mark, i, lines[i])
  end
  return shown
end

-- Nil if the texts are equal, else what differs, to be read by people. A last
-- line "..." of the expected text stands for any rest.
local function difference(expected_text, got_text)
  local expected, got = lines_of(expected_text), lines_of(got_text)
  if expected[#expected] == "..." then
    expected[#expected] = nil
    got = table.move(got, 1, #expected, 1, {})
  end
  local at = 1
  while at <= #expected and expected[at] == got[at] do
    at = at + 1
  end
  if at > #expected and at > #got then
    return nil
  end
  local shown = excerpt(expected, math.max(1, at - CONTEXT), at - 1, " ")
  for _, part in ipairs {
    excerpt(expected, at, at + SHOWN, "- expected"),
    excerpt(got, at, at + SHOWN, "+ got     "),
  } do
    table.move(part, 1, #part, #shown + 1, shown)
  end
  return table.concat(shown, "\n")
end

local function start(case, options)
  return assert(io.popen(
    ('env -u POE_CATCH_EXCEPTIONS timeout 15 "%s" %s "%srun.lua" "%s.json" 2>&1')
    :format(HOST, options, HERE, CASES .. case.name)))
end

local function finish(run)
  local text = run:read("a")
  run:close()
  return text
end

-- The output of every case, by name.
local function run_all(cases, options)
  local output, runs = {}, {}
  for i, case in ipairs(cases) do
    local earlier = cases[i - AT_ONCE]
    if earlier then
      output[earlier.name] = finish(runs[earlier])
    end
    runs[case] = start(case, options)
  end
  for i = math.max(1, #cases - AT_ONCE + 1), #cases do
    output[cases[i].name] = finish(runs[cases[i]])
  end
  return output
end

local function title(case)
  return case.own and ("%s, by %s"):format(case.name, case.why) or case.name
end

local function check(case, output, options, retries)
  local expected = case.own or case.poe
  local wrong = difference(expected, output)
  while wrong and retries > 0 do
    retries = retries - 1
    wrong = difference(expected, finish(start(case, options)))
  end
  if wrong then
    error(("trace of %s differs:\n%s"):format(case.name, wrong), 0)
  end
end

-- Bridges that need a module which may be missing: where to look for it.
local NEEDED = { luv = "luv", cqueues = "cqueues", glib = "poe.loop.glib" }
local BUILT = HERE .. "../../build/lib/?.so;"

local function is_there(loop)
  local module = NEEDED[loop]
  return not module or package.searchpath(module, BUILT .. package.cpath)
    or package.searchpath(module, package.path)
end

describe("the oracle", function()
  local cases = load_cases()

  local function each_case(options, retries)
    local output
    lazy_setup(function()
      output = run_all(cases, options)
    end)
    for _, case in ipairs(cases) do
      it("runs " .. title(case), function()
        check(case, output[case.name], options, retries)
      end)
    end
  end

  describe("under virtual time", function()
    each_case("--virtual-time", 0)
  end)

  describe("on the real clock", function()
    each_case("", RETRIES)
  end)

  for _, loop in ipairs { "poll", "select", "luv", "cqueues", "glib" } do
    if is_there(loop) then
      describe("on the loop " .. loop .. ", under virtual time", function()
        each_case("--virtual-time --loop " .. loop, 0)
      end)
    end
  end

  it("has the 135 scenarios, each with POE's trace", function()
    assert.equal(135, #cases)
    for _, case in ipairs(cases) do
      assert.is_truthy(case.poe, case.name)
    end
  end)

  it("explains in its README each trace that is ours", function()
    local readme = read_file(HERE .. "README.md")
    for _, case in ipairs(cases) do
      if case.own then
        local row = ("| `%s` | %s |"):format(case.name, case.why)
        assert.is_truthy(readme:find(row, 1, true), row)
        assert.is_truthy(difference(case.own, case.poe), case.name)
      end
    end
  end)

  it("names in its README no trace that is not there", function()
    local own = {}
    for _, case in ipairs(cases) do
      own[case.name] = case.why
    end
    local rows = read_file(HERE .. "README.md")
    for name, why in rows:gmatch("\n| `([cd]%d[%w_]*)` | (%w+) |") do
      assert.equal(why, own[name])
    end
  end)

  it("notices a line changed, missing or too much", function()
    local text = "a\nb\nc\n"
    assert.is_nil(difference(text, text))
    assert.is_truthy(difference(text, "a\nX\nc\n"))
    assert.is_truthy(difference(text, "a\nb\n"))
    assert.is_truthy(difference(text, "a\nb\nc\nd\n"))
    assert.is_truthy(difference(text, ""))
    assert.is_nil(difference("a\n...\n", text))
    assert.is_truthy(difference("b\n...\n", text))
  end)

  it("shows where two traces part", function()
    assert.equal("    1  a\n- expected   2  b\n+ got        2  c",
      difference("a\nb\n", "a\nc\n"))
  end)

  describe("reads JSON and", function()
    it("keeps a null inside a list, also at its end", function()
      local list = json.decode("[1, null, [], null]")
      assert.equal(4, list.n)
      assert.is_nil(list[2])
      assert.same({ n = 0 }, list[3])
    end)

    it("reads strings with escapes, numbers and words", function()
      assert.same({ s = 'a"\n\u{e9}', i = -3, f = 1.5, t = true },
        json.decode([[{"s": "a\"\n\u00e9", "i": -3, "f": 1.5, "t": true}]]))
    end)

    it("refuses what is no JSON", function()
      for _, text in ipairs { "", "[1,]", "[1 2]", '{"a" 1}', '"x', "nul",
        "1 2", '"\\q"', "{,}" } do
        assert.has_error(function() json.decode(text) end)
      end
    end)
  end)
end)
