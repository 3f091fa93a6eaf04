/* SPDX-License-Identifier: MIT */
/* session_test.c -- the tree, why sessions live, and how they end. */
#include <stdio.h>
#include <string.h>

#include "fake_host.h"
#include "internal.h"

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

/* ---- start --------------------------------------------------------------------- */

HANDLER(start_2) { start(2); }
HANDLER(start_3) { start(3); }
HANDLER(give_7) { give(c, 7); }

TEST(start_runs_start_then_the_parents_child) {
  host_open();
  log_family();
  on(1, "_start", start_2);
  on(2, "_start", give_7);
  start(1);
  ASSERT_LOG("1 _start, 2 _start, 1 _child create 2 =7");
  ASSERT_EQ(poe_event_count(host.k), 2); /* a mark in time for each */
  ASSERT_PTR_EQ(poe_session_parent(by(2)), by(1));
  ASSERT_PTR_EQ(poe_session_parent(by(1)), by(0));
  end();
}

TEST(ids_count_from_one_and_never_come_again) {
  host_open();
  ASSERT_EQ(start(1), 1);
  ASSERT_EQ(start(2), 2);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(start(3), 3);
  ASSERT_TRUE(!poe_session_find(host.k, 1));
  ASSERT_EQ(poe_session_id(by(3)), 3);
  ASSERT_EQ(poe_session_id(by(0)), 0);
  end();
}

TEST(a_session_with_nothing_to_do_lives_one_slice) {
  host_open();
  log_life();
  start(1);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 _start, 1 _stop");
  ASSERT_EQ(do_slice(), 0);
  end();
}

TEST(idle_sessions_stop_newest_first) {
  host_open();
  log_life();
  start(1);
  start(2);
  start(3);
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("3 _stop, 2 _stop, 1 _stop");
  end();
}

TEST(starting_without_a_loop_fails_and_makes_nothing) {
  host_open();
  fake_loop.fail_open = -EMFILE;
  ASSERT_EQ(try_start(1), -EMFILE);
  ASSERT_EQ(poe_session_count(host.k), 0);
  start(1);
  end();
}

/* ---- references ------------------------------------------------------------------- */

static unsigned refs(unsigned data) { return poe_session_refcount(by(data)); }

static void gain_kinds(void) {
  int fd[2];
  make_pipe(fd);
  unsigned n = refs(1);
  do_alias("a");
  ASSERT_EQ(refs(1), n + 1);
  do_alias("b");
  do_alias("b");
  ASSERT_EQ(refs(1), n + 2);
  do_inc(1, "t", NULL);
  do_inc(1, "t", NULL);
  ASSERT_EQ(refs(1), n + 3);
  do_watch(fd[0], POE_RD, "e", 1, NONE);
  do_watch(fd[0], POE_EX, "e", 1, NONE);
  ASSERT_EQ(refs(1), n + 4);
  do_watch(fd[1], POE_WR, "e", 1, NONE);
  ASSERT_EQ(refs(1), n + 5);
  do_sig("USR1", "e", NONE);
  ASSERT_EQ(refs(1), n + 5);
  do_post(2, "e", NONE);
  do_post(2, "e", NONE);
  ASSERT_EQ(refs(1), n + 6);
  do_delay("e", SEC, NONE); /* events to it already counted once */
  ASSERT_EQ(refs(1), n + 6);
  start(3);
  ASSERT_EQ(refs(1), n + 7);
}

TEST(each_kind_of_reason_is_one_reference) {
  host_open();
  start(1);
  start(2);
  ASSERT_EQ(refs(1), 1);
  as(1, gain_kinds);
  poe_kernel_stop(host.k);
  end();
}

static void post_to_2(void) { do_post(2, "work", NONE); }

TEST(an_event_under_way_keeps_both_ends) {
  host_open();
  log_life();
  on(2, "work", NULL);
  start(1);
  start(2);
  take_log();
  as(1, post_to_2);
  ASSERT_EQ(do_run(), 0);
  /* both became free when it had been handled */
  ASSERT_LOG("2 work, 1 _stop, 2 _stop");
  end();
}

TEST(children_keep_their_parent) {
  host_open();
  log_family();
  on(1, "_start", start_2);
  start(1);
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 _stop, 1 _child lose 2 =nil, 1 _stop");
  end();
}

static void set_alias(void) { do_alias("keep"); }
static void drop_alias(void) { do_unalias("keep"); }
HANDLER(revive_1) { as(1, set_alias); }

TEST(what_comes_back_to_life_in_a_sweep_stays) {
  host_open();
  log_life();
  on(2, "_stop", revive_1);
  start(1);
  start(2);
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 _stop");
  as(1, drop_alias);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 _stop");
  end();
}

