/* SPDX-License-Identifier: MIT */
#include "fake_clock.h"

#include <stddef.h>

struct fake_clock fake_clock;

void fake_clock_pass(int64_t ns) {
  fake_clock.mono_ns += ns;
  fake_clock.epoch_ns += ns;
}

void fake_clock_step_wall(int64_t ns) { fake_clock.epoch_ns += ns; }

static void sample(void *ud, int64_t *mono_ns, int64_t *epoch_ns) {
  struct fake_clock *c = ud;
  *mono_ns = c->mono_ns;
  *epoch_ns = c->epoch_ns;
  c->readings++;
  fake_clock_pass(c->step_ns);
}

static void jump(void *ud, int64_t mono_ns) {
  struct fake_clock *c = ud;
  c->jumps++;
  if (mono_ns > c->mono_ns) fake_clock_pass(mono_ns - c->mono_ns);
}

struct poe_clock fake_clock_make(int has_jump) {
  fake_clock = (struct fake_clock){CLOCK_START, EPOCH_START, 1, 0, 0};
  return (struct poe_clock){&fake_clock, sample, has_jump ? jump : NULL};
}
