/* SPDX-License-Identifier: MIT */
/*
 * internal.h -- what the kernel's files share: structs and poe__ functions.
 *
 * Ownership, from top to bottom:
 * - The kernel owns the sessions; a session owns its aliases and all that
 *   hangs on its `owned` ring.  Freeing a session frees these.
 * - A session that was freed stays in memory, dead, while `holds` says that a
 *   frame, a queued event or a walk still points at it.
 * - Every pointer or index to a name is one reference.
 * - A payload belongs to the struct that keeps it, until dispatch or discard.
 *
 * Order in every resource file: init, clear_session, fini, then operations.
 * All memory an operation needs is got before the first link is changed.
 */
#ifndef POE_INTERNAL_H
#define POE_INTERNAL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "slab.h"
#include "list.h"
#include "map.h"
#include "poe.h"
#include "queue.h"

#define POE__LIKELY(x) __builtin_expect(!!(x), 1)
#define POE__UNLIKELY(x) __builtin_expect(!!(x), 0)
/* What is done only while something is switched on: out of the way. */
#define POE__COLD __attribute__((cold, noinline))

/* Deepest nesting of calls; each level costs about 1 KiB of C stack. */
#define POE__DEPTH_MAX 1000
/* Alarms in the past that may jump the queue in one slice. */
#define POE__JUMPS_MAX 256
/* After this long a slice pauses for descriptors and signals. */
#define POE__SHARE_NS 1000000
/* How many events may pass between two looks at the clock in a slice. */
#define POE__SHARE_EVENTS 16

struct poe_name {
  struct poe__link link;
  poe_session *session; /* whose alias it is, or NULL; see alias.c... */
  uint32_t prev, next;  /* ...and then, by id, the session's others */
  uint32_t refs;
  uint32_t id; /* index in k->names.by_id, used again after the name is gone */
  uint32_t len;
  char text[];
};

struct poe__names {
  struct poe__map map;
  poe_name **by_id; /* [0] is never used: 0 means "no name" */
  uint32_t count, room, free_head;
};

enum poe__session_flag {
  POE__DEAD = 1,    /* freed; only holds keep the memory */
  POE__DOOMED = 2,  /* in its stop sequence: nothing may keep it alive */
  POE__IS_ROOT = 4, /* the kernel's own */
  POE__LIMITED = 8  /* see limit.c */
};

/* Two of the processor's cache lines: what an event needs is in the first. */
struct poe_session {
  struct poe__link by_id; /* its key is the ID */
  uint64_t data; /* the host's */
  struct poe__post *first_post, *last_post; /* waiting in the FIFO for it */
  uint32_t refs;   /* why it lives: see poe__session_ref */
  uint32_t to;     /* events queued to it */
  uint32_t from;   /* events it has queued to others */
  uint32_t holds;  /* pointers that must not dangle */
  uint8_t flags;
  uint8_t trace, assertions; /* topics beside those of all sessions */
  uint32_t walk;   /* stamp of the last walk over children, see session.c */

  poe_session *parent;
  struct poe__list *children, sibling;
  struct poe__list idle;     /* in k->idle or in a sweep, while refs is 0 */
  poe_name *aliases;         /* the first set */
  struct poe__list *owned;   /* struct poe__owned of every kind */
};

enum poe__owned_kind {
  POE__OWNED_TIMERS,
  POE__OWNED_SELECT,
  POE__OWNED_SIGNAL,
  POE__OWNED_CHILD,
  POE__OWNED_TAG,
  POE__OWNED_LIMIT
};

/* First member of everything that dies with its session. */
struct poe__owned {
  struct poe__list node; /* in session->owned */
  poe_session *session;
  enum poe__owned_kind kind;
};

/* Where a watcher was made: held by name index, one reference each. */
struct poe__where {
  uint32_t from, file, line;
};

struct poe__ready {
  int fd;
  unsigned mask;
};

struct poe__fd;

struct poe__selects {
  struct poe__fd **by_fd; /* NULL where nobody watches */
  int room;
  struct poe__map watchers;   /* by (session, fd, mode) */
  struct poe__list always;    /* files that epoll refuses: ready at all times */
  size_t count;               /* watchers */
  size_t always_active;       /* ... and always ready */
  struct poe__ready *ready;
  size_t nready, ready_room;
  struct poe__ready lone;     /* without memory, one that was ready ... */
  int has_lone;               /* ... as long as `ready` is empty */
  uint64_t pass;              /* stamp of the dispatch pass */
};

