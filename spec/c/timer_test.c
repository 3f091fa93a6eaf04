/* SPDX-License-Identifier: MIT */
/* timer_test.c -- delays and alarms by id and by name. */
#include <stdlib.h>

#include "fake_host.h"
#include "internal.h"

static void open_1(void) {
  host_open();
  host.log_time = 1;
  on(0, "a", NULL);
  on(0, "b", NULL);
  on(0, "c", NULL);
  start(1);
}

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

static int64_t id_a, id_b, id_c, due;

static void set_three(void) {
  id_a = do_delay("a", 30 * MS, ARGS(1));
  id_b = do_alarm("b", fake_clock.epoch_ns + 20 * MS, ARGS(2, 3));
  id_c = do_delay("c", 10 * MS, NONE);
}

TEST(timers_come_in_order_of_their_times) {
  open_1();
  as(1, set_three);
  ASSERT_LT(id_a, id_b);
  ASSERT_LT(id_b, id_c);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@10 1 c, @20 1 b(2,3), @30 1 a(1)");
  end();
}

static void remove_b(void) { ASSERT_EQ(do_timer_remove(id_b), 2); }
static void remove_b_again(void) {
  ASSERT_EQ(do_timer_remove(id_b), -ESRCH);
  ASSERT_EQ(do_timer_remove(0), -ESRCH);
  ASSERT_EQ(do_timer_remove(-1), -ESRCH);
  ASSERT_EQ(do_timer_remove(INT64_MAX), -ESRCH);
  ASSERT_EQ(poe_timer_adjust(host.k, id_b, 0, &due), -ESRCH);
  ASSERT_EQ(poe_timer_readjust(host.k, id_b, 0, &due), -ESRCH);
}

TEST(a_removed_timer_is_handed_back) {
  open_1();
  as(1, set_three);
  as(1, remove_b);
  ASSERT_LOG("@0 removed b");
  as(1, remove_b_again);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@10 1 c, @30 1 a(1)");
  end();
}

static void touch_foreign(void) {
  ASSERT_EQ(do_timer_remove(id_a), -EPERM);
  ASSERT_EQ(poe_timer_adjust(host.k, id_a, SEC, &due), -EPERM);
  ASSERT_EQ(poe_timer_readjust(host.k, id_a, SEC, &due), -EPERM);
  ASSERT_EQ(poe_timer_clear(host.k, nm("a")), 0);
}

TEST(a_timer_is_its_sessions_alone) {
  open_1();
  start(2);
  as(1, set_three);
  as(2, touch_foreign);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@10 1 c, @20 1 b(2,3), @30 1 a(1)");
  end();
}

static void set_by_name(void) {
  do_delay("a", 10 * MS, ARGS(1));
  do_alarm("a", fake_clock.epoch_ns + 20 * MS, ARGS(2));
  do_delay("b", 15 * MS, ARGS(3));
  do_post(1, "a", ARGS(4));
}
static void clear_a(void) {
  ASSERT_EQ(poe_timer_clear(host.k, nm("a")), 0);
  ASSERT_EQ(poe_timer_clear(host.k, nm("unknown")), 0);
}

TEST(clearing_by_name_leaves_posts_and_others) {
  open_1();
  as(1, set_by_name);
  as(1, clear_a);
  ASSERT_EQ(words_out(), 2);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@0 1 a(4), @15 1 b(3)");
  end();
}

static void adjust_all(void) {
  int64_t was = fake_clock.epoch_ns;
  ASSERT_EQ(poe_timer_adjust(host.k, id_a, -25 * MS, &due), 0);
  ASSERT_GE(due, EPOCH_START + 5 * MS);
  ASSERT_LT(due, EPOCH_START + 6 * MS);
  ASSERT_EQ(poe_timer_adjust(host.k, id_b, 20 * MS, &due), 0);
  ASSERT_EQ(poe_timer_readjust(host.k, id_c, 35 * MS, &due), 0);
  ASSERT_GE(due, was + 35 * MS);
}

TEST(adjusting_moves_from_the_due_time_or_from_now) {
  open_1();
  as(1, set_three);
  as(1, adjust_all);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@5 1 a(1), @35 1 c, @40 1 b(2,3)");
  end();
}

static void alarm_to_delay(void) {
  ASSERT_EQ(poe_timer_readjust(host.k, id_b, 50 * MS, &due), 0);
}

TEST(an_alarm_moved_from_now_is_a_delay) {
  open_1();
  as(1, set_three);
  as(1, alarm_to_delay);
  fake_clock_step_wall(-HOUR); /* alarms would wait for an hour */
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@10 1 c, @30 1 a(1), @50 1 b(2,3)");
  end();
}

static int64_t tie;
static void set_ties(void) {
  tie = fake_clock.epoch_ns + 10 * MS;
  id_a = do_alarm("a", tie, NONE);
  id_b = do_alarm("b", tie, NONE);
  id_c = do_alarm("c", tie, NONE);
  ASSERT_EQ(poe_timer_adjust(host.k, id_a, 0, &due), 0);
  ASSERT_EQ(due, tie);
}

TEST(an_adjusted_timer_comes_after_its_equals) {
  open_1();
  as(1, set_ties);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@10 1 b, @10 1 c, @10 1 a");
  end();
}

