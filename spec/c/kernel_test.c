/* SPDX-License-Identifier: MIT */
/* kernel_test.c -- the slice and its order, run and stop, traces. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_host.h"
#include "internal.h"

static int fd[2];

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

static void stay(void) { do_alias("stay"); }

/* ---- one slice ------------------------------------------------------------------ */

static void set_up_everything(void) {
  do_watch(fd[0], POE_EX, "expedite", 1, NONE);
  do_watch(fd[0], POE_WR, "write", 1, NONE);
  do_watch(fd[0], POE_RD, "read", 1, NONE);
  do_sig("USR1", "usr1", NONE);
  do_alarm("past", EPOCH_START - SEC, NONE);
  do_post(1, "posted", NONE);
  do_delay("now", 0, NONE);
}

HANDLER(post_more) { do_post(1, "from read", NONE); }

TEST(a_slice_goes_signals_reads_writes_expedites_events_sweep) {
  host_open();
  make_pipe(fd);
  static const char *const events[] = {"write",  "expedite", "usr1",     "past",
                                       "posted", "now",      "from read"};
  for (size_t i = 0; i < 7; i++) on(1, events[i], NULL);
  on(1, "read", post_more);
  on(0, "_stop", NULL);
  start(1);
  start(2);
  as(1, set_up_everything);
  fake_loop_level(fd[0], R | W | X);
  poe_loop_caught(host.k, SIGUSR1);
  ASSERT_EQ(do_slice(), 1);
  /* the signal is queued before descriptors are, and so before what they post;
     what was due when the slice began belongs to it */
  ASSERT_LOG("1 read 0, 1 write 1, 1 expedite 2, 1 past, 1 posted, 1 now,"
             " 1 usr1 USR1, 1 from read, 2 _stop");
  poe_kernel_stop(host.k);
  end();
}

static void ignore_read(void) { do_ignore(fd[0], POE_RD); }
HANDLER(drop_read) { ignore_read(); }
static void watch_read(void) { do_watch(fd[0], POE_RD, "read", 1, NONE); }
static void watch_write(void) { do_watch(fd[1], POE_WR, "write", 1, NONE); }

TEST(a_sweep_follows_each_pass_over_descriptors) {
  host_open();
  make_pipe(fd);
  log_life();
  on(1, "read", drop_read);
  on(2, "write", NULL);
  start(1);
  start(2);
  as(1, watch_read);
  as(2, watch_write);
  do_slice();
  take_log();
  fake_loop_level(fd[0], R);
  fake_loop_level(fd[1], W);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 read 0, 1 _stop, 2 write 1");
  poe_kernel_stop(host.k);
  end();
}

/* What takes a tenth of a millisecond and goes on for ever. */
static unsigned works;
HANDLER(work) {
  works++;
  fake_clock_pass(MS / 10);
  do_post(1, "work", NONE);
  take_log();
}
static unsigned reads;
HANDLER(count_read) { reads++; }

static void post_100(void) {
  for (int i = 0; i < 100; i++) do_post(1, "work", NONE);
}

TEST(much_work_pauses_for_descriptors_after_its_share) {
  host_open();
  make_pipe(fd);
  on(1, "work", work);
  on(1, "read", count_read);
  start(1);
  as(1, watch_read);
  as(1, post_100);
  fake_loop_level(fd[0], R);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(reads, 1);
  ASSERT_GE(works, POE__SHARE_EVENTS);
  ASSERT_LE(works, 3 * POE__SHARE_EVENTS);
  unsigned before = works;
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(reads, 2);
  ASSERT_GT(works, before);
  for (int i = 0; i < 8; i++) do_slice();
  ASSERT_EQ(reads, 10);
  poe_kernel_stop(host.k);
  end();
}

TEST(with_nothing_watched_the_loop_is_not_asked) {
  host_open();
  on(1, "work", work);
  start(1);
  as(1, post_100);
  unsigned waits = fake_loop.waits;
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(works, 200);
  ASSERT_EQ(fake_loop.waits, waits);
  poe_kernel_stop(host.k);
  end();
}

static void watch_usr1(void) { do_sig("USR1", "usr1", NONE); }

