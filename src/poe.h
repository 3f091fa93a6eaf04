/* SPDX-License-Identifier: MIT */
/*
 * poe.h -- the event kernel: sessions, events, timers, selects, signals.
 *
 * The kernel knows no scripting language.  Its host registers struct poe_ops,
 * through which the kernel runs handlers and gives back what it kept.
 *
 * Conventions of every function here:
 * - int results are 0, or a negative errno (-ESRCH, -EEXIST, -EPERM, ...), or
 *   one of the POE_E* codes below, negated.  Nothing changed on failure.
 * - [re-entrant] marks functions that may run handlers: after one, a session
 *   pointer from before may be dead; look it up again by its id.
 * - Times are int64_t nanoseconds: `_ns` on the monotonic clock, `_epoch_ns`
 *   on the wall clock.
 * - A payload is a run of opaque words that belong to the host.  A call that
 *   returns >= 0 took the payload over; the kernel gives it back exactly once,
 *   to ops->dispatch (unless marked borrowed) or to ops->discard.
 * - One kernel belongs to one thread.
 */
#ifndef POE_H
#define POE_H

#include <stddef.h>
#include <stdint.h>

#define POE_VERSION "0.1.0"

typedef struct poe_kernel poe_kernel;
typedef struct poe_session poe_session;
typedef struct poe_name poe_name;
typedef struct poe_loop poe_loop;

/* Results beyond errno. */
enum {
  POE_EDIED = 4096, /* the called handler of another session failed */
  POE_ERAISE,       /* the failure is the caller's own: raise it */
  POE_EDEEP,        /* calls are nested deeper than the limit */
  POE_ELOOP         /* the bridge failed, and has told its host how */
};

/* What an event is.  Bits, so that groups can be tested at once. */
enum poe_event_type {
  POE_EV_POST = 0x0001,
  POE_EV_CALL = 0x0002,
  POE_EV_START = 0x0004,
  POE_EV_STOP = 0x0008,
  POE_EV_SIGNAL = 0x0010,
  POE_EV_GC = 0x0020,
  POE_EV_PARENT = 0x0040,
  POE_EV_CHILD = 0x0080,
  POE_EV_ALARM = 0x0200,
  POE_EV_SELECT = 0x0400,
  POE_EV_SIGCHLD = 0x0800,
  POE_EV_DIE = 0x1000,
  POE_EV_RAISED = 0x2000 /* of a frame: a call of its handler was to raise */
};

enum poe_mode { POE_RD = 0, POE_WR = 1, POE_EX = 2 };

/* What ops->dispatch returns. */
enum poe_outcome {
  POE_HANDLED = 0, /* a handler ran and returned */
  POE_UNHANDLED,   /* the session has neither a handler nor a _default */
  POE_DIED         /* the handler failed; *result holds the exception */
};

/* A run of words owned by the host.  The words are borrowed from the caller. */
struct poe_payload {
  unsigned n;
  const uint64_t *words;
};

/* Most words one payload may have. */
#define POE_PAYLOAD_MAX 16

/* A payload kept by value: results of handlers, exceptions. */
struct poe_value {
  unsigned n;
  uint64_t words[2];
};

/* Where something was sent from; file may be NULL. */
struct poe_origin {
  poe_name *file;
  uint32_t line;
};

/* An argument that the kernel itself puts in front of the event's own. */
struct poe_lead {
  enum poe_lead_kind {
    POE_LEAD_INT,     /* i */
    POE_LEAD_TEXT,    /* text, a static string */
    POE_LEAD_NAME,    /* name */
    POE_LEAD_SESSION, /* session, possibly the kernel's own */
    POE_LEAD_VALUE    /* words[0..n): a payload, borrowed */
  } kind;
  union {
    int64_t i;
    const char *text;
    const poe_name *name;
    poe_session *session;
    const struct poe_value *value;
  } as;
};

#define POE_LEADS_MAX 3

/*
 * One running handler, linked to the one it interrupted.  Lives on the C
 * stack of the dispatch; its pointers are valid while it is linked.
 */
struct poe_frame {
  struct poe_frame *outer;
  poe_session *session; /* who handles */
  poe_session *sender;  /* who sent */
  poe_name *event;      /* the event being handled */
  poe_name *active; /* POE's active event: that of the outermost self-call */
  poe_name *from;   /* event active when it was sent; NULL if none */
  poe_name *file;   /* where it was sent; NULL if nowhere in a script */
  uint32_t line;
  uint16_t type;        /* enum poe_event_type */
  uint16_t active_type; /* type of the active event */
};

