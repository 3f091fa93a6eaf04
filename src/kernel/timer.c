/* SPDX-License-Identifier: MIT */
/*
 * timer.c -- alarms and delays: by id and by name.
 *
 * A timer is an event of its session, in one of the two heaps.  All timers of
 * one (session, name) form a group, found through a map, so clearing by name
 * costs what it removes; a session's groups make clearing a session so too.
 * Ids only grow.  Sixteen that follow each other lie together, which a map
 * finds: it is touched once for sixteen timers.
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

#define IDS 16

/* Lives as long as one of its timers, or as it is the newest. */
struct poe__ids {
  struct poe__link link; /* in k->timer_ids; key is their id / IDS */
  uint32_t live;
  struct poe__timer *timer[IDS];
};

/* A cache line with a word.  What all of a group have in common is the
   group's. */
struct poe__timer {
  struct poe__ids *ids;
  struct group *group;
  struct poe__list node; /* in group->timers */
  uint64_t seq;          /* among those due at the same time */
  uint32_t index;        /* in its heap */
  uint32_t from, file;   /* names, one reference each */
  uint32_t line : 22;
  uint32_t place : 4;    /* in ids->timer */
  uint32_t n : 5;        /* words */
  uint32_t is_alarm : 1; /* which heap */
  uint64_t words[];
};

_Static_assert(sizeof(struct poe__timer) == 56, "no room is lost");
_Static_assert(POE_PAYLOAD_MAX < 1 << 5, "its words can be counted");

#define LAST_LINE ((1u << 22) - 1)

static size_t timer_size(const struct poe__timer *t) {
  return sizeof *t + t->n * sizeof(uint64_t);
}

static struct poe__heap *heap_of(poe_kernel *k, const struct poe__timer *t) {
  return t->is_alarm ? &k->queue.alarms : &k->queue.delays;
}

struct poe__message poe__timer_message(const struct poe__timer *t) {
  return (struct poe__message){.dest = t->group->owned.session,
                               .source = t->group->owned.session,
                               .event = t->group->name,
                               .from = t->from,
                               .file = t->file,
                               .line = t->line,
                               .type = POE_EV_ALARM,
                               .n = (uint16_t)t->n};
}

int64_t poe__timer_id(const struct poe__timer *t) {
  return (int64_t)(t->ids->link.key * IDS + t->place);
}

uint64_t poe__timer_seq(const struct poe__timer *t) { return t->seq; }

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

/* ---- ids ---------------------------------------------------------------------- */

static void free_ids(poe_kernel *k, struct poe__ids *ids) {
  poe__map_remove(k, &k->timer_ids, &ids->link);
  poe__free(k, ids, sizeof *ids);
}

/* Room for the next id: 0 or -ENOMEM. */
static int reserve_id(poe_kernel *k) {
  uint64_t key = ((uint64_t)k->last_timer + 1) / IDS;
  struct poe__ids *newest = k->newest_ids;
  if (newest && newest->link.key == key) return 0;
  if (poe__map_reserve(k, &k->timer_ids)) return -ENOMEM;
  struct poe__ids *ids = poe__zalloc(k, sizeof *ids);
  if (!ids) return -ENOMEM;
  ids->link.key = key;
  poe__map_add(&k->timer_ids, &ids->link);
  k->newest_ids = ids;
  if (newest && newest->live == 0) free_ids(k, newest);
  return 0;
}

static void give_id(poe_kernel *k, struct poe__timer *t) {
  t->ids = k->newest_ids;
  t->place = (uint64_t)++k->last_timer % IDS;
  t->ids->timer[t->place] = t;
  t->ids->live++;
}

static void drop_id(poe_kernel *k, struct poe__timer *t) {
  t->ids->timer[t->place] = NULL;
  if (--t->ids->live == 0 && t->ids != k->newest_ids) free_ids(k, t->ids);
}

struct poe__timer *poe__timer_find(const poe_kernel *k, int64_t id) {
  uint64_t key = (uint64_t)id / IDS;
  struct poe__link *link = poe__map_first(&k->timer_ids, key);
  while (link && link->key != key) link = link->next;
  if (!link) return NULL;
  return ((struct poe__ids *)(void *)link)->timer[(uint64_t)id % IDS];
}

/* ---- leaving ------------------------------------------------------------------- */

static void detach(poe_kernel *k, struct poe__timer *t) {
  poe__heap_remove(k, heap_of(k, t), t->index);
  drop_id(k, t);
  poe__ring_remove(&t->group->timers, &t->node);
  drop_group_if_empty(k, t->group);
  k->timers--;
}

/* The group may go, and its reference of the name with it. */
struct poe__message poe__timer_take(poe_kernel *k, struct poe__timer *t) {
  struct poe__message m = poe__timer_message(t);
  poe__name_keep(poe__name_at(k, m.event));
  detach(k, t);
  return m;
}

void poe__timer_free(poe_kernel *k, struct poe__timer *t) {
  poe__free(k, t, timer_size(t));
}

