/* SPDX-License-Identifier: MIT */
/*
 * trace.c -- topics of traces and assertions, and the lines they print.
 *
 * The masks are tested where something happens; off, a switch costs that one
 * branch.  Lines go to ops->log: the kernel itself writes to no stream.
 *
 * POE: the TRACE_ and ASSERT_ constants of Kernel.pm.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

struct topic {
  const char *name;
  unsigned bit;
};

static unsigned find(const struct topic *t, const char *name) {
  for (; t->name; t++)
    if (strcmp(t->name, name) == 0) return t->bit;
  return 0;
}

unsigned poe_trace_topic(const char *name) {
  static const struct topic topics[] = {
      {"destroy", POE_TRACE_DESTROY},   {"events", POE_TRACE_EVENTS},
      {"files", POE_TRACE_FILES},       {"refcnt", POE_TRACE_REFCNT},
      {"retvals", POE_TRACE_RETVALS},   {"sessions", POE_TRACE_SESSIONS},
      {"signals", POE_TRACE_SIGNALS},   {"default", 0x7f},
      {NULL, 0}};
  return find(topics, name);
}

unsigned poe_assert_topic(const char *name) {
  static const struct topic topics[] = {
      {"data", POE_ASSERT_DATA},       {"events", POE_ASSERT_EVENTS},
      {"files", POE_ASSERT_FILES},     {"retvals", POE_ASSERT_RETVALS},
      {"usage", POE_ASSERT_USAGE},     {"states", POE_ASSERT_STATES},
      {"default", 0x3f},               {NULL, 0}};
  return find(topics, name);
}

unsigned poe_trace_mask(const poe_kernel *k) { return k->topics; }
unsigned poe_assert_mask(const poe_kernel *k) { return k->asserted; }
unsigned poe_assert_any(const poe_kernel *k) { return k->assertions; }

/* What is tested first is what anybody wants. */
static void merge(poe_kernel *k) {
  unsigned trace = k->topics, assertions = k->asserted;
  poe_session *s = k->choosy ? &k->root : NULL;
  for (; s; s = poe__next_session(k, s)) {
    trace |= s->trace;
    assertions |= s->assertions;
  }
  if (k->choosy) trace |= POE__CHOOSY;
  k->trace = (k->trace & ~(unsigned)(POE__TOPICS | POE__CHOOSY)) | trace;
  k->assertions = assertions;
}

void poe_set_trace_mask(poe_kernel *k, unsigned mask) {
  k->topics = mask;
  merge(k);
  k->traced_kind = NULL; /* what is taken already was not told */
}

void poe_set_assert_mask(poe_kernel *k, unsigned mask) {
  k->asserted = mask;
  merge(k);
}

static int is_choosy(const poe_session *s) {
  return s->trace || s->assertions;
}

void poe_session_set_topics(poe_kernel *k, poe_session *s, unsigned trace,
                            unsigned assertions) {
  if (s->flags & POE__DEAD) return;
  k->choosy -= (size_t)is_choosy(s);
  s->trace = (uint8_t)trace;
  s->assertions = (uint8_t)assertions;
  k->choosy += (size_t)is_choosy(s);
  merge(k);
}

int poe__is_traced(const poe_kernel *k, const poe_session *s,
                   unsigned topic) {
  return ((k->topics | s->trace) & topic) != 0;
}

unsigned poe_traced(const poe_kernel *k, unsigned topics) {
  return (k->topics | poe_active_session(k)->trace) & topics;
}

unsigned poe_asserted(const poe_kernel *k, unsigned topics) {
  return (k->asserted | poe_active_session(k)->assertions) & topics;
}

void poe_log(poe_kernel *k, const char *format, ...) {
  char line[1024];
  int n = snprintf(line, sizeof line, "=== %ld === ", (long)getpid());
  va_list args;
  va_start(args, format);
  vsnprintf(line + n, sizeof line - (size_t)n, format, args);
  va_end(args);
  k->ops->log(k->ud, line);
}

const char *poe_session_label(const poe_session *s, char *buf, size_t size) {
  const poe_name *alias = s->aliases;
  if (s->flags & POE__IS_ROOT)
    snprintf(buf, size, "the kernel");
  else if (alias)
    snprintf(buf, size, "session %llu \"%s\"", (unsigned long long)poe__id(s),
             alias->text);
  else
    snprintf(buf, size, "session %llu", (unsigned long long)poe__id(s));
  return buf;
}