/* One dispatch, as the host sees it. */
struct poe_dispatch {
  const struct poe_frame *frame;
  unsigned nleads;
  const struct poe_lead *leads; /* at most POE_LEADS_MAX */
  struct poe_payload args;        /* the event's own: taken by dispatch */
  struct poe_payload extra;       /* a watcher's, after args: borrowed */
  const struct poe_value *handle; /* a select's ARG0, before the leads */
  int args_borrowed;              /* args too are only borrowed */
  void *direct; /* of poe_call and poe_session_start, else NULL */
};

/* What the host does for the kernel.  None of these may longjmp. */
struct poe_ops {
  /*
   * Run the handler of d->frame->event.  Takes d->args unless borrowed.
   * POE_HANDLED may store one value for _child into *result when the frame's
   * type is START or STOP; POE_DIED must store the exception.
   * User code runs inside.
   */
  enum poe_outcome (*dispatch)(void *ud, const struct poe_dispatch *d,
                               struct poe_value *result);
  /*
   * Posts or timers are at hand: take one after another by poe_next, until it
   * has none, and end each by poe_done; at least one.  User code runs inside.
   * NULL: dispatch gets them.
   */
  void (*batch)(void *ud);
  /* The kernel will not use these words again. */
  void (*discard)(void *ud, struct poe_payload words);
  /* The session is freed; its id will never come back.  The host may end what
     it watched; it dispatches nothing. */
  void (*session_gone)(void *ud, poe_session *session);
  /* The name is freed; its id may be given to another. */
  void (*name_gone)(void *ud, const poe_name *name);
  /*
   * Only tags keep the program waiting for ever: release what nobody uses.
   * Returns true if anything was tried.  Finalizers may run inside.
   */
  int (*collect)(void *ud);
  /* Two unhandled exceptions: fold `second` into `first`. */
  void (*combine)(void *ud, struct poe_value *first,
                  const struct poe_value *second);
  /* One line of trace or warning text, without its newline. */
  void (*log)(void *ud, const char *line);
  /* Topic DESTROY: the session is about to be freed, log what it had.  NULL:
     nothing. */
  void (*destroyed)(void *ud, const poe_session *session);
  /* Asked by a signal, see poe_listen_why: print what poe_why tells.  NULL:
     nobody will ever ask. */
  void (*why)(void *ud);
};

/* Time, injectable.  sample reads both clocks as one instant. */
struct poe_clock {
  void *ud;
  void (*sample)(void *ud, int64_t *mono_ns, int64_t *epoch_ns);
  /* A virtual clock jumps to mono_ns; NULL on a real one. */
  void (*jump)(void *ud, int64_t mono_ns);
};

/*
 * A pumped event loop.  wait() never runs user code: it only records, by
 * poe_loop_ready and poe_loop_caught, and returns.
 */
struct poe_loop_ops {
  const char *name;
  /* It knows descriptors by number alone: before one is dispatched the kernel
     looks whether it still is the file that was watched. */
  int by_number;
  /* Others live on this loop too: it is turned in every slice, also when the
     kernel itself has nothing to ask it. */
  int is_shared;
  int (*open)(poe_kernel *k, poe_loop **out);
  void (*close)(poe_loop *loop);
  /* Block at most timeout_ns (< 0: until something happens). */
  int (*wait)(poe_loop *loop, int64_t timeout_ns);
  /* Watch fd in the modes of mask (1 << enum poe_mode); 0: none for a while.
     -EPERM: this kind of file cannot be waited for, it is always ready. */
  int (*watch_fd)(poe_loop *loop, int fd, unsigned mask);
  /* Forget fd, which may be closed already. */
  void (*ignore_fd)(poe_loop *loop, int fd);
  /* Both NULL: the kernel catches signals itself, by way of a pipe that it
     watches as any other descriptor. */
  int (*watch_signal)(poe_loop *loop, int signum);
  void (*ignore_signal)(poe_loop *loop, int signum);
  /* In the child of a fork: own descriptors, nothing shared. */
  int (*forked)(poe_loop *loop);
  /* A descriptor that is readable when wait() would find something; *is_stale
     if wait() must be called once before that is true.  NULL: there is none,
     and the loop cannot live in another one. */
  int (*backend)(const poe_loop *loop, int *is_stale);
};

