-- forkers.lua -- a parent and its workers, each in a process of its own.
--
--   poe examples/forkers.lua [workers [limit]]
--
-- Counts the primes below a limit.  Each worker takes a share of the numbers
-- and writes its result into a pipe.  The parent watches all the pipes and all
-- the processes at once; a worker is done when both have come to their end.

local poe = require "poe"
local sys = require "poe.sys"

local workers, limit = ...
workers = tonumber(workers) or 4
limit = tonumber(limit) or 200000

local function is_prime(n)
  for divisor = 2, math.floor(math.sqrt(n)) do
    if n % divisor == 0 then
      return false
    end
  end
  return n >= 2
end

--- The primes in the share of one worker.
local function count_primes(number)
  local first = limit * (number - 1) // workers
  local last = limit * number // workers - 1
  local count = 0
  for n = first, last do
    if is_prime(n) then
      count = count + 1
    end
  end
  return count
end

--- What a worker does.  It leaves by _exit: the kernel, the sessions and all
--- that is still to be printed are the parent's business.
local function work(number, results)
  local ok, count = pcall(count_primes, number)
  if ok then
    ok = results:write(count .. "\n")
  end
  sys._exit(ok and 0 or 1)
end

local Parent = {}

function Parent._start(kernel, heap)
  heap.results, heap.running = {}, {}
  kernel:sig("INT", "on_interrupt")
  for number = 1, workers do
    local results, worker_end = assert(sys.pipe())
    local pid = assert(kernel:fork())
    if pid == 0 then
      results:close()
      work(number, worker_end)
    end
    worker_end:close() -- or we would never see the end of the file
    heap.running[pid] = number
    heap.results[number] = ""
    assert(kernel:select_read(results, "on_result", number))
    assert(kernel:sig_child(pid, "on_exit"))
  end
end

function Parent.on_result(_, heap, results, _, number)
  local bytes, message, code = results:read()
  if code == "EAGAIN" then
    return
  end
  assert(bytes, message)
  if bytes == "" then
    results:close() -- which ends the watch, too
  else
    heap.results[number] = heap.results[number] .. bytes
  end
end

function Parent.on_exit(_, heap, _, pid, status)
  local how, code = poe.wait_status(status)
  if how ~= "exit" or code ~= 0 then
    io.stderr:write(("worker %d failed: %s %d\n"):format(
      heap.running[pid], how, code))
  end
  heap.running[pid] = nil
end

function Parent.on_interrupt(kernel, heap)
  kernel:sig_handled()
  for pid in pairs(heap.running) do
    sys.kill(pid, "TERM")
  end
end

--- Nothing to read and nobody to wait for: all is known.
function Parent._stop(_, heap)
  local sum = 0
  for number, result in ipairs(heap.results) do
    local count = tonumber(result)
    print(("worker %d: %s"):format(number, count or "no result"))
    sum = sum + (count or 0)
  end
  print(("%d primes below %d"):format(sum, limit))
end

poe.session.create { inline_states = Parent }

poe.run()
