/* SPDX-License-Identifier: MIT */
/* guard_test.c -- who is told of handlers that run, and limits of queues. */
#include <stdio.h>
#include <string.h>

#include "fake_host.h"
#include "internal.h"

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

/* ---- the guard -------------------------------------------------------------- */

static void began(void *ud, const struct poe_frame *f) {
  ASSERT_PTR_EQ(ud, &host);
  ASSERT_PTR_EQ(f->outer, poe_kernel_frame(host.k));
  note("<%s", poe_name_text(f->event, NULL));
}

static void ended(void *ud, const struct poe_frame *f) {
  ASSERT_PTR_EQ(ud, &host);
  ASSERT_PTR_EQ(f->outer, poe_kernel_frame(host.k));
  note("%s>", poe_name_text(f->event, NULL));
}

static const struct poe_guard guard = {began, ended};

HANDLER(call_inner) { do_call(c->me, "inner"); }
static void post_outer(void) { do_post(1, "outer", NONE); }

TEST(a_guard_is_told_of_each_handler_and_of_nested_ones_within) {
  host_open();
  on(1, "outer", call_inner);
  on(1, "inner", NULL);
  start(1);
  as(1, post_outer);
  take_log();
  poe_kernel_set_guard(host.k, &guard, &host);
  do_slice();
  poe_kernel_set_guard(host.k, NULL, NULL);
  ASSERT_LOG("<outer, 1 outer, <inner, 1 inner, inner>, outer>, <_stop, _stop>");
  end();
}

HANDLER(set_guard) { poe_kernel_set_guard(host.k, &guard, &host); }
HANDLER(unset_guard) { poe_kernel_set_guard(host.k, NULL, NULL); }
static void post_both(void) {
  do_post(1, "set", NONE);
  do_post(1, "seen", NONE);
  do_post(1, "unset", NONE);
}

TEST(a_guard_that_comes_or_goes_in_a_handler_is_not_told_of_its_rest) {
  host_open();
  on(1, "set", set_guard);
  on(1, "seen", NULL);
  on(1, "unset", unset_guard);
  start(1);
  as(1, post_both);
  take_log();
  do_slice();
  ASSERT_LOG("1 set, <seen, 1 seen, seen>, <unset, 1 unset");
  end();
}

TEST(a_guard_and_traces_do_not_disturb_each_other) {
  host_open();
  on(1, "outer", NULL);
  start(1);
  as(1, post_outer);
  take_log();
  poe_kernel_set_guard(host.k, &guard, &host);
  poe_set_trace_mask(host.k, POE_TRACE_EVENTS);
  poe_set_trace_mask(host.k, 0);
  ASSERT_EQ(poe_trace_mask(host.k), 0);
  host.lines[0] = '\0';
  do_slice();
  poe_kernel_set_guard(host.k, NULL, NULL);
  ASSERT_LOG("<outer, 1 outer, outer>, <_stop, _stop>");
  ASSERT_STR_EQ(host.lines, "");
  end();
}

/* ---- limits of queues ------------------------------------------------------------ */

static int results[8];

/* 1 posts 1, 2, 3... to 2, with timers and a signal in between. */
static void fill(void) {
  for (int i = 0; i < 5; i++) {
    results[i] = do_post(2, "x", ARGS(i + 1));
    do_signal(2, "BENIGN", NONE);
  }
}

static void open_limited(size_t max, enum poe_when_full policy) {
  host_open();
  on(0, "x", NULL);
  start(1);
  start(2);
  ASSERT_EQ(poe_session_set_limit(host.k, by(2), max, policy), 0);
  as(1, fill);
  take_log();
}

TEST(what_finds_no_room_is_rejected) {
  open_limited(3, POE_REJECT);
  ASSERT_EQ(results[2], 0);
  ASSERT_EQ(results[3], -ENOBUFS);
  ASSERT_EQ(results[4], -ENOBUFS);
  ASSERT_EQ(poe_session_dropped(host.k, by(2)), 2);
  ASSERT_EQ(poe_session_dropped(host.k, by(1)), 0);
  do_slice();
  ASSERT_LOG("2 x(1), 2 x(2), 2 x(3)");
  end();
}

