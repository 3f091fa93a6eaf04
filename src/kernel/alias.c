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

static void link_last(poe_kernel *k, poe_session *s, poe_name *name) {
  poe_name *first = s->aliases;
  if (!first) {
    s->aliases = name;
    name->prev = name->next = name->id;
    return;
  }
  name->prev = first->prev;
  name->next = first->id;
  poe__name_at(k, first->prev)->next = name->id;
  first->prev = name->id;
}

/* NULL behind the last. */
static poe_name *next_of(const poe_kernel *k, const poe_name *name) {
  poe_name *next = poe__name_at(k, name->next);
  return next == name->session->aliases ? NULL : next;
}

static void unlink_name(poe_kernel *k, poe_session *s, poe_name *name) {
  if (s->aliases == name) s->aliases = next_of(k, name);
  poe__name_at(k, name->prev)->next = name->next;
  poe__name_at(k, name->next)->prev = name->prev;
}

static void drop(poe_kernel *k, poe_name *name) {
  poe_session *s = name->session;
  unlink_name(k, s, name);
  name->session = NULL;
  k->aliases--;
  poe_name_unref(k, name);
  poe__session_unref(k, s);
}

void poe__alias_clear_session(poe_kernel *k, poe_session *s) {
  while (s->aliases) drop(k, s->aliases);
}

int poe_alias_set(poe_kernel *k, poe_name *name) {
  poe_session *s = poe_active_session(k);
  if (name->session)
    return name->session == s ? poe__session_accepts(s) : -EEXIST;
  if (!poe__session_can_own(s)) return -ESRCH;
  poe_name_ref(name);
  name->session = s;
  link_last(k, s, name);
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

const poe_name *poe_alias_first(const poe_session *s) { return s->aliases; }

const poe_name *poe_alias_next(const poe_kernel *k, const poe_name *alias) {
  return next_of(k, alias);
}

void poe__alias_why(poe_kernel *k, poe_session *s, struct poe__asking *a) {
  for (const poe_name *name = s->aliases; name; name = next_of(k, name)) {
    struct poe_reason r = {.kind = POE_BY_ALIAS, .session = s, .name = name};
    poe__why_tell(a, name, &r);
  }
}
