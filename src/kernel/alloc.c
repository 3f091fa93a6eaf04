/* SPDX-License-Identifier: MIT */
/*
 * alloc.c -- all memory of the kernel goes through here.
 *
 * The allocator is the host's, in the manner of lua_Alloc, so that one
 * counter or limit can cover Lua and the kernel.  `allocations` counts what is
 * out; it is 0 again when the kernel has been freed.
 *
 * With malloc, a few freed blocks of each small size are kept for the next
 * one of that size: a timer set and cancelled over and over costs no malloc.
 * Not with the host's allocator, which must see every request, nor under a
 * sanitizer, which must see every end of a block.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_BLOCKS 0
#else
#define KEEPS_BLOCKS 1
#endif

#define KEPT_MAX 64 /* blocks of one size */

static struct poe__kept *kept_for(poe_kernel *k, size_t size) {
  size_t class = (size + 15) / 16;
  if (!KEEPS_BLOCKS || k->alloc || class >= POE__KEPT_SIZES) return NULL;
  return &k->kept[class];
}

static void *take_kept(poe_kernel *k, size_t size) {
  struct poe__kept *kept = kept_for(k, size);
  if (!kept || !kept->head) return NULL;
  void **block = kept->head;
  kept->head = *block;
  kept->count--;
  return block;
}

static int keep(poe_kernel *k, void *p, size_t size) {
  struct poe__kept *kept = kept_for(k, size);
  if (!kept || kept->count == KEPT_MAX) return 0;
  *(void **)p = kept->head;
  kept->head = p;
  kept->count++;
  return 1;
}

void poe__alloc_fini(poe_kernel *k) {
  for (size_t i = 0; i < POE__KEPT_SIZES; i++)
    while (k->kept[i].head) {
      void **block = k->kept[i].head;
      k->kept[i].head = *block;
      free(block);
    }
}

/* Blocks of one class are interchangeable: all are as large as the class. */
static void *from_malloc(poe_kernel *k, size_t size) {
  void *p = take_kept(k, size);
  return p ? p : malloc((size + 15) / 16 * 16);
}

void *poe__alloc(poe_kernel *k, size_t size) {
  void *p = k->alloc ? k->alloc(k->alloc_ud, NULL, 0, size)
                     : from_malloc(k, size);
  if (p) k->allocations++;
  return p;
}

void *poe__zalloc(poe_kernel *k, size_t size) {
  if (k->alloc || (size + 15) / 16 < POE__KEPT_SIZES) {
    void *p = poe__alloc(k, size);
    return p ? memset(p, 0, size) : NULL;
  }
  void *p = calloc(1, size); /* fresh pages need no clearing */
  if (p) k->allocations++;
  return p;
}

void poe__free(poe_kernel *k, void *p, size_t size) {
  if (!p) return;
  k->allocations--;
  if (k->alloc)
    k->alloc(k->alloc_ud, p, size, 0);
  else if (!keep(k, p, size))
    free(p);
}

int poe__grow(poe_kernel *k, void **p, size_t item, size_t *room,
              size_t need) {
  if (need <= *room) return 0;
  size_t n = *room ? *room : 8;
  while (n < need) n *= 2;
  void *q = k->alloc ? k->alloc(k->alloc_ud, *p, *room * item, n * item)
                     : realloc(*p, n * item);
  if (!q) return -ENOMEM;
  if (!*p) k->allocations++;
  *p = q;
  *room = n;
  return 0;
}