const char *poe__label(const poe_session *s) {
  static _Thread_local char buf[4][128];
  static _Thread_local unsigned turn;
  turn = (turn + 1) % 4;
  return poe_session_label(s, buf[turn], sizeof buf[turn]);
}

/* ---- the topic of events ------------------------------------------------- */

struct line {
  int64_t due_ns; /* monotonic */
  uint64_t seq;
  const char *kind;
  uint64_t id;
  struct poe__message m;
};

static int compare_lines(const void *a, const void *b) {
  const struct line *x = a, *y = b;
  if (x->due_ns != y->due_ns) return x->due_ns < y->due_ns ? -1 : 1;
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static size_t add_posts(const poe_kernel *k, struct line *at) {
  struct poe__fifo_at it = {0};
  const struct poe__post *post;
  size_t n = 0;
  while ((post = poe__fifo_next(k, &it)))
    if (post->m.dest)
      at[n++] = (struct line){post->due_ns, post->seq, "event", post->seq,
                              post->m};
  return n;
}

static size_t add_timers(const struct poe__heap *heap, int64_t offset_ns,
                         struct line *at) {
  for (uint32_t i = 0; i < heap->count; i++) {
    const struct poe__node *n = &heap->node[i];
    at[i] = (struct line){n->due_ns - offset_ns, n->slot->seq,
                          "timer",
                          (uint64_t)poe__timer_id(n->slot->timer),
                          poe__timer_message(n->slot->timer)};
  }
  return heap->count;
}

/* Either end of an event may be the one whose events are traced. */
static int is_of_interest(const poe_kernel *k, const poe_session *a,
                          const poe_session *b) {
  return poe__is_traced(k, a, POE_TRACE_EVENTS) ||
         poe__is_traced(k, b, POE_TRACE_EVENTS);
}

static void print_lines(poe_kernel *k, const struct line *at, size_t n) {
  for (; n-- > 0; at++)
    if (is_of_interest(k, at->m.source, at->m.dest))
      poe_log(k, "<ev> queued: %s %llu ``%s'' from %s to %s at %.6f",
              at->kind, (unsigned long long)at->id,
              poe__name_at(k, at->m.event)->text, poe__label(at->m.source),
              poe__label(at->m.dest),
              (double)poe__to_epoch(k, at->due_ns) / 1e9);
}

/* Without memory for it, there is no list. */
void poe__trace_queue(poe_kernel *k) {
  size_t size = k->events * sizeof(struct line);
  struct line *at = size ? poe__alloc(k, size) : NULL;
  if (!at) return;
  size_t n = add_posts(k, at);
  n += add_timers(&k->queue.delays, 0, at + n);
  n += add_timers(&k->queue.alarms, k->offset_ns, at + n);
  qsort(at, n, sizeof *at, compare_lines);
  print_lines(k, at, n);
  poe__free(k, at, size);
}

void poe__trace_taken(poe_kernel *k, const struct poe__post *post,
                      const struct poe__timer *timer) {
  k->traced_kind = post ? "event" : "timer";
  k->traced_id = post ? post->seq : (uint64_t)poe__timer_id(timer);
}

void poe__trace_dispatch(poe_kernel *k, const struct poe_frame *f) {
  if (!is_of_interest(k, f->sender, f->session)) return;
  poe_log(k, "<ev> dispatching event ``%s'' from %s to %s", f->event->text,
          poe__label(f->sender), poe__label(f->session));
}

/* Calls, selects and the kernel's own dispatches were never queued. */
static int was_queued(const poe_kernel *k, const struct poe_frame *f) {
  return k->traced_kind && f->type & (POE_EV_POST | POE_EV_ALARM |
                                      POE_EV_SIGNAL | POE_EV_SIGCHLD |
                                      POE_EV_DIE);
}

void poe__trace_return(poe_kernel *k, const struct poe_frame *f,
                       enum poe_outcome outcome) {
  static const char *const texts[] = {[POE_HANDLED] = "returns",
                                      [POE_UNHANDLED] = "was not handled",
                                      [POE_DIED] = "died"};
  if (!is_of_interest(k, f->sender, f->session)) return;
  if (was_queued(k, f))
    poe_log(k, "<ev> %s %llu ``%s'' %s", k->traced_kind,
            (unsigned long long)k->traced_id, f->event->text, texts[outcome]);
  else
    poe_log(k, "<ev> event ``%s'' %s", f->event->text, texts[outcome]);
}
