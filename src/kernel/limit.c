/* SPDX-License-Identifier: MIT */
/*
 * limit.c -- how many posted events may wait for one session.
 *
 * Only what poe_post sends is counted: timers, signals, calls and the kernel's
 * own events come through.  A session with a limit has the flag POE__LIMITED,
 * which poe_post tests together with others, so that no one else pays.
 *
 * Nothing is counted when an event is dispatched.  Each post to a limited
 * session carries a ticket as its first word; they are consecutive in its
 * queue, for only the oldest is ever taken out, so the oldest one's tells how
 * many there are.
 */
#include <errno.h>

#include "internal.h"

struct limit {
  struct poe__owned owned;
  struct poe__link link; /* in k->limits.map, by session */
  size_t max;
  enum poe_when_full policy;
  int is_own;    /* not the one by default */
  int is_full;   /* and that was told */
  uint64_t tickets; /* given out */
  uint64_t dropped; /* and rejected */
};

static struct limit *find(const poe_kernel *k, const poe_session *s) {
  struct poe__link *link = poe__map_first(&k->limits.map, poe__id(s));
  for (; link; link = link->next) {
    struct limit *l = POE__ITEM(link, struct limit, link);
    if (l->owned.session == s) return l;
  }
  return NULL;
}

static struct limit *make(poe_kernel *k, poe_session *s) {
  if (poe__map_reserve(k, &k->limits.map)) return NULL;
  struct limit *l = poe__zalloc(k, sizeof *l);
  if (!l) return NULL;
  l->link.key = poe__id(s);
  poe__map_add(&k->limits.map, &l->link);
  poe__own(s, &l->owned, POE__OWNED_LIMIT);
  return l;
}

void poe__limit_drop(poe_kernel *k, struct poe__owned *o) {
  struct limit *l = POE__ITEM(o, struct limit, owned);
  poe__map_remove(k, &k->limits.map, &l->link);
  poe__disown(o);
  poe__free(k, l, sizeof *l);
}

void poe__limit_fini(poe_kernel *k) { poe__map_fini(k, &k->limits.map); }

/* ---- setting ---------------------------------------------------------------- */

/* The entry stays, for its count, when the limit is taken away. */
static int set(poe_kernel *k, poe_session *s, size_t max,
               enum poe_when_full policy, int is_own) {
  struct limit *l = find(k, s);
  if (!l && max == 0 && !is_own) return 0;
  if (!l && !(l = make(k, s))) return -ENOMEM;
  l->max = max;
  l->policy = policy;
  l->is_own = is_own;
  l->is_full = 0;
  s->flags &= ~(unsigned)POE__LIMITED & 15;
  if (max) s->flags |= POE__LIMITED;
  return 0;
}

int poe_session_set_limit(poe_kernel *k, poe_session *s, size_t max,
                          enum poe_when_full policy) {
  if (!poe__session_can_own(s)) return -ESRCH;
  return set(k, s, max, policy, 1);
}

uint64_t poe_session_dropped(const poe_kernel *k, const poe_session *s) {
  const struct limit *l = find(k, s);
  return l ? l->dropped : 0;
}

static int takes_default(const poe_kernel *k, const poe_session *s) {
  const struct limit *l = find(k, s);
  return poe__session_can_own(s) && !(l && l->is_own);
}

int poe__limit_born(poe_kernel *k, poe_session *s) {
  return set(k, s, k->limits.max, k->limits.policy, 0);
}

int poe_set_limit(poe_kernel *k, size_t max, enum poe_when_full policy) {
  struct poe__walk w = {0};
  int err = poe__walk_tree(k, &w, &k->root);
  for (size_t i = 0; !err && i < w.count; i++)
    if (takes_default(k, w.at[i])) err = set(k, w.at[i], max, policy, 0);
  poe__walk_free(k, &w);
  if (err) return err;
  k->limits.max = max;
  k->limits.policy = policy;
  k->trace = max ? k->trace | POE__BOUNDED
                 : k->trace & ~(unsigned)POE__BOUNDED;
  return 0;
}

/* ---- what waits ------------------------------------------------------------------ */

static int has_ticket(const struct poe__post *post) {
  return post->m.type == POE_EV_POST && post->m.own == 1;
}

/* The link that leads to the oldest post with a ticket. */
static struct poe__post **oldest(poe_session *s) {
  struct poe__post **at = &s->first_post;
  while (*at && !has_ticket(*at)) at = &(*at)->next_of_dest;
  return at;
}

