/* SPDX-License-Identifier: MIT */
/*
 * session.c -- sessions: their tree, why they live, how they end.
 *
 * `refs` has one unit for each kind of reason: events queued to it, events it
 * has queued to others, each child, alias, tag, watched descriptor and watched
 * process.  At 0 the session is linked into k->idle; the sweep at the end of a
 * slice stops what is still there, last in first out.
 *
 * `holds` is memory safety only: a dead session stays readable while a frame,
 * a queued event or a walk points at it.
 *
 * POE: Resource/Sessions.pm.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

_Static_assert(sizeof(poe_session) <= 128,
               "a session fills two cache lines");

void poe__session_init(poe_kernel *k) {
  poe__list_init(&k->idle);
  poe__list_init(&k->root.idle);
  k->root.flags = POE__IS_ROOT;
}

/* ---- references --------------------------------------------------------- */

void poe__trace_refs(poe_kernel *k, const poe_session *s, int change) {
  POE__TRACE_OF(k, s, POE_TRACE_REFCNT, "<rc> %s refcount for %s (now %u)",
                change > 0 ? "incrementing" : "decrementing", poe__label(s),
                s->refs + (unsigned)change);
}

void poe__session_is_idle(poe_kernel *k, poe_session *s) {
  if (s->flags & (POE__IS_ROOT | POE__DEAD)) return;
  POE__TRACE_OF(k, s, POE_TRACE_REFCNT, "<rc> %s marked for gc",
                poe__label(s));
  poe__list_remove(&s->idle);
  poe__list_push(&k->idle, &s->idle);
}

void poe__session_free(poe_kernel *k, poe_session *s) {
  poe__free(k, s, sizeof *s);
}

int poe__session_can_own(const poe_session *s) {
  return !(s->flags & (POE__DEAD | POE__DOOMED | POE__IS_ROOT));
}

/* ---- tree ----------------------------------------------------------------- */

static void adopt(poe_kernel *k, poe_session *parent, poe_session *child) {
  child->parent = parent;
  poe__ring_push(&parent->children, &child->sibling);
  poe__session_ref(k, parent);
}

static void leave_parent(poe_kernel *k, poe_session *s) {
  poe_session *parent = s->parent;
  poe__ring_remove(&parent->children, &s->sibling);
  s->parent = NULL;
  poe__session_unref(k, parent);
}

static void move_child(poe_kernel *k, poe_session *child,
                       poe_session *parent) {
  POE__TRACE_OF(k, child, POE_TRACE_SESSIONS, "<ss> moving %s to %s",
                poe__label(child), poe__label(parent));
  leave_parent(k, child);
  adopt(k, parent, child);
}

static poe_session *child_at(const struct poe__list *node) {
  return POE__ITEM(node, poe_session, sibling);
}

static int widen(poe_kernel *k, struct poe__walk *w) {
  if (w->room > POE__WALK_FEW)
    return poe__grow(k, (void **)&w->at, sizeof *w->at, &w->room,
                     w->count + 1);
  size_t room = w->room ? 2 * POE__WALK_FEW : POE__WALK_FEW;
  poe_session **at = w->room ? poe__alloc(k, room * sizeof *at) : w->few;
  if (!at) return -ENOMEM;
  if (w->room) memcpy(at, w->few, sizeof w->few);
  w->at = at;
  w->room = room;
  return 0;
}

int poe__walk_add(poe_kernel *k, struct poe__walk *w, poe_session *s) {
  int err = w->count == w->room ? widen(k, w) : 0;
  if (err) return err;
  poe__session_hold(s);
  w->at[w->count++] = s;
  return 0;
}

int poe__walk_tree(poe_kernel *k, struct poe__walk *w, poe_session *s) {
  size_t i = w->count;
  int err = poe__walk_add(k, w, s);
  for (; !err && i < w->count; i++) {
    poe_session *parent = w->at[i];
    POE__EACH_IN(node, parent->children) {
      err = poe__walk_add(k, w, child_at(node));
      if (err) break;
    }
  }
  return err;
}

void poe__walk_free(poe_kernel *k, struct poe__walk *w) {
  for (size_t i = 0; i < w->count; i++) poe__session_release(k, w->at[i]);
  if (w->at != w->few) poe__free(k, w->at, w->room * sizeof *w->at);
  w->at = NULL;
  w->count = w->room = 0;
}

/* ---- the events of the tree --------------------------------------------------- */

