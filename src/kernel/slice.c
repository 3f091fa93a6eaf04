/* SPDX-License-Identifier: MIT */
/*
 * slice.c -- one turn of the kernel.
 *
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
 *
 * Posts and timers go to a host that wants them (ops->batch) in batches: it
 * takes one after the other by poe_next and poe_done, in one protected call.
 * A batch ends where the kernel has something else to do first.
 */
#include <errno.h>

#include "internal.h"

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
  uint64_t seq = n->slot->seq;
  if ((h->post || h->timer) &&
      (h->due_ns < due || (h->due_ns == due && h->seq < seq)))
    return;
  *h = (struct head){due, seq, NULL, n->slot->timer};
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
    poe__fifo_take(k, post);
    poe__deliver(k, &post->m, post->words);
    return;
  }
  struct poe__message m = poe__timer_take(k, h->timer);
  poe__deliver(k, &m, poe__timer_words(h->timer));
  poe__timer_free(k, h->timer);
}

/* Has this slice had its share?  The clock is read now and then only. */
static inline int share_is_used(poe_kernel *k, struct poe__share *share) {
  if (share->events % POE__SHARE_EVENTS) return 0;
  if (!k->selects.count && !k->signals.os_watched && !k->loop_ops->is_shared &&
      !k->driver)
    return 0;
  int64_t now = poe__now(k);
  if (!share->began_ns) share->began_ns = now;
  return now - share->began_ns >= POE__SHARE_NS;
}

/* With nothing watched the loop has nothing to say to who has work at hand,
   unless others live on it. */
static inline int is_loop_silent(const poe_kernel *k) {
  return !k->selects.count && !k->signals.os_watched && !k->children.reap &&
         !k->loop_ops->is_shared;
}

/* ---- batches ----------------------------------------------------------------------------- */

/* Who watches wants to see each event by itself; an exception ends all. */
static inline int must_be_alone(const poe_kernel *k) {
  return k->trace & (POE_TRACE_EVENTS | POE__GUARDED) || k->has_exception;
}

static inline int is_plain(const struct poe__post *post) {
  return post->m.type == POE_EV_POST &&
         !(post->m.dest->flags & POE__IS_ROOT);
}

/* Nothing can have come about but posts: the next slice begins at once. */
static inline int next_slice(poe_kernel *k, const struct poe__batch *b) {
  if (!b->goes_on || !poe__list_empty(&k->idle) || k->error ||
      !is_loop_silent(k))
    return 0;
  open_slice(k);
  return 1;
}

/* What the host may take now; 0: something else comes first. */
static inline int find_next(poe_kernel *k, const struct poe__batch *b,
                            struct head *h) {
  if (POE__LIKELY(!k->timers))
    h->post = live_post(k);
  else if (find_head(k, h) && !h->post)
    return h->due_ns <= k->slice_ns;
  return h->post && is_plain(h->post) &&
         (h->post->seq < k->slice_seq || next_slice(k, b));
}

/* The frame is the batch's own; it takes the event's hold on both sessions. */
static inline void begin(poe_kernel *k, struct poe__batch *b,
                         const struct poe__message *m, const uint64_t *words) {
  struct poe_frame *f = &b->frame;
  f->session = m->dest;
  f->sender = m->source;
  f->event = f->active = poe__name_at(k, m->event);
  f->from = poe__name_at(k, m->from);
  f->file = poe__name_at(k, m->file);
  f->line = m->line;
  b->dispatch.args =
      (struct poe_payload){(unsigned)m->n - m->own, words + m->own};
  poe__uncount(k, f->session, f->sender);
  k->depth++;
  k->frame = f;
}

static void begin_timer(poe_kernel *k, struct poe__batch *b,
                        struct poe__timer *timer) {
  struct poe__message m = poe__timer_take(k, timer);
  begin(k, b, &m, poe__timer_words(timer));
  b->frame.type = b->frame.active_type = m.type;
  b->timer = timer;
}

/* A timer, or one whose call failed: the next is a post again. */
static void end_other(poe_kernel *k, struct poe__batch *b) {
  if (b->timer) poe__timer_free(k, b->timer);
  b->timer = NULL;
  b->frame.type = b->frame.active_type = POE_EV_POST;
}

const struct poe_dispatch *poe_next(poe_kernel *k) {
  struct poe__batch *b = k->batch;
  struct head h;
  if (b->is_over || !find_next(k, b, &h)) return NULL;
  if (POE__LIKELY(h.post)) {
    begin(k, b, &h.post->m, h.post->words);
    poe__fifo_take(k, h.post);
  } else {
    begin_timer(k, b, h.timer);
  }
  return &b->dispatch;
}

void poe_done(poe_kernel *k, enum poe_outcome outcome,
              const struct poe_value *exception) {
  struct poe__batch *b = k->batch;
  struct poe_frame *f = &b->frame;
  poe_session *session = f->session;
  b->share.events++;
  k->depth--;
  k->frame = f->outer;
  if (POE__UNLIKELY(outcome == POE_DIED)) {
    if (session->flags & POE__DEAD) f->session = &k->root;
    poe__died(k, f, exception);
  }
  poe_name_unref(k, f->event);
  poe_name_unref(k, f->from);
  poe_name_unref(k, f->file);
  poe__release_both(k, session, f->sender);
  if (POE__UNLIKELY(f->type != POE_EV_POST)) end_other(k, b);
  b->is_over = must_be_alone(k) || share_is_used(k, &b->share);
}

static void run_batch(poe_kernel *k, struct poe__batch *b) {
  struct poe__batch *outer = k->batch;
  b->frame = (struct poe_frame){.outer = k->frame,
                                .type = POE_EV_POST,
                                .active_type = POE_EV_POST};
  b->dispatch = (struct poe_dispatch){.frame = &b->frame};
  b->timer = NULL;
  b->is_over = 0;
  k->batch = b;
  k->ops->batch(k->ud);
  k->batch = outer;
}

static inline void dispatch_due(poe_kernel *k) {
  struct poe__batch b;
  struct head h;
  b.share = (struct poe__share){0};
  b.goes_on = k->running && !k->frame;
  if (!k->slice_open) open_slice(k);
  while (find_due(k, &h)) {
    if (k->ops->batch && !must_be_alone(k) &&
        (!h.post || is_plain(h.post))) {
      run_batch(k, &b);
    } else {
      dispatch_head(k, &h);
      b.share.events++;
    }
    stop_on_exception(k);
    if (share_is_used(k, &b.share)) return;
  }
  k->slice_open = 0;
}

/* ---- the slice ---------------------------------------------------------------------------- */

static int take_error(poe_kernel *k) {
  int err = k->error;
  k->error = 0;
  return err;
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
  int err = is_loop_silent(k) && live_post(k) ? 0 : look_around(k, is_driven);
  if (err) return err;
  dispatch_due(k);
  if (!k->slice_open && !poe__list_empty(&k->idle)) poe__sweep(k);
  stop_on_exception(k);
  /* What is still queued to the kernel is not for the sessions to come. */
  if (k->sessions.count == 0) poe__event_clear_session(k, &k->root);
  return take_error(k);
}

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