TEST(a_yield_loop_does_not_starve_signals) {
  host_open();
  on(1, "work", work);
  on(1, "usr1", count_read);
  start(1);
  as(1, watch_usr1);
  as(1, post_100);
  fake_loop_signal_at(fake_clock.mono_ns + 2 * MS, SIGUSR1);
  for (int i = 0; i < 40 && !reads; i++) do_slice();
  ASSERT_EQ(reads, 1);
  poe_kernel_stop(host.k);
  end();
}

static void delay_hour(void) { do_delay("late", HOUR, NONE); }

TEST(waiting_takes_one_call_of_the_loop) {
  host_open();
  host.log_time = 1;
  on(1, "late", NULL);
  start(1);
  as(1, delay_hour);
  do_slice();
  unsigned waits = fake_loop.waits;
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@3600000 1 late");
  ASSERT_LE(fake_loop.waits, waits + 2);
  end();
}

TEST(a_loop_that_fails_ends_the_slice_with_its_error) {
  host_open();
  on(1, "late", NULL);
  start(1);
  as(1, delay_hour);
  do_slice();
  fake_loop.fail_wait = -EIO;
  ASSERT_EQ(poe_kernel_run(host.k), -EIO);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_LOG("1 late");
  end();
}

TEST(a_shared_loop_is_turned_in_every_slice) {
  struct poe_loop_ops shared = fake_loop_ops;
  shared.is_shared = 1;
  host_open();
  ASSERT_EQ(poe_kernel_set_loop(host.k, &shared), 0);
  on(1, "work", work);
  start(1);
  as(1, post_100);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(fake_loop.waits, 2);
  ASSERT_LT(works, 200);
  poe_kernel_stop(host.k);
  end();
}

/* ---- virtual time ------------------------------------------------------------------ */

TEST(a_clock_that_jumps_needs_no_waiting) {
  host_open_with((struct host_options){.has_jump = 1});
  host.log_time = 1;
  make_pipe(fd);
  on(1, "late", NULL);
  on(1, "read", drop_read);
  start(1);
  as(1, delay_hour);
  as(1, watch_read);
  fake_loop_level(fd[0], R);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("@0 1 read 0, @3600000 1 late");
  ASSERT_EQ(fake_clock.jumps, 1);
  end();
}

TEST(the_kernels_own_virtual_time_is_for_a_fresh_kernel) {
  host_open();
  on(1, "late", NULL);
  ASSERT_EQ(poe_kernel_set_virtual_time(host.k), 0);
  ASSERT_EQ(poe_kernel_set_virtual_time(host.k), 0);
  int64_t before = poe_now_ns(host.k);
  start(1);
  as(1, delay_hour);
  ASSERT_EQ(do_run(), 0);
  ASSERT_GE(poe_now_ns(host.k), before + HOUR);
  ASSERT_LT(poe_now_ns(host.k), before + HOUR + SEC);
  ASSERT_LOG("1 late");
  host_close();
  host_open();
  start(1);
  ASSERT_EQ(poe_kernel_set_virtual_time(host.k), -EBUSY);
  end();
}

/* ---- run --------------------------------------------------------------------------- */

static int nested_result;
HANDLER(run_nested) { nested_result = poe_kernel_run(host.k); }

TEST(run_does_not_nest_and_can_be_repeated) {
  host_open();
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_EQ(poe_kernel_slice(host.k), 0);
  on(1, "e", run_nested);
  start(1);
  do_post(1, "e", NONE);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_EQ(nested_result, -EBUSY);
  start(1);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  end();
}

HANDLER(slice_nested) {
  do_post(1, "inner", NONE);
  ASSERT_EQ(poe_kernel_slice(host.k), 1);
  do_post(1, "later", NONE);
  note("back");
}

TEST(a_slice_within_a_handler_runs_others_but_sweeps_not_the_running) {
  host_open();
  log_life();
  on(1, "outer", slice_nested);
  on(1, "inner", NULL);
  on(1, "later", NULL);
  on(2, "next", NULL);
  start(1);
  start(2);
  do_post(1, "outer", ARGS(1, 2, 3));
  do_post(2, "next", ARGS(4));
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 outer(1,2,3), 2 next(4), 1 inner, 2 _stop, back");
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 later, 1 _stop");
  end();
}

