---@meta poe
-- SPDX-License-Identifier: MIT
-- What C implements, for people and for the Lua language server: modules poe,
-- poe.core and poe.sys. A spec compares it with what is there at run time.
--
-- A mistake in the program (a wrong type, a method that needs a session called
-- outside of one) raises. A condition at run time returns nil, message, code:
-- the message is "CODE: text", the code one of poe.code. Where it says "POE:",
-- that is where the behaviour comes from.

--- The name of an errno; "EDIED": the called handler of another session failed.
---@alias poe.code
---| "ESRCH"  no such session, alias, ID or timer; or one that is stopping
---| "EEXIST" the alias is another session's
---| "EPERM"  not yours, or not your child
---| "ENOSYS" no handler for the called event
---| "EDIED"  the called handler of another session raised
---| "EBADF"  a bad or closed descriptor
---| "ECHILD" no child of this process
---| "ENOBUFS" as many events wait for the session as may: see max_events
---| string   what else the system says

--- A session, its ID, its alias, its tostring form, or the kernel.
---@alias poe.dest poe.session|poe.custom|poe.kernel|integer|string

--- A descriptor, a Lua file, or an object with a method fileno, getfd or
--- pollfd that tells one (poe.sys, LuaSocket, luv, cqueues).
---@alias poe.handle integer|file*|table|userdata

--- 0 reading, 1 writing, 2 expedited (out of band): poe.MODE_RD and so on.
---@alias poe.mode 0|1|2

--- A list that may have holes: n is its length.
---@class poe.packed: { [integer]: any }
---@field n integer

---@alias poe.handler fun(kernel: poe.kernel, heap: any, ...: any): ...: any

--- Methods of one object: a list of names, or names by event.
---@alias poe.methods table<integer|string, string>

---@class poe.parameters
---@field inline_states? table<string, poe.handler>
---@field object_states? table<table|userdata, poe.methods>
---@field package_states? table<table|string, poe.methods>
---@field args? any[]|poe.packed  of _start
---@field heap? any  a new table if nil
---@field options? table<string, any>  trace, assert, debug, default, max_events, when_full: see session:option

--- A session of your own kind, for kernel:session_alloc.
---@class poe.custom
---@field _invoke_state fun(self, sender: poe.session|poe.kernel, event: string, args: poe.packed, file: string?, line: integer, from: string?): ...: any
---@field _register_state? fun(self, event: string, handler: function|table|userdata|nil, method: string?)  what kernel:state does there

--- What DIE carries, as its first argument after the signal's name.
---@class poe.exception
---@field error any              the value that was raised
---@field error_str string       as text
---@field traceback string       of the handler, and where its event came from
---@field event string           the event being handled
---@field dest_session poe.session    whose handler failed
---@field source_session poe.session|poe.kernel  who sent the event
---@field from_state? string     the event during which it was sent
---@field file? string           where it was sent
---@field line integer
---@field also? any              a second error, if this one was no string

-- Module poe ---------------------------------------------------------------

---@class poe
---@field kernel poe.kernel  one per Lua state
---@field session { create: fun(parameters: poe.parameters): poe.session }
---@field version string     "X.Y.Z"
---@field MODE_RD 0
---@field MODE_WR 1
---@field MODE_EX 2
local poe = {}

---@class poe.switches
---@field loop? "uv"|"poll"|"select"      not once the loop is in use
---@field trace? table<string, boolean>   default, destroy, events, files, refcnt, retvals, sessions, signals
---@field assert? table<string, boolean>  default, data, events, files, retvals, states, usage
---@field trace_filename? string|false    traces are added to it; false: to the standard error
---@field catch_exceptions? boolean       false: no DIE, the first error ends run
---@field virtual_time? boolean           not once there is a session
---@field max_events? integer|false          posted events that may wait for a session without an option of that name
---@field when_full? "reject"|"drop_oldest"|"drop_newest"  what becomes of more: nil, message, "ENOBUFS", or one is lost
---@field max_memory? integer|string|false   bytes, or "64M", that Lua and the kernel may have together
---@field slow_ms? number|false             tell of handlers that hold the kernel longer; 0, false: of none
---@field why? boolean|"signals"           record who makes what, for kernel:why; "signals": also tell on USR1, and when INT ends the program

