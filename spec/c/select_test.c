/* SPDX-License-Identifier: MIT */
/* select_test.c -- watchers of descriptors, their order and their ends. */
#include <fcntl.h>
#include <unistd.h>

#include "fake_host.h"
#include "internal.h"

static int a[2], b[2]; /* pipes: [0] is read, [1] written */

static void open_2(void) {
  host_open();
  make_pipe(a);
  make_pipe(b);
  on(0, "read", NULL);
  on(0, "write", NULL);
  on(0, "other", NULL);
  start(1);
  start(2);
}

static void end(void) {
  poe_kernel_stop(host.k);
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

static void watch_a(void) {
  ASSERT_EQ(do_watch(a[0], POE_RD, "read", 5, ARGS(6, 7)), 0);
}
static void ignore_a(void) { ASSERT_EQ(do_ignore(a[0], POE_RD), 0); }

HANDLER(read_a) {
  ASSERT_EQ(c->handle, 5);
  ASSERT_EQ(c->lead[0], POE_RD);
  ASSERT_PTR_EQ(c->f->sender, c->f->session);
  ASSERT_EQ(c->f->type, POE_EV_SELECT);
  ASSERT_TRUE(!c->f->from);
  ASSERT_EQ(c->f->line, 42);
}

TEST(a_ready_descriptor_is_dispatched_every_slice) {
  open_2();
  on(1, "read", read_a);
  as(1, watch_a);
  ASSERT_EQ(fake_loop_mask(a[0]), R);
  ASSERT_TRUE(poe_select_is_watched(host.k, a[0]));
  ASSERT_EQ(poe_select_count(host.k), 1);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7), 1 read 0(6,7)");
  as(1, ignore_a);
  ASSERT_TRUE(!fake_loop_knows(a[0]));
  ASSERT_TRUE(!poe_select_is_watched(host.k, a[0]));
  ASSERT_EQ(words_out(), 0);
  end();
}

TEST(watching_makes_non_blocking) {
  open_2();
  as(1, watch_a);
  ASSERT_TRUE(fcntl(a[0], F_GETFL) & O_NONBLOCK);
  ASSERT_TRUE(!(fcntl(a[1], F_GETFL) & O_NONBLOCK));
  end();
}

static void watch_all(void) {
  do_watch(b[1], POE_WR, "write", 1, ARGS(1));
  do_watch(a[0], POE_EX, "other", 1, ARGS(2));
  do_watch(a[0], POE_WR, "write", 1, ARGS(3));
  do_watch(b[0], POE_RD, "read", 1, ARGS(4));
  do_watch(a[0], POE_RD, "read", 1, ARGS(5));
}

TEST(reads_come_before_writes_before_expedites_by_number) {
  open_2();
  as(1, watch_all);
  ASSERT_EQ(fake_loop_mask(a[0]), R | W | X);
  fake_loop_level(a[0], R | W | X);
  fake_loop_level(b[0], R);
  fake_loop_level(b[1], W);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(5), 1 read 0(4), 1 write 1(3), 1 write 1(1),"
             " 1 other 2(2)");
  end();
}

static void rewatch_a(void) {
  ASSERT_EQ(do_watch(a[0], POE_RD, "other", 5, ARGS(8)), 0);
}

TEST(watching_again_replaces_event_and_arguments) {
  open_2();
  as(1, watch_a);
  as(2, watch_a);
  as(1, rewatch_a);
  ASSERT_EQ(poe_select_count(host.k), 2);
  ASSERT_EQ(words_out(), 2 + 3);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 other 0(8), 2 read 0(6,7)"); /* its place is kept */
  end();
}

TEST(any_number_of_sessions_share_a_descriptor) {
  open_2();
  as(2, watch_a);
  as(1, watch_a);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 read 0(6,7), 1 read 0(6,7)");
  as(2, ignore_a);
  ASSERT_EQ(fake_loop_mask(a[0]), R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7)");
  end();
}

/* ---- pause ----------------------------------------------------------------------- */

static void pause_a(void) {
  ASSERT_EQ(poe_select_pause(host.k, a[0], POE_RD), 1);
  ASSERT_EQ(poe_select_pause(host.k, a[0], POE_RD), 1);
  ASSERT_EQ(poe_select_pause(host.k, a[0], POE_WR), 0);
}
static void resume_a(void) {
  ASSERT_EQ(poe_select_resume(host.k, a[0], POE_RD), 1);
  ASSERT_EQ(poe_select_resume(host.k, b[0], POE_RD), 0);
}

