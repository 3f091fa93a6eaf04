/* SPDX-License-Identifier: MIT */
/*
 * timer.c -- alarms and delays: by id and by name.
 *
 * A timer is an event of its session, in one of the two heaps.  All timers of
 * one (session, name) form a group, found through a map, so clearing by name
 * costs what it removes; a session's groups make clearing a session so too.
 * Ids only grow; a map finds the timer.
 *
 * POE: alarms in Kernel.pm and Resource/Events.pm.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

struct group {
  struct poe__owned owned;
  struct poe__link link; /* in k->timer_groups */
  struct poe__list *timers;
  uint32_t name; /* one reference */
};

struct poe__timer {
  struct poe__link by_id;
  int64_t id;
  struct group *group;
  struct poe__list node; /* in group->timers */
  uint32_t index;        /* in its heap */
  uint32_t is_alarm;     /* which heap */
  struct poe__message m;
  uint64_t words[];
};

static size_t timer_size(const struct poe__timer *t) {
  return sizeof *t + t->m.n * sizeof(uint64_t);
}

static struct poe__heap *heap_of(poe_kernel *k, const struct poe__timer *t) {
  return t->is_alarm ? &k->queue.alarms : &k->queue.delays;
}

struct poe__message *poe__timer_message(struct poe__timer *t) {
  return &t->m;
}

int64_t poe__timer_id(const struct poe__timer *t) { return t->id; }

const uint64_t *poe__timer_words(const struct poe__timer *t) {
  return t->words;
}

void poe__timer_set_index(struct poe__timer *t, uint32_t index) {
  t->index = index;
}

static int64_t due_epoch(poe_kernel *k, const struct poe__timer *t) {
  int64_t due = heap_of(k, t)->node[t->index].due_ns;
  if (t->is_alarm) return due;
  poe__refresh_offset(k);
  return poe__to_epoch(k, due);
}

/* ---- groups ------------------------------------------------------------------- */

static uint64_t group_key(const poe_session *s, uint32_t name) {
  return poe__pair(poe__id(s), name);
}

static struct group *find_group(poe_kernel *k, const poe_session *s,
                                uint32_t name) {
  struct poe__link *link =
      poe__map_first(&k->timer_groups, group_key(s, name));
  for (; link; link = link->next) {
    struct group *g = POE__ITEM(link, struct group, link);
    if (g->owned.session == s && g->name == name) return g;
  }
  return NULL;
}

static struct group *make_group(poe_kernel *k, poe_session *s,
                                poe_name *name) {
  if (poe__map_reserve(k, &k->timer_groups)) return NULL;
  struct group *g = poe__alloc(k, sizeof *g);
  if (!g) return NULL;
  g->name = poe__name_keep(name);
  g->link.key = group_key(s, g->name);
  g->timers = NULL;
  poe__own(s, &g->owned, POE__OWNED_TIMERS);
  poe__map_add(&k->timer_groups, &g->link);
  return g;
}

/* The timers of what a session owns, if it is a group. */
static struct poe__list *timers_in(struct poe__list *node) {
  struct poe__owned *o = POE__ITEM(node, struct poe__owned, node);
  if (o->kind != POE__OWNED_TIMERS) return NULL;
  return POE__ITEM(o, struct group, owned)->timers;
}

static void drop_group_if_empty(poe_kernel *k, struct group *g) {
  if (g->timers) return;
  poe__disown(&g->owned);
  poe__map_remove(k, &k->timer_groups, &g->link);
  poe__name_drop(k, g->name);
  poe__free(k, g, sizeof *g);
}

/* ---- leaving ------------------------------------------------------------------- */

void poe__timer_detach(poe_kernel *k, struct poe__timer *t) {
  poe__heap_remove(k, heap_of(k, t), t->index);
  poe__map_remove(k, &k->timer_ids, &t->by_id);
  poe__ring_remove(&t->group->timers, &t->node);
  drop_group_if_empty(k, t->group);
  k->timers--;
}

