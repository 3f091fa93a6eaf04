/* SPDX-License-Identifier: MIT */
/* signal_test.c -- whom signals reach, in which order, and whom they stop. */
#include <signal.h>

#include "fake_host.h"
#include "internal.h"

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

HANDLER(start_2_and_3) {
  start(2);
  start(3);
}
HANDLER(start_4) { start(4); }
HANDLER(handled) { poe_sig_handled(host.k); }

/* 1 has children 2 and 3, 2 has 4; 5 is by itself. */
static void open_tree(void) {
  host_open();
  on(0, "sig", NULL);
  on(0, "_stop", NULL);
  on(1, "_start", start_2_and_3);
  on(2, "_start", start_4);
  start(1);
  start(5);
  take_log();
}

static void watch_x(void) { ASSERT_EQ(do_sig("X", "sig", ARGS(9)), 0); }
static void watch_term(void) { ASSERT_EQ(do_sig("TERM", "sig", NONE), 0); }
static void watch_idle(void) { ASSERT_EQ(do_sig("IDLE", "sig", NONE), 0); }

static void stay(void) { do_alias("stay"); }
static void stay_too(void) { do_alias("stay too"); }

static void everybody(void (*fn)(void)) {
  for (unsigned i = 1; i <= 5; i++) as(i, fn);
}

TEST(it_reaches_descendants_deepest_first_then_the_target) {
  open_tree();
  everybody(watch_x);
  do_signal(1, "X", ARGS(7, 8));
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("4 sig X(7,8,9), 3 sig X(7,8,9), 2 sig X(7,8,9), 1 sig X(7,8,9),"
             " 5 _stop, 3 _stop, 4 _stop, 2 _stop, 1 _stop");
  end();
}

static unsigned heard;
HANDLER(hear) { heard++; }
HANDLER(start_next) {
  do_sig("X", "hear", NONE);
  if (c->me < 100) start(c->me + 1);
}

TEST(it_reaches_many) {
  host_open();
  on(0, "_start", start_next);
  on(0, "hear", hear);
  for (unsigned n = 20; n <= 100; n += 20) {
    heard = 0;
    start(101 - n);
    do_signal(101 - n, "X", NONE);
    ASSERT_EQ(do_run(), 0);
    ASSERT_EQ(heard, n);
  }
  take_log();
  end();
}

TEST(to_the_kernel_it_reaches_all) {
  open_tree();
  everybody(watch_x);
  do_signal(0, "X", NONE);
  do_slice();
  ASSERT_LOG("4 sig X(9), 3 sig X(9), 2 sig X(9), 5 sig X(9), 1 sig X(9),"
             " 5 _stop, 3 _stop, 4 _stop, 2 _stop, 1 _stop");
  end();
}

TEST(a_benign_one_stops_nobody_a_terminal_one_its_scope) {
  open_tree();
  do_signal(2, "X", NONE);
  do_signal(2, "TERM", NONE);
  as(1, watch_term);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("4 _stop, 2 _stop, 5 _stop, 3 _stop, 1 _stop");
  end();
}

TEST(handled_by_one_it_spares_all) {
  open_tree();
  everybody(watch_term);
  on(4, "sig", handled);
  do_signal(1, "TERM", NONE);
  do_post(5, "x", NONE);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("4 sig TERM, 3 sig TERM, 2 sig TERM, 1 sig TERM,"
             " 5 _stop, 3 _stop, 4 _stop, 2 _stop, 1 _stop");
  end();
}

TEST(a_nonmaskable_one_stops_whatever_was_handled) {
  open_tree();
  as(3, watch_x);
  on(3, "sig", handled);
  do_signal(3, "X", NONE);
  poe_signal(host.k, by(3), host.k->n_uidestroy, here, NONE);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("3 sig X(9), 3 _stop, 5 _stop, 4 _stop, 2 _stop, 1 _stop");
  end();
}

static void rewatch_x(void) { do_sig("X", "other", ARGS(1)); }
static void unwatch_x(void) { do_unsig("X"); }

TEST(watching_again_replaces_ignoring_removes) {
  open_tree();
  on(1, "other", NULL);
  as(1, watch_x);
  as(1, rewatch_x);
  as(2, watch_x);
  as(2, unwatch_x);
  as(2, unwatch_x);
  ASSERT_EQ(words_out(), 1);
  do_signal(0, "X", NONE);
  do_slice();
  ASSERT_LOG("1 other X(1), 5 _stop, 3 _stop, 4 _stop, 2 _stop, 1 _stop");
  end();
}

HANDLER(remove_1_add_5) {
  as(1, unwatch_x);
  as(5, watch_x);
}

TEST(the_watchers_are_those_when_it_was_dispatched) {
  open_tree();
  as(4, watch_x);
  as(1, watch_x);
  on(4, "sig", remove_1_add_5);
  do_signal(0, "X", NONE);
  do_slice();
  ASSERT_LOG("4 sig X(9), 1 sig X(9), 5 _stop, 3 _stop, 4 _stop, 2 _stop,"
             " 1 _stop");
  ASSERT_EQ(words_out(), 0);
  end();
}

