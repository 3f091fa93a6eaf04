-- Every method and function with every wrong argument: a clear error or nil,
-- message, code; never a crash, and nothing is lost or left behind.
--
-- What is walked is the real table of methods: a new one fails here until it
-- is described.

local helper = require "spec.helper"
local core = require "poe.core"
local poe = require "poe"

local kernel = poe.kernel

-- What each argument must be, kinds by letter: D destination, E event name,
-- S signal name, N number, I integer id, H handle, F function, A alias, T tag,
-- O table, - anything.  After "..." anything may follow.  A small letter: may
-- be left out.
local METHODS = {
  post = "DE...", yield = "E...", call = "DE...",
  alarm = "En...", alarm_add = "EN...", delay = "En...", delay_add = "EN...",
  alarm_set = "EN...", delay_set = "EN...",
  alarm_adjust = "IN", delay_adjust = "IN",
  alarm_remove = "I", alarm_remove_all = "",
  alias_set = "A", alias_remove = "A", alias_resolve = "D", alias_list = "d",
  ID_id_to_session = "I", ID_session_to_id = "D",
  select = "Heee...", select_read = "He...", select_write = "He...",
  select_expedite = "He...", select_pause_read = "H",
  select_resume_read = "H", select_pause_write = "H",
  select_resume_write = "H",
  sig = "Se...", sig_child = "Ie...", sig_handled = "", signal = "DS...",
  signal_ui_destroy = "-",
  detach_child = "D", detach_myself = "", state = "Ef",
  refcount_increment = "IT", refcount_decrement = "IT",
  get_active_session = "", get_active_event = "", get_event_count = "",
  get_next_event_time = "", poe_kernel_loop = "", ID = "",
  get_children = "D", get_parent = "D", why = "d",
  session_create = "O", session_alloc = "O",
  run = "", run_one_timeslice = "", run_while = "F", stop = "",
  has_forked = "", fork = "",
}

-- Not to be called in earnest here.
local ELSEWHERE = { fork = true, run = true, stop = true, run_while = true,
  run_one_timeslice = true }

local OUTSIDE = { -- what works without a running session
  post = true, call = true, signal = true, alias_resolve = true,
  alias_list = true, ID_id_to_session = true, ID_session_to_id = true,
  refcount_increment = true, refcount_decrement = true, get_children = true,
  get_parent = true, why = true, get_active_session = true, get_active_event = true,
  get_event_count = true, get_next_event_time = true, poe_kernel_loop = true,
  ID = true, session_create = true, session_alloc = true, has_forked = true,
  fork = true, run = true, run_one_timeslice = true, run_while = true,
  stop = true, sig_handled = true, signal_ui_destroy = true,
}

local GOOD = {
  D = function() return kernel:get_active_session() end,
  E = function() return "event" end,
  S = function() return "BENIGN" end,
  N = function() return 3600 end,
  I = function() return 987654321 end,
  H = function() return 0 end,
  F = function() return function() end end,
  A = function() return "alias" end,
  T = function() return "tag" end,
  O = function() return {} end,
  ["-"] = function() return 1 end,
}

-- Of no use to anybody but "-".
local function foreign()
  return { {}, setmetatable({}, { __index = error }), io.stdout, print,
    coroutine.create(print), true, false }
end

local NAME_LIKE = { E = true, S = true, A = true, T = true }