void poe__timer_free(poe_kernel *k, struct poe__timer *t) {
  poe__free(k, t, timer_size(t));
}

static void remove_timer(poe_kernel *k, struct poe__timer *t) {
  poe_session *s = t->m.dest;
  POE__TRACE_OF(k, s, POE_TRACE_EVENTS, "<ev> removed timer %lld ``%s'' to %s",
                (long long)t->id, poe__name_at(k, t->m.event)->text,
                poe__label(s));
  poe__timer_detach(k, t);
  poe__message_drop(k, &t->m, t->words);
  poe__timer_free(k, t);
  poe__count_out(k, s, s);
}

static void clear_group(poe_kernel *k, struct group *g) {
  for (;;) {
    struct poe__list *n = g->timers;
    int is_last = n->next == n;
    remove_timer(k, POE__ITEM(n, struct poe__timer, node));
    if (is_last) return; /* and the group is gone */
  }
}

void poe__timer_drop(poe_kernel *k, struct poe__owned *o) {
  clear_group(k, POE__ITEM(o, struct group, owned));
}

void poe__timer_fini(poe_kernel *k) {
  poe__map_fini(k, &k->timer_groups);
  poe__map_fini(k, &k->timer_ids);
  poe__heap_fini(k, &k->queue.delays);
  poe__heap_fini(k, &k->queue.alarms);
}

/* ---- setting --------------------------------------------------------------------- */

static int reserve(poe_kernel *k, int is_alarm) {
  int err = poe__heap_reserve(
      k, is_alarm ? &k->queue.alarms : &k->queue.delays);
  return err ? err : poe__map_reserve(k, &k->timer_ids);
}

static struct poe__timer *make(poe_kernel *k, poe_session *s,
                               poe_name *event, struct poe_origin origin,
                               struct poe_payload args) {
  struct poe__timer *t = poe__alloc(k, sizeof *t + args.n * sizeof(uint64_t));
  if (!t) return NULL;
  t->m = (struct poe__message){.dest = s,
                               .source = s,
                               .type = POE_EV_ALARM,
                               .n = (uint16_t)args.n,
                               .line = origin.line};
  for (unsigned i = 0; i < args.n; i++) t->words[i] = args.words[i];
  t->group = find_group(k, s, event->id);
  if (!t->group) t->group = make_group(k, s, event);
  if (!t->group) {
    poe__free(k, t, timer_size(t));
    return NULL;
  }
  t->m.event = poe__name_keep(event);
  t->m.from = poe__name_keep(poe__active_event(k));
  t->m.file = poe__name_keep(origin.file);
  return t;
}

/* No due time is farther off, so that sums with an offset cannot overflow. */
#define FAR_NS (INT64_MAX / 2)

static int64_t clipped(int64_t ns) {
  return ns > FAR_NS ? FAR_NS : ns < -FAR_NS ? -FAR_NS : ns;
}

static int64_t add_clipped(int64_t a, int64_t b) {
  return clipped(clipped(a) + clipped(b));
}

/* The due time, in its heap's clock, that a timer asking for `due` gets.  Past
   ones jump the queue, but only so many a slice, or one that sets itself again
   would starve the rest. */
static int64_t bounded(poe_kernel *k, int is_alarm, int64_t now,
                       int64_t due) {
  if (k->slice_unread) { /* the running slice has not needed the time yet */
    k->slice_unread = 0;
    k->slice_ns = now - 1;
  }
  int64_t origin = is_alarm ? poe__to_epoch(k, now) : now;
  if (due >= origin || ++k->jumps <= POE__JUMPS_MAX) return due;
  return origin;
}

static int64_t due_time(poe_kernel *k, int is_alarm, int64_t when_ns) {
  int64_t now = poe__now(k);
  if (is_alarm && k->queue.alarms.count == 0) poe_epoch_ns(k);
  return bounded(k, is_alarm, now,
                 is_alarm ? clipped(when_ns) : add_clipped(now, when_ns));
}