--- Sets switches; what the environment says (POE_EVENT_LOOP, POE_TRACE_EVENTS,
--- …) stays.
---@param switches poe.switches
function poe.configure(switches) end

--- kernel:run().
function poe.run() end

--- Seconds since the epoch, in whole microseconds; the virtual clock's if that
--- is used.
---@return number seconds
function poe.time() end

--- Seconds on a clock that is never set.
---@return number seconds
function poe.monotime() end

---@param value any
---@return "kernel"|"session"|nil
function poe.type(value) end

--- What the status of a CHLD event means: the exit code or the signal.
---@param status integer
---@return "exit"|"signal" how
---@return integer number
function poe.wait_status(status) end

-- The kernel -----------------------------------------------------------------

--- Its fields tell about the handler that is running; they cannot be set.
---@class poe.kernel
---@field session poe.session|poe.kernel  the running one; the kernel if none
---@field sender poe.session|poe.kernel   who sent the event
---@field event string                    being handled; "" if none
---@field caller_event string?            handled when this one was sent
---@field caller_file string?             where it was sent
---@field caller_line integer?
local Kernel = {}

-- Running (POE: Kernel.pm, "Kernel Management", "Session Management")

--- Runs until no session is left. Raises what no session has handled.
function Kernel:run() end

--- One look at timers and handles, and what is due.
---@return boolean more  false when no session is left
function Kernel:run_one_timeslice() end

--- Runs slices as long as the predicate is true and there are sessions.
---@param predicate fun(): any
function Kernel:run_while(predicate) end

--- Stops every session at once, children first, and drops all events.
function Kernel:stop() end

--- Tells the kernel that it is in the child of a fork; kernel:fork does.
function Kernel:has_forked() end

--- fork(2), with both sides told.
---@return integer? pid  0 in the child
---@return string? message
---@return poe.code? code
function Kernel:fork() end

--- Unique to this kernel, also among processes and hosts.
---@return string id
function Kernel:ID() end

--- The name of the loop in use.
---@return string name
function Kernel:poe_kernel_loop() end

--- poe.session.create.
---@param parameters poe.parameters
---@return poe.session
function Kernel:session_create(parameters) end

--- Makes a session of an object that dispatches by itself; its _start gets the
--- arguments.
---@generic T: poe.custom
---@param object T
---@param ... any
---@return T object
function Kernel:session_alloc(object, ...) end

-- Events (POE: Kernel.pm, "FIFO Events"; Resource/Events.pm)

--- Queues an event for a session.
---@param dest poe.dest
---@param event string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:post(dest, event, ...) end

--- Queues an event for the running session.
---@param event string
---@param ... any
function Kernel:yield(event, ...) end

--- Runs the handler now and returns its values. A failure in the session's own
--- handler is raised; in another session's it becomes DIE there, and "EDIED".
---@param dest poe.dest
---@param event string
---@param ... any
---@return any ...
function Kernel:call(dest, event, ...) end

--- Sets or, with nil, removes the running session's handler: a function, or the
--- method (named as the event, if not given) of an object or module.
---@param event string
---@param handler? function|table|userdata|string
---@param method? string
---@return true
function Kernel:state(event, handler, method) end

---@return integer count  of queued events and timers, the kernel's too
function Kernel:get_event_count() end

---@return number? epoch  when the next event is due
function Kernel:get_next_event_time() end

-- Timers (POE: Kernel.pm, "Delayed Events"). Times are seconds since the epoch,
-- as of poe.time; delays are seconds from now. None is early.

--- Sets the only timer for this event; without time, clears all of them.
---@param event string
---@param epoch? number
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:alarm(event, epoch, ...) end

--- Sets one more.
---@param event string
---@param epoch number
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:alarm_add(event, epoch, ...) end

--- Sets the only timer for this event; without seconds, clears all of them.
---@param event string
---@param seconds? number
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:delay(event, seconds, ...) end

--- Sets one more.
---@param event string
---@param seconds number
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:delay_add(event, seconds, ...) end

--- Sets a timer that is known by its ID.
---@param event string
---@param epoch number
---@param ... any
---@return integer? id
---@return string? message
---@return poe.code? code
function Kernel:alarm_set(event, epoch, ...) end

