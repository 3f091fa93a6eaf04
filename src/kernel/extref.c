/* SPDX-License-Identifier: MIT */
/*
 * extref.c -- tagged references: reasons to live that only the program knows.
 *
 * One count for each (session, tag).  It is one reference of the session while
 * above 0; the entry itself, even one below 0, keeps the kernel from going
 * idle, as POE's documentation promises.
 *
 * POE: Resource/Extrefs.pm.
 */
#include <errno.h>

#include "internal.h"

struct extref {
  struct poe__owned owned;
  struct poe__link link;
  poe_name *tag; /* one reference */
  int64_t count; /* never 0 */
  int is_ref;    /* counts in session->refs */
};

static struct extref *of_owned(struct poe__owned *o) {
  return POE__ITEM(o, struct extref, owned);
}

static uint64_t key_of(const poe_session *s, const poe_name *tag) {
  return poe__pair(poe__id(s), tag->id);
}

static struct extref *find(poe_kernel *k, const poe_session *s,
                           const poe_name *tag) {
  struct poe__link *link = poe__map_first(&k->tags, key_of(s, tag));
  for (; link; link = link->next) {
    struct extref *x = POE__ITEM(link, struct extref, link);
    if (x->owned.session == s && x->tag == tag) return x;
  }
  return NULL;
}

static struct extref *make(poe_kernel *k, poe_session *s, poe_name *tag) {
  if (poe__map_reserve(k, &k->tags)) return NULL;
  struct extref *x = poe__zalloc(k, sizeof *x);
  if (!x) return NULL;
  poe_name_ref(tag);
  x->tag = tag;
  x->link.key = key_of(s, tag);
  poe__map_add(&k->tags, &x->link);
  poe__own(s, &x->owned, POE__OWNED_TAG);
  return x;
}

void poe__extref_drop(poe_kernel *k, struct poe__owned *o) {
  struct extref *x = of_owned(o);
  poe_session *s = o->session;
  int is_ref = x->is_ref;
  poe__map_remove(k, &k->tags, &x->link);
  poe__disown(o);
  poe_name_unref(k, x->tag);
  poe__free(k, x, sizeof *x);
  if (is_ref) poe__session_unref(k, s);
}

void poe__extref_fini(poe_kernel *k) { poe__map_fini(k, &k->tags); }

/* The reference follows the sign of the count. */
static void settle(poe_kernel *k, struct extref *x) {
  poe_session *s = x->owned.session;
  if (x->count > 0 && !x->is_ref) {
    x->is_ref = 1;
    poe__session_ref(k, s);
  }
  POE__TRACE_OF(k, s, POE_TRACE_REFCNT, "<rc> extref ``%s'' (now %lld) for %s",
                x->tag->text, (long long)x->count, poe__label(s));
  if (x->count == 0) poe__extref_drop(k, &x->owned);
}

int poe_extref_inc(poe_kernel *k, poe_session *s, poe_name *tag,
                   int64_t *count) {
  if (poe__session_accepts(s)) return -ESRCH;
  struct extref *x = find(k, s, tag);
  if (!x && !(x = make(k, s, tag))) return -ENOMEM;
  *count = ++x->count;
  if (k->trace & POE__WHY) poe__made(k, x, (struct poe_origin){NULL, 0});
  settle(k, x);
  return 0;
}

int poe_extref_dec(poe_kernel *k, poe_session *s, poe_name *tag,
                   int64_t *count) {
  if (s->flags & POE__DEAD) return -ESRCH;
  struct extref *x = find(k, s, tag);
  if (!x && poe__session_accepts(s)) return -ESRCH;
  if (!x && !(x = make(k, s, tag))) return -ENOMEM;
  *count = --x->count;
  settle(k, x);
  return 0;
}

void poe__extref_why(struct poe__owned *o, struct poe__asking *a) {
  const struct extref *x = of_owned(o);
  struct poe_reason r = {.kind = POE_BY_TAG,
                         .keeps_program = 1,
                         .session = o->session,
                         .name = x->tag,
                         .number = x->count};
  poe__why_tell(a, x, &r);
}