POE__COLD static void tell_set(poe_kernel *k, const struct poe__timer *t,
                               struct poe_origin origin) {
  int64_t now = t->is_alarm ? poe__to_epoch(k, k->now_ns) : k->now_ns;
  POE__TRACE_OF(k, t->m.dest, POE_TRACE_EVENTS,
                "<ev> set timer %lld ``%s'' to %s in %.6fs", (long long)t->id,
                poe__name_at(k, t->m.event)->text, poe__label(t->m.dest),
                (double)(heap_of(k, t)->node[t->index].due_ns - now) / 1e9);
  if (k->trace & POE__WHY) poe__made(k, t, origin);
}

int poe_timer_set(poe_kernel *k, poe_name *event, enum poe_timer_clock clock,
                  int64_t when_ns, struct poe_origin origin,
                  struct poe_payload args, int64_t *id) {
  poe_session *s = poe_active_session(k);
  int is_alarm = clock == POE_ALARM;
  if (!poe__session_can_own(s)) return -ESRCH;
  if (reserve(k, is_alarm)) return -ENOMEM;
  struct poe__timer *t = make(k, s, event, origin, args);
  if (!t) return -ENOMEM;
  t->is_alarm = (uint32_t)is_alarm;
  t->id = ++k->last_timer;
  t->by_id.key = (uint64_t)t->id;
  int64_t due = due_time(k, is_alarm, when_ns);
  poe__heap_add(heap_of(k, t), (struct poe__node){due, k->queue.seq++, t});
  poe__map_add(&k->timer_ids, &t->by_id);
  poe__ring_push(&t->group->timers, &t->node);
  k->timers++;
  poe__count_in(k, s, s);
  *id = t->id;
  if (POE__UNLIKELY(k->trace & (POE_TRACE_EVENTS | POE__WHY)))
    tell_set(k, t, origin);
  return 0;
}

int poe_timer_clear(poe_kernel *k, poe_name *event) {
  struct group *g = find_group(k, poe_active_session(k), event->id);
  if (g) clear_group(k, g);
  return 0;
}

/* ---- by id ------------------------------------------------------------------------- */

static int find_mine(poe_kernel *k, int64_t id, struct poe__timer **out) {
  struct poe__link *link = poe__map_first(&k->timer_ids, (uint64_t)id);
  while (link && ((struct poe__timer *)(void *)link)->id != id)
    link = link->next;
  if (!link) return -ESRCH;
  *out = (struct poe__timer *)(void *)link;
  return (*out)->m.dest == poe_active_session(k) ? 0 : -EPERM;
}

/* Hand a timer's contents to the caller and free it. */
static void take(poe_kernel *k, struct poe__timer *t,
                 struct poe_timer_info *out) {
  poe_session *s = t->m.dest;
  out->due_epoch_ns = due_epoch(k, t);
  out->event = poe__name_at(k, t->m.event);
  out->n = t->m.n;
  for (unsigned i = 0; i < t->m.n; i++) out->words[i] = t->words[i];
  poe__name_drop(k, t->m.from);
  poe__name_drop(k, t->m.file);
  poe__timer_detach(k, t);
  poe__timer_free(k, t);
  poe__count_out(k, s, s);
}

int poe_timer_peek(poe_kernel *k, int64_t id, poe_name **event,
                   struct poe_payload *args) {
  struct poe__timer *t;
  int err = find_mine(k, id, &t);
  if (err) return err;
  *event = poe__name_at(k, poe__timer_message(t)->event);
  *args = (struct poe_payload){poe__timer_message(t)->n, poe__timer_words(t)};
  return 0;
}

int poe_timer_remove(poe_kernel *k, int64_t id, struct poe_timer_info *out) {
  struct poe__timer *t;
  int err = find_mine(k, id, &t);
  if (err) return err;
  take(k, t, out);
  return 0;
}

static int move_to(poe_kernel *k, struct poe__timer *t, int64_t due,
                   int64_t *due_epoch_ns) {
  poe__heap_move(heap_of(k, t), t->index, due, k->queue.seq++);
  *due_epoch_ns = due_epoch(k, t);
  return 0;
}