HANDLER(stop_1) { poe_session_stop(host.k, by(1)); }

TEST(one_that_was_stopped_meanwhile_is_left_out) {
  open_tree();
  as(4, watch_x);
  as(1, watch_x);
  on(4, "sig", stop_1);
  do_signal(0, "X", NONE);
  do_slice();
  ASSERT_LOG("4 sig X(9), 1 _stop, 5 _stop, 3 _stop, 4 _stop, 2 _stop");
  end();
}

HANDLER(signal_again) {
  if (c->n == 1) do_signal(1, "X", ARGS(3));
}

TEST(a_signal_from_a_signal_handler_is_queued) {
  open_tree();
  as(1, watch_x);
  as(4, watch_x);
  as(4, stay);
  on(4, "sig", signal_again);
  do_signal(1, "X", NONE);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("4 sig X(9), 1 sig X(9), 5 _stop, 3 _stop, 4 sig X(3,9),"
             " 1 sig X(3,9), 4 _stop, 2 _stop, 1 _stop");
  end();
}

TEST(handled_outside_of_a_signal_means_nothing) {
  open_tree();
  poe_sig_handled(host.k);
  as(1, watch_term);
  do_signal(1, "TERM", NONE);
  do_slice();
  ASSERT_LOG("1 sig TERM, 4 _stop, 3 _stop, 2 _stop, 1 _stop, 5 _stop");
  end();
}

HANDLER(die_4) { die(c, 4); }

TEST(DIE_goes_to_descendants_the_session_and_its_ancestors) {
  open_tree();
  for (unsigned i = 1; i <= 5; i++) {
    as(i, watch_x);
    poe_name *die_name = host.k->n_die;
    struct poe_payload none = NONE;
    struct poe_frame f = {.session = by(i),
                          .sender = by(i),
                          .event = die_name,
                          .active = die_name};
    host.k->frame = &f;
    ASSERT_EQ(poe_sig_watch(host.k, die_name, nm("sig"), here, none), 0);
    host.k->frame = NULL;
  }
  on(2, "e", die_4);
  on(1, "sig", handled);
  do_post(2, "e", NONE);
  as(4, stay);
  do_slice();
  do_slice();
  ASSERT_LOG("2 e, 5 _stop, 3 _stop, 4 sig DIE(4), 2 sig DIE(4),"
             " 1 sig DIE(4)");
  end();
}

/* ---- of the system ------------------------------------------------------------------ */

static void unwatch_term(void) { do_unsig("TERM"); }

TEST(those_of_the_system_are_caught_while_somebody_watches) {
  open_tree();
  ASSERT_TRUE(!fake_loop_catches(SIGTERM));
  as(1, watch_term);
  as(2, watch_term);
  ASSERT_TRUE(fake_loop_catches(SIGTERM));
  as(1, unwatch_term);
  ASSERT_TRUE(fake_loop_catches(SIGTERM));
  as(2, unwatch_term);
  ASSERT_TRUE(!fake_loop_catches(SIGTERM));
  end();
}

static void wait_long(void) { do_delay("late", HOUR, NONE); }

TEST(a_caught_one_goes_to_everybody) {
  open_tree();
  everybody(watch_term);
  as(1, wait_long);
  fake_loop_signal_at(CLOCK_START + SEC, SIGTERM);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("5 _stop, 3 _stop, 4 _stop, 2 _stop, 1 sig TERM, 1 _stop");
  end();
}

static void watch_signals(void) {
  ASSERT_EQ(do_sig("USR1", "sig", NONE), 0);
  ASSERT_EQ(do_sig("RTMIN", "sig", NONE), 0);
  ASSERT_EQ(do_sig("RTMIN+3", "sig", NONE), 0);
  ASSERT_EQ(do_sig("RTMIN+999", "sig", NONE), 0);
  ASSERT_EQ(do_sig("RTMIN-1", "sig", NONE), 0);
  ASSERT_EQ(do_sig("KILL", "sig", NONE), 0);
  ASSERT_EQ(do_sig("STOP", "sig", NONE), 0);
  ASSERT_EQ(do_sig("SEGV", "sig", NONE), 0);
  ASSERT_EQ(do_sig("made up", "sig", NONE), 0);
}

TEST(what_cannot_be_caught_can_be_watched_all_the_same) {
  open_tree();
  as(1, watch_signals);
  ASSERT_TRUE(fake_loop_catches(SIGUSR1));
  ASSERT_TRUE(fake_loop_catches(SIGRTMIN));
  ASSERT_TRUE(fake_loop_catches(SIGRTMIN + 3));
  ASSERT_TRUE(!fake_loop_catches(SIGKILL));
  ASSERT_TRUE(!fake_loop_catches(SIGSTOP));
  ASSERT_TRUE(!fake_loop_catches(SIGSEGV));
  ASSERT_EQ(fake_loop_left(), 3);
  poe_loop_caught(host.k, SIGRTMIN + 3);
  poe_loop_caught(host.k, SIGRTMIN);
  poe_loop_caught(host.k, SIGUSR1);
  poe_loop_caught(host.k, 0);
  poe_loop_caught(host.k, -1);
  poe_loop_caught(host.k, 65);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 sig USR1, 1 sig RTMIN, 1 sig RTMIN+3,"
             " 5 _stop, 3 _stop, 4 _stop, 2 _stop, 1 _stop");
  end();
}