TEST(pausing_is_the_sessions_own) {
  open_2();
  as(1, watch_a);
  as(2, watch_a);
  as(1, pause_a);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 read 0(6,7)");
  as(2, pause_a);
  ASSERT_EQ(fake_loop_mask(a[0]), 0);
  ASSERT_TRUE(fake_loop_knows(a[0]));
  as(1, resume_a);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7)");
  end();
}

TEST(a_paused_watcher_keeps_the_program_going) {
  open_2();
  as(1, watch_a);
  as(1, pause_a);
  ASSERT_EQ(do_slice(), 1);
  fake_loop.fail_wait = -EIO;
  ASSERT_EQ(do_slice(), -EIO);
  ASSERT_EQ(fake_loop.last_timeout_ns, -1);
  end();
}

TEST(watching_again_resumes) {
  open_2();
  as(1, watch_a);
  as(1, pause_a);
  as(1, rewatch_a);
  ASSERT_EQ(fake_loop_mask(a[0]), R);
  as(1, pause_a);
  as(1, ignore_a);
  end();
}

/* ---- changes while ready ones are dispatched ----------------------------------------- */

static void watch_b(void) { do_watch(b[0], POE_RD, "read", 5, NONE); }
HANDLER(ignore_b) { do_ignore(b[0], POE_RD); }

TEST(what_is_ignored_in_the_same_pass_does_not_come) {
  open_2();
  on(1, "other", ignore_b);
  as(1, rewatch_a);
  as(1, watch_b);
  fake_loop_level(a[0], R);
  fake_loop_level(b[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 other 0(8)");
  end();
}

static int times;
HANDLER(replace_self) {
  ASSERT_LT(times++, 100);
  rewatch_a();
}

TEST(a_watcher_made_in_a_pass_waits_for_the_next) {
  open_2();
  on(1, "other", replace_self);
  as(1, rewatch_a);
  as(2, rewatch_a);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(times, 1);
  ASSERT_LOG("1 other 0(8), 2 other 0(8)");
  end();
}

HANDLER(ignore_self) { ignore_a(); }

TEST(a_watcher_may_drop_itself) {
  open_2();
  on(1, "read", ignore_self);
  as(1, watch_a);
  as(2, watch_a);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7), 2 read 0(6,7)");
  end();
}

HANDLER(forget_a) { do_forget(a[0]); }

TEST(forgetting_drops_everybodys_watchers_at_once) {
  open_2();
  on(1, "read", forget_a);
  as(1, watch_a);
  as(2, watch_a);
  fake_loop_level(a[0], R | X);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7)");
  ASSERT_EQ(poe_select_count(host.k), 0);
  ASSERT_EQ(words_out(), 0);
  do_forget(a[0]);
  do_forget(9999);
  end();
}

HANDLER(stop_2) { poe_session_stop(host.k, by(2)); }

TEST(the_watchers_of_a_session_that_is_stopped_do_not_come) {
  open_2();
  on(1, "read", stop_2);
  as(1, watch_a);
  as(2, watch_a);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7)");
  end();
}

HANDLER(nested_slice) {
  if (times++ == 0) {
    fake_loop_level(b[0], 0);
    ASSERT_EQ(poe_kernel_slice(host.k), 1);
    note("back");
  }
}

TEST(a_slice_within_a_handler_does_not_repeat_what_it_ran) {
  open_2();
  on(1, "read", nested_slice);
  as(1, watch_a);
  as(2, watch_a);
  as(2, watch_b);
  fake_loop_level(a[0], R);
  fake_loop_level(b[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7), 1 read 0(6,7), 2 read 0(6,7), back, 2 read 0");
  end();
}

HANDLER(nested_then_new) {
  if (times++ > 0) return;
  ASSERT_EQ(poe_kernel_slice(host.k), 1);
  do_watch(a[0], POE_RD, "read", 5, ARGS(1));
}

TEST(what_is_made_after_a_slice_within_waits_for_the_next_pass) {
  open_2();
  on(1, "read", nested_then_new);
  as(1, watch_a);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7), 1 read 0(6,7)");
  end();
}

HANDLER(die_3) { die(c, 3); }

TEST(a_failing_handler_becomes_DIE) {
  open_2();
  log_life();
  on(1, "read", die_3);
  as(1, watch_a);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), -POE_ERAISE);
  ASSERT_LOG("1 read 0(6,7), 1 _stop, 2 _stop");
  ASSERT_EQ(exception(), 3);
  end();
}

TEST(uncaught_it_ends_the_pass) {
  open_2();
  poe_kernel_set_catch(host.k, 0);
  on(1, "read", die_3);
  as(1, watch_a);
  as(2, watch_a);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), -POE_ERAISE);
  ASSERT_LOG("1 read 0(6,7)");
  ASSERT_EQ(exception(), 3);
  end();
}

/* ---- descriptors that are not as they seem ---------------------------------------------- */

