/* SPDX-License-Identifier: MIT */
/*
 * clock.c -- monotonic and wall time, read together, replaceable.
 *
 * The queue's order is monotonic; the wall clock enters only as the offset of
 * the last reading, so a step of the wall clock moves pending alarms and
 * nothing else.  now_ns never falls, whatever a replaced clock says.
 */
#include <errno.h>
#include <time.h>

#include "internal.h"

static int64_t read_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void system_sample(void *ud, int64_t *mono_ns, int64_t *epoch_ns) {
  (void)ud;
  *mono_ns = read_ns(CLOCK_MONOTONIC);
  *epoch_ns = read_ns(CLOCK_REALTIME);
}

static const struct poe_clock system_clock = {NULL, system_sample, NULL};

void poe__clock_init(poe_kernel *k, const struct poe_clock *clock) {
  k->clock = clock ? *clock : system_clock;
  int64_t mono, epoch;
  k->clock.sample(k->clock.ud, &mono, &epoch);
  k->now_ns = k->offset_at_ns = mono;
  k->offset_ns = epoch - mono;
}

int64_t poe__now(poe_kernel *k) {
  /* The wall clock matters only to pending alarms. */
  if (k->clock.sample == system_sample && k->queue.alarms.count == 0) {
    int64_t mono = read_ns(CLOCK_MONOTONIC);
    if (mono > k->now_ns) k->now_ns = mono;
    return k->now_ns;
  }
  int64_t mono, epoch;
  k->clock.sample(k->clock.ud, &mono, &epoch);
  if (mono > k->now_ns) k->now_ns = mono;
  k->offset_ns = epoch - mono;
  k->offset_at_ns = k->now_ns;
  return k->now_ns;
}

int64_t poe_now_ns(poe_kernel *k) { return poe__now(k); }

int64_t poe_epoch_ns(poe_kernel *k) {
  int64_t mono, epoch;
  k->clock.sample(k->clock.ud, &mono, &epoch);
  if (mono > k->now_ns) k->now_ns = mono;
  k->offset_ns = epoch - mono;
  k->offset_at_ns = k->now_ns;
  return epoch;
}

/* What the wall clock shows beside the monotonic one does not change fast:
   a reading serves for a millisecond. */
void poe__refresh_offset(poe_kernel *k) {
  if (k->now_ns - k->offset_at_ns > 1000000) poe_epoch_ns(k);
}

int64_t poe__to_epoch(const poe_kernel *k, int64_t mono_ns) {
  return mono_ns + k->offset_ns;
}

/* Virtual time stands still but for a microsecond a reading, so that what is
   set later is also due later.  It counts whole microseconds, which epoch
   floats keep exactly. */
#define POE__VIRTUAL_STEP_NS 1000
/* A jump ends a little late, as a real wake-up does: what is set there comes
   after what was set earlier for the same time. */
#define POE__VIRTUAL_LATE_NS 20000

static void virtual_sample(void *ud, int64_t *mono_ns, int64_t *epoch_ns) {
  poe_kernel *k = ud;
  k->virtual_ns += POE__VIRTUAL_STEP_NS;
  *mono_ns = k->virtual_ns;
  *epoch_ns = k->virtual_ns + k->virtual_epoch_ns;
}

static void virtual_jump(void *ud, int64_t mono_ns) {
  poe_kernel *k = ud;
  int64_t late = (mono_ns + 999) / 1000 * 1000 + POE__VIRTUAL_LATE_NS;
  if (late > k->virtual_ns) k->virtual_ns = late;
}

int poe_kernel_set_virtual_time(poe_kernel *k) {
  if (k->clock.jump) return 0;
  if (k->sessions.count || k->events) return -EBUSY;
  k->virtual_ns = (k->now_ns + 999) / 1000 * 1000;
  k->virtual_epoch_ns =
      (read_ns(CLOCK_REALTIME) - k->now_ns) / 1000 * 1000;
  struct poe_clock clock = {k, virtual_sample, virtual_jump};
  poe__clock_init(k, &clock);
  return 0;
}
