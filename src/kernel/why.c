/* SPDX-License-Identifier: MIT */
/*
 * why.c -- what keeps a session alive, or the program, and who made it.
 *
 * A visitor over what the other files keep.  Where an event was sent is known
 * always; when a timer was set, who gave a tag, is recorded while POE__WHY is
 * on, in a table by address.  What is made overwrites what was known of the
 * address, so an entry that is left behind is never taken for another's, and
 * there are no more entries than addresses where anything ever lay.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

struct made {
  struct poe__link link;
  struct poe__list node; /* in k->why.all */
  const void *thing;
  int64_t at_ns;
  uint64_t by; /* id */
  uint32_t from, file, line;
};

/* ---- recording -------------------------------------------------------------- */

/* The lowest bits of addresses are all alike. */
static uint64_t key_of(const void *thing) { return (uintptr_t)thing >> 3; }

static struct made *find(const poe_kernel *k, const void *thing) {
  struct poe__link *link = poe__map_first(&k->why.made, key_of(thing));
  for (; link; link = link->next) {
    struct made *m = (struct made *)(void *)link;
    if (m->thing == thing) return m;
  }
  return NULL;
}

static void drop_names(poe_kernel *k, const struct made *m) {
  poe__name_drop(k, m->from);
  poe__name_drop(k, m->file);
}

static struct made *add(poe_kernel *k, const void *thing) {
  if (poe__map_reserve(k, &k->why.made)) return NULL;
  struct made *m = poe__zalloc(k, sizeof *m);
  if (!m) return NULL;
  m->thing = thing;
  m->link.key = key_of(thing);
  poe__map_add(&k->why.made, &m->link);
  poe__list_push(&k->why.all, &m->node);
  return m;
}

/* Without memory for it, it is not known. */
void poe__made(poe_kernel *k, const void *thing, struct poe_origin origin) {
  struct made *m = find(k, thing);
  if (!origin.file) origin = k->why.here;
  if (!m && !(m = add(k, thing))) return;
  struct made old = *m;
  m->at_ns = poe__now(k);
  m->by = poe__id(poe_active_session(k));
  m->from = poe__name_keep(poe__active_event(k));
  m->file = poe__name_keep(origin.file);
  m->line = origin.line;
  drop_names(k, &old);
}

void poe_here(poe_kernel *k, struct poe_origin origin) {
  poe_name *old = k->why.here.file;
  if (origin.file) poe_name_ref(origin.file);
  k->why.here = origin;
  poe_name_unref(k, old);
}

static void forget(poe_kernel *k, struct made *m) {
  poe__map_remove(k, &k->why.made, &m->link);
  poe__list_remove(&m->node);
  drop_names(k, m);
  poe__free(k, m, sizeof *m);
}

void poe__why_init(poe_kernel *k) { poe__list_init(&k->why.all); }

void poe__why_fini(poe_kernel *k) {
  while (!poe__list_empty(&k->why.all))
    forget(k, POE__ITEM(k->why.all.next, struct made, node));
  poe__map_fini(k, &k->why.made);
  poe_here(k, (struct poe_origin){NULL, 0});
}

int poe_is_why(const poe_kernel *k) { return (k->trace & POE__WHY) != 0; }

void poe_set_why(poe_kernel *k, int on) {
  k->trace = on ? k->trace | POE__WHY : k->trace & ~(unsigned)POE__WHY;
  if (!on) poe__why_fini(k);
}

/* ---- telling ------------------------------------------------------------------ */

struct poe__asking {
  poe_kernel *k;
  void (*visit)(void *ud, const struct poe_reason *r);
  void *ud;
  const struct poe__post **to, **from; /* what waits, by dest and by source */
  size_t n;
};

void poe__why_tell(struct poe__asking *a, const void *thing,
                   struct poe_reason *r) {
  const struct made *m = thing ? find(a->k, thing) : NULL;
  if (m) {
    r->has_age = r->has_maker = 1;
    r->age_ns = a->k->now_ns - m->at_ns;
    r->by = m->by;
    r->from = poe__name_at(a->k, m->from);
    r->file = poe__name_at(a->k, m->file);
    r->line = m->line;
  }
  a->visit(a->ud, r);
}

/* ---- what waits in the FIFO ------------------------------------------------------ */