HANDLER(slice_all_pages) {
  if (c->args[0] == 1)
    while (poe_event_count(host.k) > 0) ASSERT_EQ(poe_kernel_slice(host.k), 1);
  if (c->args[0] == 1) ASSERT_STR_EQ(c->event, "page");
  take_log();
}

static void post_pages(void) {
  for (int i = 1; i <= 5000; i++) do_post(1, "page", ARGS(i, i, i, i));
}

TEST(a_slice_within_may_use_up_the_pages_of_the_outer) {
  host_open();
  on(1, "page", slice_all_pages);
  start(1);
  as(1, stay);
  do_slice();
  as(1, post_pages);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_EQ(poe_event_count(host.k), 0);
  poe_kernel_stop(host.k);
  end();
}

/* ---- idle ---------------------------------------------------------------------------- */

TEST(a_tag_below_zero_or_a_watched_descriptor_prevents_IDLE) {
  host_open();
  make_pipe(fd);
  log_life();
  start(1);
  as(1, stay);
  do_dec(1, "t", NULL);
  do_slice();
  fake_loop.fail_wait = -EIO;
  ASSERT_EQ(do_slice(), -EIO);
  do_inc(1, "t", NULL);
  as(1, watch_write);
  fake_loop.fail_wait = -EIO;
  ASSERT_EQ(do_slice(), -EIO);
  ASSERT_TRUE(is_alive(1));
  poe_kernel_stop(host.k);
  end();
}

TEST(IDLE_that_cannot_be_queued_is_an_error_not_a_wait) {
  host_open();
  start(1);
  as(1, stay);
  do_slice();
  poe__fifo_fini(host.k); /* so that a page is needed */
  memory.allow = 0;
  ASSERT_EQ(do_slice(), -ENOMEM);
  ASSERT_EQ(memory.failed, 1);
  end();
}

static void start_2(void) { start(2); }
static void collect_by_stop(void) {
  host.collect_hook = NULL;
  int err;
  do_dec(1, "t", &err);
}

TEST(a_collection_that_ends_the_last_session_ends_the_run) {
  host_open();
  start(1);
  do_inc(1, "t", NULL);
  host.collect_hook = collect_by_stop;
  host.collect_result = 1;
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  end();
}

TEST(a_collection_that_finds_nothing_ends_in_IDLE_without_tags) {
  host_open();
  log_life();
  start(1);
  as(1, start_2);
  as(1, stay);
  do_inc(2, "t", NULL);
  host.collect_result = 1;
  host.collect_hook = collect_by_stop;
  take_log();
  do_slice();
  do_dec(2, "t", NULL);
  host.collect_hook = NULL;
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_LOG("2 _stop, 1 _stop");
  end();
}

/* ---- the rest --------------------------------------------------------------------------- */

TEST(a_kernel_says_who_it_is) {
  host_open();
  ASSERT_TRUE(strlen(poe_kernel_id(host.k)) > 10);
  ASSERT_STR_EQ(poe_kernel_loop_name(host.k), "fake");
  ASSERT_PTR_EQ(poe_kernel_host(host.k), &host);
  ASSERT_PTR_EQ(poe_kernel_session(host.k), by(0));
  ASSERT_EQ(poe_session_count(host.k), 0);
  ASSERT_TRUE(!poe_loop_find("nonsense"));
  ASSERT_TRUE(poe_loop_find("uv"));
  ASSERT_STR_EQ(poe_loop_find("poll")->name, "poll");
  end();
}

TEST(the_loop_can_be_chosen_until_it_is_used) {
  host_open();
  ASSERT_EQ(poe_kernel_set_loop(host.k, poe_loop_find("uv")), 0);
  ASSERT_STR_EQ(poe_kernel_loop_name(host.k), "uv");
  ASSERT_EQ(poe_kernel_set_loop(host.k, &fake_loop_ops), 0);
  start(1);
  ASSERT_EQ(poe_kernel_set_loop(host.k, &fake_loop_ops), 0);
  ASSERT_EQ(poe_kernel_set_loop(host.k, poe_loop_find("uv")), -EBUSY);
  end();
}

