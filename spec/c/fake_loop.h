/* SPDX-License-Identifier: MIT */
/*
 * fake_loop.h -- an event loop that does what the test scripts.
 *
 * Readiness of a descriptor is a level that the test sets, now or at a time
 * to come; signals arrive at a time.  Waiting moves the fake clock: to the
 * next thing scripted or by the whole timeout.  Waiting for ever with nothing
 * scripted would hang a real program, so it fails the test.
 */
#ifndef POE_FAKE_LOOP_H
#define POE_FAKE_LOOP_H

#include <stdint.h>

#include "poe.h"

#define R (1u << POE_RD)
#define W (1u << POE_WR)
#define X (1u << POE_EX)

struct fake_loop {
  unsigned opens, closes, waits, forks;
  unsigned watches, ignores;               /* of descriptors */
  unsigned signal_watches, signal_ignores; /* of signals */
  int64_t last_timeout_ns;                 /* of the last wait */
  /* The next call of that kind fails so (a negative errno), once. */
  int fail_open, fail_wait, fail_watch, fail_signal, fail_fork;
  int ends_waits; /* for ever with nothing scripted: wake up at once */
};

extern struct fake_loop fake_loop;
extern const struct poe_loop_ops fake_loop_ops;

void fake_loop_reset(void);
/* From now on ready so, until told otherwise. */
void fake_loop_level(int fd, unsigned mask);
void fake_loop_level_at(int64_t mono_ns, int fd, unsigned mask);
void fake_loop_signal_at(int64_t mono_ns, int signum);
/* A kind of file that cannot be waited for. */
void fake_loop_refuse(int fd);
/* What the kernel wants to know of fd; 0 if nothing. */
unsigned fake_loop_mask(int fd);
/* Known to the loop, be it with an empty mask. */
int fake_loop_knows(int fd);
int fake_loop_catches(int signum);
/* Descriptors and signals known. */
unsigned fake_loop_left(void);

#endif
