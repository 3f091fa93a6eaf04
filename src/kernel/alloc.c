/* SPDX-License-Identifier: MIT */
/*
 * alloc.c -- all memory of the kernel goes through here.
 *
 * The allocator is the host's, in the manner of lua_Alloc, so that one
 * counter or limit can cover Lua and the kernel.  `allocations` counts what is
 * out; it is 0 again when the kernel has been freed.
 *
 * Without one, small blocks come from slabs: 64 KiB of the system's pages for
 * blocks of one size.  That costs no header a block and no search, and a
 * burst's slabs go back to the system as they empty, which a heap with one
 * survivor at its end cannot do.  Under a sanitizer everything is malloc, so
 * that it sees the end of every block.
 *
 * What is got from the system, slabs and all, is counted in `bytes`, and in
 * the host's budget if it has set one; beyond that there is no memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SLABS 0
#else
#define HAS_SLABS 1
#endif

#define SLAB_SIZE ((size_t)64 * 1024)
#define GRAIN ((size_t)16)
/* Blocks of 64 bytes and its multiples fill whole cache lines. */
#define LINE 64u

/* At the start of its own pages, which are aligned to their size. */
struct poe__slab {
  struct poe__list node; /* in the class, while it has free blocks */
  void *free;            /* given back; each points at the next */
  uint32_t unused;       /* offset of what was never given out */
  uint32_t live;
};

static size_t class_of(size_t size) { return (size + GRAIN - 1) / GRAIN; }

static int is_small(const poe_kernel *k, size_t size) {
  return HAS_SLABS && !k->alloc && class_of(size) < POE__SLAB_CLASSES;
}

/* ---- the budget ---------------------------------------------------------------- */

/* So much more, if there is room for it. */
static int count_in(poe_kernel *k, size_t size) {
  struct poe_budget *b = k->budget;
  if (b && (size > b->limit || b->used > b->limit - size)) {
    b->refused++;
    return 0;
  }
  k->bytes += size;
  if (b) b->used += size;
  return 1;
}

static void count_out(poe_kernel *k, size_t size) {
  k->bytes -= size;
  if (k->budget) k->budget->used -= size;
}

void poe_kernel_set_budget(poe_kernel *k, struct poe_budget *budget) {
  if (k->budget) k->budget->used -= k->bytes;
  k->budget = budget;
  if (budget) budget->used += k->bytes;
}

/* ---- pages ------------------------------------------------------------------- */

/* Aligned to `size`, a power of two: twice as much, less what is too much. */
static void *map_aligned(size_t size) {
  char *p = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  size_t before = (size - ((uintptr_t)p & (size - 1))) & (size - 1);
  if (before) munmap(p, before);
  munmap(p + before + size, size - before);
  return p + before;
}

void *poe__pages(poe_kernel *k, size_t size) {
  if (!HAS_SLABS || k->alloc) return poe__alloc(k, size);
  if (!count_in(k, size)) return NULL;
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    count_out(k, size);
    return NULL;
  }
  k->allocations++;
  return p;
}

void poe__pages_free(poe_kernel *k, void *p, size_t size) {
  if (!HAS_SLABS || k->alloc || !p) {
    poe__free(k, p, size);
    return;
  }
  k->allocations--;
  munmap(p, size);
  count_out(k, size);
}

/* ---- slabs -------------------------------------------------------------------- */

static struct poe__slab *slab_of(void *p) {
  return (void *)((uintptr_t)p & ~(uintptr_t)(SLAB_SIZE - 1));
}

static struct poe__slab *new_slab(poe_kernel *k, struct poe__list *class) {
  if (!count_in(k, SLAB_SIZE)) return NULL;
  struct poe__slab *slab = map_aligned(SLAB_SIZE);
  if (!slab) {
    count_out(k, SLAB_SIZE);
    return NULL;
  }
  slab->unused = LINE; /* behind this head */
  poe__list_push(class, &slab->node);
  return slab;
}

static int has_room(const struct poe__slab *slab, size_t size) {
  return slab->free || slab->unused + size <= SLAB_SIZE;
}

static void *take_block(poe_kernel *k, size_t size) {
  struct poe__list *class = &k->slabs[class_of(size)];
  size = class_of(size) * GRAIN;
  if (!class->next) poe__list_init(class);
  struct poe__slab *slab = poe__list_empty(class)
                               ? new_slab(k, class)
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

static void give_block(poe_kernel *k, void *block, size_t size) {
  struct poe__list *class = &k->slabs[class_of(size)];
  struct poe__slab *slab = slab_of(block);
  if (!has_room(slab, class_of(size) * GRAIN))
    poe__list_push(class, &slab->node);
  *(void **)block = slab->free;
  slab->free = block;
  if (--slab->live > 0) return;
  if (class->next == class->prev) return; /* the last one stays */
  poe__list_remove(&slab->node);
  munmap(slab, SLAB_SIZE);
  count_out(k, SLAB_SIZE);
}

void poe__alloc_fini(poe_kernel *k) {
  for (size_t i = 0; i < POE__SLAB_CLASSES; i++) {
    struct poe__list *class = &k->slabs[i];
    while (class->next && !poe__list_empty(class)) {
      struct poe__list *node = class->next;
      poe__list_remove(node);
      munmap(POE__ITEM(node, struct poe__slab, node), SLAB_SIZE);
      count_out(k, SLAB_SIZE);
    }
  }
}

/* ---- any size -------------------------------------------------------------------- */

/* In the manner of lua_Alloc: the host's, or the system's. */
static void *resize(poe_kernel *k, void *p, size_t old, size_t size) {
  if (k->alloc) return k->alloc(k->alloc_ud, p, old, size);
  if (size > old && !count_in(k, size - old)) return NULL;
  void *q = size ? realloc(p, size) : NULL;
  if (size == 0) free(p);
  if (size > old && !q) count_out(k, size - old);
  if (size < old && (q || size == 0)) count_out(k, old - size);
  return q;
}

void *poe__alloc(poe_kernel *k, size_t size) {
  void *p = is_small(k, size) ? take_block(k, size) : resize(k, NULL, 0, size);
  if (p) k->allocations++;
  return p;
}

void *poe__zalloc(poe_kernel *k, size_t size) {
  if (k->alloc || is_small(k, size)) {
    void *p = poe__alloc(k, size);
    return p ? memset(p, 0, size) : NULL;
  }
  if (!count_in(k, size)) return NULL;
  void *p = calloc(1, size); /* fresh pages need no clearing */
  if (p)
    k->allocations++;
  else
    count_out(k, size);
  return p;
}

void poe__free(poe_kernel *k, void *p, size_t size) {
  if (!p) return;
  k->allocations--;
  if (is_small(k, size))
    give_block(k, p, size);
  else
    resize(k, p, size, 0);
}

int poe__grow(poe_kernel *k, void **p, size_t item, size_t *room,
              size_t need) {
  if (need <= *room) return 0;
  size_t n = *room ? *room : 8;
  while (n < need) n *= 2;
  void *q = resize(k, *p, *room * item, n * item);
  if (!q) return -ENOMEM;
  if (!*p) k->allocations++;
  *p = q;
  *room = n;
  return 0;
}

void poe__shrink(poe_kernel *k, void **p, size_t item, size_t *room,
                 size_t n) {
  void *q = resize(k, *p, *room * item, n * item);
  if (!q) return; /* then it stays as large as it is */
  *p = q;
  *room = n;
}

void poe__array_free(poe_kernel *k, void *p, size_t size) {
  if (!p) return;
  k->allocations--;
  resize(k, p, size, 0);
}