int poe_timer_adjust(poe_kernel *k, int64_t id, int64_t delta_ns,
                     int64_t *due_epoch_ns) {
  struct poe__timer *t;
  int err = find_mine(k, id, &t);
  if (err) return err;
  int64_t due = heap_of(k, t)->node[t->index].due_ns;
  due = bounded(k, (int)t->is_alarm, poe__now(k), add_clipped(due, delta_ns));
  return move_to(k, t, due, due_epoch_ns);
}

int poe_timer_readjust(poe_kernel *k, int64_t id, int64_t delay_ns,
                       int64_t *due_epoch_ns) {
  struct poe__timer *t;
  int err = find_mine(k, id, &t);
  if (err) return err;
  if (t->is_alarm) { /* from now on it is a delay */
    err = poe__heap_reserve(k, &k->queue.delays);
    if (err) return err;
    poe__heap_remove(k, &k->queue.alarms, t->index);
    t->is_alarm = 0;
    poe__heap_add(&k->queue.delays,
                  (struct poe__node){INT64_MAX, k->queue.seq, t});
  }
  return move_to(k, t, due_time(k, 0, delay_ns), due_epoch_ns);
}

/* ---- all of a session ----------------------------------------------------------------- */

static int64_t mono_due(poe_kernel *k, const struct poe__timer *t) {
  int64_t due = heap_of(k, t)->node[t->index].due_ns;
  return t->is_alarm ? due - k->offset_ns : due;
}

struct ranked {
  int64_t due_ns;
  uint64_t seq;
  int64_t id;
};

static int compare_ranked(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->due_ns != y->due_ns) return x->due_ns < y->due_ns ? -1 : 1;
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

int poe_timer_list(poe_kernel *k, int64_t **ids, size_t *count) {
  poe_session *s = poe_active_session(k);
  struct ranked *at = NULL;
  size_t room = 0, n = 0;
  poe_epoch_ns(k);
  POE__EACH_IN(gn, s->owned) {
    POE__EACH_IN(tn, timers_in(gn)) {
      struct poe__timer *t = POE__ITEM(tn, struct poe__timer, node);
      if (poe__grow(k, (void **)&at, sizeof *at, &room, n + 1)) {
        poe__array_free(k, at, room * sizeof *at);
        return -ENOMEM;
      }
      at[n++] = (struct ranked){mono_due(k, t),
                                heap_of(k, t)->node[t->index].seq, t->id};
    }
  }
  if (n) qsort(at, n, sizeof *at, compare_ranked);
  *count = n;
  *ids = n ? poe__alloc(k, n * sizeof **ids) : NULL;
  for (size_t i = 0; *ids && i < n; i++) (*ids)[i] = at[i].id;
  poe__array_free(k, at, room * sizeof *at);
  return n && !*ids ? -ENOMEM : 0;
}

/* ---- why ------------------------------------------------------------------------------ */

static void tell_timer(poe_kernel *k, const struct poe__timer *t,
                       struct poe__asking *a) {
  struct poe_reason r = {.kind = POE_BY_TIMER,
                         .keeps_program = 1,
                         .session = t->m.dest,
                         .name = poe__name_at(k, t->m.event),
                         .number = t->id,
                         .due_ns = mono_due(k, t) - k->now_ns,
                         .from = poe__name_at(k, t->m.from),
                         .file = poe__name_at(k, t->m.file),
                         .line = t->m.line};
  poe__why_tell(a, t, &r);
}

/* By name, and those of one name in the order set. */
void poe__timer_why(poe_kernel *k, poe_session *s, struct poe__asking *a) {
  POE__EACH_IN(gn, s->owned) {
    POE__EACH_IN(tn, timers_in(gn))
      tell_timer(k, POE__ITEM(tn, struct poe__timer, node), a);
  }
}

void poe_timer_list_free(poe_kernel *k, int64_t *ids, size_t count) {
  poe__free(k, ids, count * sizeof *ids);
}
