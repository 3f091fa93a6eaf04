/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "internal.h"
#include "test.h"

/* What the walk has found about one session, or about all. */
struct tally {
  poe_session *session;
  size_t to, from, posts, timers;
};

struct all {
  struct tally *at;
  size_t count, room;
  size_t posts, timers, tags, selects, signals, children, aliases, deaths;
};

static void add(struct all *all, poe_session *s) {
  if (all->count == all->room) {
    all->room = all->room ? all->room * 2 : 16;
    all->at = realloc(all->at, all->room * sizeof *all->at);
  }
  all->at[all->count++] = (struct tally){.session = s};
}

/* Children of children, by the links that are there. */
static void gather(struct all *all, poe_kernel *k) {
  add(all, &k->root);
  for (size_t i = 0; i < all->count; i++) {
    poe_session *parent = all->at[i].session;
    POE__EACH_IN (n, parent->children) {
      poe_session *s = POE__ITEM(n, poe_session, sibling);
      ASSERT_PTR_EQ(s->parent, parent);
      ASSERT_PTR_EQ(poe_session_find(k, poe__id(s)), s);
      add(all, s);
    }
  }
  ASSERT_EQ(all->count - 1, k->sessions.count);
}

static int by_address(const void *a, const void *b) {
  const struct tally *x = a, *y = b;
  return x->session < y->session ? -1 : x->session > y->session;
}

static struct tally *tally_of(struct all *all, poe_session *s) {
  struct tally key = {.session = s};
  return bsearch(&key, all->at, all->count, sizeof key, by_address);
}

static void count_posts(struct all *all, struct tally *t) {
  struct poe__post *last = NULL;
  uint64_t seq = 0;
  for (struct poe__post *p = t->session->first_post; p; p = p->next_of_dest) {
    ASSERT_PTR_EQ(p->m.dest, t->session);
    ASSERT_TRUE(!last || p->seq > seq);
    seq = p->seq;
    last = p;
    t->to++;
    all->posts++;
    all->deaths += p->m.type == POE_EV_DIE;
    struct tally *from = tally_of(all, p->m.source);
    if (from && from != t) from->from++;
  }
  ASSERT_PTR_EQ(t->session->last_post, last);
}

static void check_heap(poe_kernel *k, struct all *all,
                       const struct poe__heap *h) {
  for (uint32_t i = 0; i < h->count; i++) {
    const struct poe__node *n = &h->node[i], *up = &h->node[(i - 1) / 4];
    if (i > 0)
      ASSERT_TRUE(up->due_ns < n->due_ns ||
                  (up->due_ns == n->due_ns &&
                   up->slot->seq < n->slot->seq));
    if (!all) continue;
    int64_t id = poe__timer_id(n->slot->timer);
    ASSERT_PTR_EQ(poe__timer_find(k, id), n->slot);
    struct poe__message m = poe__timer_message(n->slot->timer);
    ASSERT_PTR_EQ(m.source, m.dest);
    tally_of(all, m.dest)->to++;
    all->timers++;
  }
}

void check_heaps(poe_kernel *k) {
  check_heap(k, NULL, &k->queue.delays);
  check_heap(k, NULL, &k->queue.alarms);
}

static size_t length(struct poe__list *head) {
  size_t n = 0;
  POE__EACH_IN (node, head) n++;
  return n;
}

static size_t count_owned(const poe_session *s, enum poe__owned_kind kind) {
  size_t n = 0;
  POE__EACH_IN (node, s->owned) {
    const struct poe__owned *o = POE__ITEM(node, struct poe__owned, node);
    ASSERT_PTR_EQ(o->session, s);
    n += o->kind == kind;
  }
  return n;
}

static size_t count_aliases(const poe_kernel *k, const poe_session *s) {
  const poe_name *name = poe_alias_first(s);
  size_t n = 0;
  for (; name; name = poe_alias_next(k, name), n++)
    ASSERT_PTR_EQ(name->session, s);
  return n;
}

/* The reasons why it lives, as internal.h lists them. */
static void check_session(poe_kernel *k, struct all *all,
                          const struct tally *t) {
  const poe_session *s = t->session;
  size_t tags = count_owned(s, POE__OWNED_TAG);
  size_t pids = count_owned(s, POE__OWNED_CHILD);
  size_t aliases = count_aliases(k, s);
  size_t refs = (size_t)(t->to > 0) + (t->from > 0) + length(s->children) +
                aliases + pids + model_tags_held(poe__id(s)) +
                model_fds_watched(poe__id(s));
  ASSERT_EQ(s->to, t->to);
  ASSERT_EQ(s->from, t->from);
  ASSERT_EQ(s->refs, refs);
  ASSERT_EQ(s->holds, t->to + t->from);
  ASSERT_EQ(s->flags & ~POE__LIMITED, s == &k->root ? POE__IS_ROOT : 0);
  if (s != &k->root) ASSERT_EQ(poe__list_empty(&s->idle), refs > 0);
  all->tags += tags;
  all->children += pids;
  all->aliases += aliases;
  all->selects += count_owned(s, POE__OWNED_SELECT);
  all->signals += count_owned(s, POE__OWNED_SIGNAL);
}

static void check_totals(poe_kernel *k, const struct all *all) {
  ASSERT_EQ(k->timers, all->timers);
  ASSERT_LE(k->timer_ids.count, all->timers + 1); /* sixteen each, or fewer */
  ASSERT_EQ(k->events, all->posts + all->timers);
  ASSERT_EQ(k->tags.count, all->tags);
  ASSERT_EQ(k->aliases, all->aliases);
  ASSERT_EQ(k->selects.count, all->selects);
  ASSERT_EQ(k->selects.watchers.count, all->selects);
  ASSERT_EQ(k->signals.watchers.count, all->signals);
  ASSERT_EQ(k->children.watchers.count, all->children);
  ASSERT_EQ(k->deaths.waiting, all->deaths);
  ASSERT_EQ(k->deaths.at_work, 0);
}

void check_invariants(poe_kernel *k) {
  struct all all = {0};
  ASSERT_TRUE(!k->frame);
  ASSERT_EQ(k->depth, 0);
  gather(&all, k);
  qsort(all.at, all.count, sizeof *all.at, by_address);
  for (size_t i = 0; i < all.count; i++) count_posts(&all, &all.at[i]);
  check_heap(k, &all, &k->queue.delays);
  check_heap(k, &all, &k->queue.alarms);
  for (size_t i = 0; i < all.count; i++) check_session(k, &all, &all.at[i]);
  check_totals(k, &all);
  free(all.at);
}
