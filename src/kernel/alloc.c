/* SPDX-License-Identifier: MIT */
/*
 * alloc.c -- all memory of the kernel goes through here.
 *
 * The allocator is the host's, in the manner of lua_Alloc, so that one
 * counter or limit can cover Lua and the kernel.  `allocations` counts what is
 * out; it is 0 again when the kernel has been freed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

void *poe__alloc(poe_kernel *k, size_t size) {
  void *p = k->alloc ? k->alloc(k->alloc_ud, NULL, 0, size) : malloc(size);
  if (p) k->allocations++;
  return p;
}

void *poe__zalloc(poe_kernel *k, size_t size) {
  if (k->alloc) {
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
  else
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