/* The bridges that are built in; NULL for an unknown name. */
const struct poe_loop_ops *poe_loop_find(const char *name);

/* For bridges, inside wait(): descriptor fd is ready in the modes of mask. */
void poe_loop_ready(poe_kernel *k, int fd, unsigned mask);
/* For bridges, inside wait(): descriptor fd is closed; its watchers go. */
void poe_loop_lost(poe_kernel *k, int fd);
/* For bridges, inside wait(): the operating system's signal arrived. */
void poe_loop_caught(poe_kernel *k, int signum);

/* An allocator in the manner of lua_Alloc. */
typedef void *(*poe_alloc_fn)(void *ud, void *p, size_t osize, size_t nsize);

/*
 * Memory from the system; blocks of up to 288 bytes lie in slabs, each for one
 * size: less memory, and faster, than malloc where many small blocks come and
 * go.  What a kernel without an allocator uses; good for a Lua state as well.
 */
typedef struct poe_slabs poe_slabs;
poe_slabs *poe_slabs_new(void); /* NULL: no memory */
/* What was allocated is to be freed before. */
void poe_slabs_free(poe_slabs *m);
/* What is kept for the next burst goes back to the system now. */
void poe_slabs_trim(poe_slabs *m);
/* A poe_alloc_fn, and a lua_Alloc; blocks are aligned to 8 bytes. */
void *poe_slabs_alloc(void *slabs, void *p, size_t osize, size_t nsize);

/* Memory that a host and its kernel may have together.  A part of the limit is
   kept for failures: the exception, which the host makes, and the signal DIE. */
enum poe_need {
  POE_NEED_NONE,
  POE_NEED_SOON, /* DIE waits in the queue: half of the reserve may be used */
  POE_NEED_NOW   /* it is dispatched, or the exception made: all of it */
};
struct poe_budget {
  size_t used, limit;
  size_t reserve;     /* of the limit */
  enum poe_need need; /* the kernel's; the host may raise it for a while */
  size_t refused;     /* how often there was no room */
};
/* So much more is used, if there is room for it: 1, or 0. */
int poe_budget_take(struct poe_budget *b, size_t size);

struct poe_config {
  const struct poe_ops *ops;
  void *ud;                        /* first argument of every op */
  const struct poe_loop_ops *loop; /* NULL: uv */
  const struct poe_clock *clock;   /* NULL: the system's */
  poe_alloc_fn alloc;              /* NULL: slabs of its own */
  void *alloc_ud;
};

/* ---- kernel -------------------------------------------------------- */

int poe_kernel_new(const struct poe_config *config, poe_kernel **out);
/* Frees everything and discards all payloads; never dispatches. */
void poe_kernel_free(poe_kernel *k);

/*
 * Run slices until no session is left.  [re-entrant]  -POE_ERAISE: an
 * exception was not handled, see poe_kernel_exception; -EBUSY: already
 * running; otherwise what the loop reported.
 */
int poe_kernel_run(poe_kernel *k);
/* One slice: 1, or 0 when no session is left; errors as run.  [re-entrant] */
int poe_kernel_slice(poe_kernel *k);
/* Stop every session, children first, and drop all events.  [re-entrant] */
void poe_kernel_stop(poe_kernel *k);
/* Takes the exception that ended the run; 0 if there is none. */
int poe_kernel_exception(poe_kernel *k, struct poe_value *out);

/* fork(2) with both sides told; the pid, 0 in the child, or -errno. */
int64_t poe_kernel_fork(poe_kernel *k);
/* Tell the kernel that it is in the child of a fork; no-op elsewhere. */
int poe_kernel_has_forked(poe_kernel *k);
/* config->ud */
void *poe_kernel_host(const poe_kernel *k);

const char *poe_kernel_id(const poe_kernel *k);
const char *poe_kernel_loop_name(const poe_kernel *k);
/* Replace the loop; -EBUSY once anything uses it.  NULL only asks that. */
int poe_kernel_set_loop(poe_kernel *k, const struct poe_loop_ops *ops);
/* Use a clock that jumps; -EBUSY once a session exists. */
int poe_kernel_set_virtual_time(poe_kernel *k);
/* false: the first exception ends the run (POE_CATCH_EXCEPTIONS=0). */
void poe_kernel_set_catch(poe_kernel *k, int on);

