/* SPDX-License-Identifier: MIT */
/* clock_test.c -- two clocks: what a step of the wall clock may move. */
#include "fake_host.h"
#include "internal.h"

#define DAY (24 * HOUR)

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

static int64_t alarm_epoch, delay_mono, alarm_fired, delay_fired;

HANDLER(delay_due) {
  delay_fired = fake_clock.mono_ns;
  ASSERT_GE(delay_fired, delay_mono); /* never early */
}
HANDLER(alarm_due) {
  alarm_fired = fake_clock.mono_ns;
  ASSERT_GE(fake_clock.epoch_ns, alarm_epoch);
}

static void set_both(void) {
  delay_mono = fake_clock.mono_ns + 2 * HOUR;
  alarm_epoch = fake_clock.epoch_ns + 2 * HOUR;
  ASSERT_GT(do_delay("delay", 2 * HOUR, NONE), 0);
  ASSERT_GT(do_alarm("alarm", alarm_epoch, NONE), 0);
}

/* The step happens while the loop waits. */
static void step_after_half_an_hour(int64_t step) {
  host_open();
  on(1, "delay", delay_due);
  on(1, "alarm", alarm_due);
  start(1);
  as(1, set_both);
  int64_t began = fake_clock.mono_ns, stepped = 0;
  while (poe_session_count(host.k)) {
    if (!stepped && fake_clock.mono_ns - began > HOUR / 2) {
      fake_clock_step_wall(step);
      stepped = 1;
    }
    ASSERT_GE(do_slice(), 0);
  }
  ASSERT_LT(delay_fired, delay_mono + 2 * SEC); /* and not late */
  int64_t due = began + 2 * HOUR - step;
  if (due < began + HOUR / 2) due = began + HOUR / 2;
  ASSERT_GE(alarm_fired, due - SEC);
  ASSERT_LT(alarm_fired, due + 3 * SEC);
  end();
}

TEST(an_hour_forward_brings_alarms_nearer_not_delays) {
  step_after_half_an_hour(HOUR);
}
TEST(an_hour_back_puts_alarms_off_not_delays) {
  step_after_half_an_hour(-HOUR);
}
TEST(a_day_forward_makes_alarms_due_at_once) { step_after_half_an_hour(DAY); }
TEST(a_day_back_puts_alarms_off_by_a_day) { step_after_half_an_hour(-DAY); }

static void set_delay_alone(void) { do_delay("delay", 2 * HOUR, NONE); }

TEST(delays_alone_do_not_even_wake_for_a_step) {
  host_open();
  on(1, "delay", NULL);
  start(1);
  as(1, set_delay_alone);
  do_slice();
  fake_clock_step_wall(-DAY);
  unsigned waits = fake_loop.waits;
  ASSERT_EQ(do_run(), 0);
  ASSERT_LE(fake_loop.waits, waits + 2);
  end();
}

static int64_t id, due;
static void remember_delay(void) { id = do_delay("delay", HOUR, NONE); }
static void adjust_delay(void) {
  ASSERT_EQ(poe_timer_adjust(host.k, id, 0, &due), 0);
}

TEST(a_delays_due_time_is_told_by_the_clock_of_now) {
  host_open();
  start(1);
  as(1, remember_delay);
  fake_clock_pass(2 * MS);
  as(1, adjust_delay);
  int64_t before = due;
  fake_clock_step_wall(DAY);
  fake_clock_pass(2 * MS);
  as(1, adjust_delay);
  ASSERT_EQ(due, before + DAY);
  int64_t next;
  ASSERT_EQ(poe_next_event_epoch_ns(host.k, &next), 1);
  poe_kernel_stop(host.k);
  end();
}

TEST(time_never_falls_whatever_the_clock_says) {
  host_open();
  int64_t last = poe_now_ns(host.k);
  for (int i = 0; i < 1000; i++) {
    fake_clock.mono_ns += (int64_t)test_below(2000) * US - MS;
    int64_t now = test_below(2) ? poe_now_ns(host.k) : poe__now(host.k);
    ASSERT_GE(now, last);
    last = now;
    poe_epoch_ns(host.k);
    ASSERT_GE(host.k->now_ns, last);
    last = host.k->now_ns;
  }
  end();
}

TEST(a_clock_set_back_does_not_reorder_posts) {
  host_open();
  on(1, "a", NULL);
  on(1, "b", NULL);
  on(1, "delay", NULL);
  start(1);
  as(1, remember_delay); /* so that posts look at the clock */
  do_post(1, "a", NONE);
  fake_clock.mono_ns -= SEC;
  do_post(1, "b", NONE);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 a, 1 b");
  poe_kernel_stop(host.k);
  end();
}

/* ---- the system's -------------------------------------------------------------------- */

TEST(the_systems_clocks_are_read_together) {
  host_open_with((struct host_options){.real_loop = "uv"});
  int64_t a = poe_now_ns(host.k), b = poe_epoch_ns(host.k);
  ASSERT_GT(b, INT64_C(1600000000) * SEC);
  ASSERT_GE(poe_now_ns(host.k), a);
  ASSERT_GE(poe_epoch_ns(host.k) + SEC, b);
  ASSERT_EQ(poe__to_epoch(host.k, 0), host.k->offset_ns);
  host_close();
}

static int64_t real_due;
static unsigned fired;
HANDLER(not_early) {
  ASSERT_GE(poe_now_ns(host.k), real_due);
  fired++;
}
HANDLER(alarm_not_early) {
  ASSERT_GE(poe_epoch_ns(host.k), alarm_epoch);
  fired++;
}
static void short_ones(void) {
  real_due = poe_now_ns(host.k) + 3 * MS;
  alarm_epoch = poe_epoch_ns(host.k) + 5 * MS;
  do_delay("delay", 3 * MS, NONE);
  do_alarm("alarm", alarm_epoch, NONE);
}

TEST(real_timers_are_not_early) {
  host_open_with((struct host_options){.real_loop = "uv"});
  on(1, "delay", not_early);
  on(1, "alarm", alarm_not_early);
  for (int i = 0; i < 5; i++) {
    start(1);
    as(1, short_ones);
    ASSERT_EQ(poe_kernel_run(host.k), 0);
  }
  ASSERT_EQ(fired, 10);
  end();
}