static void watch_bad(void) {
  ASSERT_EQ(do_watch(-1, POE_RD, "read", 5, ARGS(1)), -EBADF);
  ASSERT_EQ(do_watch(1000, POE_RD, "read", 5, ARGS(1)), -EBADF);
  ASSERT_EQ(do_ignore(-1, POE_RD), 0);
  ASSERT_EQ(do_ignore(1 << 30, POE_RD), 0);
}

TEST(a_descriptor_that_is_not_open_is_refused) {
  open_2();
  as(1, watch_bad);
  ASSERT_TRUE(!poe_select_is_watched(host.k, -1));
  ASSERT_EQ(poe_select_count(host.k), 0);
  end();
}

TEST(a_file_that_cannot_be_waited_for_is_always_ready) {
  open_2();
  fake_loop_refuse(a[0]);
  as(1, watch_a);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(fake_loop.last_timeout_ns, 0);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7), 1 read 0(6,7)");
  as(1, pause_a);
  ASSERT_EQ(host.k->selects.always_active, 0);
  do_post(1, "unheard", NONE);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("");
  as(1, resume_a);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7)");
  as(1, ignore_a);
  ASSERT_EQ(host.k->selects.always_active, 0);
  end();
}

static void watch_refused(void) {
  fake_loop.fail_watch = -ENOSPC;
  ASSERT_EQ(do_watch(b[0], POE_RD, "read", 5, ARGS(1)), -ENOSPC);
  ASSERT_TRUE(!poe_select_is_watched(host.k, b[0]));
  ASSERT_EQ(do_watch(b[0], POE_RD, "read", 5, ARGS(1)), 0);
  fake_loop.fail_watch = -ENOSPC;
  ASSERT_EQ(do_watch(b[0], POE_WR, "write", 5, ARGS(1)), -ENOSPC);
  ASSERT_EQ(fake_loop_mask(b[0]), R);
  fake_loop.fail_watch = -ENOSPC;
  ASSERT_EQ(do_watch(b[0], POE_RD, "other", 5, ARGS(2)), -ENOSPC);
  fake_loop_level(b[0], R);
}

TEST(a_refused_watch_is_undone) {
  open_2();
  as(1, watch_refused);
  ASSERT_EQ(poe_select_count(host.k), 1);
  ASSERT_EQ(words_out(), 2);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(1)");
  end();
}

/* The number of a closed descriptor comes back as another file. */
static void reopen_a(void) {
  int other[2];
  make_pipe(other);
  ASSERT_EQ(dup2(other[0], a[0]), a[0]);
  close(other[0]);
}

static void watch_reused(void) {
  reopen_a();
  do_forget(-1); /* and the model must know: */
  rewatch_a();
}

TEST(the_old_watchers_of_a_reused_number_go) {
  open_2();
  host.unchecked = 1; /* the model of who watches does not see this */
  as(1, watch_a);
  as(2, watch_reused);
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 other 0(8)");
  ASSERT_EQ(poe_select_count(host.k), 1);
  end();
}

static void lose_a(void) { poe_loop_lost(host.k, a[0]); }

TEST(what_the_loop_has_lost_is_forgotten) {
  open_2();
  host.unchecked = 1;
  as(1, watch_a);
  as(2, watch_a);
  lose_a();
  lose_a();
  fake_loop_level(b[0], R);
  as(2, watch_b);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 read 0");
  ASSERT_EQ(poe_select_count(host.k), 1);
  end();
}

TEST(a_loop_that_knows_numbers_only_is_double_checked) {
  struct poe_loop_ops ops = fake_loop_ops;
  ops.by_number = 1;
  open_2();
  host.unchecked = 1;
  as(1, watch_a);
  host.k->loop_ops = &ops;
  fake_loop_level(a[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0(6,7)");
  reopen_a();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("");
  ASSERT_EQ(poe_select_count(host.k), 0);
  end();
}

TEST(readiness_nobody_asked_for_is_ignored) {
  open_2();
  as(1, watch_a);
  poe_loop_ready(host.k, 77, R);
  poe_loop_ready(host.k, a[0], X);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("");
  end();
}

/* ---- many ------------------------------------------------------------------------------ */

static void watch_many(void) {
  for (int i = 0; i < 200; i++) {
    int fd = dup(a[0]);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(do_watch(fd, POE_RD, "read", 1, NONE), 0);
    fake_loop_level(fd, R);
  }
}

TEST(many_descriptors_come_in_the_order_of_their_numbers) {
  open_2();
  as(1, watch_many);
  ASSERT_EQ(poe_select_count(host.k), 200);
  ASSERT_EQ(do_slice(), 1);
  take_log();
  end();
}
