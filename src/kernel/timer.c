/* SPDX-License-Identifier: MIT */
/*
 * timer.c -- alarms and delays: by id and by name.
 *
 * A timer is an event of its session, in one of the two heaps.  All timers of
 * one (session, name) form a group, found through a map, so clearing by name
 * costs what it removes; a session's groups make clearing a session so too.
 * Ids only grow.  The slots of eight that follow each other lie together,
 * which a map finds: it is touched once for eight timers.
 *
 * POE: alarms in Kernel.pm and Resource/Events.pm.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

struct poe__group {
  struct poe__owned owned;
  struct poe__link link; /* in k->timer_groups */
  struct poe__list *timers;
  uint32_t name; /* one reference */
};

#define IDS 8

/* Lives as long as one of its timers, or as it is the newest. */
struct poe__ids {
  struct poe__link link; /* in k->timer_ids; key is their id / IDS */
  uint32_t live;
  struct poe__slot slot[IDS];
};

/* What it takes to move it is its slot's; what all of a group have in common
   is the group's. */
struct poe__timer {
  struct poe__slot *slot;
  struct poe__list node; /* in group->timers */
  uint32_t from, file;   /* names, one reference each */
  uint32_t line;
  uint32_t n; /* words */
  uint64_t words[];
};

_Static_assert(sizeof(struct poe__timer) == 40, "no room is lost");

static size_t timer_size(const struct poe__timer *t) {
  return sizeof *t + t->n * sizeof(uint64_t);
}

static struct poe__ids *ids_of(struct poe__slot *slot) {
  return POE__ITEM(slot - slot->place, struct poe__ids, slot);
}

static struct poe__heap *heap_of(poe_kernel *k, const struct poe__slot *slot) {
  return slot->is_alarm ? &k->queue.alarms : &k->queue.delays;
}

static int64_t due_of(poe_kernel *k, const struct poe__slot *slot) {
  return heap_of(k, slot)->node[slot->index].due_ns;
}

struct poe__message poe__timer_message(const struct poe__timer *t) {
  return (struct poe__message){.dest = t->slot->group->owned.session,
                               .source = t->slot->group->owned.session,
                               .event = t->slot->group->name,
                               .from = t->from,
                               .file = t->file,
                               .line = t->line,
                               .type = POE_EV_ALARM,
                               .n = (uint16_t)t->n};
}

int64_t poe__timer_id(const struct poe__timer *t) {
  return (int64_t)(ids_of(t->slot)->link.key * IDS + t->slot->place);
}

const uint64_t *poe__timer_words(const struct poe__timer *t) {
  return t->words;
}

static int64_t due_epoch(poe_kernel *k, const struct poe__slot *slot) {
  int64_t due = due_of(k, slot);
  if (slot->is_alarm) return due;
  poe__refresh_offset(k);
  return poe__to_epoch(k, due);
}

/* ---- groups ------------------------------------------------------------------- */

static uint64_t group_key(const poe_session *s, uint32_t name) {
  return poe__pair(poe__id(s), name);
}

static struct poe__group *find_group(poe_kernel *k, const poe_session *s,
                                     uint32_t name) {
  struct poe__link *link =
      poe__map_first(&k->timer_groups, group_key(s, name));
  for (; link; link = link->next) {
    struct poe__group *g = POE__ITEM(link, struct poe__group, link);
    if (g->owned.session == s && g->name == name) return g;
  }
  return NULL;
}

static struct poe__group *make_group(poe_kernel *k, poe_session *s,
                                     poe_name *name) {
  if (poe__map_reserve(k, &k->timer_groups)) return NULL;
  struct poe__group *g = poe__alloc(k, sizeof *g);
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
  return POE__ITEM(o, struct poe__group, owned)->timers;
}

