/* SPDX-License-Identifier: MIT */
/*
 * slab.c -- slabs; see slab.h.
 *
 * Invariant: a class lists its slabs that have room, the emptied ones apart
 * from the last.  Those are spare, SPARES and one in SPARE_OF of all: a fresh
 * page costs more than what is done with it, and a collector that lets a heap
 * grow by a fifth before it frees that much finds all of it again.
 */
#include "slab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || \
    defined(POE_NO_SLABS)
#define HAS_SLABS 0
#else
#define HAS_SLABS 1
#endif

#define SLAB_SIZE ((size_t)64 * 1024)
/* Blocks of 64 bytes and its multiples fill whole cache lines. */
#define LINE 64u
#define SPARES 16
#define SPARE_OF 4

/* At the start of its own pages, which are aligned to their size. */
struct poe__slab {
  struct poe__list node;  /* in the class, while it has free blocks */
  struct poe__slab *next; /* while it is spare */
  void *free;             /* given back; each points at the next */
  uint32_t unused;        /* offset of what was never given out */
  uint32_t live;
};

static size_t class_of(size_t size) {
  return (size + POE__GRAIN - 1) / POE__GRAIN;
}

static int is_small(size_t size) {
  return HAS_SLABS && class_of(size) < POE__SLAB_CLASSES;
}

/* ---- the system's ---------------------------------------------------------------- */

static size_t room_in(const struct poe_budget *b) {
  size_t kept = b->need == POE_NEED_NONE   ? b->reserve
                : b->need == POE_NEED_SOON ? b->reserve / 2
                                           : 0;
  return b->used + kept < b->limit ? b->limit - kept - b->used : 0;
}

int poe_budget_take(struct poe_budget *b, size_t size) {
  if (size > room_in(b)) {
    b->refused++;
    return 0;
  }
  b->used += size;
  return 1;
}

/* So much more, if there is room for it. */
static int count_in(struct poe_slabs *m, size_t size) {
  if (m->budget && !poe_budget_take(m->budget, size)) return 0;
  m->bytes += size;
  return 1;
}

static void count_out(struct poe_slabs *m, size_t size) {
  m->bytes -= size;
  if (m->budget) m->budget->used -= size;
}

void poe__slabs_set_budget(struct poe_slabs *m, struct poe_budget *budget) {
  if (m->budget) m->budget->used -= m->bytes;
  m->budget = budget;
  if (budget) budget->used += m->bytes;
}