static void list_three(void) {
  int64_t *ids;
  size_t n;
  ASSERT_EQ(poe_timer_list(host.k, &ids, &n), 0);
  ASSERT_EQ(n, 3);
  ASSERT_EQ(ids[0], id_c);
  ASSERT_EQ(ids[1], id_b);
  ASSERT_EQ(ids[2], id_a);
  poe_timer_list_free(host.k, ids, n);
}
static void list_ties(void) {
  int64_t *ids;
  size_t n;
  ASSERT_EQ(poe_timer_list(host.k, &ids, &n), 0);
  ASSERT_EQ(n, 3);
  ASSERT_EQ(ids[0], id_b);
  ASSERT_EQ(ids[2], id_a);
  poe_timer_list_free(host.k, ids, n);
}
static void list_none(void) {
  int64_t *ids;
  size_t n;
  ASSERT_EQ(poe_timer_list(host.k, &ids, &n), 0);
  ASSERT_EQ(n, 0);
  ASSERT_TRUE(!ids);
}

TEST(a_list_is_in_due_order) {
  open_1();
  start(2);
  as(1, list_none);
  as(1, set_three);
  as(1, list_three);
  as(2, list_none);
  poe_kernel_stop(host.k);
  start(1);
  as(1, set_ties);
  as(1, list_ties);
  end();
}

HANDLER(gone_in_its_handler) {
  ASSERT_EQ(do_timer_remove(id_a), -ESRCH);
  ASSERT_EQ(poe_timer_adjust(host.k, id_a, 1, &due), -ESRCH);
}

TEST(a_timer_is_gone_when_its_handler_runs) {
  open_1();
  on(1, "a", gone_in_its_handler);
  as(1, set_three);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@10 1 c, @20 1 b(2,3), @30 1 a(1)");
  end();
}

TEST(timers_go_with_their_session) {
  open_1();
  as(1, set_three);
  ASSERT_EQ(words_out(), 3);
  poe_session_stop(host.k, by(1));
  ASSERT_EQ(words_out(), 0);
  ASSERT_EQ(poe_event_count(host.k), 0);
  end();
}

TEST(timers_that_wait_are_discarded_with_the_kernel) {
  open_1();
  as(1, set_three);
  host_close();
}

static unsigned rounds;
HANDLER(always_again) {
  if (++rounds < 2000) {
    do_alarm("a", EPOCH_START - SEC, NONE);
    do_delay("b", -SEC, NONE);
  }
}
static void start_past(void) { do_alarm("a", EPOCH_START - SEC, NONE); }

TEST(alarms_in_the_past_jump_but_do_not_keep_a_slice_open) {
  open_1();
  on(1, "a", always_again);
  as(1, start_past);
  do_post(1, "c", NONE);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_GT(rounds, 1); /* it did jump ahead of c */
  ASSERT_LE(rounds, POE__JUMPS_MAX + 1);
  ASSERT_LT(rounds, 2000);
  ASSERT_TRUE(poe_session_count(host.k));
  take_log();
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(rounds, 2000);
  take_log();
  end();
}

static void past_and_posts(void) {
  do_post(1, "a", ARGS(1));
  do_alarm("b", EPOCH_START - SEC, ARGS(2));
  do_delay("c", -2 * SEC, ARGS(3));
}

TEST(one_due_in_the_past_goes_before_what_was_posted) {
  open_1();
  as(1, past_and_posts);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("@0 1 c(3), @0 1 b(2), @0 1 a(1)");
  end();
}

static void extremes(void) {
  int64_t all[] = {
      do_delay("a", INT64_MAX, NONE), do_delay("a", INT64_MIN, NONE),
      do_alarm("b", INT64_MAX, NONE), do_alarm("b", INT64_MIN, NONE)};
  for (int i = 0; i < 4; i++) {
    ASSERT_GT(all[i], 0);
    for (int j = 0; j < 3; j++)
      ASSERT_EQ(poe_timer_adjust(host.k, all[i], INT64_MAX, &due), 0);
    ASSERT_GT(due, EPOCH_START);
    for (int j = 0; j < 4; j++)
      ASSERT_EQ(poe_timer_adjust(host.k, all[i], INT64_MIN, &due), 0);
    ASSERT_LT(due, EPOCH_START);
    ASSERT_EQ(poe_timer_readjust(host.k, all[i], INT64_MAX, &due), 0);
    ASSERT_GT(due, EPOCH_START);
    if (i % 2)
      ASSERT_EQ(poe_timer_readjust(host.k, all[i], INT64_MIN, &due), 0);
  }
}

TEST(extreme_times_are_far_not_wrong) {
  open_1();
  as(1, extremes);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("@0 1 a, @0 1 b");
  ASSERT_EQ(poe_event_count(host.k), 2);
  poe_kernel_stop(host.k);
  end();
}

static void far_alarms(void) {
  do_alarm("a", INT64_MAX, NONE);
  do_alarm("a", INT64_MIN, NONE);
}

TEST(an_alarm_at_the_end_of_time_can_wait) {
  open_1();
  as(1, far_alarms);
  int64_t at;
  ASSERT_EQ(poe_next_event_epoch_ns(host.k, &at), 1);
  ASSERT_LT(at, EPOCH_START);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("@0 1 a");
  poe_kernel_stop(host.k);
  end();
}