static void watch_both_names(void) {
  ASSERT_EQ(do_sig("IO", "sig", NONE), 0);
  ASSERT_EQ(do_sig("POLL", "sig", NONE), 0);
  ASSERT_EQ(do_sig("ABRT", "sig", NONE), 0);
  ASSERT_EQ(do_sig("IOT", "sig", NONE), 0);
}
static void unwatch_one_name(void) {
  do_unsig("POLL");
  do_unsig("ABRT");
}

TEST(two_names_of_one_signal_are_one_signal) {
  open_tree();
  as(1, watch_both_names);
  ASSERT_TRUE(fake_loop_catches(SIGIO));
  as(1, unwatch_one_name);
  ASSERT_TRUE(fake_loop_catches(SIGIO));
  ASSERT_TRUE(fake_loop_catches(SIGABRT));
  poe_loop_caught(host.k, SIGIO);
  poe_loop_caught(host.k, SIGABRT);
  do_slice();
  ASSERT_LOG("1 sig IOT, 1 sig IO,"
             " 5 _stop, 3 _stop, 4 _stop, 2 _stop, 1 _stop");
  end();
}

static int result;
static void try_term(void) {
  fake_loop.fail_signal = -EMFILE;
  result = do_sig("TERM", "sig", ARGS(1));
}

TEST(what_the_loop_refuses_is_not_watched) {
  open_tree();
  as(1, try_term);
  ASSERT_EQ(result, -EMFILE);
  ASSERT_EQ(host.k->signals.watchers.count, 0);
  ASSERT_EQ(host.k->signals.os_watched, 0);
  as(1, watch_term);
  ASSERT_TRUE(fake_loop_catches(SIGTERM));
  end();
}

static void watch_pipe(void) { do_sig("PIPE", "sig", NONE); }
static void unwatch_pipe(void) { do_unsig("PIPE"); }

TEST(PIPE_is_ignored_unless_watched) {
  struct sigaction sa;
  signal(SIGPIPE, SIG_DFL);
  host_open();
  sigaction(SIGPIPE, NULL, &sa);
  ASSERT_TRUE(sa.sa_handler == SIG_IGN);
  start(1);
  as(1, watch_pipe);
  ASSERT_TRUE(fake_loop_catches(SIGPIPE));
  signal(SIGPIPE, SIG_DFL); /* as a real loop leaves it */
  as(1, unwatch_pipe);
  sigaction(SIGPIPE, NULL, &sa);
  ASSERT_TRUE(sa.sa_handler == SIG_IGN);
  end();
}

/* ---- idle ------------------------------------------------------------------------------ */

TEST(with_nothing_to_come_IDLE_ends_all) {
  open_tree();
  as(1, stay);
  as(4, stay_too);
  do_slice();
  ASSERT_LOG("5 _stop, 3 _stop");
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("4 _stop, 2 _stop, 1 _stop");
  end();
}

HANDLER(handled_only) { poe_sig_handled(host.k); }

TEST(IDLE_handled_without_new_work_is_followed_by_ZOMBIE) {
  host_open();
  log_life();
  on(1, "sig", handled_only);
  start(1);
  as(1, watch_idle);
  as(1, stay);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 _start, 1 sig IDLE, 1 _stop");
  end();
}

static int idles;
HANDLER(work_twice) {
  if (idles++ < 2) {
    poe_sig_handled(host.k);
    do_delay("work", SEC, NONE);
  }
}

TEST(IDLE_handled_with_new_work_comes_again) {
  host_open();
  log_life();
  on(1, "sig", work_twice);
  on(1, "work", NULL);
  start(1);
  as(1, watch_idle);
  as(1, stay);
  take_log();
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 sig IDLE, 1 work, 1 sig IDLE, 1 work, 1 sig IDLE, 1 _stop");
  end();
}

static void handle_term(void) { ASSERT_EQ(do_sig("TERM", "term", NONE), 0); }

TEST(without_memory_it_reaches_a_few_and_stops_nobody_else) {
  open_tree();
  on(0, "term", handled);
  everybody(wait_long);
  as(1, handle_term);
  do_signal(0, "TERM", NONE);
  memory.for_ever = 1;
  memory.allow = 0;
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 term TERM");
  memory.allow = -1;
  for (unsigned i = 6; i <= POE__WALK_FEW; i++) {
    start(i);
    as(i, wait_long);
  }
  take_log();
  do_signal(0, "TERM", NONE);
  memory.allow = 0;
  ASSERT_EQ(do_slice(), -ENOMEM);
  ASSERT_LOG("");
  memory.allow = -1;
  do_signal(0, "TERM", NONE);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 term TERM");
  poe_kernel_stop(host.k);
  end();
}