/* The kernel counts what it has from the system in *budget, now and later, and
   is out of memory beyond its limit.  Not for one with an allocator of its
   own.  NULL: no longer. */
void poe_kernel_set_budget(poe_kernel *k, struct poe_budget *budget);

/* The kernel as a session: parent of roots, sender of system events. */
poe_session *poe_kernel_session(poe_kernel *k);
/* The running handler, or NULL outside of any. */
const struct poe_frame *poe_kernel_frame(const poe_kernel *k);
/* The running session, or the kernel's own. */
poe_session *poe_active_session(const poe_kernel *k);

int64_t poe_now_ns(poe_kernel *k);   /* monotonic */
int64_t poe_epoch_ns(poe_kernel *k); /* wall clock */
size_t poe_event_count(const poe_kernel *k);
/* Due time of the head of the queue, 1; 0 if the queue is empty. */
int poe_next_event_epoch_ns(poe_kernel *k, int64_t *out);
size_t poe_session_count(const poe_kernel *k);

/* ---- a kernel that lives in another event loop ------------------------ */

/*
 * The other loop drives: it watches poe_kernel_backend, waits no longer than
 * poe_kernel_timeout_ns, and then calls poe_kernel_step, never from within
 * itself.  What it must be told otherwise, it is told by these.
 */
struct poe_driver {
  /* There is a first session: the other loop has a reason to go on. */
  void (*wake)(void *ud);
  /* poe_kernel_run: run the other loop until halt is called; 0, or -errno.
     [re-entrant] */
  int (*run)(void *ud);
  void (*halt)(void *ud);
  /* In the child of a fork: the backend is another descriptor. */
  int (*forked)(void *ud);
  /* The backend is another descriptor: within a step. */
  int (*moved)(void *ud);
  /* Call poe_kernel_destroyed at the end of this widget; NULL: it knows
     none.  -EINVAL: that is no widget. */
  int (*attach_uidestroy)(void *ud, void *widget);
  /* The kernel is being freed; its loop is still there. */
  void (*close)(void *ud);
};

/* -EBUSY: it has a driver; -EINVAL: this one lacks a function.  It may be set
   inside loop_ops->open. */
int poe_kernel_set_driver(poe_kernel *k, const struct poe_driver *driver,
                          void *ud);
/* Opens the loop.  Readable: a step is due.  -ENOSYS: it has none. */
int poe_kernel_backend(poe_kernel *k);
/* How long until a step is due: 0 now, < 0 not before the backend is readable
   or somebody sends something. */
int64_t poe_kernel_timeout_ns(poe_kernel *k);
/*
 * A slice that does not wait: 1, or 0 when no session is left.  An error is
 * that of poe_kernel_run if this is under way, and then halts it.
 * [re-entrant]
 */
int poe_kernel_step(poe_kernel *k);
/* As the method signal_ui_destroy: -ENOSYS if nobody knows widgets. */
int poe_kernel_attach_uidestroy(poe_kernel *k, void *widget);
/* Send UIDESTROY to all sessions. */
int poe_kernel_destroyed(poe_kernel *k);

/* ---- names ---------------------------------------------------------- */

/* The name for this text, with one reference more; NULL: out of memory. */
poe_name *poe_name_get(poe_kernel *k, const char *text, size_t len);
/* The name if it exists already, borrowed. */
poe_name *poe_name_find(poe_kernel *k, const char *text, size_t len);
void poe_name_ref(poe_name *name);
void poe_name_unref(poe_kernel *k, poe_name *name);
const char *poe_name_text(const poe_name *name, size_t *len);
/* Small, and unique among living names. */
uint32_t poe_name_id(const poe_name *name);
poe_name *poe_name_by_id(const poe_kernel *k, uint32_t id);

/* ---- sessions ------------------------------------------------------- */

/*
 * Allocate a child of the running session and run its _start, then the
 * parent's _child.  The session is returned by id, for it may be gone again.
 * `data` is the host's, see poe_session_data.  [re-entrant]
 */
int poe_session_start(poe_kernel *k, uint64_t data, struct poe_origin origin,
                      void *direct, uint64_t *id);
/*
 * Stop a session now, whatever it waits for: its children go to its parent,
 * its events are dropped.  It may be the one that is running.  [re-entrant]
 */