TEST(the_newest_goes_and_nobody_hears_of_it) {
  open_limited(3, POE_DROP_NEWEST);
  ASSERT_EQ(results[4], 0);
  ASSERT_EQ(poe_session_dropped(host.k, by(2)), 2);
  do_slice();
  ASSERT_LOG("2 x(1), 2 x(2), 2 x(3)");
  end();
}

TEST(the_oldest_makes_room_for_the_newest) {
  open_limited(3, POE_DROP_OLDEST);
  ASSERT_EQ(results[4], 0);
  ASSERT_EQ(poe_session_dropped(host.k, by(2)), 2);
  do_slice();
  ASSERT_LOG("2 x(3), 2 x(4), 2 x(5)");
  end();
}

TEST(a_queue_of_one_keeps_the_newest) {
  open_limited(1, POE_DROP_OLDEST);
  do_slice();
  ASSERT_LOG("2 x(5)");
  end();
}

HANDLER(post_more) {
  if (c->args[0] < 40) ASSERT_EQ(do_post(2, "x", ARGS(c->args[0] + 1)), 0);
}

TEST(room_comes_back_as_events_are_dispatched) {
  open_limited(3, POE_REJECT);
  on(2, "x", post_more);
  do_slice();
  for (int i = 0; i < 20; i++) do_slice();
  ASSERT_EQ(poe_session_dropped(host.k, by(2)), 2);
  poe_kernel_stop(host.k);
  end();
}

static void wait_long(void) {
  for (int i = 0; i < 4; i++) do_delay("late", 1000 * MS, NONE);
}
static void forget(void) { poe_timer_clear(host.k, nm("late")); }

TEST(timers_are_not_counted) {
  host_open();
  on(0, "x", NULL);
  start(1);
  start(2);
  as(2, wait_long);
  ASSERT_EQ(poe_session_set_limit(host.k, by(2), 3, POE_REJECT), 0);
  as(1, fill);
  ASSERT_EQ(results[2], 0);
  ASSERT_EQ(results[3], -ENOBUFS);
  as(2, wait_long);
  as(2, forget);
  end();
}

TEST(a_limit_by_default_is_of_sessions_without_one_of_their_own) {
  host_open();
  on(0, "x", NULL);
  start(1);
  start(2);
  start(3);
  ASSERT_EQ(poe_session_set_limit(host.k, by(3), 0, POE_REJECT), 0);
  ASSERT_EQ(poe_set_limit(host.k, 2, POE_REJECT), 0);
  start(4);
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(do_post(2, "x", NONE), i < 2 ? 0 : -ENOBUFS);
    ASSERT_EQ(do_post(3, "x", NONE), 0);
    ASSERT_EQ(do_post(4, "x", NONE), i < 2 ? 0 : -ENOBUFS);
  }
  ASSERT_EQ(poe_set_limit(host.k, 0, POE_REJECT), 0);
  ASSERT_EQ(do_post(2, "x", NONE), 0);
  start(5);
  for (int i = 0; i < 3; i++) ASSERT_EQ(do_post(5, "x", NONE), 0);
  end();
}

TEST(being_full_is_told_of_once_with_what_fills_the_queue) {
  open_limited(3, POE_REJECT);
  const char *line = strstr(host.lines, "<ev> ");
  ASSERT_STR_EQ(line, "<ev> session 2 has 3 events waiting, its limit: more "
                      "are rejected; 3 are ``x'' from session 1 at "
                      "?:42\n");
  end();
}

TEST(being_full_is_told_of_again_when_half_of_it_was_gone) {
  open_limited(3, POE_REJECT);
  host.lines[0] = '\0';
  as(1, fill);
  ASSERT_STR_EQ(host.lines, "");
  do_inc(1, "stay", NULL);
  do_inc(2, "stay", NULL);
  do_slice();
  as(1, fill);
  if (!strstr(host.lines, "its limit")) FAIL("nothing was told");
  do_dec(1, "stay", NULL);
  do_dec(2, "stay", NULL);
  end();
}