TEST(a_kernel_that_never_ran_is_freed_with_all_in_it) {
  host_open();
  make_pipe(fd);
  start(1);
  start(2);
  as(1, set_up_everything);
  as(2, watch_write);
  as(2, delay_hour);
  as(2, stay);
  do_inc(1, "t", NULL);
  host_close();
}

static void trace_all(void) {
  do_alias("worker");
  do_inc(1, "t", NULL);
  do_dec(1, "t", NULL);
  do_watch(fd[0], POE_RD, "read", 1, NONE);
  do_ignore(fd[0], POE_RD);
  do_sig("USR1", "usr1", NONE);
  do_signal(1, "USR1", NONE);
  do_timer_remove(do_delay("x", SEC, NONE));
  do_alarm("y", EPOCH_START + SEC, NONE);
}

TEST(traces_tell_by_topic_what_happens) {
  static const char *const expected[] = {"=== ",
                                         "<ev> enqueued event",
                                         "<ev> dispatching event ``usr1''",
                                         "<ev> set timer",
                                         "<ev> removed timer",
                                         "<ev> Kernel::run() iterating",
                                         "<fh> adding fd",
                                         "<fh> removing fd",
                                         "<rc> incrementing refcount",
                                         "<rc> decrementing refcount",
                                         "<rc> extref ``t''",
                                         "<rc> session",
                                         "<ss> stopping session",
                                         "<ss> freeing session",
                                         "<ss> moving session",
                                         "has parent",
                                         "<sg> session",
                                         "<sg> dispatching signal",
                                         "session 1 \"worker\""};
  host_open();
  make_pipe(fd);
  on(1, "usr1", NULL);
  ASSERT_EQ(poe_trace_mask(host.k), 0);
  poe_set_trace_mask(host.k, poe_trace_topic("default"));
  start(1);
  as(1, start_2);
  as(2, stay);
  as(1, trace_all);
  poe_session_stop(host.k, by(1));
  start(1);
  as(1, trace_all);
  ASSERT_EQ(do_run(), 0);
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    if (!strstr(host.lines, expected[i]))
      FAIL("no ``%s'' in the traces:\n%s", expected[i], host.lines);
  poe_set_trace_mask(host.k, 0);
  host.lines[0] = '\0';
  start(3);
  ASSERT_EQ(do_run(), 0);
  ASSERT_STR_EQ(host.lines, "");
  end();
}

TEST(topics_have_names) {
  host_open();
  ASSERT_EQ(poe_trace_topic("events"), POE_TRACE_EVENTS);
  ASSERT_EQ(poe_trace_topic("signals"), POE_TRACE_SIGNALS);
  ASSERT_EQ(poe_trace_topic("default"), 0x7f);
  ASSERT_EQ(poe_trace_topic("nonsense"), 0);
  ASSERT_EQ(poe_assert_topic("usage"), POE_ASSERT_USAGE);
  ASSERT_EQ(poe_assert_topic("default"), 0x3f);
  ASSERT_EQ(poe_assert_topic(""), 0);
  poe_set_assert_mask(host.k, POE_ASSERT_DATA);
  ASSERT_EQ(poe_assert_mask(host.k), POE_ASSERT_DATA);
  end();
}

/* ---- fork -------------------------------------------------------------------------- */

static int no_loop(poe_loop *loop) {
  (void)loop;
  return -EMFILE;
}

TEST(the_child_of_a_fork_does_not_run_without_a_loop) {
  static struct poe_loop_ops ops;
  ops = fake_loop_ops;
  ops.forked = no_loop;
  host_open();
  ASSERT_EQ(poe_kernel_set_loop(host.k, &ops), 0);
  start(1);
  as(1, stay);
  ASSERT_EQ(do_slice(), 1);
  pid_t pid = fork();
  if (pid == 0) _exit(poe_kernel_run(host.k) == -EMFILE ? 7 : 1);
  int status;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_EQ(WEXITSTATUS(status), 7);
  poe_kernel_stop(host.k);
  end();
}
