/* SPDX-License-Identifier: MIT */
/* event_test.c -- posts and calls: order, frames, failures, payloads. */
#include <string.h>

#include "fake_host.h"
#include "internal.h"

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

/* ---- post ----------------------------------------------------------------------- */

TEST(posts_arrive_in_the_order_sent_over_all_sessions) {
  host_open();
  on(0, "e", NULL);
  start(1);
  start(2);
  do_post(2, "e", ARGS(1));
  do_post(1, "e", ARGS(2, 3));
  do_post(2, "e", NONE);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("2 e(1), 1 e(2,3), 2 e");
  end();
}

HANDLER(post_on) {
  if (c->args[0] < 3) do_post(1, "e", ARGS(c->args[0] + 1));
}

TEST(what_a_handler_posts_belongs_to_the_next_slice) {
  host_open();
  on(1, "e", post_on);
  start(1);
  do_post(1, "e", ARGS(1));
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 e(1)");
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 e(2)");
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 e(3)");
  end();
}

TEST(sixteen_words_travel) {
  host_open();
  on(1, "e", NULL);
  start(1);
  do_post(1, "e", ARGS(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 e(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16)");
  end();
}

TEST(an_event_without_handler_vanishes_with_its_payload) {
  host_open();
  start(1);
  do_post(1, "nobody", ARGS(1, 2));
  ASSERT_EQ(words_out(), 2);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(words_out(), 0);
  end();
}

TEST(a_post_to_the_kernel_is_accepted_and_discarded) {
  host_open();
  start(1);
  ASSERT_EQ(do_post(0, "e", ARGS(1)), 0);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(words_out(), 0);
  end();
}

static void post_2(void) {
  ASSERT_EQ(do_post(2, "e", ARGS(8)), 0);
  ASSERT_EQ(do_post(1, "e", ARGS(9)), 0);
}

HANDLER(sender_is_gone) {
  ASSERT_EQ(poe_session_data(c->f->sender), 1);
  ASSERT_TRUE(!poe_session_is_alive(c->f->sender));
  ASSERT_TRUE(!poe_session_find(host.k, poe_session_id(c->f->sender)));
}

TEST(what_a_stopped_session_had_sent_arrives_what_was_sent_to_it_does_not) {
  host_open();
  on(2, "e", sender_is_gone);
  on(1, "e", NULL);
  start(1);
  start(2);
  as(1, post_2);
  poe_session_stop(host.k, by(1));
  ASSERT_EQ(words_out(), 1);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("2 e(8)");
  end();
}

TEST(freeing_the_kernel_discards_what_waits) {
  host_open();
  log_life();
  start(1);
  start(2);
  as(1, post_2);
  take_log();
  host_close();
  ASSERT_LOG("");
}

TEST(the_queue_can_be_looked_at) {
  int64_t at;
  host_open();
  ASSERT_EQ(poe_event_count(host.k), 0);
  ASSERT_EQ(poe_next_event_epoch_ns(host.k, &at), 0);
  start(1);
  do_post(1, "e", NONE);
  ASSERT_EQ(poe_event_count(host.k), 2);
  ASSERT_EQ(poe_next_event_epoch_ns(host.k, &at), 1);
  ASSERT_LE(at, fake_clock.epoch_ns);
  ASSERT_GE(at, EPOCH_START);
  end();
}

/* ---- frames ------------------------------------------------------------------------ */

static const char *text(const poe_name *name) {
  return name ? poe_name_text(name, NULL) : NULL;
}

HANDLER(inner) {
  ASSERT_STR_EQ(text(c->f->event), "inner");
  ASSERT_STR_EQ(text(c->f->active), "outer");
  ASSERT_STR_EQ(text(c->f->from), "outer");
  ASSERT_EQ(c->f->line, 42);
  ASSERT_PTR_EQ(c->f->outer, poe_kernel_frame(host.k)->outer);
  do_post(1, "posted", NONE);
}

HANDLER(outer) {
  ASSERT_TRUE(!c->f->from);
  ASSERT_EQ(c->f->type, POE_EV_POST);
  ASSERT_EQ(do_call(1, "inner"), 0);
  ASSERT_STR_EQ(text(poe_kernel_frame(host.k)->event), "outer");
}

HANDLER(posted) { ASSERT_STR_EQ(text(c->f->from), "outer"); }

TEST(a_call_to_self_stays_in_the_outer_event) {
  host_open();
  on(1, "outer", outer);
  on(1, "inner", inner);
  on(1, "posted", posted);
  start(1);
  do_post(1, "outer", NONE);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 outer, 1 inner, 1 posted");
  end();
}

HANDLER(called) {
  ASSERT_PTR_EQ(c->f->sender, by(1));
  ASSERT_STR_EQ(text(c->f->active), "called");
  ASSERT_STR_EQ(text(c->f->from), "ask");
  ASSERT_EQ(c->f->type, POE_EV_CALL);
  do_post(1, "answer", NONE);
}

HANDLER(ask) {
  ASSERT_EQ(do_call(2, "called"), 0);
  ASSERT_PTR_EQ(poe_active_session(host.k), by(1));
}

HANDLER(answer) {
  ASSERT_PTR_EQ(c->f->sender, by(2));
  ASSERT_STR_EQ(text(c->f->from), "called");
}

TEST(a_call_switches_session_and_event_and_back) {
  host_open();
  on(1, "ask", ask);
  on(2, "called", called);
  on(1, "answer", answer);
  start(1);
  start(2);
  do_post(1, "ask", NONE);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 ask, 2 called, 1 answer");
  ASSERT_TRUE(!poe_kernel_frame(host.k));
  end();
}

HANDLER(where_from) {
  ASSERT_STR_EQ(text(c->f->file), "script");
  ASSERT_EQ(c->f->line, 7);
}

TEST(the_place_of_sending_travels) {
  host_open();
  on(1, "e", where_from);
  start(1);
  struct poe_origin o = {nm("script"), 7};
  poe_post(host.k, by(1), nm("e"), o, NONE);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 e");
  end();
}

/* ---- call -------------------------------------------------------------------------- */

TEST(a_call_of_what_nobody_handles_is_ENOSYS) {
  host_open();
  start(1);
  ASSERT_EQ(do_call(1, "nobody"), -ENOSYS);
  ASSERT_EQ(do_call(0, "anything"), 0);
  end();
}

HANDLER(die_3) { die(c, 3); }
HANDLER(handled) { poe_sig_handled(host.k); }
static void watch_die(void) { do_sig("DIE", "on_die", NONE); }

static int result;
static void call_2_fail(void) { result = do_call(2, "fail"); }
static void call_1_fail(void) { result = do_call(1, "fail"); }

TEST(a_failure_in_another_session_is_its_own) {
  host_open();
  on(2, "fail", die_3);
  on(2, "on_die", handled);
  start(1);
  start(2);
  as(2, watch_die);
  as(1, call_2_fail);
  ASSERT_EQ(result, -POE_EDIED);
  ASSERT_LOG("2 fail");
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("2 on_die DIE(3)");
  end();
}

TEST(a_failure_in_a_call_to_self_is_the_callers) {
  host_open();
  on(1, "fail", die_3);
  start(1);
  as(1, call_1_fail);
  ASSERT_EQ(result, -POE_ERAISE);
  ASSERT_LOG("1 fail, raised 3");
  end();
}

TEST(a_failure_is_the_callers_when_nothing_is_caught) {
  host_open();
  poe_kernel_set_catch(host.k, 0);
  on(2, "fail", die_3);
  start(1);
  start(2);
  as(1, call_2_fail);
  ASSERT_EQ(result, -POE_ERAISE);
  ASSERT_LOG("2 fail, raised 3");
  end();
}

static unsigned depth;
HANDLER(deeper) {
  depth++;
  int err = do_call(c->me == 1 ? 2 : 1, "deeper");
  if (err) ASSERT_EQ(err, -POE_EDEEP);
  if (err) {
    ASSERT_EQ(try_start(3), -POE_EDEEP);
    ASSERT_EQ(poe_kernel_slice(host.k), -POE_EDEEP);
  }
}

TEST(calls_nest_to_a_limit_that_is_an_ordinary_error) {
  host_open();
  on(0, "deeper", deeper);
  start(1);
  start(2);
  do_call(1, "deeper");
  take_log();
  ASSERT_EQ(depth, POE__DEPTH_MAX);
  end();
}

/* ---- exceptions ---------------------------------------------------------------------- */

static void start_child_2(void) { start(2); }
static void stay(void) { do_alias("stay"); }

TEST(a_failure_becomes_DIE_behind_what_is_queued) {
  host_open();
  on(1, "fail", die_3);
  on(1, "next", NULL);
  on(1, "on_die", handled);
  start(1);
  as(1, watch_die);
  do_post(1, "fail", NONE);
  do_post(1, "next", NONE);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 fail, 1 next, 1 on_die DIE(3)");
  end();
}

TEST(unhandled_it_stops_all_and_ends_the_run) {
  host_open();
  log_life();
  on(2, "fail", die_3);
  on(3, "next", NULL);
  start(1);
  as(1, start_child_2);
  start(3);
  as(3, stay);
  do_post(2, "fail", NONE);
  take_log();
  ASSERT_EQ(poe_kernel_run(host.k), -POE_ERAISE);
  ASSERT_LOG("2 fail, 2 _stop, 1 _stop, 3 _stop");
  ASSERT_EQ(poe_kernel_slice(host.k), -POE_ERAISE);
  ASSERT_EQ(exception(), 3);
  ASSERT_EQ(exception(), 0);
  start(4);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  end();
}

TEST(an_exception_nobody_fetched_is_discarded_with_the_kernel) {
  host_open();
  on(1, "fail", die_3);
  start(1);
  do_post(1, "fail", NONE);
  ASSERT_EQ(do_run(), -POE_ERAISE);
  ASSERT_EQ(words_out(), 1);
  host_close();
}

HANDLER(die_4) { die(c, 4); }

TEST(a_second_failure_is_folded_into_the_first) {
  host_open();
  on(1, "fail", die_3);
  on(1, "on_die", die_4);
  start(1);
  as(1, watch_die);
  do_post(1, "fail", NONE);
  ASSERT_EQ(do_run(), -POE_ERAISE);
  ASSERT_EQ(host.combined, 1);
  ASSERT_EQ(exception(), 3);
  end();
}

TEST(uncaught_the_first_failure_ends_the_run) {
  host_open();
  log_life();
  poe_kernel_set_catch(host.k, 0);
  on(1, "fail", die_3);
  on(1, "next", NULL);
  start(1);
  do_post(1, "fail", NONE);
  do_post(1, "next", ARGS(1));
  take_log();
  ASSERT_EQ(do_run(), -POE_ERAISE);
  ASSERT_LOG("1 fail, 1 _stop");
  ASSERT_EQ(exception(), 3);
  end();
}

TEST(uncaught_a_failure_in_stop_ends_the_run) {
  host_open();
  poe_kernel_set_catch(host.k, 0);
  on(1, "_stop", die_3);
  start(1);
  ASSERT_EQ(do_run(), -POE_ERAISE);
  ASSERT_EQ(exception(), 3);
  end();
}

TEST(DIE_sent_by_a_program_is_no_exception) {
  host_open();
  log_life();
  start(1);
  start(2);
  do_signal(1, "DIE", ARGS(5, 6));
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(exception(), 0);
  end();
}

HANDLER(stop_then_die) {
  poe_kernel_stop(host.k);
  die(c, 8);
}

TEST(a_failure_of_a_handler_whose_session_is_gone_ends_the_run) {
  host_open();
  on(1, "e", stop_then_die);
  start(1);
  do_post(1, "e", NONE);
  ASSERT_EQ(do_run(), -POE_ERAISE);
  ASSERT_EQ(exception(), 8);
  end();
}