void poe_session_stop(poe_kernel *k, poe_session *s);
poe_session *poe_session_find(poe_kernel *k, uint64_t id);
uint64_t poe_session_id(const poe_session *s); /* 0: the kernel's */
uint64_t poe_session_data(const poe_session *s);
int poe_session_is_alive(const poe_session *s);
/* In its stop sequence: what would keep it alive is refused. */
int poe_session_is_stopping(const poe_session *s);
poe_session *poe_session_parent(const poe_session *s);
/* Oldest first; NULL after the last. */
poe_session *poe_session_first_child(const poe_session *s);
poe_session *poe_session_next_sibling(const poe_session *s);
/* The reason why a session lives: the sum of its references. */
unsigned poe_session_refcount(const poe_session *s);

int poe_detach_myself(poe_kernel *k, struct poe_origin origin);
int poe_detach_child(poe_kernel *k, poe_session *child,
                     struct poe_origin origin);

/* ---- events --------------------------------------------------------- */

int poe_post(poe_kernel *k, poe_session *dest, poe_name *event,
             struct poe_origin origin, struct poe_payload args);
/* The same to the running session itself; -EPERM: there is none. */
int poe_yield(poe_kernel *k, poe_name *event, struct poe_origin origin,
              struct poe_payload args);
/*
 * Within ops->batch.  poe_next hands the next event over, as if to dispatch: it
 * stays the same until poe_done, its args until the handler runs.  NULL: the
 * batch is over.  poe_done tells what became of it; with POE_DIED it takes the
 * exception, else that may be NULL.
 */
const struct poe_dispatch *poe_next(poe_kernel *k);
void poe_done(poe_kernel *k, enum poe_outcome outcome,
              const struct poe_value *exception);
/*
 * Run a handler now.  `direct` reaches ops->dispatch as it is.  -ENOSYS: no
 * handler; -POE_EDIED: another session's handler failed, DIE is on its way;
 * -POE_ERAISE: the handler of the running session failed (or exceptions are
 * not caught), the exception is in *error.  [re-entrant]
 */
int poe_call(poe_kernel *k, poe_session *dest, poe_name *event,
             struct poe_origin origin, void *direct, struct poe_value *error);

/* ---- timers: of the running session ---------------------------------- */

/* What a timer's time means. */
enum poe_timer_clock { POE_DELAY, POE_ALARM };

/*
 * POE_DELAY: ns from now.  POE_ALARM: ns since the epoch; pending alarms
 * follow the wall clock when it is stepped.  *id is > 0.
 */
int poe_timer_set(poe_kernel *k, poe_name *event, enum poe_timer_clock clock,
                  int64_t when_ns, struct poe_origin origin,
                  struct poe_payload args, int64_t *id);
/* Remove all timers of that name. */
int poe_timer_clear(poe_kernel *k, poe_name *event);
/* A timer taken out of the queue: the payload is the caller's again. */
struct poe_timer_info {
  poe_name *event; /* one reference is the caller's */
  int64_t due_epoch_ns;
  unsigned n;
  uint64_t words[POE_PAYLOAD_MAX];
};
int poe_timer_remove(poe_kernel *k, int64_t id, struct poe_timer_info *out);
/* What would be taken out; borrowed until anything else is called. */
int poe_timer_peek(poe_kernel *k, int64_t id, poe_name **event,
                   struct poe_payload *args);
/*
 * Ids of the session's timers in due order; *ids is the caller's to give back.
 * O(n log n) in the session's own timers.
 */
int poe_timer_list(poe_kernel *k, int64_t **ids, size_t *count);
void poe_timer_list_free(poe_kernel *k, int64_t *ids, size_t count);
/* Move by delta_ns from its due time. */
int poe_timer_adjust(poe_kernel *k, int64_t id, int64_t delta_ns,
                     int64_t *due_epoch_ns);
/* Move to delay_ns from now. */
int poe_timer_readjust(poe_kernel *k, int64_t id, int64_t delay_ns,
                       int64_t *due_epoch_ns);

/* ---- aliases --------------------------------------------------------- */

int poe_alias_set(poe_kernel *k, poe_name *name);
int poe_alias_remove(poe_kernel *k, poe_name *name);
poe_session *poe_alias_find(poe_kernel *k, const poe_name *name);
/* A session's aliases in the order set; NULL past the last. */
const poe_name *poe_alias_first(const poe_session *s);
const poe_name *poe_alias_next(const poe_kernel *k, const poe_name *alias);