static enum poe_outcome tell(poe_kernel *k, poe_session *dest,
                             struct poe_frame *f, struct poe_dispatch *d,
                             struct poe_value *result) {
  struct poe_value exception = {0};
  if (dest->flags & (POE__IS_ROOT | POE__DEAD)) return POE_UNHANDLED;
  if (!result) result = &exception;
  poe_name *file = f->file; /* the host may let it go meanwhile */
  if (file) poe_name_ref(file);
  enum poe_outcome outcome = poe__dispatch(k, f, d, result);
  if (outcome == POE_DIED && !(f->type & POE_EV_STOP)) {
    poe__died(k, f, result);
    result->n = 0;
  }
  poe_name_unref(k, file);
  return outcome;
}

/* _child to the parent: (what, child [, value]). */
static void tell_parent(poe_kernel *k, poe_session *parent, const char *what,
                        poe_session *child, const struct poe_value *value,
                        struct poe_origin origin) {
  struct poe_frame f = poe__frame(k, parent, &k->root, k->n_child,
                                  POE_EV_CHILD);
  f.file = origin.file;
  f.line = origin.line;
  struct poe_lead leads[] = {{POE_LEAD_TEXT, {.text = what}},
                             {POE_LEAD_SESSION, {.session = child}},
                             {POE_LEAD_VALUE, {.value = value}}};
  struct poe_dispatch d = {.nleads = value ? 3 : 2, .leads = leads};
  tell(k, parent, &f, &d, NULL);
}

/* _parent to the child: (old, new). */
static void tell_child(poe_kernel *k, poe_session *child, poe_session *from,
                       poe_session *to, struct poe_origin origin) {
  struct poe_frame f = poe__frame(k, child, &k->root, k->n_parent,
                                  POE_EV_PARENT);
  f.file = origin.file;
  f.line = origin.line;
  struct poe_lead leads[] = {{POE_LEAD_SESSION, {.session = from}},
                             {POE_LEAD_SESSION, {.session = to}}};
  struct poe_dispatch d = {.nleads = 2, .leads = leads};
  tell(k, child, &f, &d, NULL);
}

static const struct poe_origin nowhere = {NULL, 0};
static const struct poe_value nothing = {0};

/* ---- start ------------------------------------------------------------------ */

static poe_session *allocate(poe_kernel *k, uint64_t data) {
  if (poe__map_reserve(k, &k->sessions)) return NULL;
  poe_session *s = poe__zalloc(k, sizeof *s);
  if (!s) return NULL;
  poe__list_init(&s->idle);
  s->data = data;
  s->by_id.key = ++k->last_id;
  poe__map_add(&k->sessions, &s->by_id);
  return s;
}

/* The parent of what the active session creates; one in its stop sequence
   hands new children to its own parent. */
static poe_session *parent_for_new(const poe_kernel *k) {
  poe_session *parent = poe_active_session(k);
  while (parent->flags & POE__DOOMED) parent = parent->parent;
  return parent;
}

/* An event that only marks time: the session lives until it has passed. */
static void queue_gc(poe_kernel *k, poe_session *s) {
  struct poe__send send = {.dest = s, .source = s, .event = k->n_gc,
                           .type = POE_EV_GC};
  if (poe__enqueue(k, &send) < 0) k->error = -ENOMEM;
}

static void run_start(poe_kernel *k, poe_session *s, struct poe_origin origin,
                      void *direct) {
  struct poe_frame f = poe__frame(k, s, poe_active_session(k), k->n_start,
                                  POE_EV_START);
  f.file = origin.file;
  f.line = origin.line;
  struct poe_dispatch d = {.direct = direct};
  struct poe_value value = {0};
  if (tell(k, s, &f, &d, &value) == POE_DIED) value.n = 0;
  if (!(s->flags & POE__DEAD)) {
    tell_parent(k, s->parent, "create", s, &value, nowhere);
    if (!(s->flags & POE__DEAD)) queue_gc(k, s);
  }
  poe__discard(k, value.n, value.words);
}

POE__COLD static void tell_birth(poe_kernel *k, poe_session *s,
                                 struct poe_origin origin) {
  POE__TRACE_OF(k, s->parent, POE_TRACE_SESSIONS, "<ss> %s has parent %s",
                poe__label(s), poe__label(s->parent));
  if (k->trace & POE__WHY) poe__made(k, s, origin);
  if (k->trace & POE__BOUNDED && poe__limit_born(k, s)) k->error = -ENOMEM;
}

