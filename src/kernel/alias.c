/* SPDX-License-Identifier: MIT */
/*
 * alias.c -- aliases: names by which a session can be found.
 *
 * The name itself tells whose alias it is; the aliases of a session form a
 * ring.  Each is one reference of its session and holds its name, but does not
 * keep the kernel from going idle.
 *
 * POE: Resource/Aliases.pm.
 */
#include <errno.h>

#include "internal.h"

static poe_name *name_at(struct poe__list *node) {
  return POE__ITEM(node, poe_name, node);
}

static void drop(poe_kernel *k, poe_name *name) {
  poe_session *s = name->session;
  poe__ring_remove(&s->aliases, &name->node);
  name->session = NULL;
  k->aliases--;
  poe_name_unref(k, name);
  poe__session_unref(k, s);
}

void poe__alias_clear_session(poe_kernel *k, poe_session *s) {
  while (s->aliases) drop(k, name_at(s->aliases));
}

int poe_alias_set(poe_kernel *k, poe_name *name) {
  poe_session *s = poe_active_session(k);
  if (name->session)
    return name->session == s ? poe__session_accepts(s) : -EEXIST;
  if (!poe__session_can_own(s)) return -ESRCH;
  poe_name_ref(name);
  name->session = s;
  poe__ring_push(&s->aliases, &name->node);
  k->aliases++;
  poe__session_ref(k, s);
  if (k->trace & POE__WHY) poe__made(k, name, (struct poe_origin){NULL, 0});
  return 0;
}

int poe_alias_remove(poe_kernel *k, poe_name *name) {
  if (!name->session) return -ESRCH;
  if (name->session != poe_active_session(k)) return -EPERM;
  drop(k, name);
  return 0;
}

poe_session *poe_alias_find(poe_kernel *k, const poe_name *name) {
  (void)k;
  return name->session;
}

const poe_name *poe_alias_at(const poe_session *s, size_t i) {
  POE__EACH_IN(n, s->aliases)
    if (i-- == 0) return name_at(n);
  return NULL;
}

void poe__alias_why(poe_session *s, struct poe__asking *a) {
  POE__EACH_IN(n, s->aliases) {
    const poe_name *name = name_at(n);
    struct poe_reason r = {.kind = POE_BY_ALIAS, .session = s, .name = name};
    poe__why_tell(a, name, &r);
  }
}