static void drop_group_if_empty(poe_kernel *k, struct poe__group *g) {
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

static void give_id(poe_kernel *k, struct poe__timer *t,
                    struct poe__group *g) {
  struct poe__ids *ids = k->newest_ids;
  uint16_t place = (uint64_t)++k->last_timer % IDS;
  t->slot = &ids->slot[place];
  t->slot->timer = t;
  t->slot->place = place;
  t->slot->group = g;
  ids->live++;
}

static void drop_id(poe_kernel *k, struct poe__slot *slot) {
  struct poe__ids *ids = ids_of(slot);
  slot->timer = NULL;
  if (--ids->live == 0 && ids != k->newest_ids) free_ids(k, ids);
}

struct poe__slot *poe__timer_find(const poe_kernel *k, int64_t id) {
  uint64_t key = (uint64_t)id / IDS;
  struct poe__link *link = poe__map_first(&k->timer_ids, key);
  while (link && link->key != key) link = link->next;
  if (!link) return NULL;
  struct poe__ids *ids = POE__ITEM(link, struct poe__ids, link);
  struct poe__slot *slot = &ids->slot[(uint64_t)id % IDS];
  return slot->timer ? slot : NULL;
}

/* ---- leaving ------------------------------------------------------------------- */

static void detach(poe_kernel *k, struct poe__timer *t) {
  struct poe__group *g = t->slot->group;
  poe__heap_remove(k, heap_of(k, t->slot), t->slot->index);
  drop_id(k, t->slot);
  poe__ring_remove(&g->timers, &t->node);
  drop_group_if_empty(k, g);
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
  poe_session *s = t->slot->group->owned.session;
  POE__TRACE_OF(k, s, POE_TRACE_EVENTS, "<ev> removed timer %lld ``%s'' to %s",
                (long long)poe__timer_id(t),
                poe__name_at(k, t->slot->group->name)->text, poe__label(s));
  struct poe__message m = poe__timer_take(k, t);
  poe__message_drop(k, &m, t->words);
  poe__timer_free(k, t);
  poe__count_out(k, s, s);
}

static void clear_group(poe_kernel *k, struct poe__group *g) {
  for (;;) {
    struct poe__list *n = g->timers;
    int is_last = n->next == n;
    remove_timer(k, POE__ITEM(n, struct poe__timer, node));
    if (is_last) return; /* and the group is gone */
  }
}

void poe__timer_drop(poe_kernel *k, struct poe__owned *o) {
  clear_group(k, POE__ITEM(o, struct poe__group, owned));
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
  t->n = args.n;
  t->line = origin.line;
  for (unsigned i = 0; i < args.n; i++) t->words[i] = args.words[i];
  struct poe__group *g = find_group(k, s, event->id);
  if (!g) g = make_group(k, s, event);
  if (!g) {
    poe__free(k, t, timer_size(t));
    return NULL;
  }
  t->from = poe__name_keep(poe__active_event(k));
  t->file = poe__name_keep(origin.file);
  give_id(k, t, g);
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
  int64_t now = t->slot->is_alarm ? poe__to_epoch(k, k->now_ns) : k->now_ns;
  poe_session *s = t->slot->group->owned.session;
  POE__TRACE_OF(k, s, POE_TRACE_EVENTS,
                "<ev> set timer %lld ``%s'' to %s in %.6fs",
                (long long)poe__timer_id(t),
                poe__name_at(k, t->slot->group->name)->text, poe__label(s),
                (double)(due_of(k, t->slot) - now) / 1e9);
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
  t->slot->is_alarm = is_alarm != 0;
  t->slot->seq = k->queue.seq++;
  int64_t due = due_time(k, is_alarm, when_ns);
  poe__heap_add(heap_of(k, t->slot), (struct poe__node){due, t->slot});
  poe__ring_push(&t->slot->group->timers, &t->node);
  k->timers++;
  poe__count_in(k, s, s);
  *id = k->last_timer;
  if (POE__UNLIKELY(k->trace & (POE_TRACE_EVENTS | POE__WHY)))
    tell_set(k, t, origin);
  return 0;
}

int poe_timer_clear(poe_kernel *k, poe_name *event) {
  struct poe__group *g = find_group(k, poe_active_session(k), event->id);
  if (g) clear_group(k, g);
  return 0;
}

/* ---- by id ------------------------------------------------------------------------- */

static int find_mine(poe_kernel *k, int64_t id, struct poe__slot **out) {
  struct poe__slot *slot = *out = poe__timer_find(k, id);
  if (!slot) return -ESRCH;
  const poe_session *s = slot->group->owned.session;
  return s == poe_active_session(k) ? 0 : -EPERM;
}

/* Hand a timer's contents to the caller and free it. */
static void take(poe_kernel *k, struct poe__timer *t,
                 struct poe_timer_info *out) {
  poe_session *s = t->slot->group->owned.session;
  out->due_epoch_ns = due_epoch(k, t->slot);
  out->event = poe__name_at(k, t->slot->group->name);
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
  struct poe__slot *slot;
  int err = find_mine(k, id, &slot);
  if (err) return err;
  *event = poe__name_at(k, slot->group->name);
  *args = (struct poe_payload){slot->timer->n, slot->timer->words};
  return 0;
}

int poe_timer_remove(poe_kernel *k, int64_t id, struct poe_timer_info *out) {
  struct poe__slot *slot;
  int err = find_mine(k, id, &slot);
  if (err) return err;
  take(k, slot->timer, out);
  return 0;
}

/* As find_mine, of a timer that will move. */
static int find_to_move(poe_kernel *k, int64_t id, struct poe__slot **out) {
  int err = find_mine(k, id, out);
  if (!err) poe__heap_fetch(heap_of(k, *out), (*out)->index);
  return err;
}

static int move_to(poe_kernel *k, struct poe__slot *slot, int64_t due,
                   int64_t *due_epoch_ns) {
  slot->seq = k->queue.seq++;
  poe__heap_move(heap_of(k, slot), slot->index, due);
  *due_epoch_ns = due_epoch(k, slot);
  return 0;
}

int poe_timer_adjust(poe_kernel *k, int64_t id, int64_t delta_ns,
                     int64_t *due_epoch_ns) {
  struct poe__slot *slot;
  int err = find_to_move(k, id, &slot);
  if (err) return err;
  int64_t now = poe__now(k), due = add_clipped(due_of(k, slot), delta_ns);
  due = bounded(k, slot->is_alarm, now, due);
  return move_to(k, slot, due, due_epoch_ns);
}

int poe_timer_readjust(poe_kernel *k, int64_t id, int64_t delay_ns,
                       int64_t *due_epoch_ns) {
  struct poe__slot *slot;
  int err = find_to_move(k, id, &slot);
  if (err) return err;
  if (slot->is_alarm) { /* from now on it is a delay */
    err = poe__heap_reserve(k, &k->queue.delays);
    if (err) return err;
    poe__heap_remove(k, &k->queue.alarms, slot->index);
    slot->is_alarm = 0;
    poe__heap_add(&k->queue.delays, (struct poe__node){INT64_MAX, slot});
  }
  return move_to(k, slot, due_time(k, 0, delay_ns), due_epoch_ns);
}

/* ---- all of a session ----------------------------------------------------------------- */

static int64_t mono_due(poe_kernel *k, const struct poe__timer *t) {
  int64_t due = due_of(k, t->slot);
  return t->slot->is_alarm ? due - k->offset_ns : due;
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
      at[n++] =
          (struct ranked){mono_due(k, t), t->slot->seq, poe__timer_id(t)};
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
                         .session = t->slot->group->owned.session,
                         .name = poe__name_at(k, t->slot->group->name),
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