#define POE__SIGNALS 65

struct poe__signals {
  struct poe__map watchers; /* by (session, signal) */
  struct poe__map signals;  /* by name: who is watched at all */
  uint32_t caught[POE__SIGNALS];
  int any_caught;
  int os_watched;       /* signals registered with the loop */
  int *handled;         /* of the signal dispatch under way, or NULL */
};

struct poe__children {
  struct poe__map watchers; /* by (session, pid) */
  struct poe__map pids;     /* by pid */
  struct poe__list records; /* the same, in the order first known */
  size_t own;               /* forked by the kernel, not yet reaped */
  int reap; /* an exit was seen or may have been missed */
  int watching; /* SIGCHLD is registered with the loop */
};

/* Beside the topics in k->trace: what else costs nothing while it is off. */
enum poe__watch {
  POE__TOPICS = 0x0fff,
  POE__WHY = 0x1000,    /* see why.c */
  POE__GUARDED = 0x2000, /* k->guard is told of handlers */
  POE__BOUNDED = 0x4000, /* new sessions get a limit */
  POE__CHOOSY = 0x8000  /* some sessions have topics of their own */
};

/* How much a slice has dispatched, and since when; see POE__SHARE_NS. */
struct poe__share {
  unsigned events;
  int64_t began_ns; /* 0: the clock was not read yet */
};

/* Events that the host takes one by one.  Lies in the slice's C frame. */
struct poe__batch {
  struct poe_frame frame; /* of the post under way: holds both sessions */
  struct poe_dispatch dispatch;
  struct poe__timer *timer; /* NULL: it is a post */
  struct poe__share share;
  int goes_on; /* with the slices that follow */
  int is_over; /* something else comes first */
};

struct poe__why {
  struct poe__map made; /* by address, see why.c */
  struct poe__list all;
  struct poe_origin here;
  int is_listening;
};

struct poe_kernel {
  const struct poe_ops *ops;
  void *ud;
  poe_alloc_fn alloc;
  void *alloc_ud;
  size_t allocations;

  /* hot: the queue and what a dispatch touches */
  struct poe__queue queue;
  size_t events;  /* live ones: posts and timers */
  size_t timers;
  struct poe_frame *frame;
  struct poe__batch *batch; /* NULL: none */
  unsigned depth;
  unsigned trace, assertions; /* what anybody wants, and enum poe__watch */
  unsigned topics, asserted;  /* what is wanted of all sessions */
  size_t choosy; /* sessions that want more */
  const char *traced_kind; /* what was taken from the queue, if that is traced:
                              "event" or "timer"... */
  uint64_t traced_id;      /* ...and its number */
  int64_t now_ns;    /* the last reading; never falls */
  int64_t offset_ns; /* wall clock minus monotonic, when both were read */
  int64_t offset_at_ns; /* which was then */

  /* the slice: see slice.c */
  int64_t slice_ns;  /* timers due by then belong to it */
  uint64_t slice_seq; /* posts before this belong to it */
  int64_t polled_ns; /* when the loop was last looked at */
  int slice_open, slice_unread, jumps;
  int running, catching;
  const struct poe_driver *driver; /* NULL: the kernel itself, see driver.c */
  void *driver_ud;
  int stepping;   /* in a step */
  int run_result; /* of the run that the driver has under way */
  int error; /* what cannot be told otherwise: -ENOMEM, the loop's */
  int has_exception;
  struct poe_value exception;
  struct {
    int waiting, at_work; /* signals DIE: in the queue, and dispatched now */
  } deaths;

  poe_session root;
  struct poe__map sessions;
  uint64_t last_id;
  uint32_t walk;
  struct poe__list idle;

