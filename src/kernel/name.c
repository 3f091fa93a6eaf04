/* SPDX-License-Identifier: MIT */
/*
 * name.c -- interned names: events, aliases, tags, signals, file names.
 *
 * Each text exists once, with a count of its users and a small index by which
 * queued events refer to it.  The last user's drop frees the name and tells
 * the host; only then is its index used again.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

int poe__name_init(poe_kernel *k) {
  struct poe__names *n = &k->names;
  size_t room = 0;
  int err = poe__grow(k, (void **)&n->by_id, sizeof *n->by_id, &room, 16);
  if (err) return err;
  n->room = (uint32_t)room;
  n->by_id[0] = NULL;
  n->count = 1;
  return 0;
}

static size_t size_of(size_t len) {
  return offsetof(poe_name, text) + len + 1;
}

/* The host may end with references of its own: it need not count them then. */
void poe__name_fini(poe_kernel *k) {
  struct poe__names *n = &k->names;
  for (uint32_t id = 1; id < n->count; id++) {
    poe_name *name = n->by_id[id];
    if ((uintptr_t)name & 1) continue;
    poe__free(k, name, size_of(name->len));
  }
  poe__map_fini(k, &n->map);
  poe__free(k, n->by_id, n->room * sizeof *n->by_id);
}

static uint64_t hash_text(const char *text, size_t len) {
  uint64_t h = 0xcbf29ce484222325u ^ len;
  for (; len >= 8; len -= 8, text += 8) {
    uint64_t w;
    memcpy(&w, text, 8);
    h = poe__mix(h ^ w);
  }
  uint64_t w = 0;
  memcpy(&w, text, len);
  return poe__mix(h ^ w);
}

static poe_name *find(poe_kernel *k, const char *text, size_t len,
                      uint64_t hash) {
  struct poe__link *link = poe__map_first(&k->names.map, hash);
  for (; link; link = link->next) {
    poe_name *name = (poe_name *)(void *)link;
    if (link->key == hash && name->len == len &&
        memcmp(name->text, text, len) == 0)
      return name;
  }
  return NULL;
}

poe_name *poe_name_find(poe_kernel *k, const char *text, size_t len) {
  return find(k, text, len, hash_text(text, len));
}

/* Freed indices form a list through by_id: the next one, tagged by its low
   bit, which no pointer has. */
static uint32_t take_id(struct poe__names *n) {
  if (!n->free_head) return n->count++;
  uint32_t id = n->free_head;
  n->free_head = (uint32_t)((uintptr_t)n->by_id[id] >> 1);
  return id;
}

static int reserve(poe_kernel *k) {
  struct poe__names *n = &k->names;
  int err = poe__map_reserve(k, &n->map);
  if (err || n->free_head || n->count < n->room) return err;
  size_t room = n->room;
  err = poe__grow(k, (void **)&n->by_id, sizeof *n->by_id, &room, room + 1);
  if (!err) n->room = (uint32_t)room;
  return err;
}

poe_name *poe_name_get(poe_kernel *k, const char *text, size_t len) {
  uint64_t hash = hash_text(text, len);
  poe_name *name = find(k, text, len, hash);
  if (name) {
    name->refs++;
    return name;
  }
  if (len > UINT32_MAX || reserve(k)) return NULL;
  name = poe__alloc(k, size_of(len));
  if (!name) return NULL;
  name->link.key = hash;
  name->session = NULL;
  name->refs = 1;
  name->len = (uint32_t)len;
  memcpy(name->text, text, len);
  name->text[len] = '\0';
  name->id = take_id(&k->names);
  k->names.by_id[name->id] = name;
  poe__map_add(&k->names.map, &name->link);
  return name;
}

void poe__name_free(poe_kernel *k, poe_name *name) {
  struct poe__names *n = &k->names;
  k->ops->name_gone(k->ud, name);
  poe__map_remove(k, &n->map, &name->link);
  n->by_id[name->id] = (poe_name *)((uintptr_t)n->free_head << 1 | 1);
  n->free_head = name->id;
  poe__free(k, name, size_of(name->len));
}

void poe_name_ref(poe_name *name) { name->refs++; }

void poe_name_unref(poe_kernel *k, poe_name *name) {
  if (name && --name->refs == 0) poe__name_free(k, name);
}

const char *poe_name_text(const poe_name *name, size_t *len) {
  if (len) *len = name->len;
  return name->text;
}

uint32_t poe_name_id(const poe_name *name) { return name->id; }

poe_name *poe_name_by_id(const poe_kernel *k, uint32_t id) {
  return k->names.by_id[id];
}