/* ---- the stop sequence -------------------------------------------------------------- */

HANDLER(start_3_and_4) {
  start(3);
  start(4);
}

HANDLER(look_in_stop) {
  ASSERT_PTR_EQ(poe_session_find(host.k, poe_session_id(by(2))), by(2));
  ASSERT_TRUE(poe_session_is_stopping(by(2)));
  ASSERT_PTR_EQ(poe_session_parent(by(3)), by(2));
  give(c, 9);
}

static void hold_34(void) {
  do_inc(3, "t", NULL);
  do_inc(4, "t", NULL);
}

TEST(children_are_announced_to_the_parent_and_move_last) {
  host_open();
  log_family();
  on(1, "_start", start_2);
  on(2, "_start", start_3_and_4);
  on(2, "_stop", look_in_stop);
  start(1);
  as(0 + 1, hold_34);
  take_log();
  poe_session *two = by(2);
  poe_session *three = by(3);
  poe_session_stop(host.k, two);
  ASSERT_LOG("1 _child gain 3, 3 _parent 2 1, 1 _child gain 4, 4 _parent 2 1,"
             " 2 _stop, 1 _child lose 2 =9");
  ASSERT_PTR_EQ(poe_session_parent(three), by(1));
  ASSERT_PTR_EQ(poe_session_first_child(by(1)), three);
  ASSERT_PTR_EQ(poe_session_next_sibling(three), by(4));
  ASSERT_TRUE(!poe_session_next_sibling(by(4)));
  ASSERT_TRUE(!poe_session_first_child(three));
  poe_kernel_stop(host.k);
  end();
}

HANDLER(start_5) { start(5); }

TEST(what_stop_creates_is_the_grandparents) {
  host_open();
  log_family();
  on(1, "_start", start_2);
  on(2, "_stop", start_5);
  start(1);
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 _stop, 5 _start, 1 _child create 5 =nil, 1 _child lose 2 =nil");
  ASSERT_PTR_EQ(poe_session_parent(by(5)), by(1));
  end();
}

static int in_stop;
HANDLER(try_all) {
  int64_t id, due;
  int fd[2], err = 0;
  make_pipe(fd);
  in_stop++;
  ASSERT_EQ(do_post(1, "e", ARGS(1)), -ESRCH);
  ASSERT_EQ(do_delay("e", 0, ARGS(1)), -ESRCH);
  ASSERT_EQ(do_alarm("e", 0, NONE), -ESRCH);
  ASSERT_EQ(do_alias("new"), -ESRCH);
  ASSERT_EQ(do_alias("old"), -ESRCH);
  ASSERT_EQ(do_watch(fd[0], POE_RD, "e", 1, ARGS(1)), -ESRCH);
  ASSERT_EQ(do_sig("USR1", "e", ARGS(1)), -ESRCH);
  ASSERT_EQ(do_sig_child(1, "e", ARGS(1)), -ESRCH);
  ASSERT_EQ(do_signal(1, "USR1", ARGS(1)), -ESRCH);
  do_inc(1, "t", &err);
  ASSERT_EQ(err, -ESRCH);
  do_dec(1, "t", &err);
  ASSERT_EQ(err, -ESRCH);
  ASSERT_EQ(poe_timer_adjust(host.k, 1, 0, &due), -ESRCH);
  ASSERT_EQ(poe_timer_readjust(host.k, 1, 0, &due), -ESRCH);
  (void)id;
  ASSERT_EQ(do_post(2, "late", ARGS(6)), 0);
  ASSERT_EQ(do_signal(2, "USR1", NONE), 0);
  ASSERT_EQ(do_call(2, "now"), 0);
  ASSERT_EQ(do_call(1, "own"), 0);
}

static void old_alias(void) { do_alias("old"); }

TEST(in_stop_nothing_new_can_hold_a_session_but_others_are_reached) {
  host_open();
  log_life();
  on(1, "_stop", try_all);
  on(1, "own", NULL);
  on(2, "now", NULL);
  on(2, "late", NULL);
  start(1);
  start(2);
  as(1, old_alias);
  take_log();
  poe_session_stop(host.k, by(1));
  ASSERT_EQ(in_stop, 1);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 _stop, 2 now, 1 own, 2 late(6), 2 _stop");
  end();
}

/* ---- detaching --------------------------------------------------------------------- */

static int result;
static void detach_me(void) { result = poe_detach_myself(host.k, here); }
static void detach_2(void) { result = poe_detach_child(host.k, by(2), here); }
static void detach_3(void) { result = poe_detach_child(host.k, by(3), here); }

static void open_family(void) {
  host_open();
  log_family();
  on(1, "_start", start_2);
  on(2, "_start", start_3);
  start(1);
  take_log();
}