static int compare(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

/* By whom it keeps, then so that what is alike is side by side, oldest first. */
static int compare_posts(const struct poe__post *p, const struct poe__post *q,
                         int is_sent) {
  const struct poe__message *a = &p->m, *b = &q->m;
  int order = is_sent ? compare(poe__id(a->source), poe__id(b->source))
                      : compare(poe__id(a->dest), poe__id(b->dest));
  if (!order)
    order = is_sent ? compare(poe__id(a->dest), poe__id(b->dest))
                    : compare(poe__id(a->source), poe__id(b->source));
  if (!order) order = compare(a->event, b->event);
  if (!order) order = compare(a->type, b->type);
  if (!order) order = compare(a->file, b->file);
  if (!order) order = compare(a->line, b->line);
  if (!order) order = compare(a->from, b->from);
  return order;
}

static const struct poe__post *post_at(const void *at) {
  return *(const struct poe__post *const *)at;
}

static int compare_received(const void *a, const void *b) {
  int order = compare_posts(post_at(a), post_at(b), 0);
  return order ? order : compare(post_at(a)->seq, post_at(b)->seq);
}

static int compare_sent(const void *a, const void *b) {
  int order = compare_posts(post_at(a), post_at(b), 1);
  return order ? order : compare(post_at(a)->seq, post_at(b)->seq);
}

static size_t array_size(const poe_kernel *k) {
  return (k->events - k->timers) * sizeof(struct poe__post *);
}

static void free_posts(struct poe__asking *a) {
  poe__free(a->k, a->to, array_size(a->k));
  poe__free(a->k, a->from, array_size(a->k));
}

static int gather_posts(struct poe__asking *a) {
  size_t size = array_size(a->k);
  if (size == 0) return 0;
  a->to = poe__alloc(a->k, size);
  a->from = poe__alloc(a->k, size);
  if (!a->to || !a->from) {
    free_posts(a);
    return -ENOMEM;
  }
  struct poe__fifo_at it = {0};
  const struct poe__post *post;
  while ((post = poe__fifo_next(a->k, &it)))
    if (post->m.dest) a->to[a->n] = a->from[a->n] = post, a->n++;
  qsort(a->to, a->n, sizeof *a->to, compare_received);
  qsort(a->from, a->n, sizeof *a->from, compare_sent);
  return 0;
}

static void tell_posts(struct poe__asking *a, const struct poe__post *post,
                       size_t count, int is_sent) {
  const poe_kernel *k = a->k;
  const struct poe__message *m = &post->m;
  struct poe_reason r = {
      .kind = is_sent ? POE_BY_SENT : POE_BY_EVENT,
      .keeps_program = 1,
      .session = is_sent ? m->source : m->dest,
      .other = is_sent ? m->dest : m->source,
      .name = poe__name_at(k, m->event),
      .count = count,
      .has_age = poe_is_why(k),
      .age_ns = k->now_ns - post->due_ns,
      .has_maker = 1,
      .by = poe__id(m->source),
      .from = poe__name_at(k, m->from),
      .file = poe__name_at(k, m->file),
      .line = m->line};
  poe__why_tell(a, NULL, &r);
}

static uint64_t end_of(const struct poe__post *post, int is_sent) {
  return poe__id(is_sent ? post->m.source : post->m.dest);
}

/* The posts at one end of which is this session, alike ones as one. */
static void ask_posts(struct poe__asking *a, const poe_session *s,
                      int is_sent) {
  const struct poe__post **at = is_sent ? a->from : a->to;
  size_t low = 0, high = a->n;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (end_of(at[middle], is_sent) < poe__id(s))
      low = middle + 1;
    else
      high = middle;
  }
  while (low < a->n && end_of(at[low], is_sent) == poe__id(s)) {
    size_t n = 1;
    while (low + n < a->n && !compare_posts(at[low], at[low + n], is_sent)) n++;
    if (!is_sent || at[low]->m.dest != s) tell_posts(a, at[low], n, is_sent);
    low += n;
  }
}

/* ---- asking ------------------------------------------------------------------------- */

static void ask_handlers(struct poe__asking *a, const poe_session *s) {
  for (const struct poe_frame *f = a->k->frame; f; f = f->outer) {
    if (f->session != s) continue;
    struct poe_reason r = {.kind = POE_BY_HANDLER,
                           .keeps_program = 1,
                           .session = s,
                           .other = f->sender,
                           .name = f->event,
                           .has_maker = 1,
                           .by = poe__id(f->sender),
                           .from = f->from,
                           .file = f->file,
                           .line = f->line};
    poe__why_tell(a, NULL, &r);
  }
}

static void ask_owned(struct poe__asking *a, poe_session *s,
                      enum poe__owned_kind kind) {
  POE__EACH_IN(node, s->owned) {
    struct poe__owned *o = POE__ITEM(node, struct poe__owned, node);
    if (o->kind != kind) continue;
    if (kind == POE__OWNED_SELECT) poe__select_why(a->k, o, a);
    if (kind == POE__OWNED_CHILD) poe__child_why(a->k, o, a);
    if (kind == POE__OWNED_SIGNAL) poe__signal_why(a->k, o, a);
    if (kind == POE__OWNED_TAG) poe__extref_why(o, a);
  }
}

static void ask_children(struct poe__asking *a, const poe_session *s) {
  const poe_session *child = poe_session_first_child(s);
  for (; child; child = poe_session_next_sibling(child)) {
    struct poe_reason r = {
        .kind = POE_BY_SESSION, .session = s, .other = child};
    poe__why_tell(a, child, &r);
  }
}

static void ask_session(struct poe__asking *a, poe_session *s) {
  ask_handlers(a, s);
  ask_posts(a, s, 0);
  if (s->flags & POE__IS_ROOT) return;
  poe__timer_why(a->k, s, a);
  ask_owned(a, s, POE__OWNED_SELECT);
  ask_owned(a, s, POE__OWNED_CHILD);
  ask_owned(a, s, POE__OWNED_SIGNAL);
  ask_owned(a, s, POE__OWNED_TAG);
  ask_posts(a, s, 1);
  ask_children(a, s);
  poe__alias_why(a->k, s, a);
}

/* Parents first, siblings oldest first. */
poe_session *poe__next_session(const poe_kernel *k, poe_session *s) {
  poe_session *next = poe_session_first_child(s);
  while (!next && s != &k->root) {
    next = poe_session_next_sibling(s);
    s = s->parent;
  }
  return next;
}

int poe_why(poe_kernel *k, const poe_session *only,
            void (*visit)(void *ud, const struct poe_reason *r), void *ud) {
  struct poe__asking a = {.k = k, .visit = visit, .ud = ud};
  poe_epoch_ns(k);
  int err = gather_posts(&a);
  if (err) return err;
  for (poe_session *s = &k->root; s; s = poe__next_session(k, s))
    if (!only || s == only) ask_session(&a, s);
  free_posts(&a);
  return 0;
}