--- Values that are wrong for a kind, and must raise.
local function wrong_values(kind)
  if kind == "-" then
    return {}
  end
  local values = foreign()
  if kind == "H" then
    values[3], values[2] = 1.5, "handle"
    return values
  elseif kind == "F" then
    values[4] = nil
    return { {}, true, false, 1, "x", io.stdout }
  elseif kind == "O" then
    return { true, 1, "x", print, io.stdout }
  end
  values[#values + 1] = 0 / 0
  if kind ~= "N" then
    values[#values + 1] = 1 / 0
    values[#values + 1] = 1.5
  end
  if NAME_LIKE[kind] then
    values[#values + 1] = 42
    values[#values + 1] = -1
    values[#values + 1] = kernel
  elseif kind == "N" then
    values[#values + 1] = "12"
    values[#values + 1] = "x"
    values[#values + 1] = kernel
  end
  return values
end

--- Odd values that are of the right type: they may fail, but not raise
--- anything unclear.
local ODD = {
  D = { "", "\0", "session", "session 1\0", "session 0", "session -1",
    "session 99999999999999999999999", ("x"):rep(1000000), 0, -1,
    math.maxinteger, math.mininteger, 3.0, 2.0 ^ 60, kernel:ID() .. "\0" },
  E = { "", "\0", "a\0b", ("e"):rep(100000), "\255\254", "_start", "_stop",
    "_child", "_parent", "_default", "_garbage_collect", "%s%n" },
  S = { "", "\0", "CLD", "KILL\0", ("S"):rep(100000), "%s%n" },
  N = { -1, -1e300, 1e300, 1 / 0, -1 / 0, math.maxinteger, math.mininteger,
    -0.0, 1e-300, 4e9, 4000000001, -4000000001 },
  I = { 0, -1, math.maxinteger, math.mininteger, 2.0 ^ 62, 3.0 },
  H = { -1, math.maxinteger, math.mininteger, 999999, 2.0 ^ 31, 2.0 ^ 60 },
  A = { "\0", "a\0b", ("a"):rep(100000), "session 1", kernel:ID() },
  T = { "", "\0", ("t"):rep(100000), "anon_event" },
  F = {}, O = {}, ["-"] = {},
}

local function caller(method)
  return load("local k = ... return function(...) return k:" .. method
    .. "(...) end")(kernel)
end

--- The kinds of a method's arguments, and which may be left out.
local function kinds_of(method)
  local kinds, optional = {}, {}
  for letter in METHODS[method]:gsub("%.%.%.", ""):gmatch "." do
    kinds[#kinds + 1] = letter:upper()
    optional[#kinds] = letter ~= letter:upper() or nil
  end
  return kinds, optional
end

local function good_arguments(kinds)
  local arguments = { n = #kinds }
  for i, kind in ipairs(kinds) do
    arguments[i] = GOOD[kind]()
  end
  return arguments
end

--- Runs f inside of a session that ends at once, whatever f has set up.
local function inside(f)
  local ok, message
  poe.session.create {
    inline_states = {
      _start = function()
        ok, message = xpcall(f, debug.traceback)
        kernel:stop()
      end,
    },
  }
  poe.run()
  assert.is_true(ok, message)
end

--- nil, "CODE: text", "CODE", if it is nil and more.
local function check_result(method, ...)
  local value, message, code = ...
  if value == nil and select("#", ...) > 1 then
    assert.equal("string", type(message), method)
    assert.matches("^E%u+$", code, method)
    assert.equal(code .. ": ", message:sub(1, #code + 2), method)
  end
end

local function must_raise(method, at, arguments)
  local results = table.pack(pcall(caller(method),
    table.unpack(arguments, 1, arguments.n)))
  local label = ("%s, argument %d = %s"):format(method, at,
    tostring(arguments[at]))
  assert.is_false(results[1], label)
  assert.equal("string", type(results[2]), label)
  assert.matches("bad argument #" .. at .. " to '" .. method .. "' %(",
    results[2], nil, nil, label)
end

local function try(method, arguments)
  local results = table.pack(pcall(caller(method),
    table.unpack(arguments, 1, arguments.n)))
  if results[1] then
    check_result(method, table.unpack(results, 2, results.n))
  else
    assert.equal("string", type(results[2]), method)
  end
end

describe("Bad input", function()
  before_each(helper.begin)
  after_each(helper.finish)

  it("is known for every method that there is", function()
    local index = getmetatable(kernel).__index
    local n = 0
    for name in pairs(index) do
      assert.is_string(METHODS[name], name .. " is not described here")
      n = n + 1
    end
    for name in pairs(METHODS) do
      assert.is_function(rawget(index, name), name)
      n = n - 1
    end
    assert.equal(0, n)
  end)

  local methods = {}
  for method in pairs(METHODS) do
    methods[#methods + 1] = method
  end
  table.sort(methods)

  for _, method in ipairs(methods) do
    local kinds, optional = kinds_of(method)

    it(method .. " with a missing or wrong argument", function()
      inside(function()
        for i = 1, #kinds do
          if not optional[i] and method ~= "state" or i == 1 then
            local arguments = good_arguments(kinds)
            arguments.n = i - 1
            if not optional[i] then
              assert.error_matches(function()
                caller(method)(table.unpack(arguments, 1, arguments.n))
              end, "bad argument #%d to '" .. method .. "' %(")
            end
            arguments = good_arguments(kinds)
            arguments[i] = nil
            if not optional[i] and kinds[i] ~= "-" then
              must_raise(method, i, arguments)
            end
          end
        end
      end)
      inside(function()
        for i, kind in ipairs(kinds) do
          if method == "state" and i == 2 then
            break -- objects of all kinds: see below
          end
          for _, wrong in ipairs(wrong_values(kind)) do
            local arguments = good_arguments(kinds)
            arguments[i] = wrong
            must_raise(method, i, arguments)
          end
        end
      end)
    end)

    if not ELSEWHERE[method] then
      it(method .. " with odd arguments, and three hundred", function()
        for i, kind in ipairs(kinds) do
          for _, odd in ipairs(ODD[kind]) do
            inside(function()
              local arguments = good_arguments(kinds)
              arguments[i] = odd
              try(method, arguments)
            end)
          end
        end
        inside(function()
          local arguments = good_arguments(kinds)
          for i = arguments.n + 1, arguments.n + 300 do
            arguments[i] = i % 3 == 0 and "x" or i
          end
          arguments.n = arguments.n + 300
          try(method, arguments)
        end)
      end)

      it(method .. " in _stop, in coroutines, in finalizers, of the dead", function()
        local ok, message
        poe.session.create {
          inline_states = {
            _start = function() end,
            _stop = function()
              ok, message = xpcall(try, debug.traceback, method,
                good_arguments(kinds))
            end,
          },
        }
        poe.run()
        kernel:stop()
        assert.is_true(ok, message)

        local co -- it outlives its session
        inside(function()
          co = coroutine.wrap(function()
            for _ = 1, 3 do
              try(method, good_arguments(kinds))
              coroutine.yield()
            end
          end)
          co()
        end)
        inside(co)
        co()
        kernel:stop()
        poe.run()

        inside(function()
          local n = 0
          for _ = 1, 10 do
            setmetatable({}, { __gc = function()
              n = n + 1
              try(method, good_arguments(kinds))
            end })
          end
          collectgarbage()
          assert.equal(10, n)
        end)

        local dead
        inside(function()
          dead = kernel.session
        end)
        inside(function()
          for i, kind in ipairs(kinds) do
            if kind == "D" or kind == "I" and method:find "^refcount" then
              local arguments = good_arguments(kinds)
              arguments[i] = kind == "D" and dead or dead:ID()
              local results = table.pack(caller(method)(
                table.unpack(arguments, 1, arguments.n)))
              if method ~= "alias_list" then
                assert.is_nil(results[1])
                assert.equal("ESRCH", results[3])
              end
            end
          end
        end)
      end)
    end

    it(method .. " with another self, and outside of a session", function()
      for _, wrong in ipairs { {}, io.stdout, 1, "x", print, true,
        setmetatable({}, { __index = kernel }) } do
        local ok, message = pcall(kernel[method], wrong, "x", "y", "z")
        assert.is_false(ok)
        assert.matches("kernel expected", message)
      end
      assert.is_false((pcall(kernel[method])))
      if not OUTSIDE[method] then
        local arguments = good_arguments(kinds)
        assert.error_matches(function()
          caller(method)(table.unpack(arguments, 1, arguments.n))
        end, "kernel:" .. method .. " needs a running session")
      elseif not ELSEWHERE[method] then
        try(method, good_arguments(kinds))
        inside(function() end) -- events to the kernel are dispatched
      end
    end)
  end

  it("assigning to the kernel", function()
    for _, field in ipairs { "session", "event", "yield", "mine", 1, true } do
      assert.error_matches(function()
        kernel[field] = 1
      end, "attempt to assign to the kernel's field '" .. tostring(field))
    end
    assert.is_nil(kernel.nothing)
    assert.is_nil(kernel[1])
  end)

  it("values left in the store", function()
    assert.equal(0, core.census().values)
  end)
end)