static void remove_timer(poe_kernel *k, struct poe__timer *t) {
  poe_session *s = t->group->owned.session;
  POE__TRACE_OF(k, s, POE_TRACE_EVENTS, "<ev> removed timer %lld ``%s'' to %s",
                (long long)poe__timer_id(t),
                poe__name_at(k, t->group->name)->text, poe__label(s));
  struct poe__message m = poe__timer_take(k, t);
  poe__message_drop(k, &m, t->words);
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
  if (k->newest_ids) free_ids(k, k->newest_ids);
  poe__map_fini(k, &k->timer_groups);
  poe__map_fini(k, &k->timer_ids);
  poe__heap_fini(k, &k->queue.delays);
  poe__heap_fini(k, &k->queue.alarms);
}

/* ---- setting --------------------------------------------------------------------- */

static int reserve(poe_kernel *k, int is_alarm) {
  int err = poe__heap_reserve(
      k, is_alarm ? &k->queue.alarms : &k->queue.delays);
  return err ? err : reserve_id(k);
}

static struct poe__timer *make(poe_kernel *k, poe_session *s,
                               poe_name *event, struct poe_origin origin,
                               struct poe_payload args) {
  struct poe__timer *t = poe__alloc(k, sizeof *t + args.n * sizeof(uint64_t));
  if (!t) return NULL;
  t->n = args.n & 31u;
  t->line = (origin.line < LAST_LINE ? origin.line : LAST_LINE) & LAST_LINE;
  for (unsigned i = 0; i < args.n; i++) t->words[i] = args.words[i];
  t->group = find_group(k, s, event->id);
  if (!t->group) t->group = make_group(k, s, event);
  if (!t->group) {
    poe__free(k, t, timer_size(t));
    return NULL;
  }
  t->from = poe__name_keep(poe__active_event(k));
  t->file = poe__name_keep(origin.file);
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
  poe_session *s = t->group->owned.session;
  POE__TRACE_OF(k, s, POE_TRACE_EVENTS,
                "<ev> set timer %lld ``%s'' to %s in %.6fs",
                (long long)poe__timer_id(t),
                poe__name_at(k, t->group->name)->text, poe__label(s),
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
  t->is_alarm = is_alarm != 0;
  give_id(k, t);
  t->seq = k->queue.seq++;
  int64_t due = due_time(k, is_alarm, when_ns);
  poe__heap_add(heap_of(k, t), (struct poe__node){due, t});
  poe__ring_push(&t->group->timers, &t->node);
  k->timers++;
  poe__count_in(k, s, s);
  *id = k->last_timer;
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
  struct poe__timer *t = *out = poe__timer_find(k, id);
  if (!t) return -ESRCH;
  return t->group->owned.session == poe_active_session(k) ? 0 : -EPERM;
}

/* Hand a timer's contents to the caller and free it. */
static void take(poe_kernel *k, struct poe__timer *t,
                 struct poe_timer_info *out) {
  poe_session *s = t->group->owned.session;
  out->due_epoch_ns = due_epoch(k, t);
  out->event = poe__name_at(k, t->group->name);
  poe__name_keep(out->event);
  out->n = t->n;
  for (unsigned i = 0; i < t->n; i++) out->words[i] = t->words[i];
  poe__name_drop(k, t->from);
  poe__name_drop(k, t->file);
  detach(k, t);
  poe__timer_free(k, t);
  poe__count_out(k, s, s);
}

int poe_timer_peek(poe_kernel *k, int64_t id, poe_name **event,
                   struct poe_payload *args) {
  struct poe__timer *t;
  int err = find_mine(k, id, &t);
  if (err) return err;
  *event = poe__name_at(k, t->group->name);
  *args = (struct poe_payload){t->n, t->words};
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
  t->seq = k->queue.seq++;
  poe__heap_move(heap_of(k, t), t->index, due);
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
    poe__heap_add(&k->queue.delays, (struct poe__node){INT64_MAX, t});
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
        poe__free(k, at, room * sizeof *at);
        return -ENOMEM;
      }
      at[n++] = (struct ranked){mono_due(k, t), t->seq, poe__timer_id(t)};
    }
  }
  if (n) qsort(at, n, sizeof *at, compare_ranked);
  *count = n;
  *ids = n ? poe__alloc(k, n * sizeof **ids) : NULL;
  for (size_t i = 0; *ids && i < n; i++) (*ids)[i] = at[i].id;
  poe__free(k, at, room * sizeof *at);
  return n && !*ids ? -ENOMEM : 0;
}

/* ---- why ------------------------------------------------------------------------------ */

static void tell_timer(poe_kernel *k, const struct poe__timer *t,
                       struct poe__asking *a) {
  struct poe_reason r = {.kind = POE_BY_TIMER,
                         .keeps_program = 1,
                         .session = t->group->owned.session,
                         .name = poe__name_at(k, t->group->name),
                         .number = poe__timer_id(t),
                         .due_ns = mono_due(k, t) - k->now_ns,
                         .from = poe__name_at(k, t->from),
                         .file = poe__name_at(k, t->file),
                         .line = t->line};
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
