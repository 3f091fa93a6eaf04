/* SPDX-License-Identifier: MIT */
/*
 * slab.h -- memory from the system: small blocks lie in slabs, larger ones are
 * malloc's.
 *
 * A slab is 64 KiB of the system's pages for blocks of one size: no header a
 * block and no search.  A burst's slabs go back to the system as they empty,
 * which a heap with one survivor at its end cannot do.  Under a sanitizer, or
 * with POE_NO_SLABS, everything is malloc, so that it sees the end of every
 * block.
 */
#ifndef POE_SLAB_H
#define POE_SLAB_H

#include <stddef.h>

#include "list.h"
#include "poe.h"

/* One for each multiple of 8 bytes up to 288; small is what has one. */
#define POE__SLAB_CLASSES 37
#define POE__GRAIN ((size_t)8)

struct poe__slab;

/* All zero is an empty one. */
struct poe_slabs {
  struct poe__list class[POE__SLAB_CLASSES]; /* slabs with free blocks */
  struct poe__slab *spare; /* slabs without a block, kept for any size... */
  size_t spares, slabs;    /* ...of so many in all */
  size_t bytes;            /* got from the system; not those of this struct */
  struct poe_budget *budget; /* beyond it there is no memory; NULL: none */
};

/* Beside what poe.h has; the sizes are the caller's to remember. */

/* Blocks filled with zeros. */
void *poe__slabs_zeros(struct poe_slabs *m, size_t size);
/* Whole pages, which go back to the system at once. */
void *poe__slabs_pages(struct poe_slabs *m, size_t size);
void poe__slabs_pages_free(struct poe_slabs *m, void *p, size_t size);
void poe__slabs_set_budget(struct poe_slabs *m, struct poe_budget *budget);

#endif