  struct poe__names names;
  size_t aliases;
  struct poe__map tags;
  struct poe__map timer_groups;
  struct poe__map timer_ids;
  struct poe__ids *newest_ids; /* NULL before the first timer */
  int64_t last_timer;
  struct poe__selects selects;
  struct poe__signals signals;
  struct poe__children children;
  struct poe__why why;
  struct {
    struct poe__map map; /* of those of sessions */
    size_t max;          /* of sessions without one of their own */
    enum poe_when_full policy;
  } limits;
  const struct poe_guard *guard; /* while POE__GUARDED */
  void *guard_ud;

  const struct poe_loop_ops *loop_ops;
  poe_loop *loop; /* NULL until first needed */
  struct poe__selfpipe *selfpipe; /* if the loop does not catch signals */
  struct poe_clock clock;
  int64_t virtual_ns, virtual_epoch_ns;
  char id[96];
  unsigned forks;
  pid_t pid;

  poe_name *n_start, *n_stop, *n_child, *n_parent, *n_gc;
  poe_name *n_idle, *n_zombie, *n_die, *n_chld, *n_uidestroy;
  struct poe_slabs own; /* its memory, unless there is `alloc` */
};

/* alloc.c: sizes are the caller's to remember. */
void *poe__alloc(poe_kernel *k, size_t size);
void *poe__zalloc(poe_kernel *k, size_t size);
void poe__free(poe_kernel *k, void *p, size_t size);
/* Whole pages, which go back to the system at once. */
void *poe__pages(poe_kernel *k, size_t size);
void poe__pages_free(poe_kernel *k, void *p, size_t size);
/* Grow an array to hold `need` items, by doubling: 0 or -ENOMEM. */
int poe__grow(poe_kernel *k, void **p, size_t item, size_t *room,
              size_t need);
/* Make it hold n items only, if the allocator can. */
void poe__shrink(poe_kernel *k, void **p, size_t item, size_t *room, size_t n);
/* So many signals DIE more or less: what the budget keeps for them follows. */
void poe__count_deaths(poe_kernel *k, int waiting, int at_work);

static inline uint64_t poe__id(const poe_session *s) { return s->by_id.key; }
/* What it owns, from now on... */
static inline void poe__own(poe_session *s, struct poe__owned *o,
                            enum poe__owned_kind kind) {
  o->session = s;
  o->kind = kind;
  poe__ring_push(&s->owned, &o->node);
}
/* ...and no longer. */
static inline void poe__disown(struct poe__owned *o) {
  poe__ring_remove(&o->session->owned, &o->node);
}

/* name.c */
int poe__name_init(poe_kernel *k);
void poe__name_fini(poe_kernel *k);
static inline poe_name *poe__name_at(const poe_kernel *k, uint32_t id) {
  return k->names.by_id[id];
}
/* One reference more, by index; 0 for NULL. */
static inline uint32_t poe__name_keep(poe_name *name) {
  if (!name) return 0;
  name->refs++;
  return name->id;
}
void poe__name_free(poe_kernel *k, poe_name *name);
static inline void poe__name_drop(poe_kernel *k, uint32_t id) {
  if (id && --k->names.by_id[id]->refs == 0)
    poe__name_free(k, k->names.by_id[id]);
}

/* queue.c */
/* The oldest post, or NULL; it stays readable until the next call of this. */
static inline struct poe__post *poe__fifo_head(poe_kernel *k) {
  struct poe__page *page = k->queue.fifo.head;
  if (!page) return NULL;
  if (page->read == page->write) return poe__fifo_turn(k);
  return (void *)((char *)page->data + page->read);
}
static inline void poe__fifo_pop(poe_kernel *k, const struct poe__post *head) {
  k->queue.fifo.head->read +=
      (uint32_t)(sizeof(struct poe__post) + head->m.n * sizeof(uint64_t));
}
/* The same for the oldest, which is also its session's oldest. */
static inline void poe__fifo_take(poe_kernel *k,
                                  const struct poe__post *head) {
  poe_session *dest = head->m.dest;
  poe__fifo_pop(k, head);
  dest->first_post = head->next_of_dest;
  if (!dest->first_post) dest->last_post = NULL;
}

/* clock.c: a fresh reading of both clocks into now_ns and offset_ns. */
int64_t poe__now(poe_kernel *k);
int64_t poe__to_epoch(const poe_kernel *k, int64_t mono_ns);
void poe__refresh_offset(poe_kernel *k);
void poe__clock_init(poe_kernel *k, const struct poe_clock *clock);