TEST(detach_myself_tells_parent_and_child_and_moves) {
  open_family();
  as(2, detach_me);
  ASSERT_EQ(result, 0);
  ASSERT_LOG("1 _child lose 2 =nil, 2 _parent 1 0");
  ASSERT_PTR_EQ(poe_session_parent(by(2)), by(0));
  ASSERT_PTR_EQ(poe_session_parent(by(3)), by(2));
  as(2, detach_me);
  ASSERT_EQ(result, -EPERM);
  ASSERT_EQ(poe_detach_myself(host.k, here), -EPERM);
  end();
}

TEST(detach_child_is_for_ones_own_children) {
  open_family();
  as(1, detach_3);
  ASSERT_EQ(result, -EPERM);
  ASSERT_EQ(poe_detach_child(host.k, by(1), here), -EPERM);
  as(1, detach_2);
  ASSERT_EQ(result, 0);
  ASSERT_LOG("1 _child lose 2 =nil, 2 _parent 1 0");
  end();
}

HANDLER(detach_in_start) { detach_me(); }

TEST(detached_in_start_the_parent_never_hears_of_it) {
  host_open();
  log_family();
  on(1, "_start", start_2);
  on(2, "_start", detach_in_start);
  start(1);
  ASSERT_LOG("1 _start, 2 _start, 2 _parent 1 0");
  ASSERT_EQ(result, 0);
  end();
}

HANDLER(stop_all) { poe_kernel_stop(host.k); }

TEST(stopping_everything_while_detaching_is_survived) {
  open_family();
  on(1, "_child", stop_all);
  as(2, detach_me);
  ASSERT_EQ(poe_session_count(host.k), 0);
  end();
}

/* ---- stop ----------------------------------------------------------------------------- */

TEST(stop_ends_children_first_newest_first) {
  host_open();
  log_family();
  on(1, "_start", start_3_and_4);
  start(1);
  start(2);
  take_log();
  poe_kernel_stop(host.k);
  ASSERT_LOG("4 _stop, 1 _child lose 4 =nil, 3 _stop, 1 _child lose 3 =nil,"
             " 2 _stop, 1 _stop");
  ASSERT_EQ(do_slice(), 0);
  end();
}

HANDLER(stop_and_look) {
  poe_session *me = c->f->session;
  poe_kernel_stop(host.k);
  ASSERT_TRUE(!poe_session_is_alive(me));
  ASSERT_PTR_EQ(poe_active_session(host.k), by(0));
  ASSERT_EQ(poe_call(host.k, me, nm("x"), here, NULL, NULL), -ESRCH);
  ASSERT_EQ(poe_post(host.k, me, nm("x"), here, NONE), -ESRCH);
  ASSERT_EQ(poe_signal(host.k, me, nm("x"), here, NONE), -ESRCH);
  int64_t n;
  ASSERT_EQ(poe_extref_inc(host.k, me, nm("x"), &n), -ESRCH);
  ASSERT_EQ(poe_extref_dec(host.k, me, nm("x"), &n), -ESRCH);
  note("still here");
}

TEST(stop_in_a_handler_ends_its_session_too_and_returns) {
  host_open();
  log_life();
  on(1, "go", stop_and_look);
  start(1);
  start(2);
  do_post(1, "go", NONE);
  do_post(2, "never", ARGS(1, 2));
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 go, 2 _stop, 1 _stop, still here");
  ASSERT_EQ(do_slice(), 0);
  start(3);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("3 _start, 3 _stop");
  end();
}

HANDLER(stop_again) { poe_kernel_stop(host.k); }

TEST(stop_within_stop_is_harmless) {
  host_open();
  log_life();
  on(2, "_stop", stop_again);
  start(1);
  start(2);
  start(3);
  take_log();
  poe_kernel_stop(host.k);
  ASSERT_LOG("3 _stop, 2 _stop, 1 _stop");
  end();
}

HANDLER(stop_me) {
  poe_session_stop(host.k, by(1));
  ASSERT_PTR_EQ(poe_active_session(host.k), poe_kernel_session(host.k));
}

TEST(a_handler_may_stop_its_own_session_whatever_it_waits_for) {
  host_open();
  log_life();
  on(1, "go", stop_me);
  start(1);
  start(2);
  do_post(1, "go", NONE);
  do_post(1, "never", ARGS(1, 2));
  do_inc(1, "tag", NULL);
  do_inc(2, "tag", NULL);
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 go, 1 _stop");
  poe_kernel_stop(host.k);
  end();
}

/* ---- failures ---------------------------------------------------------------------------- */

