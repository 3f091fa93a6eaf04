-- The scripts of this folder: what each shows, its size in `make test`, and
-- its size and target of the Makefile in the long form.

return {
  {
    name = "children", target = "storms", quick = 200, long = 10000,
    shows = "children by the hundred end with their own status",
  },
  {
    name = "signals", target = "storms", quick = 4000, long = 100000,
    shows = "signals from four processes are not lost",
  },
  {
    name = "term", target = "storms", quick = 30, long = 1000,
    shows = "SIGTERM at a random moment stops every session",
  },
  {
    name = "forks", target = "storms", quick = 50, long = 1000,
    shows = "both sides of a fork go on",
  },
  {
    name = "clock", target = "times", quick = 1, long = 8,
    shows = "steps of the wall clock move alarms, and nothing else",
  },
  {
    name = "stopped", target = "times", quick = 300, long = 5000,
    shows = "a process that was stopped finds each timer once, in order",
  },
  {
    name = "million", target = "times", quick = 20000, long = 1000000,
    shows = "timers by the thousand come once, in order, none early",
  },
  {
    name = "faults", target = "faults", quick = 60, long = 0,
    shows = "a system call that fails is survived, or told of",
  },
  {
    name = "descriptors", target = "faults", quick = 100, long = 1000,
    shows = "a server without descriptors serves whom it has, and is quiet",
  },
  {
    name = "refused", target = "faults", quick = 20, long = 10000,
    shows = "a fork that the system refuses is told of",
  },
  {
    name = "churn", target = "churn", quick = 50000, long = 10000000,
    shows = "sessions made and ended leave no memory behind",
  },
  {
    name = "soak", target = "soak", quick = 3, long = 600,
    shows = "everything at once leaves nothing behind",
  },
}