static void *map(size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* Aligned to `size`, a power of two: twice as much, less what is too much. */
static void *map_aligned(size_t size) {
  char *p = map(2 * size);
  if (!p) return NULL;
  size_t before = (size - ((uintptr_t)p & (size - 1))) & (size - 1);
  if (before) munmap(p, before);
  munmap(p + before + size, size - before);
  return p + before;
}

void *poe__slabs_pages(struct poe_slabs *m, size_t size) {
  if (!HAS_SLABS) return poe_slabs_alloc(m, NULL, 0, size);
  if (!count_in(m, size)) return NULL;
  void *p = map(size);
  if (!p) count_out(m, size);
  return p;
}

void poe__slabs_pages_free(struct poe_slabs *m, void *p, size_t size) {
  if (!HAS_SLABS) {
    poe_slabs_alloc(m, p, size, 0);
    return;
  }
  munmap(p, size);
  count_out(m, size);
}

/* ---- slabs -------------------------------------------------------------------- */

static struct poe__slab *map_slab(struct poe_slabs *m) {
  if (!count_in(m, SLAB_SIZE)) return NULL;
  struct poe__slab *slab = map_aligned(SLAB_SIZE);
  if (!slab) {
    count_out(m, SLAB_SIZE);
    return NULL;
  }
  m->slabs++;
  return slab;
}

/* 0: the system will not have it back, as its list of mappings is full. */
static int unmap_spare(struct poe_slabs *m) {
  struct poe__slab *slab = m->spare, *next = slab->next;
  if (munmap(slab, SLAB_SIZE) != 0) return 0;
  m->spare = next;
  m->spares--;
  m->slabs--;
  count_out(m, SLAB_SIZE);
  return 1;
}

static struct poe__slab *take_spare(struct poe_slabs *m) {
  struct poe__slab *slab = m->spare;
  if (!slab) return NULL;
  m->spare = slab->next;
  m->spares--;
  return slab;
}

static struct poe__slab *new_slab(struct poe_slabs *m,
                                  struct poe__list *class) {
  struct poe__slab *slab = take_spare(m);
  if (!slab) slab = map_slab(m);
  if (!slab) return NULL;
  slab->free = NULL;
  slab->unused = LINE; /* behind this head */
  slab->live = 0;
  poe__list_push(class, &slab->node);
  return slab;
}

/* It has no block left. */
static void retire(struct poe_slabs *m, struct poe__slab *slab) {
  poe__list_remove(&slab->node);
  slab->next = m->spare;
  m->spare = slab;
  m->spares++;
  while (m->spares > SPARES + m->slabs / SPARE_OF && unmap_spare(m)) continue;
}

static int has_room(const struct poe__slab *slab, size_t size) {
  return slab->free || slab->unused + size <= SLAB_SIZE;
}

static void *take_block(struct poe_slabs *m, size_t c) {
  struct poe__list *class = &m->class[c];
  size_t size = c * POE__GRAIN;
  if (!class->next) poe__list_init(class);
  struct poe__slab *slab = poe__list_empty(class)
                               ? new_slab(m, class)
                               : POE__ITEM(class->next, struct poe__slab, node);
  if (!slab) return NULL;
  void *block = slab->free;
  if (block) {
    slab->free = *(void **)block;
  } else {
    block = (char *)slab + slab->unused;
    slab->unused += (uint32_t)size;
  }
  slab->live++;
  if (!has_room(slab, size)) poe__list_remove(&slab->node);
  return block;
}

static void give_block(struct poe_slabs *m, void *block, size_t c) {
  struct poe__list *class = &m->class[c];
  struct poe__slab *slab =
      (void *)((uintptr_t)block & ~(uintptr_t)(SLAB_SIZE - 1));
  if (!has_room(slab, c * POE__GRAIN)) poe__list_push(class, &slab->node);
  *(void **)block = slab->free;
  slab->free = block;
  if (--slab->live == 0 && class->next != class->prev) retire(m, slab);
}

/* ---- any size -------------------------------------------------------------------- */

static void *resize_large(struct poe_slabs *m, void *p, size_t osize,
                          size_t nsize) {
  if (nsize > osize && !count_in(m, nsize - osize)) return NULL;
  void *q = nsize ? realloc(p, nsize) : NULL;
  if (nsize == 0) free(p);
  if (nsize > osize && !q) count_out(m, nsize - osize);
  if (nsize < osize && (q || nsize == 0)) count_out(m, osize - nsize);
  return q;
}

static void *take(struct poe_slabs *m, size_t size) {
  return is_small(size) ? take_block(m, class_of(size))
                        : resize_large(m, NULL, 0, size);
}

static void give(struct poe_slabs *m, void *p, size_t size) {
  if (is_small(size))
    give_block(m, p, class_of(size));
  else
    resize_large(m, p, size, 0);
}

/* From a slab, or into one. */
static void *move(struct poe_slabs *m, void *p, size_t osize, size_t nsize) {
  if (is_small(osize) && class_of(osize) == class_of(nsize)) return p;
  void *q = take(m, nsize);
  if (!q) return NULL;
  memcpy(q, p, osize < nsize ? osize : nsize);
  give(m, p, osize);
  return q;
}

void *poe_slabs_alloc(void *slabs, void *p, size_t osize, size_t nsize) {
  struct poe_slabs *m = slabs;
  if (!p) return nsize ? take(m, nsize) : NULL;
  if (nsize == 0) {
    give(m, p, osize);
    return NULL;
  }
  return is_small(osize) || is_small(nsize) ? move(m, p, osize, nsize)
                                            : resize_large(m, p, osize, nsize);
}

void *poe__slabs_zeros(struct poe_slabs *m, size_t size) {
  if (is_small(size)) {
    void *p = take_block(m, class_of(size));
    return p ? memset(p, 0, size) : NULL;
  }
  if (!count_in(m, size)) return NULL;
  void *p = calloc(1, size); /* fresh pages need no clearing */
  if (!p) count_out(m, size);
  return p;
}

/* The one of a class that has no block, if any, is its first. */
void poe_slabs_trim(poe_slabs *m) {
  for (size_t i = 0; i < POE__SLAB_CLASSES; i++) {
    struct poe__list *class = &m->class[i];
    if (!class->next || poe__list_empty(class)) continue;
    struct poe__slab *slab = POE__ITEM(class->next, struct poe__slab, node);
    if (slab->live == 0) retire(m, slab);
  }
  while (m->spare && unmap_spare(m)) continue;
}

/* ---- one by itself ---------------------------------------------------------- */

poe_slabs *poe_slabs_new(void) { return calloc(1, sizeof(poe_slabs)); }

void poe_slabs_free(poe_slabs *m) {
  if (m) poe_slabs_trim(m);
  free(m);
}