/* ---- external references ---------------------------------------------- */

int poe_extref_inc(poe_kernel *k, poe_session *s, poe_name *tag,
                   int64_t *count);
int poe_extref_dec(poe_kernel *k, poe_session *s, poe_name *tag,
                   int64_t *count);

/* ---- selects: of the running session ------------------------------------ */

/* What is watched.  The words of `value`, a payload, become ARG0. */
struct poe_handle {
  int fd;
  int is_own; /* poe_select_forget is called before it is closed; otherwise the
                 kernel looks, when it is ready, whether it was closed */
  struct poe_value value;
};
/* A watcher of that mode is replaced. */
int poe_select_watch(poe_kernel *k, struct poe_handle handle,
                     enum poe_mode mode, poe_name *event,
                     struct poe_origin origin, struct poe_payload args);
int poe_select_ignore(poe_kernel *k, int fd, enum poe_mode mode);
/* 1, or 0 if the session does not watch fd in that mode. */
int poe_select_pause(poe_kernel *k, int fd, enum poe_mode mode);
int poe_select_resume(poe_kernel *k, int fd, enum poe_mode mode);
/* Every session stops watching fd: it is about to be closed. */
void poe_select_forget(poe_kernel *k, int fd);
/* True if anybody watches fd. */
int poe_select_is_watched(const poe_kernel *k, int fd);
/* Watchers of all sessions, in all modes. */
size_t poe_select_count(const poe_kernel *k);

/* ---- signals ------------------------------------------------------------- */

int poe_sig_watch(poe_kernel *k, poe_name *signal, poe_name *event,
                  struct poe_origin origin, struct poe_payload args);
int poe_sig_ignore(poe_kernel *k, poe_name *signal);
void poe_sig_handled(poe_kernel *k);
/* A system's signal by name ("TERM"), into buf if it has none of its own. */
const char *poe_signal_name(int signum, char buf[16]);
int poe_signal(poe_kernel *k, poe_session *dest, poe_name *signal,
               struct poe_origin origin, struct poe_payload args);

/* -ECHILD: pid is no child of this process. */
int poe_sig_child(poe_kernel *k, int64_t pid, poe_name *event,
                  struct poe_origin origin, struct poe_payload args);
int poe_sig_child_ignore(poe_kernel *k, int64_t pid);

/* ---- traces and assertions ------------------------------------------------ */

enum poe_trace_topic {
  POE_TRACE_DESTROY = 0x01,
  POE_TRACE_EVENTS = 0x02,
  POE_TRACE_FILES = 0x04,
  POE_TRACE_REFCNT = 0x08,
  POE_TRACE_RETVALS = 0x10,
  POE_TRACE_SESSIONS = 0x20,
  POE_TRACE_SIGNALS = 0x40
};

enum poe_assert_topic {
  POE_ASSERT_DATA = 0x01,
  POE_ASSERT_EVENTS = 0x02,
  POE_ASSERT_FILES = 0x04,
  POE_ASSERT_RETVALS = 0x08,
  POE_ASSERT_USAGE = 0x10,
  POE_ASSERT_STATES = 0x20
};

/* Of the whole program. */
unsigned poe_trace_mask(const poe_kernel *k);
void poe_set_trace_mask(poe_kernel *k, unsigned mask);
unsigned poe_assert_mask(const poe_kernel *k);
void poe_set_assert_mask(poe_kernel *k, unsigned mask);
/* Beside these, of one session: traces of what happens to it, assertions of
   what its handlers do.  O(n) in all sessions. */
void poe_session_set_topics(poe_kernel *k, poe_session *s, unsigned trace,
                            unsigned assertions);
