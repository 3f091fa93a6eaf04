/* SPDX-License-Identifier: MIT */
/*
 * selfpipe.h -- signals for bridges that can only wait for descriptors.
 *
 * The handler writes the signal's number into a pipe, whose other end the
 * bridge waits for.  A number that does not fit into a full pipe is kept in a
 * flag, so no signal is forgotten.  Only one kernel of a process can own a
 * signal at a time: a disposition belongs to the process.
 */
#ifndef POE_SELFPIPE_H
#define POE_SELFPIPE_H

#include "internal.h"

struct poe__selfpipe {
  int rd, wr;
  uint8_t watched[POE__SIGNALS];
};

int poe__selfpipe_open(struct poe__selfpipe *p);
void poe__selfpipe_close(struct poe__selfpipe *p);
int poe__selfpipe_watch(struct poe__selfpipe *p, int signum);
void poe__selfpipe_ignore(struct poe__selfpipe *p, int signum);
/* Tell the kernel what has arrived. */
void poe__selfpipe_read(poe_kernel *k, struct poe__selfpipe *p);
/* In a forked child: a pipe of its own. */
int poe__selfpipe_forked(struct poe__selfpipe *p);

#endif
