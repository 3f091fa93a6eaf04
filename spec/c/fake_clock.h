/* SPDX-License-Identifier: MIT */
/*
 * fake_clock.h -- virtual time: it moves when a test, or the fake loop's
 * waiting, moves it, and by a nanosecond a reading, as real clocks do at
 * least.
 */
#ifndef POE_FAKE_CLOCK_H
#define POE_FAKE_CLOCK_H

#include <stdint.h>

#include "poe.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)
#define HOUR (3600 * SEC)

/* Where fake clocks start: some uptime, and a date in 2023. */
#define CLOCK_START (1000 * SEC)
#define EPOCH_START (1700000000 * SEC)

struct fake_clock {
  int64_t mono_ns, epoch_ns; /* of the next reading */
  int64_t step_ns;           /* added by each reading */
  unsigned readings, jumps;
};

extern struct fake_clock fake_clock;

/* The clock, started anew.  With jumps, the kernel moves it itself. */
struct poe_clock fake_clock_make(int has_jump);
/* Time passes on both clocks. */
void fake_clock_pass(int64_t ns);
/* Somebody sets the wall clock. */
void fake_clock_step_wall(int64_t ns);

#endif