HANDLER(die_5) { die(c, 5); }
HANDLER(die_6) { die(c, 6); }
HANDLER(handled) { poe_sig_handled(host.k); }
static void watch_die(void) { do_sig("DIE", "on_die", NONE); }

TEST(dying_in_start_is_told_later_and_the_session_lives) {
  host_open();
  log_family();
  on(1, "_start", start_2);
  on(2, "_start", die_5);
  on(1, "on_die", handled);
  start(1);
  ASSERT_LOG("1 _start, 2 _start, 1 _child create 2 =nil");
  as(1, watch_die);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 on_die DIE(5), 2 _stop, 1 _child lose 2 =nil, 1 _stop");
  end();
}

TEST(dying_in_stop_is_told_to_the_parent_at_once) {
  host_open();
  log_family();
  on(1, "_start", start_2);
  on(2, "_stop", die_5);
  on(1, "on_die", handled);
  start(1);
  as(1, watch_die);
  take_log();
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("2 _stop, 1 _child lose 2 =nil, 1 on_die DIE(5), 1 _stop");
  end();
}

TEST(dying_in_stop_unhandled_ends_the_run) {
  host_open();
  log_life();
  on(1, "_start", start_2);
  on(2, "_stop", die_5);
  on(3, "never", NULL);
  start(1);
  start(3);
  take_log();
  ASSERT_EQ(do_slice(), -POE_ERAISE);
  ASSERT_LOG("3 _stop, 2 _stop, 1 _stop");
  ASSERT_EQ(exception(), 5);
  end();
}

TEST(dying_in_stop_of_a_root_session_ends_the_run) {
  host_open();
  on(1, "_stop", die_6);
  start(1);
  ASSERT_EQ(do_run(), -POE_ERAISE);
  ASSERT_EQ(exception(), 6);
  end();
}

HANDLER(call_stopper) { ASSERT_EQ(do_call(1, "fail"), -POE_EDIED); }
HANDLER(stop_calls_3) { ASSERT_EQ(do_call(3, "relay"), 0); }

TEST(dying_in_a_session_that_stops_is_not_lost) {
  host_open();
  on(1, "_stop", stop_calls_3);
  on(3, "relay", call_stopper);
  on(1, "fail", die_6);
  start(3);
  start(1);
  ASSERT_EQ(do_run(), -POE_ERAISE);
  ASSERT_EQ(exception(), 6);
  end();
}

/* ---- many ---------------------------------------------------------------------------------- */

TEST(a_hundred_thousand_sessions_come_and_go) {
  host_open();
  host.unchecked = 1;
  for (int i = 0; i < 100000; i++) start(1);
  ASSERT_EQ(poe_session_count(host.k), 100000);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(host.gone, 100000);
  end();
}

static void start_1(void) { start(1); }

TEST(a_long_line_of_descendants_is_freed_without_recursion) {
  host_open();
  on(0, "(as)", NULL);
  uint64_t id = start(1);
  for (int i = 0; i < 20000; i++) {
    struct poe_value error;
    (void)error;
    struct poe_frame f = {.session = poe_session_find(host.k, id),
                          .event = host.k->n_start,
                          .active = host.k->n_start};
    f.sender = f.session;
    host.k->frame = &f; /* as if it ran */
    start_1();
    host.k->frame = NULL;
    id++;
  }
  host_close();
}

static void watch_x(void) { ASSERT_EQ(do_sig("X", "sig", NONE), 0); }
static void forget_x(void) { do_unsig("X"); }
static void be_named(void) { do_alias("named"); }

/* Two that are alike in their lower 32 bits are two. */
TEST(ids_go_on_past_32_bits) {
  host_open();
  on(0, "sig", NULL);
  ASSERT_EQ(start(1), 1);
  host.k->last_id = UINT64_C(1) << 32;
  ASSERT_EQ(start(2), (UINT64_C(1) << 32) + 1);
  as(1, watch_x);
  as(2, watch_x);
  as(2, be_named);
  as(1, forget_x);
  ASSERT_EQ(do_signal(0, "X", NONE), 0);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 sig X");
  ASSERT_TRUE(poe_session_find(host.k, (UINT64_C(1) << 32) + 1) == by(2));
  poe_kernel_stop(host.k);
  end();
}

/* ---- labels ------------------------------------------------------------------------------- */

static void be_worker(void) { do_alias("worker"); }

TEST(labels_tell_who) {
  char buf[64];
  host_open();
  start(1);
  ASSERT_STR_EQ(poe_session_label(by(1), buf, sizeof buf), "session 1");
  as(1, be_worker);
  ASSERT_STR_EQ(poe_session_label(by(1), buf, sizeof buf),
                "session 1 \"worker\"");
  ASSERT_STR_EQ(poe_session_label(by(0), buf, sizeof buf), "the kernel");
  end();
}
