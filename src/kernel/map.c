/* SPDX-License-Identifier: MIT */
/*
 * map.c -- growth and change of the hash map; see map.h for the scheme.
 *
 * Invariant: buckets 0 .. low_mask + split exist; buckets below `split` and
 * those above low_mask are addressed by one bit more than the rest.
 */
#include "map.h"

#include <errno.h>
#include <string.h>

#include "internal.h"

static size_t segment_buckets(unsigned s) {
  return (size_t)1 << (POE__MAP_BITS + (s ? s - 1 : 0));
}

static int add_segment(struct poe_kernel *k, struct poe__map *m, unsigned s) {
  size_t n = segment_buckets(s);
  m->segment[s] = poe__zalloc(k, n * sizeof *m->segment[s]);
  return m->segment[s] ? 0 : -ENOMEM;
}

int poe__map_reserve(struct poe_kernel *k, struct poe__map *m) {
  if (!m->segment[0]) {
    m->low_mask = (1u << POE__MAP_BITS) - 1;
    return add_segment(k, m, 0);
  }
  if (m->count < m->low_mask + 1 + m->split) return 0;
  if (m->split > 0) return 0; /* the segment for this round exists */
  unsigned top = 64u - (unsigned)__builtin_clzll(m->low_mask);
  unsigned s = top - POE__MAP_BITS + 1;
  return m->segment[s] ? 0 : add_segment(k, m, s);
}

static void split_one(struct poe__map *m) {
  struct poe__link **from = poe__map_bucket(m, m->split);
  struct poe__link **to = poe__map_bucket(m, m->split + m->low_mask + 1);
  uint64_t bit = m->low_mask + 1;
  while (*from) {
    struct poe__link *link = *from;
    if (poe__map_hash(link->key) & bit) {
      *from = link->next;
      link->next = *to;
      *to = link;
    } else {
      from = &link->next;
    }
  }
  if (++m->split > m->low_mask) {
    m->low_mask = m->low_mask << 1 | 1;
    m->split = 0;
  }
}

void poe__map_add(struct poe__map *m, struct poe__link *link) {
  if (m->count >= m->low_mask + 1 + m->split) split_one(m);
  struct poe__link **at = poe__map_bucket(m, poe__map_index(m, link->key));
  link->next = *at;
  *at = link;
  m->count++;
}

/* Merge the last bucket into its origin; an emptied segment is freed. */
static void join_one(struct poe_kernel *k, struct poe__map *m) {
  if (m->split == 0) {
    m->low_mask >>= 1;
    m->split = m->low_mask + 1;
  }
  m->split--;
  struct poe__link **to = poe__map_bucket(m, m->split);
  struct poe__link **from = poe__map_bucket(m, m->split + m->low_mask + 1);
  while (*to) to = &(*to)->next;
  *to = *from;
  *from = NULL;
  if (m->split > 0) return;
  unsigned top = 64u - (unsigned)__builtin_clzll(m->low_mask);
  for (unsigned s = top - POE__MAP_BITS + 1; m->segment[s]; s++) {
    poe__free(k, m->segment[s], segment_buckets(s) * sizeof *m->segment[s]);
    m->segment[s] = NULL;
  }
}

static int is_sparse(const struct poe__map *m) {
  uint64_t buckets = m->low_mask + 1 + m->split;
  return buckets > (1u << POE__MAP_BITS) && buckets > 4 * m->count;
}

void poe__map_remove(struct poe_kernel *k, struct poe__map *m,
                     struct poe__link *link) {
  struct poe__link **at = poe__map_bucket(m, poe__map_index(m, link->key));
  while (*at != link) at = &(*at)->next;
  *at = link->next;
  m->count--;
  /* Four at most: one in four of the buckets is still in use when it begins,
     and all are to be gone with the last link. */
  for (int n = 0; n < 4 && is_sparse(m); n++) join_one(k, m);
}

void poe__map_fini(struct poe_kernel *k, struct poe__map *m) {
  for (unsigned s = 0; s < POE__MAP_SEGMENTS && m->segment[s]; s++) {
    size_t n = segment_buckets(s);
    poe__free(k, m->segment[s], n * sizeof *m->segment[s]);
  }
  memset(m, 0, sizeof *m);
}