/* wait.c: waits, in parts, until `wait` returns other than 0, as poll(2) does
   when something is ready or it fails, or until `ns` are over; < 0: for ever. */
typedef int poe__waiter(void *ud, int64_t ns);
/* The part of a wait by which poll, select and epoll_wait may oversleep on
   Linux: that of a nice process; of others it is a 1,000th. */
#define POE__OVERSLEPT 200
int poe__wait(int64_t ns, poe__waiter *wait, void *ud);

/* event.c */
/* Run a handler; death is not yet dealt with. */
enum poe_outcome poe__dispatch(poe_kernel *k, struct poe_frame *frame,
                               struct poe_dispatch *d,
                               struct poe_value *result);
/* A handler of this frame failed: make it DIE, or the run's exception. */
void poe__died(poe_kernel *k, const struct poe_frame *frame,
               const struct poe_value *exception);
void poe__set_exception(poe_kernel *k, const struct poe_value *exception);
/* A frame for an event that the kernel itself sends. */
struct poe_frame poe__frame(poe_kernel *k, poe_session *dest,
                            poe_session *sender, poe_name *event,
                            unsigned type);
/* Queue a post; args after `own` kernel words. */
struct poe__send {
  poe_session *dest, *source;
  poe_name *event, *from;
  struct poe_origin origin;
  unsigned type;
  unsigned nown;
  uint64_t own[2];
  struct poe_payload args;
};
int poe__enqueue(poe_kernel *k, const struct poe__send *send);
/* Bookkeeping of an event that enters or leaves the queue. */
void poe__count_in(poe_kernel *k, poe_session *dest, poe_session *source);
void poe__count_out(poe_kernel *k, poe_session *dest, poe_session *source);
/* Drop what a message keeps: names and words. */
void poe__message_drop(poe_kernel *k, struct poe__message *m,
                       const uint64_t *words);
/* Run one event that has left the queue. */
void poe__deliver(poe_kernel *k, struct poe__message *m,
                  const uint64_t *words);
void poe__event_clear_session(poe_kernel *k, poe_session *s);
void poe__event_fini(poe_kernel *k);
void poe__discard(poe_kernel *k, unsigned n, const uint64_t *words);
poe_name *poe__active_event(const poe_kernel *k);

/* session.c */
void poe__session_init(poe_kernel *k);
void poe__session_fini(poe_kernel *k);
void poe__session_is_idle(poe_kernel *k, poe_session *s);
void poe__session_free(poe_kernel *k, poe_session *s);
void poe__trace_refs(poe_kernel *k, const poe_session *s, int change);
static inline void poe__session_ref(poe_kernel *k, poe_session *s) {
  if (POE__UNLIKELY(k->trace & POE_TRACE_REFCNT)) poe__trace_refs(k, s, 1);
  if (s->refs++ == 0) poe__list_remove(&s->idle);
}
static inline void poe__session_unref(poe_kernel *k, poe_session *s) {
  if (POE__UNLIKELY(k->trace & POE_TRACE_REFCNT)) poe__trace_refs(k, s, -1);
  if (--s->refs == 0) poe__session_is_idle(k, s);
}
static inline void poe__session_hold(poe_session *s) { s->holds++; }
static inline void poe__session_release(poe_kernel *k, poe_session *s) {
  if (--s->holds == 0 && s->flags & POE__DEAD) poe__session_free(k, s);
}
/* As poe__count_out, but the sessions stay held... */
static inline void poe__uncount(poe_kernel *k, poe_session *dest,
                                poe_session *source) {
  k->events--;
  if (--dest->to == 0 && !(dest->flags & POE__DEAD))
    poe__session_unref(k, dest);
  if (dest != source && --source->from == 0 && !(source->flags & POE__DEAD))
    poe__session_unref(k, source);
}
/* ...until this. */
static inline void poe__release_both(poe_kernel *k, poe_session *dest,
                                     poe_session *source) {
  if (dest != source) poe__session_release(k, source);
  poe__session_release(k, dest);
}
/* Its _stop comes from `sender`, whom the caller holds: who was active when
   the stopping began (POE), even one that was stopped meanwhile. */
