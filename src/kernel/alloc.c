/* SPDX-License-Identifier: MIT */
/*
 * alloc.c -- all memory of the kernel goes through here.
 *
 * The allocator is the host's, in the manner of lua_Alloc, so that one
 * counter or limit can cover Lua and the kernel; without one it is the
 * kernel's own slabs, see slab.h.  `allocations` counts what is out; it is 0
 * again when the kernel has been freed.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static void *resize(poe_kernel *k, void *p, size_t old, size_t size) {
  if (k->alloc) return k->alloc(k->alloc_ud, p, old, size);
  return poe_slabs_alloc(&k->own, p, old, size);
}

static void *counted(poe_kernel *k, void *p) {
  if (p) k->allocations++;
  return p;
}

void *poe__alloc(poe_kernel *k, size_t size) {
  return counted(k, resize(k, NULL, 0, size));
}

void *poe__zalloc(poe_kernel *k, size_t size) {
  if (!k->alloc) return counted(k, poe__slabs_zeros(&k->own, size));
  void *p = poe__alloc(k, size);
  return p ? memset(p, 0, size) : NULL;
}

void poe__free(poe_kernel *k, void *p, size_t size) {
  if (!p) return;
  k->allocations--;
  resize(k, p, size, 0);
}

void *poe__pages(poe_kernel *k, size_t size) {
  if (k->alloc) return poe__alloc(k, size);
  return counted(k, poe__slabs_pages(&k->own, size));
}

void poe__pages_free(poe_kernel *k, void *p, size_t size) {
  if (k->alloc || !p) {
    poe__free(k, p, size);
    return;
  }
  k->allocations--;
  poe__slabs_pages_free(&k->own, p, size);
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

/* ---- the budget -------------------------------------------------------------- */

static void tell_need(poe_kernel *k) {
  if (!k->own.budget) return;
  k->own.budget->need = k->deaths.at_work ? POE_NEED_NOW
                        : k->deaths.waiting ? POE_NEED_SOON
                                            : POE_NEED_NONE;
}

void poe__count_deaths(poe_kernel *k, int waiting, int at_work) {
  k->deaths.waiting += waiting;
  k->deaths.at_work += at_work;
  tell_need(k);
}

void poe_kernel_set_budget(poe_kernel *k, struct poe_budget *budget) {
  poe__slabs_set_budget(&k->own, budget);
  tell_need(k);
}
