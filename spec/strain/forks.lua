-- forks.lua -- so many forks of a live kernel; both sides go on, share no
-- epoll, and no event comes twice.
--
--   poe spec/strain/forks.lua COUNT
--
-- Each child goes on with the kernel it was born with: what was queued before
-- the fork comes once on either side; what the child watches, closes or waits
-- for is not seen by the parent, and the reverse.

local poe = require "poe"
local sys = require "poe.sys"
local strain = dofile "spec/strain/strain.lua"

local COUNT = strain.count(...)
local AT_ONCE = 8
local POSTS = 5 -- queued just before each fork

local is_child = false
local ended, echoed, written, queued, dispatched = 0, 0, 0, 0, 0

-- The child's own life, in a session that is made after the fork.

local Child = {}

function Child._start(kernel, heap, wanted)
  heap.wanted = wanted
  heap.read, heap.write = assert(sys.pipe())
  heap.bytes, heap.signals = 0, 0
  assert(kernel:select_read(heap.read, "readable"))
  assert(kernel:sig("USR1", "signalled"))
  heap.write:write "x"
  assert(sys.kill(sys.getpid(), "USR1"))
  kernel:delay("look", 0.002)
end

function Child.readable(_, heap, read)
  heap.bytes = heap.bytes + #read:read()
end

function Child.signalled(_, heap)
  heap.signals = heap.signals + 1
end

--- All came, at the second look still once; there is no hurry.
function Child.look(kernel, heap)
  if heap.is_complete then
    strain.equal(1, heap.bytes, "bytes in the child")
    strain.equal(1, heap.signals, "signals in the child")
    strain.equal(heap.wanted, dispatched, "posts in the child")
    sys._exit(0)
  end
  heap.is_complete = heap.bytes > 0 and heap.signals > 0
    and dispatched >= heap.wanted
  kernel:delay("look", 0.002)
end

-- Bytes that the parent alone is to read, all the time.

local Echo = {}

function Echo._start(kernel, heap)
  kernel:alias_set "echo"
  heap.read, heap.write = assert(sys.pipe())
  kernel:select_read(heap.read, "readable")
  kernel:yield "send"
end

function Echo.send(kernel, heap)
  if is_child then
    return
  elseif ended < COUNT then
    written = written + heap.write:write "echo"
    kernel:delay("send", 0.001)
  else
    heap.write:close()
  end
end

function Echo.readable(kernel, _, read)
  local bytes = not is_child and read:read()
  if bytes then
    echoed = echoed + #bytes
  end
  if is_child or bytes == "" then
    kernel:select_read(read)
  end
end

-- The parent.

local Parent = {}

function Parent._start(kernel)
  for _ = 1, math.min(AT_ONCE, COUNT) do
    kernel:yield "fork"
  end
end

function Parent.fork(kernel, heap)
  heap.forked = (heap.forked or 0) + 1
  if is_child or heap.forked > COUNT then
    return
  end
  for _ = 1, POSTS do
    queued = queued + 1
    kernel:yield "post"
  end
  local pid = assert(kernel:fork())
  if pid == 0 then
    is_child = true
    poe.session.create { inline_states = Child, args = { queued } }
  else
    kernel:sig_child(pid, "ended")
  end
end

function Parent.post()
  dispatched = dispatched + 1
end

function Parent.ended(kernel, _, _, _, status)
  strain.equal(0, status, "status of a child")
  ended = ended + 1
  kernel:yield "fork"
end

poe.session.create { inline_states = Echo }
poe.session.create { inline_states = Parent }
local seconds = strain.run()

assert(not is_child, "a child came out of run")
strain.equal(COUNT, ended, "children told of")
strain.equal(queued, dispatched, "posts in the parent")
strain.equal(written, echoed, "bytes in the parent")
strain.assert_no_children()
strain.say("%d forks in %.1f s, both sides went on: %d posts, each once on "
  .. "either side, %d bytes through a watched pipe", COUNT, seconds, queued,
  echoed)
