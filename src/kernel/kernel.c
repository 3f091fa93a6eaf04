/* SPDX-License-Identifier: MIT */
/*
 * kernel.c -- create, run, one slice, stop, fork, destroy.
 *
 * One slice:
 *   1. if nothing can ever happen again, IDLE is queued;
 *   2. the loop waits until the head of the queue is due, and records;
 *   3. signals are queued, ready descriptors dispatched (reads, writes,
 *      expedites), with a sweep after each of the three;
 *   4. what is due by now and was sent before is dispatched;
 *   5. sessions that ran out of work are swept.
 * A slice with more than its share of work stays open: the next one goes on
 * with 4 after another look at descriptors and signals.
 *
 * The loop is asked only when it can have something to say: with no
 * descriptor watched and work at hand, once a share.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* ---- create and destroy ----------------------------------------------------- */

static void make_id(poe_kernel *k) {
  char host[64] = "localhost";
  gethostname(host, sizeof host - 1);
  k->pid = getpid();
  snprintf(k->id, sizeof k->id, "%s-%08llx-%08x-%08x", host,
           (unsigned long long)(poe_epoch_ns(k) / 1000000000), (unsigned)k->pid,
           ++k->forks);
}

static int make_names(poe_kernel *k) {
  const struct {
    poe_name **at;
    const char *text;
  } names[] = {{&k->n_start, "_start"},        {&k->n_stop, "_stop"},
               {&k->n_child, "_child"},        {&k->n_parent, "_parent"},
               {&k->n_gc, "_garbage_collect"}, {&k->n_idle, "IDLE"},
               {&k->n_zombie, "ZOMBIE"},       {&k->n_die, "DIE"},
               {&k->n_chld, "CHLD"},           {&k->n_uidestroy, "UIDESTROY"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    *names[i].at = poe_name_get(k, names[i].text, strlen(names[i].text));
    if (!*names[i].at) return -ENOMEM;
  }
  return 0;
}

static poe_kernel *allocate(const struct poe_config *c) {
  poe_kernel proto = {.alloc = c->alloc, .alloc_ud = c->alloc_ud};
  poe_kernel *k = poe__zalloc(&proto, sizeof *k);
  if (!k) return NULL;
  k->alloc = c->alloc;
  k->alloc_ud = c->alloc_ud;
  k->allocations = 1;
  k->ops = c->ops;
  k->ud = c->ud;
  k->catching = 1;
  return k;
}

int poe_kernel_new(const struct poe_config *config, poe_kernel **out) {
  poe_kernel *k = allocate(config);
  if (!k) return -ENOMEM;
  k->loop_ops = config->loop ? config->loop : poe_loop_find("uv");
  poe__clock_init(k, config->clock);
  make_id(k);
  poe__session_init(k);
  poe__select_init(k);
  poe__signal_init(k);
  poe__child_init(k);
  poe__why_init(k);
  int err = poe__name_init(k);
  if (!err) err = make_names(k);
  if (err) {
    poe_kernel_free(k);
    return err;
  }
  *out = k;
  return 0;
}

static void drop_names(poe_kernel *k) {
  poe_name **const names[] = {
      &k->n_start, &k->n_stop,   &k->n_child, &k->n_parent, &k->n_gc,
      &k->n_idle,  &k->n_zombie, &k->n_die,   &k->n_chld,   &k->n_uidestroy};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    poe_name_unref(k, *names[i]);
}

void poe_kernel_free(poe_kernel *k) {
  if (k->has_exception) poe__discard(k, k->exception.n, k->exception.words);
  poe__event_fini(k);
  poe__session_fini(k);
  poe__timer_fini(k);
  poe__extref_fini(k);
  poe__select_fini(k);
  poe__signal_fini(k);
  poe__child_fini(k);
  poe__why_fini(k);
  poe__limit_fini(k);
  drop_names(k);
  poe__name_fini(k);
  poe__driver_fini(k);
  poe__loop_close(k);
  poe__alloc_fini(k);
  poe_kernel proto = {.alloc = k->alloc, .alloc_ud = k->alloc_ud};
  poe__free(&proto, k, sizeof *k);
  poe__alloc_fini(&proto);
}

/* ---- the loop ------------------------------------------------------------------ */

const struct poe_loop_ops *poe_loop_find(const char *name) {
  static const struct poe_loop_ops *const all[] = {
      &poe__loop_uv, &poe__loop_poll, &poe__loop_select};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}

int poe__loop_open(poe_kernel *k) {
  if (k->loop) return 0;
  int err = k->loop_ops->open(k, &k->loop);
  return err ? err : poe__why_opened(k);
}

int poe_kernel_set_loop(poe_kernel *k, const struct poe_loop_ops *ops) {
  if (ops == k->loop_ops) return 0;
  if (k->loop) return -EBUSY;
  if (ops) k->loop_ops = ops;
  return 0;
}

const char *poe_kernel_loop_name(const poe_kernel *k) {
  return k->loop_ops->name;
}

/* ---- the head of the queue -------------------------------------------------------- */

struct head {
  int64_t due_ns; /* monotonic */
  uint64_t seq;
  struct poe__post *post; /* one of these two */
  struct poe__timer *timer;
};

static void consider(struct head *h, const struct poe__heap *heap,
                     int64_t offset_ns) {
  if (heap->count == 0) return;
  const struct poe__node *n = &heap->node[0];
  int64_t due = n->due_ns - offset_ns;
  uint64_t seq = poe__timer_seq(n->timer);
  if ((h->post || h->timer) &&
      (h->due_ns < due || (h->due_ns == due && h->seq < seq)))
    return;
  *h = (struct head){due, seq, NULL, n->timer};
}

/* Husks of freed sessions are left behind here. */
static inline struct poe__post *live_post(poe_kernel *k) {
  struct poe__post *post;
  while ((post = poe__fifo_head(k)) && POE__UNLIKELY(!post->m.dest))
    poe__fifo_pop(k, post);
  return post;
}

/* The least of the three heads; 0 if the queue is empty. */
static int find_head(poe_kernel *k, struct head *h) {
  struct poe__post *post = live_post(k);
  *h = (struct head){0};
  if (post) *h = (struct head){post->due_ns, post->seq, post, NULL};
  if (POE__UNLIKELY(k->timers)) {
    consider(h, &k->queue.delays, 0);
    consider(h, &k->queue.alarms, k->offset_ns);
  }
  return h->post || h->timer;
}

int poe_next_event_epoch_ns(poe_kernel *k, int64_t *out) {
  struct head h;
  poe_epoch_ns(k);
  if (!find_head(k, &h)) return 0;
  *out = poe__to_epoch(k, h.due_ns);
  return 1;
}

/* ---- idle ---------------------------------------------------------------------- */

static int has_nothing_but_tags(poe_kernel *k) {
  return k->events == 0 && k->selects.count == 0 && !poe__child_awaited(k);
}

/* Nothing can happen any more: tell everybody, or end. */
static void test_idle(poe_kernel *k) {
  if (!has_nothing_but_tags(k)) return;
  if (k->tags.count && k->ops->collect(k->ud)) {
    poe__sweep(k);
    if (!has_nothing_but_tags(k)) return;
  }
  if (k->tags.count || k->sessions.count == 0) return;
  if (poe__signal_queue(k, &k->root, k->n_idle)) k->error = -ENOMEM;
}

/* ---- waiting --------------------------------------------------------------------- */

/* How long the loop may block: -1 for ever, 0 not at all. */
static int64_t time_to_wait(poe_kernel *k) {
  struct head h;
  if (k->slice_open || k->selects.always_active || k->children.reap) return 0;
  if (k->error || k->has_exception) return 0; /* to be told, not slept over */
  if (!find_head(k, &h)) return -1;
  if (h.post) return 0;
  int64_t wait = h.due_ns - poe__now(k);
  if (wait < 0) return 0;
  /* A step of the wall clock must be noticed in time. */
  if (k->queue.alarms.count && wait > 1000000000) return 1000000000;
  return wait;
}

/* Can the loop have anything to say that is worth a system call now? */
static int loop_is_due(poe_kernel *k, int64_t wait) {
  if (wait != 0 || k->selects.count || k->children.reap) return 1;
  if (k->loop_ops->is_shared) return 1;
  if (!k->signals.os_watched) return 0;
  return poe__now(k) - k->polled_ns >= POE__SHARE_NS;
}

/* Virtual time: ask, and if nothing is ready jump to the head of the queue. */
static int wait_virtually(poe_kernel *k, int64_t wait) {
  struct head h;
  int err = k->loop_ops->wait(k->loop, wait < 0 ? -1 : 0);
  if (err || wait <= 0) return err;
  if (k->selects.nready || k->selects.has_lone || k->signals.any_caught ||
       !find_head(k, &h)) return 0;
  k->clock.jump(k->clock.ud, h.due_ns);
  return 0;
}

static int wait_for_loop(poe_kernel *k, int is_driven) {
  int64_t wait = time_to_wait(k);
  if (!loop_is_due(k, wait)) return 0;
  if (POE__UNLIKELY(k->topics & (POE_TRACE_EVENTS | POE_TRACE_FILES)))
    poe_log(k, "<ev> Kernel::run() iterating.  timeout(%.6f)",
            wait < 0 ? -1.0 : (double)wait / 1e9);
  if (is_driven && (wait < 0 || !k->clock.jump)) wait = 0;
  int err = k->clock.jump ? wait_virtually(k, wait)
                          : k->loop_ops->wait(k->loop, wait);
  k->polled_ns = poe__now(k);
  return err;
}

static void stop_on_exception(poe_kernel *k) {
  if (POE__UNLIKELY(k->has_exception)) poe_kernel_stop(k);
}

/* ---- dispatching what is due ---------------------------------------------------------- */

static void open_slice(poe_kernel *k) {
  k->slice_open = 1;
  k->slice_seq = k->queue.seq;
  k->jumps = 0;
  /* Without timers nobody asks what time it is. */
  k->slice_unread = k->timers == 0;
  k->slice_ns = k->slice_unread ? k->now_ns : poe__now(k);
  if (POE__UNLIKELY(k->trace & POE_TRACE_EVENTS)) poe__trace_queue(k);
}

/* The next event of this slice. */
static inline int find_due(poe_kernel *k, struct head *h) {
  if (POE__LIKELY(!k->timers)) {
    h->post = live_post(k);
    return h->post && h->post->seq < k->slice_seq;
  }
  if (!find_head(k, h)) return 0;
  if (h->post) return h->seq < k->slice_seq;
  return h->due_ns <= k->slice_ns;
}

static inline void dispatch_head(poe_kernel *k, struct head *h) {
  if (POE__UNLIKELY(k->trace & POE_TRACE_EVENTS))
    poe__trace_taken(k, h->post, h->post ? NULL : h->timer);
  if (h->post) {
    struct poe__post *post = h->post;
    poe_session *dest = post->m.dest;
    poe__fifo_pop(k, post);
    dest->first_post = post->next_of_dest;
    if (!dest->first_post) dest->last_post = NULL;
    poe__deliver(k, &post->m, post->words);
    return;
  }
  struct poe__message m = poe__timer_take(k, h->timer);
  poe__deliver(k, &m, poe__timer_words(h->timer));
  poe__timer_free(k, h->timer);
}

/* Has this slice had its share?  The clock is read now and then only. */
static int share_is_used(poe_kernel *k, unsigned dispatched, int64_t *began) {
  if (dispatched % POE__SHARE_EVENTS) return 0;
  if (!k->selects.count && !k->signals.os_watched && !k->loop_ops->is_shared &&
      !k->driver)
    return 0;
  int64_t now = poe__now(k);
  if (!*began) *began = now;
  return now - *began >= POE__SHARE_NS;
}

static inline void dispatch_due(poe_kernel *k) {
  struct head h;
  int64_t began = 0;
  unsigned n = 0;
  if (!k->slice_open) open_slice(k);
  while (find_due(k, &h)) {
    dispatch_head(k, &h);
    stop_on_exception(k);
    if (share_is_used(k, ++n, &began)) return;
  }
  k->slice_open = 0;
}

static int take_error(poe_kernel *k) {
  int err = k->error;
  k->error = 0;
  return err;
}

/* With a post at hand and nothing watched, the loop has nothing to say, unless
   others live on it. */
static int needs_no_loop(poe_kernel *k) {
  return !k->selects.count && !k->signals.os_watched && !k->children.reap &&
         !k->loop_ops->is_shared && live_post(k);
}

static int look_around(poe_kernel *k, int is_driven) {
  if (!is_driven) test_idle(k);
  if (k->sessions.count == 0 || k->has_exception) return 0;
  int err = poe__loop_open(k);
  if (!err) err = wait_for_loop(k, is_driven);
  if (err) return err;
  poe__signal_collect(k);
  if (k->selects.nready || k->selects.always_active || k->selects.has_lone)
    poe__select_dispatch(k);
  stop_on_exception(k);
  return 0;
}

static inline int one_slice(poe_kernel *k, int is_driven) {
  if (POE__UNLIKELY(k->has_exception)) { /* from before the run */
    poe_kernel_stop(k);
    return take_error(k);
  }
  int err = needs_no_loop(k) ? 0 : look_around(k, is_driven);
  if (err) return err;
  dispatch_due(k);
  if (!k->slice_open && !poe__list_empty(&k->idle)) poe__sweep(k);
  stop_on_exception(k);
  /* What is still queued to the kernel is not for the sessions to come. */
  if (k->sessions.count == 0) poe__event_clear_session(k, &k->root);
  return take_error(k);
}

/* ---- run, slice, stop -------------------------------------------------------------------- */

/* Sessions that were made while all stopped are stopped first. */
static int is_to_be_raised(const poe_kernel *k) {
  return k->has_exception && k->sessions.count == 0;
}

/* One within a handler: the slice that it interrupts goes on as it was. */
static int inner_slice(poe_kernel *k) {
  int64_t ns = k->slice_ns;
  uint64_t seq = k->slice_seq;
  int jumps = k->jumps;
  k->slice_open = 0;
  int err = one_slice(k, 0);
  k->slice_open = 1;
  k->slice_unread = 0;
  k->slice_ns = ns;
  k->slice_seq = seq;
  k->jumps = jumps;
  return err;
}

static inline int slice(poe_kernel *k) {
  if (k->sessions.count == 0) {
    int earlier = take_error(k); /* an exception says more */
    return k->has_exception ? -POE_ERAISE : earlier;
  }
  if (k->depth >= POE__DEPTH_MAX) return -POE_EDEEP;
  int err = k->slice_open && k->frame ? inner_slice(k) : one_slice(k, 0);
  if (is_to_be_raised(k)) return -POE_ERAISE;
  return err ? err : 1;
}

int poe_kernel_slice(poe_kernel *k) { return slice(k); }

int poe__slice_driven(poe_kernel *k) {
  int err = 0;
  if (k->sessions.count) err = one_slice(k, 1);
  if (!err) {
    test_idle(k);
    stop_on_exception(k);
    err = take_error(k);
  }
  if (is_to_be_raised(k)) return -POE_ERAISE;
  return err ? err : k->sessions.count > 0;
}

int64_t poe_kernel_timeout_ns(poe_kernel *k) {
  int is_stale = 0;
  if (k->has_exception || k->error) return 0;
  if (k->sessions.count == 0) return -1;
  if (k->selects.nready || k->signals.any_caught) return 0;
  if (has_nothing_but_tags(k) && !k->tags.count) return 0;
  if (k->loop && k->loop_ops->backend) k->loop_ops->backend(k->loop, &is_stale);
  if (is_stale) return 0;
  int64_t wait = time_to_wait(k);
  return wait > 0 && k->clock.jump ? 0 : wait;
}

int poe_kernel_run(poe_kernel *k) {
  if (k->running || k->stepping) return -EBUSY;
  int err = poe_kernel_has_forked(k);
  if (err) return err;
  k->running = 1;
  int more = 1;
  if (k->driver) more = poe__driver_run(k);
  while (more > 0) more = slice(k);
  k->running = 0;
  if (more == 0) poe__child_report_left(k);
  return more;
}

void poe_kernel_stop(poe_kernel *k) {
  struct poe__walk w = {0};
  if (poe__walk_tree(k, &w, &k->root)) k->error = -ENOMEM;
  poe_session *sender = poe_active_session(k);
  poe__session_hold(sender);
  for (size_t i = w.count; i-- > 1;) poe__session_stop(k, w.at[i], sender);
  poe__session_release(k, sender);
  poe__walk_free(k, &w);
  poe__event_clear_session(k, &k->root);
  poe__sweep(k);
}

int poe_kernel_exception(poe_kernel *k, struct poe_value *out) {
  if (!k->has_exception) return 0;
  k->has_exception = 0;
  *out = k->exception;
  return 1;
}

/* ---- fork ------------------------------------------------------------------------------- */

int poe_kernel_has_forked(poe_kernel *k) {
  if (k->pid == getpid()) return 0;
  make_id(k);
  poe__child_has_forked(k);
  k->selects.nready = 0;
  k->selects.has_lone = 0;
  memset(k->signals.caught, 0, sizeof k->signals.caught);
  k->signals.any_caught = 0;
  if (!k->loop) return 0;
  int err = poe__loop_forked(k);
  return err ? err : poe__driver_forked(k);
}

int64_t poe_kernel_fork(poe_kernel *k) {
  int err = poe__loop_open(k);
  if (err) return err;
  fflush(NULL); /* or both sides write what is buffered */
  pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) {
    err = poe_kernel_has_forked(k);
    return err ? err : 0;
  }
  poe__child_forked_off(k, pid);
  return pid;
}

/* ---- look-up ------------------------------------------------------------------------------ */

const char *poe_kernel_id(const poe_kernel *k) { return k->id; }
void *poe_kernel_host(const poe_kernel *k) { return k->ud; }
poe_session *poe_kernel_session(poe_kernel *k) { return &k->root; }
const struct poe_frame *poe_kernel_frame(const poe_kernel *k) {
  return k->frame;
}
void poe_kernel_set_catch(poe_kernel *k, int on) { k->catching = on; }
size_t poe_session_count(const poe_kernel *k) { return k->sessions.count; }

poe_session *poe_active_session(const poe_kernel *k) {
  const struct poe_frame *f = k->frame;
  if (f && !(f->session->flags & POE__DEAD)) return f->session;
  return (poe_session *)&k->root;
}

void poe_census(const poe_kernel *k, struct poe_census *out) {
  *out = (struct poe_census){
      .sessions = k->sessions.count,
      .events = k->events - k->timers,
      .timers = k->timers,
      .selects = k->selects.count,
      .signals = k->signals.watchers.count,
      .children = k->children.watchers.count,
      .aliases = k->aliases,
      .tags = k->tags.count,
      .names = k->names.map.count,
      .allocations = k->allocations,
  };
}
