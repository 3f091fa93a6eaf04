/* SPDX-License-Identifier: MIT */
/*
 * alias.c -- aliases: names by which a session can be found.
 *
 * Each alias is one reference of its session, but does not keep the kernel
 * from going idle.  Found by the name's index through k->aliases.
 *
 * POE: Resource/Aliases.pm.
 */
#include <errno.h>

#include "internal.h"

struct alias {
  struct poe__link link;
  struct poe__list node; /* in session->aliases */
  poe_session *session;
  poe_name *name; /* one reference */
};

static struct alias *find(poe_kernel *k, const poe_name *name) {
  uint64_t hash = poe__mix(name->id);
  struct poe__link *link = poe__map_first(&k->aliases, hash);
  for (; link; link = link->next) {
    struct alias *a = (struct alias *)(void *)link;
    if (a->name == name) return a;
  }
  return NULL;
}

static void drop(poe_kernel *k, struct alias *a) {
  poe_session *s = a->session;
  poe__map_remove(k, &k->aliases, &a->link);
  poe__list_remove(&a->node);
  poe_name_unref(k, a->name);
  poe__free(k, a, sizeof *a);
  poe__session_unref(k, s);
}

void poe__alias_clear_session(poe_kernel *k, poe_session *s) {
  while (!poe__list_empty(&s->aliases))
    drop(k, POE__ITEM(s->aliases.next, struct alias, node));
}

void poe__alias_fini(poe_kernel *k) { poe__map_fini(k, &k->aliases); }

int poe_alias_set(poe_kernel *k, poe_name *name) {
  poe_session *s = poe_active_session(k);
  struct alias *a = find(k, name);
  if (a) return a->session == s ? poe__session_accepts(s) : -EEXIST;
  if (!poe__session_can_own(s)) return -ESRCH;
  if (poe__map_reserve(k, &k->aliases)) return -ENOMEM;
  a = poe__alloc(k, sizeof *a);
  if (!a) return -ENOMEM;
  poe_name_ref(name);
  a->link.hash = poe__mix(name->id);
  a->session = s;
  a->name = name;
  poe__map_add(&k->aliases, &a->link);
  poe__list_push(&s->aliases, &a->node);
  poe__session_ref(k, s);
  if (k->trace & POE__WHY) poe__made(k, a, (struct poe_origin){NULL, 0});
  return 0;
}

int poe_alias_remove(poe_kernel *k, poe_name *name) {
  struct alias *a = find(k, name);
  if (!a) return -ESRCH;
  if (a->session != poe_active_session(k)) return -EPERM;
  drop(k, a);
  return 0;
}

poe_session *poe_alias_find(poe_kernel *k, const poe_name *name) {
  struct alias *a = find(k, name);
  return a ? a->session : NULL;
}

const poe_name *poe_alias_at(const poe_session *s, size_t i) {
  POE__EACH(n, &s->aliases)
    if (i-- == 0) return POE__ITEM(n, struct alias, node)->name;
  return NULL;
}

void poe__alias_why(poe_session *s, struct poe__asking *a) {
  POE__EACH(n, &s->aliases) {
    const struct alias *alias = POE__ITEM(n, struct alias, node);
    struct poe_reason r = {
        .kind = POE_BY_ALIAS, .session = s, .name = alias->name};
    poe__why_tell(a, alias, &r);
  }
}