--- Sets a timer that is known by its ID.
---@param event string
---@param seconds number
---@param ... any
---@return integer? id
---@return string? message
---@return poe.code? code
function Kernel:delay_set(event, seconds, ...) end

--- Moves a timer by so many seconds from when it is due.
---@param id integer
---@param seconds number
---@return number? epoch  when it is due now
---@return string? message
---@return poe.code? code
function Kernel:alarm_adjust(id, seconds) end

--- Moves a timer to so many seconds from now.
---@param id integer
---@param seconds number
---@return number? epoch  when it is due now
---@return string? message
---@return poe.code? code
function Kernel:delay_adjust(id, seconds) end

--- Takes a timer away: its event, when it was due, its arguments; or nil,
--- message, code.
---@param id integer
---@return string? event
---@return number|string epoch
---@return poe.packed|poe.code args
function Kernel:alarm_remove(id) end

--- Takes all of the running session's timers away; they come in due order.
---@return { event: string, time: number, args: poe.packed }[]
function Kernel:alarm_remove_all() end

-- Names and references (POE: Kernel.pm, "Session Identifiers", "Public
-- Reference Counters"; Resource/Aliases.pm, Resource/Extrefs.pm)

--- Gives the running session a name. It keeps the session alive as long as
--- anything else is alive.
---@param alias string
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:alias_set(alias) end

---@param alias string
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:alias_remove(alias) end

---@param dest poe.dest
---@return poe.session|poe.kernel|nil
---@return string? message
---@return poe.code? code
function Kernel:alias_resolve(dest) end

---@param dest? poe.dest  the running session
---@return string ...  the aliases, sorted
function Kernel:alias_list(dest) end

---@param id integer|string
---@return poe.session|poe.kernel|nil
---@return string? message
---@return poe.code? code
function Kernel:ID_id_to_session(id) end

---@param dest poe.dest
---@return integer|string|nil id  a string for the kernel
---@return string? message
---@return poe.code? code
function Kernel:ID_session_to_id(dest) end

--- Keeps a session, and the program, alive until counted down again.
---@param id integer
---@param tag string
---@return integer? count  of this tag
---@return string? message
---@return poe.code? code
function Kernel:refcount_increment(id, tag) end

---@param id integer
---@param tag string
---@return integer? count  may fall below 0
---@return string? message
---@return poe.code? code
function Kernel:refcount_decrement(id, tag) end

--- Makes the running session a child of the kernel.
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:detach_myself() end

--- Makes a child of the running session a child of the kernel.
---@param dest poe.dest
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:detach_child(dest) end

---@param dest poe.dest
---@return (poe.session|poe.custom)[]?  oldest first
---@return string? message
---@return poe.code? code
function Kernel:get_children(dest) end

---@param dest poe.dest
---@return poe.session|poe.kernel|nil  nil for the kernel
---@return string? message
---@return poe.code? code
function Kernel:get_parent(dest) end

---@return poe.session|poe.kernel
function Kernel:get_active_session() end

---@return string event
function Kernel:get_active_event() end

-- Why something lives

--- One thing that keeps a session alive. What is not known is nil: who made it
--- and when is recorded while poe.configure { why = true } holds.
---@class poe.reason
---@field kind "handler"|"event"|"timer"|"select"|"child"|"signal"|"tag"|"postback"|"session"|"alias"|"sent"
---@field keeps "program"|"session"  an alias or a child session keeps its session, but not the program
---@field session poe.session|poe.custom|poe.kernel  who is kept alive
---@field event? string    that is queued, or will be sent
---@field name? string     of an alias, tag or signal
---@field count? integer   events alike, told as one; a tag's count; postbacks, forked processes
---@field id? integer      of a timer
---@field due_in? number   seconds until a timer is due
---@field fd? integer      of a select
---@field mode? poe.mode
---@field paused? boolean
---@field pid? integer     of a child
---@field child? poe.session  the child session
---@field to? poe.session|poe.kernel  of an event sent: who will get it
---@field by? poe.session|poe.kernel  who sent, set, watched or took it
---@field age? number      seconds since then; of events alike, the oldest's
---@field from? string     the event that was being handled then
---@field file? string     where
---@field line? integer
---@field text string      all of it, as one line

--- tostring gives it as text.
---@class poe.reasons: { [integer]: poe.reason }
---@field text string

--- What keeps the program alive, or one session, session by session.
---@param dest? poe.dest  all of them
---@return poe.reasons?
---@return string? message
---@return poe.code? code
function Kernel:why(dest) end

-- Selects (POE: Kernel.pm, "I/O Watchers"; Resource/FileHandles.pm). The
-- handler gets the handle, the mode, and the arguments, as long as the handle
-- is ready. Watching makes a handle non-blocking.

--- Watches for what can be read, and for the end; without event, no longer.
---@param handle poe.handle
---@param event? string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:select_read(handle, event, ...) end

--- Watches for room to write; without event, no longer.
---@param handle poe.handle
---@param event? string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:select_write(handle, event, ...) end

--- Watches for out-of-band data; without event, no longer.
---@param handle poe.handle
---@param event? string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:select_expedite(handle, event, ...) end

--- All three at once: what has no event is watched no longer.
---@param handle poe.handle
---@param read? string
---@param write? string
---@param expedite? string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:select(handle, read, write, expedite, ...) end

--- Pauses the running session's own watcher; it still keeps it alive.
---@param handle poe.handle
---@return boolean was_there
function Kernel:select_pause_read(handle) end

---@param handle poe.handle
---@return boolean was_there
function Kernel:select_resume_read(handle) end

---@param handle poe.handle
---@return boolean was_there
function Kernel:select_pause_write(handle) end

---@param handle poe.handle
---@return boolean was_there
function Kernel:select_resume_write(handle) end

-- Signals (POE: Kernel.pm, "Signal Watchers"; Resource/Signals.pm)

--- Watches a signal, the system's or an invented one; without event, no longer.
--- The handler gets its name, the signal's arguments, then these.
---@param signal string  "INT"
---@param event? string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:sig(signal, event, ...) end

--- Says in a signal's handler that nobody is to be stopped by it.
---@return true
function Kernel:sig_handled() end

--- Sends a signal to a session and its descendants.
---@param dest poe.dest
---@param signal string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:signal(dest, signal, ...) end

--- Watches for the end of a child process, once: "CHLD", pid, status, ….
---@param pid integer
---@param event? string
---@param ... any
---@return true?
---@return string? message
---@return poe.code? code
function Kernel:sig_child(pid, event, ...) end

--- There is no loop with widgets: always "ENOSYS".
---@param widget any
---@return nil
---@return string message
---@return "ENOSYS" code
function Kernel:signal_ui_destroy(widget) end

-- Sessions ---------------------------------------------------------------------

--- An ID; it holds nothing alive. (POE: Session.pm)
---@class poe.session
local Session = {}

---@return integer id
function Session:ID() end

---@return any heap
---@return string? message
---@return poe.code? code
function Session:get_heap() end

--- Reads an option, or sets it and returns what it was. "trace" tells of each
--- event, "debug" of replaced handlers, "default" of events nobody handles. As
--- topics, "events,files" or { events = true, files = true }, "trace" tells of
--- this session what poe.configure { trace = … } tells of all, and "assert"
--- asserts of it likewise (true: all topics).
--- "max_events" is how many posted events may wait for the session (false: any
--- number), "when_full" what becomes of more ("reject", "drop_oldest",
--- "drop_newest"), "dropped_events" their number, which cannot be set. Others
--- are yours.
---@param name string
---@param value? any
---@return any
---@return string? message
---@return poe.code? code
function Session:option(name, value) end

--- Something to call that posts an event to this session; its handler gets the
--- arguments of here and those of the call, as two packed tables.
---@param event string
---@param ... any
---@return poe.postback?
---@return string? message
---@return poe.code? code
function Session:postback(event, ...) end

--- The same with a call: returns what the handler returned.
---@param event string
---@param ... any
---@return poe.postback?
---@return string? message
---@return poe.code? code
function Session:callback(event, ...) end

--- Keeps its session alive until it is closed, weakened or collected; may be a
--- to-be-closed variable.
---@class poe.postback
---@overload fun(...: any): ...: any
local Postback = {}

--- No longer keeps its session alive.
---@return poe.postback self
function Postback:weaken() end

--- The same, and it cannot be called any more.
function Postback:close() end

-- Module poe.core, behind poe -----------------------------------------------------

---@class poe.core
---@field kernel poe.kernel
---@field version string
---@field session_class table  methods of sessions, that one's own kind may take
local core = {}

---@param parameters poe.parameters
---@return poe.session
function core.create(parameters) end

--- Stops a session now, whatever it waits for; its children go to its parent.
--- For sessions of one's own kind.
---@param session poe.session|poe.custom
---@return true?
---@return string? message
---@return poe.code? code
function core.stop_session(session) end

--- `kernel:call`, but that the session has ended or has no handler raises nothing,
--- whatever is asserted. For wheels, whose handlers may end their session between two
--- events.
---@param kernel poe.kernel
---@param session poe.session
---@param event string
---@param ... any
---@return any ...  what the handler returned; nil, message, "ESRCH": it has ended,
---  "ENOSYS": it has no handler
function core.offer(kernel, session, event, ...) end

--- `listener` is called with each object of poe.sys that is about to be closed;
--- there is one listener. For wheels.
---@param listener fun(object: poe.sys.fd)
function core.on_close(listener) end

--- When a session has ended whose ID has a value in `ids`, `listener` is called with
--- that value; there is one listener. For wheels.
---@param ids table<integer, any>
---@param listener fun(value: any)
function core.on_end(ids, listener) end

---@param switches poe.switches
function core.configure(switches) end

---@return number seconds
function core.time() end

---@return number seconds
function core.monotime() end

---@param value any
---@return "kernel"|"session"|nil
function core.type(value) end

---@param status integer
---@return "exit"|"signal" how
---@return integer number
function core.wait_status(status) end

--- Whether the kernel has been run, in any way.
---@return boolean
function core.run_called() end

--- One turn of a kernel that another loop drives.
---@return boolean more  false when no session is left
function core.step() end

--- The traceback of the last error that run raised, and the error.
---@return string? traceback
---@return any error
function core.last_traceback() end

--- Frees the kernel; every method raises from then on.
function core.close() end

--- What the kernel keeps, counted.
---@return table<string, integer>
function core.census() end

--- What max_memory says; nothing, if there is no limit.
---@return integer? used
---@return integer? limit
---@return integer? refused  how often there was no room
function core.memory() end

--- Chooses the event loop by the environment or by what is loaded, once.
function core.find_loop() end

--- For the bridge to luv, in the child of a fork: two functions of luv and its
--- libuv, as package.loadlib gave them.
---@param luv_loop function
---@param uv_loop_fork function
---@return integer status 0, or libuv's error number
function core.fork_luv(luv_loop, uv_loop_fork) end

--- For bridges written in C in a module of their own: see src/poe_bridge.h.
---@return lightuserdata bridge
function core.bridge() end

-- Module poe.sys ---------------------------------------------------------------------

--- System calls that do not block. Failures are nil, message, code; "EAGAIN":
--- not now. SIGPIPE is ignored unless it was set otherwise before.
---@class poe.sys
---@field signals table<string, integer>  numbers by name, without SIG
local sys = {}

---@class poe.sys.bind_options
---@field host? string     numeric; 127.0.0.1
---@field port? integer    0: the system chooses
---@field reuse? boolean   SO_REUSEADDR; true for listen
---@field v6only? boolean

---@class poe.sys.listen_options: poe.sys.bind_options
---@field backlog? integer

---@class poe.sys.connect_options
---@field host? string       numeric; 127.0.0.1
---@field port integer
---@field bind_host? string  from where
---@field bind_port? integer

---@class poe.sys.unix_options
---@field path string
---@field type? "stream"|"dgram"|"seqpacket"
---@field reuse? boolean     replace a dead socket; true
---@field backlog? integer   of listen

---@class poe.sys.tcp
sys.tcp = {}

---@param options poe.sys.listen_options
---@return poe.sys.socket?
---@return string? message
---@return string? code
---@return string? step  that failed: "resolve", "socket", "bind", "listen", "connect"
function sys.tcp.listen(options) end

--- Under way at once; select_write and connect_error tell how it went.
---@param options poe.sys.connect_options
---@return poe.sys.socket?
---@return string? message
---@return string? code
---@return string? step  that failed: "resolve", "socket", "bind", "listen", "connect"
function sys.tcp.connect(options) end

---@class poe.sys.udp
sys.udp = {}

---@param options poe.sys.bind_options
---@return poe.sys.socket?
---@return string? message
---@return string? code
---@return string? step  that failed: "resolve", "socket", "bind", "listen", "connect"
function sys.udp.bind(options) end

---@param options poe.sys.connect_options
---@return poe.sys.socket?
---@return string? message
---@return string? code
---@return string? step  that failed: "resolve", "socket", "bind", "listen", "connect"
function sys.udp.connect(options) end

---@class poe.sys.unix
sys.unix = {}

--- The file is its owner's alone.
---@param options poe.sys.unix_options
---@return poe.sys.socket?
---@return string? message
---@return string? code
---@return string? step  that failed: "resolve", "socket", "bind", "listen", "connect"
function sys.unix.listen(options) end

---@param options poe.sys.unix_options
---@return poe.sys.socket?
---@return string? message
---@return string? code
---@return string? step  that failed: "resolve", "socket", "bind", "listen", "connect"
function sys.unix.bind(options) end

---@param options poe.sys.unix_options
---@return poe.sys.socket?
---@return string? message
---@return string? code
---@return string? step  that failed: "resolve", "socket", "bind", "listen", "connect"
function sys.unix.connect(options) end

---@class poe.sys.resolve_options
---@field host string      a name, or numeric
---@field service? string  a name, or a number; "0"
---@field family? "any"|"inet"|"inet6"
---@field type? "stream"|"dgram"

--- Looks a name up, in a thread. What can be read then are lines: "ADDRESS PORT",
--- best first, or "error CODE TEXT"; the last line is "end".
---@param options poe.sys.resolve_options
---@return poe.sys.fd?
---@return string? message
---@return string? code
function sys.resolve(options) end

---@param type? "stream"|"dgram"|"seqpacket"
---@return poe.sys.socket?
---@return poe.sys.socket|string
---@return string? code
function sys.socketpair(type) end

---@return poe.sys.fd? read
---@return poe.sys.fd|string write
---@return string? code
function sys.pipe() end

--- open(2). flags: "r", "r+", "w", "w+", "a" or "a+", and any of creat, excl,
--- trunc, append, nofollow, directory, sync, dsync behind commas.
---@param path string
---@param flags? string
---@param mode? integer  438 (octal 666), less the umask
---@return poe.sys.fd?
---@return string? message
---@return string? code
function sys.open(path, flags, mode) end

--- A second descriptor for the same thing.
---@param from poe.sys.fd|file*|integer
---@return poe.sys.fd?
---@return string? message
---@return string? code
function sys.dup(from) end

--- Makes the number `to` the same thing, blocking and open across exec.
---@param from poe.sys.fd|file*|integer
---@param to integer
---@return integer? to
---@return string? message
---@return string? code
function sys.dup2(from, to) end

--- An object for an inherited descriptor; it owns it from now on.
---@param fd integer
---@return poe.sys.fd?
---@return string? message
---@return string? code
function sys.fdopen(fd) end

---@param from poe.sys.fd|file*|integer
---@return boolean
function sys.isatty(from) end

---@param value any
---@return "fd"|"socket"|nil
function sys.type(value) end

--- execvp(3), with signals as a shell sets them. Comes back only on failure.
---@param program string|string[]  the program, or it and its arguments
---@param env? table<string, string>  instead of this process's
---@return nil
---@return string message
---@return string code
function sys.exec(program, env) end

--- What a process is to be; what is not said stays.
---@class poe.sys.become_options
---@field stdin? poe.sys.fd|file*|integer  what becomes 0, blocking
---@field stdout? poe.sys.fd|file*|integer
---@field stderr? poe.sys.fd|file*|integer
---@field env? table<string, string|number|false>  added; false: removed
---@field clear_env? boolean        there is nothing but `env`
---@field cwd? string
---@field user? string|integer      and his groups, unless one is said
---@field group? string|integer
---@field nice? integer             added to what it is
---@field setsid? boolean
---@field setpgid? boolean          leader of a process group
---@field terminal? boolean         descriptor 0 is the controlling terminal
---@field close_from? integer       close this descriptor and all above it

--- close_from is 3 unless said: 0 closes none but those closed on exec.
---@class poe.sys.spawn_options: poe.sys.become_options
---@field program string|string[]   the program, or it and its arguments

--- fork(2) and execvp(3), with signals as a shell sets them. It comes back when
--- the program runs; the message of a failure names what failed: "exec: ls",
--- "cwd: /home", "user", "session", ….
---@param options poe.sys.spawn_options
---@return integer? pid
---@return string? message
---@return string? code
function sys.spawn(options) end

--- The same for this process, which has forked: signals are at their defaults
--- then. After a failure some of it may have been done.
---@param options poe.sys.become_options
---@return true?
---@return string? message
---@return string? code
function sys.become(options) end

---@return poe.sys.fd? master
---@return poe.sys.fd|string slave
---@return string path_or_code
function sys.openpty() end

--- No echo, no lines, no signals from keys.
---@param terminal poe.sys.fd|file*|integer
---@return true?
---@return string? message
---@return string? code
function sys.set_raw(terminal) end

---@param terminal poe.sys.fd|file*|integer
---@return integer? rows
---@return integer|string columns
---@return integer|string width  in pixels
---@return integer? height
function sys.get_winsize(terminal) end

---@param terminal poe.sys.fd|file*|integer
---@param rows integer
---@param columns integer
---@param width? integer  in pixels; 9 for a column
---@param height? integer  16 for a row
---@return true?
---@return string? message
---@return string? code
function sys.set_winsize(terminal, rows, columns, width, height) end

--- A terminal whose modes are to be changed. How it is now it will be again after
--- tty_restore, or when the process ends by itself, by exit, or by a signal that
--- nobody handles. It is an open file of its own where that is possible.
---@param terminal poe.sys.fd|file*|integer
---@return poe.sys.fd?
---@return string? message
---@return string? code
function sys.tty_open(terminal) end

--- Keys come as they are and are not echoed; no lines. What is written is handled
--- as before.
---@param terminal poe.sys.fd  of tty_open
---@param has_signals? boolean  keys may send signals
---@param farewell? string  written if the process ends like this; 32 bytes
---@return true?
---@return string? message
---@return string? code
function sys.tty_edit(terminal, has_signals, farewell) end

--- As it was found, until the next tty_edit.
---@param terminal poe.sys.fd  of tty_open
---@return true?
---@return string? message
---@return string? code
function sys.tty_pause(terminal) end

--- As it was found. It is open still, but not one of tty_open any more.
---@param terminal poe.sys.fd  of tty_open
---@return true?
---@return string? message
---@return string? code
function sys.tty_restore(terminal) end

--- Stops this process as SIGTSTP does by default; comes back when it is continued.
---@return true?
---@return string? message
---@return string? code
function sys.tty_stop() end

--- Waits, and blocks, until the terminal takes bytes.
---@param terminal poe.sys.fd
---@param seconds number  60 at most
---@return boolean is_ready
function sys.tty_wait(terminal, seconds) end

---@class poe.sys.stat
---@field type "file"|"directory"|"fifo"|"socket"|"char"|"block"|"other"
---@field mode integer  permissions
---@field dev integer
---@field ino integer
---@field nlink integer
---@field size integer
---@field mtime number

--- Of what a symbolic link leads to.
---@param what string|poe.sys.fd|file*|integer  a path or a descriptor
---@return poe.sys.stat?
---@return string? message
---@return string? code
function sys.stat(what) end

--- Ends the process at once: no finalizer runs, no file is flushed.
---@param code? integer|boolean  0
function sys._exit(code) end

---@param pid integer
---@param signal string|integer  "TERM", "SIGTERM" or 15
---@return true?
---@return string? message
---@return string? code
function sys.kill(pid, signal) end

---@return integer pid
function sys.getpid() end

---@return integer pid
function sys.getppid() end

--- How much of a resource this process may have; no limit is math.huge.
---@param resource "as"|"core"|"cpu"|"data"|"fsize"|"nofile"|"nproc"|"stack"
---@return integer|number? soft  what holds
---@return integer|number|string hard  how far the process itself may raise it
---@return string? code
function sys.getrlimit(resource) end

--- A descriptor: non-blocking, closed on exec, when collected, and at the end
--- of a to-be-closed variable.
---@class poe.sys.fd
local Fd = {}

---@param n? integer  at most so many bytes; 65536
---@return string? bytes  "" at the end of the file
---@return string? message
---@return string? code
function Fd:read(n) end

---@param bytes string
---@param first? integer  begin with this byte; 1
---@return integer? count  of bytes written, maybe fewer
---@return string? message
---@return string? code
function Fd:write(bytes, first) end

--- Unwatches it in every session, then closes it.
---@return true?
---@return string? message
---@return string? code
function Fd:close() end

---@return integer fd  -1 if closed
function Fd:fileno() end

--- Bytes that have come and can be read.
---@return integer? count
---@return boolean|string is_all  nothing can follow: the other side has ended
---@return string? code
function Fd:available() end

---@param whence? "set"|"cur"|"end"  "cur"
---@param offset? integer
---@return integer? position
---@return string? message
---@return string? code
function Fd:seek(whence, offset) end

---@return boolean
function Fd:is_closed() end

---@class poe.sys.socket: poe.sys.fd
local Socket = {}

---@return poe.sys.socket? client
---@return string? host_or_path  or message
---@return integer|string|nil port  or code
function Socket:accept() end

--- How connecting went: nothing is wrong, or message and code; EINPROGRESS
--- while it is under way.
---@return string? message
---@return string? code
function Socket:connect_error() end

---@alias poe.sys.flag "oob"|"peek"|"dontroute"|"more"

---@param bytes string
---@param ... poe.sys.flag
---@return integer? count
---@return string? message
---@return string? code
function Socket:send(bytes, ...) end

---@param bytes string
---@param host string  or path
---@param port? integer
---@return integer? count
---@return string? message
---@return string? code
function Socket:sendto(bytes, host, port) end

---@param n? integer
---@param ... poe.sys.flag
---@return string? bytes
---@return string? message
---@return string? code
function Socket:recv(n, ...) end

---@param n? integer
---@param ... poe.sys.flag
---@return string? bytes
---@return string? host_or_path  or message
---@return integer|string|nil port  or code
function Socket:recvfrom(n, ...) end

---@param how? "r"|"w"|"rw"
---@return true?
---@return string? message
---@return string? code
function Socket:shutdown(how) end

---@return string? host_or_path
---@return integer|string|nil port  or message
---@return string? code
function Socket:getsockname() end

---@return string? host_or_path
---@return integer|string|nil port  or message
---@return string? code
function Socket:getpeername() end

--- A boolean, an integer, seconds or false for SO_LINGER, a code or false for
--- SO_ERROR.
---@param name string  "SO_KEEPALIVE"
---@return boolean|integer|string|nil value
---@return string? message
---@return string? code
function Socket:getsockopt(name) end

---@param name string
---@param value boolean|integer
---@return true?
---@return string? message
---@return string? code
function Socket:setsockopt(name, value) end

-- Module poe.http --------------------------------------------------------------------

--- Where the parts of HTTP requests end, by llhttp; for poe.filter.httpd. It is
--- there if llhttp was when poe was built.
---@class poe.http
local http = {}

--- Limits in bytes: of a head, of a URI, of a body in chunks; one with a length
--- is the caller's to refuse at its head.
---@param max_head integer
---@param max_uri integer
---@param max_body integer
---@return poe.http.parser
function http.parser(max_head, max_uri, max_body) end

---@class poe.http.parser
local Parser = {}

--- Takes bytes from `position` on, up to the first of: the end of a head; the
--- end of a request; what is none, for good; the end of the bytes. After a head
--- call it again, even if no bytes are left.
---@param bytes string
---@param position integer
---@return integer position  the first byte not taken
---@return "head"|"end"|"broken"|nil what
---@return string|integer|nil a  head: method; end: body; broken: status
---@return string|string[]|nil b  head: URI; end: trailers as { name, value, … };
---  broken: why
---@return string? version  of a head: "1.1"
---@return string[]? headers  of a head: { name, value, … }
---@return boolean? keep_alive  of a head
function Parser:feed(bytes, position) end

--- What there is of the body, and was not told before; limits and the end of the
--- request know nothing of it any more.
---@return string bytes
function Parser:body() end