static size_t count_waiting(poe_session *s, const struct limit *l) {
  const struct poe__post *post = *oldest(s);
  return post ? (size_t)(l->tickets - post->words[0]) : 0;
}

/* There is a newer one, so it is not the session's last.  It stays in the
   FIFO as a husk until its turn. */
static void drop_oldest(poe_kernel *k, poe_session *s) {
  struct poe__post **at = oldest(s), *post = *at;
  poe_session *source = post->m.source;
  *at = post->next_of_dest;
  post->m.dest = NULL;
  poe__message_drop(k, &post->m, post->words);
  poe__count_out(k, s, source);
}

/* ---- telling ------------------------------------------------------------------------- */

static int is_alike(const struct poe__post *a, const struct poe__post *b) {
  return a->m.event == b->m.event && a->m.source == b->m.source &&
         a->m.file == b->m.file && a->m.line == b->m.line;
}

/* The one that more than half of all are like, if there is one (Boyer and
   Moore's vote); how many are is in *count. */
static const struct poe__post *most(const poe_session *s, size_t *count) {
  const struct poe__post *post, *best = NULL;
  size_t lead = 0;
  for (post = s->first_post; post; post = post->next_of_dest) {
    if (!has_ticket(post)) continue;
    if (lead == 0) best = post;
    lead += is_alike(post, best) ? 1 : (size_t)-1;
  }
  *count = 0;
  for (post = s->first_post; post; post = post->next_of_dest)
    *count += has_ticket(post) && is_alike(post, best);
  return best;
}

static void tell_full(poe_kernel *k, const poe_session *s,
                      const struct limit *l) {
  static const char *const verbs[] = {[POE_REJECT] = "more are rejected",
                                      [POE_DROP_OLDEST] = "the oldest go",
                                      [POE_DROP_NEWEST] = "the newest go"};
  size_t count;
  const struct poe__post *post = most(s, &count);
  const poe_name *file = post ? poe__name_at(k, post->m.file) : NULL;
  poe_log(k, "<ev> %s has %zu events waiting, its limit: %s; %zu are "
             "``%s'' from %s at %s:%u", poe__label(s), l->max,
          verbs[l->policy], count,
          post ? poe__name_at(k, post->m.event)->text : "?",
          post ? poe__label(post->m.source) : "?", file ? file->text : "?",
          post ? (unsigned)post->m.line : 0);
}

/* ---- posting ---------------------------------------------------------------------------- */

static int reject(poe_kernel *k, const struct poe__send *send,
                  struct limit *l) {
  l->dropped++;
  POE__TRACE_OF(k, send->dest, POE_TRACE_EVENTS,
                "<ev> no room for event ``%s'' from %s to %s",
                send->event->text, poe__label(send->source),
                poe__label(send->dest));
  if (l->policy == POE_REJECT) return -ENOBUFS;
  poe__discard(k, send->args.n, send->args.words);
  return 0;
}

/* What is full is told of once, until half of it has gone. */
static int is_full(poe_kernel *k, poe_session *s, struct limit *l) {
  size_t n = s->to < l->max ? s->to : count_waiting(s, l);
  if (n <= l->max / 2) l->is_full = 0;
  if (n < l->max) return 0;
  if (!l->is_full) tell_full(k, s, l);
  return l->is_full = 1;
}

/* With a ticket; the one that it replaces goes when there is room for it. */
static int enqueue(poe_kernel *k, struct poe__send *send, struct limit *l,
                   int full) {
  send->nown = 1;
  send->own[0] = l->tickets;
  int err = poe__enqueue(k, send);
  if (err) return err;
  l->tickets++;
  if (!full) return 0;
  l->dropped++;
  drop_oldest(k, send->dest);
  return 0;
}

POE__COLD int poe__post_carefully(poe_kernel *k, poe_session *s,
                                  poe_name *event, struct poe_origin origin,
                                  struct poe_payload args) {
  if (poe__session_accepts(s)) return -ESRCH;
  struct poe__send send = {.dest = s,
                           .source = poe_active_session(k),
                           .event = event,
                           .from = poe__active_event(k),
                           .origin = origin,
                           .type = POE_EV_POST,
                           .args = args};
  struct limit *l = find(k, s);
  int full = is_full(k, s, l);
  if (full && l->policy != POE_DROP_OLDEST) return reject(k, &send, l);
  return enqueue(k, &send, l, full);
}
