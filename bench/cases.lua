-- The cases of the bench: what is measured, in which figures, and what is
-- aimed at. A program for case "x" of a peer is <peer's folder>/x.<extension>;
-- x.<variant>.<extension> is another way to write it, shown beside it.
--
-- kind      run: the program measures itself; server: load/load drives it;
--           start: load/spawn starts it again and again
-- args      arguments of the program
-- load      arguments of the load generator
-- metrics   key of the program's result, title, unit, and the aims:
--           poe = at least so many times better than POE, limit = at most so
--           many times the limit, uv and lua = the same for libuv in C and for
--           plain Lua, luv = ahead of luv, same = at most 1.05 times our own
--           figure of that case, most = at most so much, peer = at least as good
--           as the best peer
-- beside    whoever has no program for the case runs the one for that case
-- gate      instructions an operation may take at most
-- counted   the two run lengths whose difference callgrind counts, for fast
--           and for slow programs, and the arguments after them
--           (whole: the programs do not warm up first)
-- growth    sizes at which the case is run again: the same figure is expected;
--           is_count: the size is the number of operations itself

local function ns(title, aims)
  return { key = "ns", title = title, unit = "ns", aims = aims or {} }
end

return {
  {
    name = "yield", gate = 1250,
    metrics = { ns("yield: one session to itself", { poe = 120, limit = 1.3 }) },
    counted = { fast = { 10000, 30000 }, slow = { 500, 1500 } },
  },
  {
    name = "pingpong", gate = 1500,
    metrics = {
      ns("ping-pong: two sessions, 2 arguments", { poe = 110, limit = 1.3 }),
    },
    counted = { fast = { 10000, 30000 }, slow = { 500, 1500 } },
  },
  {
    name = "fanout", gate = 1600,
    metrics = { ns("fan-out: 1 to 1,000 sessions", { poe = 100 }) },
    counted = { fast = { 10000, 30000 }, slow = { 1000, 3000 } },
    growth = { title = "sessions", sizes = { 1000, 10000, 100000, 1000000 } },
  },
  {
    name = "backlog", gate = 1700,
    metrics = {
      ns("backlog of 1,000,000, 3 arguments: enqueue + drain",
        { limit = 1.3, most = 600 }),
      { key = "bytes", title = "backlog: bytes an event", unit = "B",
        aims = { most = 100 } },
      { key = "kept", title = "backlog: bytes an event kept afterwards",
        unit = "B", aims = { most = 10 } },
    },
    counted = { fast = { 10000, 30000 }, slow = { 1000, 3000 }, whole = true },
    growth = {
      title = "queued events", sizes = { 1000, 10000, 100000, 1000000 },
      is_count = true,
    },
  },
  {
    name = "pause", program = "backlog",
    args = { "", "pause" }, -- as many as each program does by itself
    metrics = {
      { key = "pause_ms", title = "backlog: longest pause", unit = "ms",
        aims = { most = 5 } },
    },
  },
  {
    name = "call", gate = 1300,
    metrics = {
      ns("call, to another session and back", { poe = 40, limit = 1.3 }),
    },
    counted = { fast = { 10000, 30000 }, slow = { 1000, 3000 } },
  },
  {
    name = "timer_cancel", gate = 2400,
    metrics = {
      ns("timer set + cancel, 100,000 pending",
        { limit = 1.27, most = 550, peer = true }),
      { key = "bytes", title = "bytes a pending timer", unit = "B",
        aims = { most = 150 } },
    },
    counted = { fast = { 10000, 30000 } },
    growth = { title = "timers", sizes = { 1000, 10000, 100000, 1000000 } },
  },
  {
    name = "timer_adjust", gate = 1200,
    metrics = {
      ns("timer adjust, 100,000 pending", { limit = 1.26, most = 500 }),
    },
    counted = { fast = { 10000, 30000 } },
  },
  {
    name = "timer_fire",
    metrics = {
      ns("timers: set 200,000 and let them fire",
        { limit = 1.26, most = 1000 }),
    },
  },
  {
    name = "session",
    metrics = {
      { key = "create_ns", title = "session with an alias: create",
        unit = "ns", aims = { limit = 1.25, most = 3000 } },
      { key = "destroy_ns", title = "session with an alias: destroy",
        unit = "ns", aims = { limit = 1.38, most = 1300 } },
      { key = "bytes", title = "session with an alias and a heap table: bytes",
        unit = "B", aims = { most = 450 } },
    },
    counted = { fast = { 5000, 15000 }, slow = { 300, 900 }, whole = true },
  },
  {
    name = "session_timer",
    metrics = {
      { key = "create_ns", title = "session with a timer: create",
        unit = "ns", aims = {} },
      { key = "destroy_ns", title = "session with a timer: destroy",
        unit = "ns", aims = {} },
      { key = "bytes", title = "session with a timer: bytes", unit = "B",
        aims = {} },
    },
  },
  {
    name = "select",
    metrics = { ns("select: ten ready descriptors of ten, a delivery") },
    counted = { fast = { 10000, 30000 }, slow = { 1000, 3000 } },
    growth = {
      title = "descriptors, ten of them active",
      sizes = { 10, 100, 1000, 4000, 9000 },
    },
  },
  {
    name = "signal",
    metrics = { ns("signal: to itself, watched") },
    counted = { fast = { 10000, 30000 }, slow = { 1000, 3000 } },
  },
  {
    name = "echo", kind = "server", load = { "-n", 60000 },
    metrics = {
      ns("TCP echo, 64 bytes, 50 connections: server CPU a request",
        { uv = 1.05 }),
    },
    counted = { fast = { 2000, 6000 } },
  },
  {
    name = "echo_idle", program = "echo", kind = "server",
    load = { "-n", 60000, "-i", 5000 }, slow_load = { "-n", 2000, "-i", 5000 },
    metrics = { ns("the same with 5,000 idle connections", { same = "echo" }) },
  },
  {
    name = "transfer",
    metrics = {
      ns("1 GiB over TCP, 64 KiB at a time, both ends: CPU a MiB", { uv = 2 }),
    },
  },
  {
    name = "line",
    metrics = { ns("lines of 100 bytes from memory, one by one: a line", { most = 500 }) },
    counted = { fast = { 20000, 60000 }, slow = { 4000, 12000 } },
  },
  {
    name = "tcp", kind = "server", beside = "echo", load = { "-n", 60000 },
    metrics = {
      ns("TCP echo with the component Server.TCP", { uv = 1.3, luv = true }),
    },
    counted = { fast = { 2000, 6000 } },
  },
  {
    name = "tcp_idle", program = "tcp", kind = "server", beside = "echo",
    load = { "-n", 60000, "-i", 5000 }, slow_load = { "-n", 2000, "-i", 5000 },
    metrics = {
      ns("Server.TCP with 5,000 idle connections", { same = "tcp" }),
    },
  },
  {
    name = "startup", kind = "start",
    metrics = {
      { key = "ns", title = "start-up of an empty program", unit = "ns",
        aims = { lua = 1.5 } },
      { key = "rss_kb", title = "start-up: peak memory", unit = "kB",
        aims = { most = 3584 } },
    },
  },
  {
    name = "lateness",
    metrics = {
      { key = "median_us", title = "timer lateness: median", unit = "µs",
        aims = { most = 100 } },
      { key = "p99_us", title = "timer lateness: 99th percentile",
        unit = "µs", aims = { most = 300 } },
      { key = "early", title = "timers that came early", unit = "",
        aims = { most = 0 } },
    },
  },
  {
    name = "fairness", kind = "server",
    load = { "-c", 1, "-n", 500, "-p", 1000 },
    metrics = {
      { key = "median_us", title = "echo beside an endless yield: median",
        unit = "µs", aims = {} },
      { key = "p99_us", title = "echo beside an endless yield: 99th percentile",
        unit = "µs", aims = { most = 2000 } },
    },
  },
  {
    name = "children",
    metrics = {
      ns("1,000 children forked and reaped"),
      { key = "lost", title = "children lost", unit = "", aims = { most = 0 } },
    },
  },
}
