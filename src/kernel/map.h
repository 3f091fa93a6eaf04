/* SPDX-License-Identifier: MIT */
/*
 * map.h -- an intrusive hash map that never pauses.
 *
 * Linear hashing: buckets lie in segments, each as large as all before it,
 * and every insertion beyond one item a bucket splits just one bucket.  No
 * operation touches more than nine chains, whatever the size; a link costs 16
 * bytes in its item and 8 in its bucket.  Removal undoes up to four splits
 * when three of four buckets have become superfluous, so an emptied map has
 * shrunk to its first segment.
 *
 * Four keys that follow each other have buckets side by side, so that things
 * numbered one by one and used one by one share the processor's cache lines;
 * keys of which every fourth is there make chains of four instead.
 *
 * The caller compares: look-up walks a chain, where links of other keys lie
 * too.
 */
#ifndef POE_MAP_H
#define POE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct poe__link {
  struct poe__link *next;
  uint64_t key;
};

/* First segment: 1 << POE__MAP_BITS buckets. */
#define POE__MAP_BITS 4
#define POE__MAP_SEGMENTS 40

struct poe__map {
  struct poe__link **segment[POE__MAP_SEGMENTS];
  uint64_t low_mask; /* buckets before this round of splits, minus 1 */
  uint64_t split;    /* the next bucket to split */
  size_t count;
};

static inline uint64_t poe__mix(uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93u;
  x ^= x >> 32;
  return x;
}

/* The key of what belongs to two things; a is what differs one by one. */
static inline uint64_t poe__pair(uint64_t a, uint64_t b) {
  return a ^ poe__mix(b);
}

static inline struct poe__link **poe__map_bucket(const struct poe__map *m,
                                                 uint64_t i) {
  if (i < (1u << POE__MAP_BITS)) return &m->segment[0][i];
  unsigned top = 63u - (unsigned)__builtin_clzll(i);
  return &m->segment[top - POE__MAP_BITS + 1][i - (UINT64_C(1) << top)];
}

static inline uint64_t poe__map_hash(uint64_t key) {
  return poe__mix(key >> 2) << 2 | (key & 3);
}

static inline uint64_t poe__map_index(const struct poe__map *m,
                                      uint64_t key) {
  uint64_t hash = poe__map_hash(key), i = hash & m->low_mask;
  if (i < m->split) i = hash & (m->low_mask << 1 | 1);
  return i;
}

/* The chain that holds every link of this key (and others). */
static inline struct poe__link *poe__map_first(const struct poe__map *m,
                                               uint64_t key) {
  if (!m->count) return NULL;
  return *poe__map_bucket(m, poe__map_index(m, key));
}

struct poe_kernel;
/* Make room for one more link: 0 or -ENOMEM.  To be called before add. */
int poe__map_reserve(struct poe_kernel *k, struct poe__map *m);
/* Add a link whose key is set; cannot fail after reserve. */
void poe__map_add(struct poe__map *m, struct poe__link *link);
void poe__map_remove(struct poe_kernel *k, struct poe__map *m,
                     struct poe__link *link);
void poe__map_fini(struct poe_kernel *k, struct poe__map *m);

#endif
