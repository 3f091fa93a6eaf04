/* SPDX-License-Identifier: MIT */
/*
 * wait.c -- waits that end in time.
 *
 * Three things wake a thread late.  Linux lets it oversleep by its slack, 50 us
 * if nobody said otherwise: that is cut for the wait and then given back, as
 * children inherit it.  It may oversleep by a part of the wait, too.  And a
 * processor that has slept long takes some 100 us to wake up, but one that
 * sleeps for a moment a third of that.  So the end of a long wait is a wait of
 * its own.
 */
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "internal.h"

#define LONG_NS 2000000
#define END_NS 200000

#ifdef PR_SET_TIMERSLACK
static int cut_slack(void) {
  int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
  if (slack > 1) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  return slack;
}

static void restore_slack(int slack) {
  if (slack > 1) prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0);
}
#else
static int cut_slack(void) { return 0; }
static void restore_slack(int slack) { (void)slack; }
#endif

static int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int wait_in_parts(int64_t ns, poe__waiter *wait, void *ud) {
  int64_t till = clock_ns() + ns;
  for (; ns > LONG_NS; ns = till - clock_ns()) {
    int ready = wait(ud, ns - ns / POE__OVERSLEPT - END_NS);
    if (ready != 0) return ready;
  }
  return wait(ud, ns > 0 ? ns : 0);
}

int poe__wait(int64_t ns, poe__waiter *wait, void *ud) {
  if (ns <= 0) return wait(ud, ns);
  int slack = cut_slack();
  int ready = wait_in_parts(ns, wait, ud);
  restore_slack(slack);
  return ready;
}