int poe_session_start(poe_kernel *k, uint64_t data, struct poe_origin origin,
                      void *direct, uint64_t *id) {
  if (k->depth >= POE__DEPTH_MAX) return -POE_EDEEP;
  int err = poe__loop_open(k);
  if (err) return err;
  poe_session *parent = parent_for_new(k);
  poe_session *s = allocate(k, data);
  if (!s) return -ENOMEM;
  *id = poe__id(s);
  adopt(k, parent, s);
  poe__session_is_idle(k, s);
  if (POE__UNLIKELY(k->trace &
                    (POE_TRACE_SESSIONS | POE__WHY | POE__BOUNDED)))
    tell_birth(k, s, origin);
  if (POE__UNLIKELY(k->driver)) k->driver->wake(k->driver_ud);
  poe__session_hold(s);
  run_start(k, s, origin, direct);
  poe__session_release(k, s);
  return 0;
}

/* ---- stop ------------------------------------------------------------------- */

/* The next child not yet visited by this walk, though handlers may have
   changed the list: go on behind `last` if it is still there. */
static poe_session *next_child(const poe_session *s, poe_session *last,
                               uint32_t walk) {
  struct poe__list *from = s->children;
  if (last && last->parent == s) from = &last->sibling;
  POE__EACH_IN(n, from)
    if (child_at(n)->walk != walk) return child_at(n);
  return NULL;
}

/* Announce that S's children will be its parent's; the move comes later. */
static void announce_heirs(poe_kernel *k, poe_session *s,
                           poe_session *heir) {
  uint32_t walk = ++k->walk;
  poe_session *last = NULL, *child;
  while ((child = next_child(s, last, walk))) {
    poe__session_hold(child);
    if (last) poe__session_release(k, last);
    last = child;
    child->walk = walk;
    tell_parent(k, heir, "gain", child, NULL, nowhere);
    if (child->parent == s) tell_child(k, child, s, heir, nowhere);
  }
  if (last) poe__session_release(k, last);
}

static void drop_owned(poe_kernel *k, poe_session *s) {
  static void (*const drop[])(poe_kernel *, struct poe__owned *) = {
      [POE__OWNED_TIMERS] = poe__timer_drop,
      [POE__OWNED_SELECT] = poe__select_drop,
      [POE__OWNED_SIGNAL] = poe__signal_drop,
      [POE__OWNED_CHILD] = poe__child_drop,
      [POE__OWNED_TAG] = poe__extref_drop,
      [POE__OWNED_LIMIT] = poe__limit_drop,
  };
  while (s->owned) {
    struct poe__owned *o = POE__ITEM(s->owned, struct poe__owned, node);
    drop[o->kind](k, o);
  }
}

POE__COLD static void tell_death(poe_kernel *k, poe_session *s) {
  if (k->ops->destroyed && poe__is_traced(k, s, POE_TRACE_DESTROY))
    k->ops->destroyed(k->ud, s);
  POE__TRACE_OF(k, s, POE_TRACE_SESSIONS, "<ss> freeing %s", poe__label(s));
  if (s->trace || s->assertions) poe_session_set_topics(k, s, 0, 0);
}

/* Everything the session owns goes; its children go to its parent. */
static void free_session(poe_kernel *k, poe_session *s) {
  if (POE__UNLIKELY(k->trace & (POE_TRACE_SESSIONS | POE_TRACE_DESTROY |
                                POE__CHOOSY)))
    tell_death(k, s);
  poe_session *heir = s->parent;
  if (heir) {
    while (s->children) move_child(k, child_at(s->children), heir);
    leave_parent(k, s);
  }
  poe__alias_clear_session(k, s);
  drop_owned(k, s);
  poe__event_clear_session(k, s);
  poe__list_remove(&s->idle);
  poe__map_remove(k, &k->sessions, &s->by_id);
  s->flags |= POE__DEAD;
  k->ops->session_gone(k->ud, s);
}

void poe__session_stop(poe_kernel *k, poe_session *s, poe_session *sender) {
  if (s->flags & (POE__DOOMED | POE__DEAD | POE__IS_ROOT)) return;
  POE__TRACE_OF(k, s, POE_TRACE_SESSIONS, "<ss> stopping %s", poe__label(s));
  s->flags |= POE__DOOMED;
  poe__list_remove(&s->idle);
  poe__session_hold(s);
  poe_session *parent = s->parent;
  poe__session_hold(parent);
  announce_heirs(k, s, parent);
  struct poe_frame f = poe__frame(k, s, sender, k->n_stop, POE_EV_STOP);
  struct poe_dispatch d = {0};
  struct poe_value value = {0}, exception = {0};
  if (tell(k, s, &f, &d, &value) == POE_DIED) {
    exception = value;
    value.n = 0;
  }
  tell_parent(k, parent, "lose", s, &value, nowhere);
  poe__discard(k, value.n, value.words);
  poe_session *heir = s->parent;
  poe__session_hold(heir);
  free_session(k, s);
  if (exception.n) poe__signal_die_up(k, heir, &exception);
  poe__session_release(k, heir);
  poe__session_release(k, parent);
  poe__session_release(k, s);
}