TEST(a_limited_session_that_ends_leaves_nothing) {
  open_limited(3, POE_DROP_OLDEST);
  poe_kernel_stop(host.k);
  ASSERT_EQ(host.k->limits.map.count, 0);
  end();
}

TEST(without_memory_there_is_no_limit_and_the_post_is_the_callers) {
  host_open();
  on(0, "x", NULL);
  start(1);
  for (int64_t allow = 0; allow < 2; allow++) {
    memory.allow = allow;
    ASSERT_EQ(poe_session_set_limit(host.k, by(1), 3, POE_REJECT), -ENOMEM);
    memory.allow = -1;
  }
  for (int i = 0; i < 4; i++) ASSERT_EQ(do_post(1, "x", NONE), 0);
  end();
}

/* ---- the budget ----------------------------------------------------------------- */

static struct poe_budget budget;

static void post_until_full(void) {
  int err = 0;
  for (int i = 0; !err && i < 100000; i++) err = do_post(1, "x", NONE);
  ASSERT_EQ(err, -ENOMEM);
}

TEST(a_budget_counts_what_the_kernel_has_and_ends_it) {
  host_open_with((struct host_options){.use_malloc = 1});
  on(0, "x", NULL);
  start(1);
  budget = (struct poe_budget){.used = 1000, .limit = SIZE_MAX};
  poe_kernel_set_budget(host.k, &budget);
  ASSERT_EQ(budget.used, 1000 + host.k->own.bytes);
  ASSERT_GT(host.k->own.bytes, 0);
  budget.limit = budget.used + (1u << 20);
  as(1, post_until_full);
  ASSERT_LE(budget.used, budget.limit);
  ASSERT_GE(budget.refused, 1);
  while (host.k->events) do_slice();
  poe_kernel_set_budget(host.k, NULL);
  ASSERT_EQ(budget.used, 1000);
  take_log();
  end();
}

static enum poe_need need[3];
HANDLER(see_waiting) { need[1] = budget.need; }
HANDLER(see_and_handle) {
  need[2] = budget.need;
  poe_sig_handled(host.k);
}
HANDLER(fill_and_die) {
  need[0] = budget.need;
  do_post(1, "meanwhile", NONE);
  post_until_full();
  die(c, 3);
}
static void watch_die(void) { do_sig("DIE", "on_die", NONE); }

TEST(a_death_is_told_of_when_there_is_no_room_in_the_queue) {
  host_open_with((struct host_options){.use_malloc = 1});
  on(0, "x", NULL);
  on(1, "fail", fill_and_die);
  on(1, "meanwhile", see_waiting);
  on(1, "on_die", see_and_handle);
  start(1);
  as(1, watch_die);
  do_post(1, "fail", NONE);
  budget = (struct poe_budget){.limit = SIZE_MAX, .reserve = 64 * 1024};
  poe_kernel_set_budget(host.k, &budget);
  budget.limit = budget.used + (1u << 20);
  do_slice();
  ASSERT_EQ(need[0], POE_NEED_NONE);
  ASSERT_EQ(budget.need, POE_NEED_SOON);
  while (host.k->events) do_slice();
  ASSERT_EQ(need[1], POE_NEED_SOON);
  ASSERT_EQ(need[2], POE_NEED_NOW);
  ASSERT_EQ(budget.need, POE_NEED_NONE);
  ASSERT_LE(budget.used + budget.reserve, budget.limit);
  poe_kernel_set_budget(host.k, NULL);
  take_log();
  end();
}

/* What waits for a session that is stopped no longer needs the reserve. */
HANDLER(kill_and_die) {
  do_signal(1, "KILL", NONE);
  die(c, 3);
}