/* Those of these topics that are on for the running session. */
unsigned poe_traced(const poe_kernel *k, unsigned topics);
unsigned poe_asserted(const poe_kernel *k, unsigned topics);
/* The assertions that are on for anybody: a quick test. */
unsigned poe_assert_any(const poe_kernel *k);
/* The bit of a topic by its lower-case name ("events", "default"); 0: none. */
unsigned poe_trace_topic(const char *name);
unsigned poe_assert_topic(const char *name);
/* A line "=== PID === text" to ops->log. */
void poe_log(poe_kernel *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `session 3 (worker)`, or the kernel's: for messages; at most size bytes. */
const char *poe_session_label(const poe_session *s, char *buf, size_t size);

/* ---- why something lives --------------------------------------------------- */

enum poe_reason_kind {
  POE_BY_HANDLER, /* its handler of `name` is running */
  POE_BY_EVENT,   /* `name` is queued to it; posts and signals */
  POE_BY_TIMER,
  POE_BY_SELECT,  /* `number` is the descriptor */
  POE_BY_CHILD,   /* `number` is the process */
  POE_BY_SIGNAL,  /* it watches CHLD, and a forked process has not ended */
  POE_BY_TAG,     /* `name`; `number` is its count */
  POE_BY_SESSION, /* `other` is its child */
  POE_BY_ALIAS,
  POE_BY_SENT     /* `name` is queued to `other`, sent by it */
};

/* One thing that keeps a session alive, or the program. */
struct poe_reason {
  enum poe_reason_kind kind;
  int keeps_program;    /* else only its session, until nothing else is left */
  const poe_session *session; /* whom it keeps; the kernel's own for signals */
  const poe_session *other;
  const poe_name *name; /* event, signal, tag or alias; NULL for a child */
  const poe_name *event; /* of a select, child or signal: what will come */
  int64_t number;       /* timer, descriptor, process or count of a tag */
  size_t count;         /* events alike, told as one: the oldest */
  enum poe_mode mode;   /* of a select */
  int is_paused;
  int64_t due_ns;       /* of a timer, from now */
  /* Who made it, when and where; by is an id. */
  int has_age, has_maker;
  int64_t age_ns;
  uint64_t by;
  const poe_name *from, *file; /* NULL: unknown */
  uint32_t line;
};

/*
 * Tell visit of everything that keeps this session alive, or the program if
 * it is NULL.  visit must change nothing; pointers are good until it returns.
 * 0 or -ENOMEM.
 */
int poe_why(poe_kernel *k, const poe_session *only,
            void (*visit)(void *ud, const struct poe_reason *r), void *ud);
/* What it is, as text, without its session; at most size bytes. */
const char *poe_reason_text(poe_kernel *k, const struct poe_reason *r,
                            char *buf, size_t size);
/* Record when and where things are made; what is made before is known in part
   only. */
void poe_set_why(poe_kernel *k, int on);
int poe_is_why(const poe_kernel *k);
/* If so: where an alias, a tag or else is made, in the next call. */
void poe_here(poe_kernel *k, struct poe_origin origin);
/*
 * From now on USR1 calls ops->why, and so does INT before it ends the program;
 * what sessions watch comes to them as ever.  INT ends the process at once if
 * the kernel has not come to look at an earlier one.
 */
int poe_listen_why(poe_kernel *k);

/* ---- limits ---------------------------------------------------------------- */

/* What becomes of a post to a session that has as many waiting as it may. */
enum poe_when_full {
  POE_REJECT,      /* -ENOBUFS */
  POE_DROP_OLDEST, /* of those that wait */
  POE_DROP_NEWEST  /* the new one */
};
/*
 * At most max posts may wait for the session; 0: any number.  Timers, signals,
 * calls and the kernel's own events are not counted.  -ESRCH: it is stopping.
 */
int poe_session_set_limit(poe_kernel *k, poe_session *s, size_t max,
                          enum poe_when_full policy);
/* How many found no room. */
uint64_t poe_session_dropped(const poe_kernel *k, const poe_session *s);
/* The same for all sessions, now and later, that have no limit of their own. */
int poe_set_limit(poe_kernel *k, size_t max, enum poe_when_full policy);

/* ---- guards ---------------------------------------------------------------- */

/* Told of every handler that is run; nested ones come in pairs. */
struct poe_guard {
  void (*began)(void *ud, const struct poe_frame *frame);
  /* What runs now is frame->outer. */
  void (*ended)(void *ud, const struct poe_frame *frame);
};
/* NULL: nobody.  Of handlers that run already nothing is told. */
void poe_kernel_set_guard(poe_kernel *k, const struct poe_guard *guard,
                          void *ud);

/* What is left behind; all zero when nothing is.  For tests and leak reports. */
struct poe_census {
  size_t sessions, events, timers, selects, signals, children, aliases;
  size_t tags, names, allocations;
};
void poe_census(const poe_kernel *k, struct poe_census *out);

#endif