void poe__session_stop(poe_kernel *k, poe_session *s, poe_session *sender);
void poe__sweep(poe_kernel *k);
/* May this session take on something that keeps it alive?  0 or -ESRCH. */
static inline int poe__session_accepts(const poe_session *s) {
  return s->flags & (POE__DEAD | POE__DOOMED) ? -ESRCH : 0;
}
/* May it own aliases, timers, watchers?  The kernel itself may not. */
int poe__session_can_own(const poe_session *s);
/*
 * A session and its descendants, breadth first, siblings oldest first; each
 * is held until poe__walk_free.  A few need no memory, so that DIE reaches them
 * when there is none.
 */
#define POE__WALK_FEW 32
struct poe__walk {
  poe_session **at;
  size_t count, room;
  poe_session *few[POE__WALK_FEW];
};
int poe__walk_add(poe_kernel *k, struct poe__walk *w, poe_session *s);
int poe__walk_tree(poe_kernel *k, struct poe__walk *w, poe_session *s);
void poe__walk_free(poe_kernel *k, struct poe__walk *w);

/* timer.c */
struct poe__message poe__timer_message(const struct poe__timer *t);
int64_t poe__timer_id(const struct poe__timer *t);
/* NULL: there is no such timer. */
struct poe__slot *poe__timer_find(const poe_kernel *k, int64_t id);
const uint64_t *poe__timer_words(const struct poe__timer *t);
/* Take a timer out of everything but memory: what it says, with a reference of
   each name. */
struct poe__message poe__timer_take(poe_kernel *k, struct poe__timer *t);
void poe__timer_free(poe_kernel *k, struct poe__timer *t);
void poe__timer_drop(poe_kernel *k, struct poe__owned *owned);
void poe__timer_fini(poe_kernel *k);

/* alias.c, extref.c */
void poe__alias_clear_session(poe_kernel *k, poe_session *s);
void poe__extref_drop(poe_kernel *k, struct poe__owned *owned);
void poe__extref_fini(poe_kernel *k);

/* select.c */
void poe__select_init(poe_kernel *k);
void poe__select_drop(poe_kernel *k, struct poe__owned *owned);
void poe__select_fini(poe_kernel *k);
/* May this watched descriptor be closed behind our back? */
int poe__select_is_foreign(const poe_kernel *k, int fd);
/* Run the handlers of what the loop has recorded. */
void poe__select_dispatch(poe_kernel *k);

/* signal.c */
void poe__signal_init(poe_kernel *k);
void poe__signal_drop(poe_kernel *k, struct poe__owned *owned);
void poe__signal_fini(poe_kernel *k);
int poe__signal_queue(poe_kernel *k, poe_session *dest, poe_name *signal);
void poe__signal_deliver(poe_kernel *k, struct poe__message *m,
                         const uint64_t *queued);
/* DIE for a session that is gone: to `first` and its ancestors, now. */
void poe__signal_die_up(poe_kernel *k, poe_session *first,
                        struct poe_value *exception);
void poe__signal_collect(poe_kernel *k);
int poe__signal_is_watched(poe_kernel *k, const poe_name *signal);

/* child.c */
void poe__child_init(poe_kernel *k);
void poe__child_drop(poe_kernel *k, struct poe__owned *owned);
void poe__child_fini(poe_kernel *k);
int poe__child_awaited(poe_kernel *k);
void poe__child_reap(poe_kernel *k);
void poe__child_forked_off(poe_kernel *k, pid_t pid);
void poe__child_has_forked(poe_kernel *k);
void poe__child_report_left(poe_kernel *k);
/* SIGCHLD is listened to as long as a pid or CHLD itself is watched. */
int poe__child_listen(poe_kernel *k);
void poe__child_update(poe_kernel *k);

/* slice.c */
int poe__loop_open(poe_kernel *k);
/* A slice that does not wait, with the look for idleness at its end. */
int poe__slice_driven(poe_kernel *k);

/* driver.c */
int poe__driver_run(poe_kernel *k);
int poe__driver_forked(poe_kernel *k);
/* For bridges, inside wait(): the backend is another descriptor. */
int poe__driver_moved(poe_kernel *k);
void poe__driver_fini(poe_kernel *k);

