/* SPDX-License-Identifier: MIT */
/*
 * embed.h -- what the files of the embedding library share.
 */
#ifndef POE_EMBED_PRIVATE_H
#define POE_EMBED_PRIVATE_H

#include <uv.h>

#include "poe_embed.h"

/* uv_driver.c: a kernel in somebody's uv_loop_t.  Freed when the kernel is. */
struct uv_driver;

struct uv_driver_config {
  poe_kernel *k;
  uv_loop_t *loop;
  void *ud;
  void (*step)(void *ud);   /* poe_kernel_step; may free the kernel */
  void (*forked)(void *ud); /* in the child */
};

int uv_driver_open(const struct uv_driver_config *config,
                   struct uv_driver **out);
/* Something was sent: the loop must not sleep on it. */
void uv_driver_nudge(struct uv_driver *d);

/* inbox.c: parcels from other threads, in no need of a lock. */
struct parcel {
  struct parcel *next;
  const char *session, *event;
  size_t n;
  struct poe_arg *args;
};

/* One block of memory; NULL: there is none. */
struct parcel *parcel_new(const char *session, const char *event, size_t n,
                          const struct poe_arg *args);

struct inbox {
  _Atomic(struct parcel *) last;
};

void inbox_put(struct inbox *inbox, struct parcel *parcel);
/* All of them, in the order put; each is the caller's to free(3). */
struct parcel *inbox_take(struct inbox *inbox);

#endif
