/* SPDX-License-Identifier: MIT */
/* wait_test.c -- waits are cut, and the thread's slack is given back. */
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "internal.h"
#include "test.h"

#define MS 1000000
#define SLACK_NS 40000

static struct {
  int calls, answer; /* how often, and what each returns */
  int64_t ns[8];
  int slack;
} waits;

#ifdef PR_SET_TIMERSLACK
static void set_slack(int ns) { prctl(PR_SET_TIMERSLACK, ns, 0, 0, 0); }
static int slack(void) { return prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0); }
#else
static void set_slack(int ns) { (void)ns; }
static int slack(void) { test_skip("no timer slack"); }
#endif

static int wait_once(void *ud, int64_t ns) {
  ASSERT_PTR_EQ(ud, &waits);
  struct timespec t = {0, (long)ns};
  ASSERT_LT(waits.calls, 8);
  waits.ns[waits.calls++] = ns;
  waits.slack = slack();
  if (waits.answer == 0 && ns > 0) nanosleep(&t, NULL);
  return waits.answer;
}

static int wait_for(int64_t ns, int answer) {
  waits.calls = 0;
  waits.answer = answer;
  set_slack(SLACK_NS);
  int result = poe__wait(ns, wait_once, &waits);
  ASSERT_EQ(slack(), SLACK_NS);
  return result;
}

TEST(a_short_wait_is_one_without_slack) {
  ASSERT_EQ(wait_for(MS, 0), 0);
  ASSERT_EQ(waits.calls, 1);
  ASSERT_EQ(waits.ns[0], MS);
  ASSERT_EQ(waits.slack, 1);
}

TEST(the_end_of_a_long_wait_is_a_wait_of_its_own) {
  ASSERT_EQ(wait_for(20 * MS, 0), 0);
  ASSERT_EQ(waits.calls, 2);
  ASSERT_EQ(waits.ns[0], 20 * MS - 20 * MS / 200 - MS / 5);
  ASSERT_LE(waits.ns[1], 20 * MS / 200 + MS / 5);
  ASSERT_EQ(waits.slack, 1);
}

TEST(what_a_very_long_one_may_oversleep_is_waited_for_apart) {
  ASSERT_EQ(wait_for(600 * MS, 0), 0);
  ASSERT_EQ(waits.ns[0], 597 * MS - MS / 5);
  ASSERT_LE(waits.ns[1], 3 * MS + MS / 5);
  ASSERT_LE(waits.ns[waits.calls - 1], 2 * MS); /* however busy we are */
}

TEST(a_wait_ends_when_something_is_ready_or_fails) {
  ASSERT_EQ(wait_for(50 * MS, 3), 3);
  ASSERT_EQ(waits.calls, 1);
  ASSERT_EQ(wait_for(50 * MS, -1), -1);
  ASSERT_EQ(waits.calls, 1);
}

TEST(a_look_and_a_wait_without_end_are_left_alone) {
  ASSERT_EQ(wait_for(0, 0), 0);
  ASSERT_EQ(waits.slack, SLACK_NS);
  ASSERT_EQ(wait_for(-1, 2), 2);
  ASSERT_EQ(waits.calls, 1);
  ASSERT_EQ(waits.ns[0], -1);
  ASSERT_EQ(waits.slack, SLACK_NS);
}

TEST(a_thread_that_has_no_slack_keeps_none) {
  set_slack(1);
  waits.calls = 0;
  ASSERT_EQ(poe__wait(MS, wait_once, &waits), waits.answer);
  ASSERT_EQ(slack(), 1);
}