/* selfpipe.c: a signal by way of the loop, or of a pipe of the kernel's. */
int poe__loop_watch_signal(poe_kernel *k, int signum);
void poe__loop_ignore_signal(poe_kernel *k, int signum);
int poe__loop_forked(poe_kernel *k);
void poe__loop_close(poe_kernel *k);
/* Was it that pipe that is ready?  Then it has been read. */
int poe__loop_took_signals(poe_kernel *k, int fd);

/* loop_poll.c: modes as poll(2) has them, and back, of those asked for */
short poe__to_poll(unsigned mask);
unsigned poe__from_poll(short wanted, short events);

int poe__selfpipe_need(poe_kernel *k);

/* limit.c */
void poe__limit_drop(poe_kernel *k, struct poe__owned *owned);
void poe__limit_fini(poe_kernel *k);
/* A session gets the limit that new ones have. */
int poe__limit_born(poe_kernel *k, poe_session *s);
/* A post to a session that is stopping, has ended, or has a limit. */
int poe__post_carefully(poe_kernel *k, poe_session *s, poe_name *event,
                        struct poe_origin origin, struct poe_payload args);

/* why.c */
/* All sessions, the kernel's own first; NULL after the last. */
poe_session *poe__next_session(const poe_kernel *k, poe_session *s);
void poe__why_init(poe_kernel *k);
void poe__why_fini(poe_kernel *k);
/* Something is made here and now.  Its file may be NULL: poe_here's then. */
void poe__made(poe_kernel *k, const void *thing, struct poe_origin origin);
struct poe__asking;
/* Tell of a thing: who made it is filled in. */
void poe__why_tell(struct poe__asking *a, const void *thing,
                   struct poe_reason *r);
/* Each file tells of what it keeps for a session; of an owned thing, its. */
void poe__timer_why(poe_kernel *k, poe_session *s, struct poe__asking *a);
void poe__alias_why(poe_kernel *k, poe_session *s, struct poe__asking *a);
void poe__select_why(poe_kernel *k, struct poe__owned *o,
                     struct poe__asking *a);
void poe__signal_why(poe_kernel *k, struct poe__owned *o,
                     struct poe__asking *a);
void poe__child_why(poe_kernel *k, struct poe__owned *o,
                    struct poe__asking *a);
void poe__extref_why(struct poe__owned *o, struct poe__asking *a);

/* why_signal.c */
/* The loop is open: listen, if that was asked for. */
int poe__why_opened(poe_kernel *k);
/* Does the kernel itself listen to this signal of the system? */
int poe__why_owns(const poe_kernel *k, int signum);
/* A signal has come: how often sessions are to hear of it. */
uint32_t poe__why_caught(poe_kernel *k, int signum, uint32_t times);
/* INT is about to stop sessions. */
void poe__why_interrupted(poe_kernel *k);

/* the bridges */
extern const struct poe_loop_ops poe__loop_uv, poe__loop_poll,
    poe__loop_select;

/* trace.c */
/* Is this traced of all sessions, or of this one? */
int poe__is_traced(const poe_kernel *k, const poe_session *s, unsigned topic);
/* What is no certain session's, and what is that of s. */
#define POE__TRACE(k, topic, ...)                                     \
  do {                                                                \
    if (POE__UNLIKELY((k)->trace & (topic)) && (k)->topics & (topic)) \
      poe_log((k), __VA_ARGS__);                                      \
  } while (0)
#define POE__TRACE_OF(k, s, topic, ...)                   \
  do {                                                    \
    if (POE__UNLIKELY((k)->trace & (topic)) &&            \
        poe__is_traced((k), (s), (topic)))                \
      poe_log((k), __VA_ARGS__);                          \
  } while (0)
const char *poe__label(const poe_session *s); /* one of four buffers */
/* Topic EVENTS: what is queued, in order; one of them is taken; a handler is
   run, and has returned. */
void poe__trace_queue(poe_kernel *k);
void poe__trace_taken(poe_kernel *k, const struct poe__post *post,
                      const struct poe__timer *timer);
void poe__trace_dispatch(poe_kernel *k, const struct poe_frame *frame);
void poe__trace_return(poe_kernel *k, const struct poe_frame *frame,
                       enum poe_outcome outcome);

#endif