void poe_session_stop(poe_kernel *k, poe_session *s) {
  poe_session *sender = poe_active_session(k);
  poe__session_hold(sender);
  poe__session_stop(k, s, sender);
  poe__session_release(k, sender);
}

/* Is a handler of it on the stack?  Outside of handlers none is. */
static int is_running(const poe_kernel *k, const poe_session *s) {
  const struct poe_frame *f = k->frame;
  while (f && f->session != s) f = f->outer;
  return f != NULL;
}

static void sweep_round(poe_kernel *k) {
  struct poe__list round, busy;
  poe__list_move(&round, &k->idle);
  poe__list_init(&busy);
  while (!poe__list_empty(&round)) {
    struct poe__list *n = round.prev;
    poe_session *s = POE__ITEM(n, poe_session, idle);
    poe__list_remove(n);
    if (is_running(k, s))
      poe__list_push(&busy, n);
    else
      poe__session_stop(k, s, poe_active_session(k));
  }
  while (!poe__list_empty(&busy)) {
    struct poe__list *n = busy.prev;
    poe__list_remove(n);
    poe__list_push(&k->idle, n);
  }
}

static int has_free_idle(const poe_kernel *k) {
  POE__EACH(n, &k->idle)
    if (!is_running(k, POE__ITEM(n, poe_session, idle))) return 1;
  return 0;
}

void poe__sweep(poe_kernel *k) {
  while (has_free_idle(k)) sweep_round(k);
}

void poe__session_fini(poe_kernel *k) {
  /* Depth first without recursion: free a leaf until only the root is left. */
  poe_session *s = &k->root;
  for (;;) {
    while (s->children) s = child_at(s->children);
    if (s == &k->root) break;
    poe_session *parent = s->parent;
    free_session(k, s);
    poe__session_hold(s);
    poe__session_release(k, s);
    s = parent;
  }
  poe__map_fini(k, &k->sessions);
}

/* ---- detaching ------------------------------------------------------------------ */

int poe_detach_myself(poe_kernel *k, struct poe_origin origin) {
  poe_session *me = poe_active_session(k), *old = me->parent;
  if (!old || old == &k->root) return -EPERM;
  poe__session_hold(me);
  poe__session_hold(old);
  if (origin.file) poe_name_ref(origin.file);
  if (!(k->frame->active_type & POE_EV_START))
    tell_parent(k, old, "lose", me, &nothing, origin);
  if (me->parent == old) tell_child(k, me, old, &k->root, origin);
  if (me->parent == old) move_child(k, me, &k->root);
  poe_name_unref(k, origin.file);
  poe__session_release(k, old);
  poe__session_release(k, me);
  return 0;
}

int poe_detach_child(poe_kernel *k, poe_session *child,
                     struct poe_origin origin) {
  poe_session *me = poe_active_session(k);
  if (me == &k->root || child->parent != me) return -EPERM;
  poe__session_hold(child);
  poe__session_hold(me);
  if (origin.file) poe_name_ref(origin.file);
  tell_parent(k, me, "lose", child, &nothing, origin);
  if (child->parent == me) tell_child(k, child, me, &k->root, origin);
  if (child->parent == me) move_child(k, child, &k->root);
  poe_name_unref(k, origin.file);
  poe__session_release(k, me);
  poe__session_release(k, child);
  return 0;
}

/* ---- look-up ------------------------------------------------------------------------ */

poe_session *poe_session_find(poe_kernel *k, uint64_t id) {
  struct poe__link *link = poe__map_first(&k->sessions, id);
  for (; link; link = link->next) {
    poe_session *s = POE__ITEM(link, poe_session, by_id);
    if (link->key == id) return s;
  }
  return NULL;
}

uint64_t poe_session_id(const poe_session *s) { return poe__id(s); }
uint64_t poe_session_data(const poe_session *s) { return s->data; }
unsigned poe_session_refcount(const poe_session *s) { return s->refs; }
poe_session *poe_session_parent(const poe_session *s) { return s->parent; }

int poe_session_is_alive(const poe_session *s) {
  return !(s->flags & POE__DEAD);
}

int poe_session_is_stopping(const poe_session *s) {
  return (s->flags & POE__DOOMED) != 0;
}

poe_session *poe_session_first_child(const poe_session *s) {
  return s->children ? child_at(s->children) : NULL;
}

poe_session *poe_session_next_sibling(const poe_session *s) {
  if (!s->parent) return NULL;
  const struct poe__list *next =
      poe__ring_next(s->parent->children, &s->sibling);
  return next ? child_at(next) : NULL;
}