TEST(a_death_that_nobody_will_be_told_of_needs_nothing) {
  host_open_with((struct host_options){.use_malloc = 1});
  on(1, "fail", kill_and_die);
  start(1);
  do_post(1, "fail", NONE);
  budget = (struct poe_budget){.limit = SIZE_MAX, .reserve = 64 * 1024};
  poe_kernel_set_budget(host.k, &budget);
  do_slice();
  ASSERT_EQ(budget.need, POE_NEED_SOON);
  do_slice();
  ASSERT_EQ(budget.need, POE_NEED_NONE);
  poe_kernel_set_budget(host.k, NULL);
  end();
}

TEST(the_reserve_of_a_budget_is_for_who_is_in_need) {
  struct poe_budget b = {.limit = 1000, .reserve = 200};
  ASSERT_EQ(poe_budget_take(&b, 801), 0);
  ASSERT_EQ(poe_budget_take(&b, 800), 1);
  ASSERT_EQ(poe_budget_take(&b, 1), 0);
  b.need = POE_NEED_SOON;
  ASSERT_EQ(poe_budget_take(&b, 101), 0);
  ASSERT_EQ(poe_budget_take(&b, 100), 1);
  b.need = POE_NEED_NOW;
  ASSERT_EQ(poe_budget_take(&b, 101), 0);
  ASSERT_EQ(poe_budget_take(&b, 100), 1);
  b.need = POE_NEED_NONE; /* more is used than anybody may */
  ASSERT_EQ(poe_budget_take(&b, 1), 0);
  ASSERT_EQ(b.used, 1000);
  ASSERT_EQ(b.refused, 5);
}

/* ---- topics of one session --------------------------------------------------------- */

static void count_lines(const char *prefix, const char *about, size_t wanted) {
  size_t n = 0;
  for (char *line = strtok(host.lines, "\n"); line; line = strtok(NULL, "\n"))
    n += strstr(line, prefix) && (!about || strstr(line, about));
  ASSERT_EQ(n, wanted);
  host.lines[0] = '\0';
}

static void post_to_both(void) {
  do_post(1, "x", NONE);
  do_post(2, "x", NONE);
}

TEST(topics_of_a_session_are_traced_of_it_alone) {
  host_open();
  on(0, "x", NULL);
  start(1);
  start(2);
  poe_session_set_topics(host.k, by(2), POE_TRACE_EVENTS, 0);
  ASSERT_EQ(poe_trace_mask(host.k), 0);
  as(1, post_to_both);
  count_lines("enqueued event", "to session 2", 1);
  as(1, post_to_both);
  count_lines("enqueued event", NULL, 1);
  poe_set_trace_mask(host.k, POE_TRACE_EVENTS);
  as(1, post_to_both);
  count_lines("enqueued event", NULL, 2);
  poe_set_trace_mask(host.k, 0);
  poe_session_set_topics(host.k, by(2), 0, 0);
  ASSERT_EQ(host.k->trace, 0);
  as(1, post_to_both);
  count_lines("enqueued event", NULL, 0);
  end();
}

static unsigned seen;
static void see_asserted(void) {
  seen = poe_asserted(host.k, POE_ASSERT_DATA | POE_ASSERT_FILES);
}

TEST(assertions_of_a_session_are_on_while_it_runs) {
  host_open();
  start(1);
  start(2);
  poe_set_assert_mask(host.k, POE_ASSERT_FILES);
  poe_session_set_topics(host.k, by(2), 0, POE_ASSERT_DATA);
  as(1, see_asserted);
  ASSERT_EQ(seen, POE_ASSERT_FILES);
  as(2, see_asserted);
  ASSERT_EQ(seen, POE_ASSERT_DATA | POE_ASSERT_FILES);
  ASSERT_EQ(poe_assert_mask(host.k), POE_ASSERT_FILES);
  ASSERT_EQ(poe_assert_any(host.k), POE_ASSERT_DATA | POE_ASSERT_FILES);
  end();
}

TEST(topics_of_a_session_end_with_it) {
  host_open();
  start(1);
  poe_session_set_topics(host.k, by(1), POE_TRACE_REFCNT, POE_ASSERT_DATA);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(host.k->trace, 0);
  ASSERT_EQ(poe_assert_any(host.k), 0);
  ASSERT_EQ(host.k->choosy, 0);
  end();
}
