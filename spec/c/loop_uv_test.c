/* SPDX-License-Identifier: MIT */
/*
 * loop_uv_test.c -- the bridges, on real descriptors, signals and processes:
 * each fact for uv, poll and select, and for one that leaves signals to the
 * kernel.  After each test the process has as many
 * descriptors as before.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "fake_host.h"
#include "internal.h"
#include "loop_uv.h"

/* A test for each bridge. */
#define EACH_LOOP(NAME)                                                        \
  static void NAME(void);                                                      \
  TEST(uv_##NAME) { with_loop("uv", NAME); }                                   \
  TEST(poll_##NAME) { with_loop("poll", NAME); }                               \
  TEST(select_##NAME) { with_loop("select", NAME); }                           \
  TEST(bare_##NAME) { with_loop("bare", NAME); }                               \
  static void NAME(void)

static int fd[2];

static int count_fds(void) {
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  ASSERT_TRUE(d);
  while (readdir(d)) n++;
  closedir(d);
  return n;
}

/* A bridge that does not catch signals itself. */
static const struct poe_loop_ops *bare(void) {
  static struct poe_loop_ops ops;
  ops = *poe_loop_find("poll");
  ops.name = "bare";
  ops.watch_signal = NULL;
  ops.ignore_signal = NULL;
  return &ops;
}

static void open_on(const char *loop) {
  int is_bare = strcmp(loop, "bare") == 0;
  host_open_with((struct host_options){.real_loop = is_bare ? "uv" : loop});
  if (is_bare) ASSERT_EQ(poe_kernel_set_loop(host.k, bare()), 0);
  on(0, "_stop", NULL);
}

/* libuv keeps a pipe for the process from its first loop on. */
static void warm_up(void) {
  host_open_with((struct host_options){.real_loop = "uv"});
  start(1);
  host_close();
}

static void with_loop(const char *loop, void (*fn)(void)) {
  warm_up();
  int before = count_fds();
  open_on(loop);
  make_pipe(fd);
  fn();
  close(fd[0]);
  close(fd[1]);
  host_assert_empty();
  host_close();
  ASSERT_EQ(count_fds(), before);
}

static void run(void) { ASSERT_EQ(do_run(), 0); }

/* ---- descriptors ------------------------------------------------------------- */

static void watch_read(void) {
  ASSERT_EQ(do_watch(fd[0], POE_RD, "read", 1, NONE), 0);
}
static void watch_write(void) {
  ASSERT_EQ(do_watch(fd[1], POE_WR, "write", 1, NONE), 0);
}

HANDLER(read_all) {
  char buf[8];
  ssize_t n = read(fd[0], buf, sizeof buf);
  note("%d", (int)n);
  if (n == 0) do_ignore(fd[0], POE_RD);
  if (n == 3) do_post(2, "close", NONE);
}

HANDLER(write_once) {
  ASSERT_EQ(write(fd[1], "abc", 3), 3);
  do_ignore(fd[1], POE_WR);
  do_alias("writer");
}

HANDLER(close_writer) {
  close(fd[1]);
  fd[1] = -1;
}

EACH_LOOP(a_pipe_is_written_read_and_ends) {
  off(0, "_stop");
  on(1, "read", read_all);
  on(2, "write", write_once);
  on(2, "close", close_writer);
  start(1);
  start(2);
  as(1, watch_read);
  as(2, watch_write);
  run();
  ASSERT_LOG("2 write 1, 1 read 0, 3, 2 close, 1 read 0, 0");
}

static unsigned seen;
HANDLER(see_twice) {
  if (++seen == 2) do_ignore(fd[1], POE_WR);
}

EACH_LOOP(a_pipe_without_reader_is_writable_so_that_the_error_shows) {
  close(fd[0]);
  fd[0] = -1;
  on(1, "write", see_twice);
  start(1);
  as(1, watch_write);
  run();
  ASSERT_EQ(seen, 2);
}

static int file;
HANDLER(read_file) {
  char buf[8];
  ssize_t n = read(file, buf, sizeof buf);
  if (n == 0) do_ignore(file, POE_RD);
  note("%d", (int)n);
}
static void watch_file(void) {
  ASSERT_EQ(do_watch(file, POE_RD, "file", 1, NONE), 0);
}

EACH_LOOP(a_regular_file_is_always_ready) {
  char name[] = "/tmp/poe-unit-XXXXXX";
  file = mkstemp(name);
  unlink(name);
  ASSERT_EQ(write(file, "0123456789", 10), 10);
  lseek(file, 0, SEEK_SET);
  on(1, "file", read_file);
  start(1);
  as(1, watch_file);
  run();
  ASSERT_LOG("1 file 0, 8, 1 file 0, 2, 1 file 0, 0, 1 _stop");
  close(file);
}

static int pair[2];
HANDLER(got_oob) {
  char byte = 0;
  note("%zd", recv(pair[0], &byte, 1, MSG_OOB));
  do_ignore(pair[0], POE_EX);
}
static void watch_oob(void) {
  ASSERT_EQ(do_watch(pair[0], POE_EX, "oob", 1, NONE), 0);
}

EACH_LOOP(a_descriptor_paused_is_silent) {
  on(1, "read", read_all);
  on(1, "late", close_writer);
  start(1);
  as(1, watch_read);
  ASSERT_EQ(write(fd[1], "x", 1), 1);
  struct poe_frame f = {.session = by(1),
                        .sender = by(1),
                        .event = host.k->n_gc,
                        .active = host.k->n_gc};
  host.k->frame = &f;
  ASSERT_EQ(poe_select_pause(host.k, fd[0], POE_RD), 1);
  ASSERT_GT(do_delay("late", 2 * MS, NONE), 0);
  host.k->frame = NULL;
  while (fd[1] >= 0) ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 late");
  host.k->frame = &f;
  ASSERT_EQ(poe_select_resume(host.k, fd[0], POE_RD), 1);
  host.k->frame = NULL;
  run();
  ASSERT_LOG("1 read 0, 1, 1 read 0, 0, 1 _stop");
}

EACH_LOOP(urgent_data_is_an_expedite) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) test_skip("no sockets");
  if (send(pair[1], "!", 1, MSG_OOB) != 1) {
    close(pair[0]);
    close(pair[1]);
    return; /* this system has it for TCP only */
  }
  on(1, "oob", got_oob);
  start(1);
  as(1, watch_oob);
  run();
  ASSERT_LOG("1 oob 2, 1, 1 _stop");
  close(pair[0]);
  close(pair[1]);
}

HANDLER(close_watched) {
  close(fd[0]);
  fd[0] = -1;
}
static void delay_close(void) { do_delay("close", MS, NONE); }

EACH_LOOP(one_closed_behind_our_back_does_no_harm) {
  on(1, "read", read_all);
  on(2, "close", close_watched);
  host.unchecked = 1;
  start(1);
  start(2);
  as(1, watch_read);
  as(2, delay_close);
  int n = fd[0];
  while (fd[0] >= 0) ASSERT_EQ(do_slice(), 1);
  do_forget(n);
  run();
  ASSERT_LOG("2 close, 2 _stop, 1 _stop");
}

static int many[300][2];
static void watch_many(void) {
  for (int i = 0; i < 300; i++) {
    make_pipe(many[i]);
    ASSERT_EQ(do_watch(many[i][0], POE_RD, "many", i + 1, NONE), 0);
  }
}
HANDLER(read_many) {
  char b;
  int i = c->handle - 1;
  ASSERT_EQ(read(many[i][0], &b, 1), 1);
  do_ignore(many[i][0], POE_RD);
  seen++;
  take_log();
}

EACH_LOOP(hundreds_of_descriptors_are_watched) {
  host.unchecked = 1;
  on(1, "many", read_many);
  start(1);
  as(1, watch_many);
  for (int i = 0; i < 200; i++) ASSERT_EQ(write(many[i][1], "x", 1), 1);
  while (seen < 200) ASSERT_EQ(do_slice(), 1);
  for (int i = 200; i < 300; i++) ASSERT_EQ(write(many[i][1], "x", 1), 1);
  run();
  ASSERT_EQ(seen, 300);
  for (int i = 0; i < 300; i++) {
    close(many[i][0]);
    close(many[i][1]);
  }
}

/* ---- closed, but its open file lives on ------------------------------------------ */

static void hold(void) { do_inc(1, "t", NULL); }

static int moves;
static int count_move(void *ud) {
  (void)ud;
  moves++;
  return 0;
}
static void ignore_read(void) { do_ignore(fd[0], POE_RD); }
static void ignore_it(void *ud) { (void)ud; }
static int refuse(void *ud) {
  (void)ud;
  return -ENOSYS;
}
static int is_readable(int descriptor) {
  struct pollfd p = {descriptor, POLLIN, 0};
  return poll(&p, 1, 0) > 0;
}

TEST(the_driver_is_told_that_the_backend_is_another) {
  static const struct poe_driver driver = {.wake = ignore_it,
                                           .run = refuse,
                                           .halt = ignore_it,
                                           .forked = refuse,
                                           .moved = count_move,
                                           .close = ignore_it};
  open_on("uv");
  make_pipe(fd);
  int twin = dup(fd[0]);
  on(1, "read", NULL);
  start(1);
  ASSERT_EQ(poe_kernel_set_driver(host.k, &driver, NULL), 0);
  as(1, hold);
  as(1, watch_read);
  ASSERT_EQ(poe_kernel_step(host.k), 1);
  close(fd[0]);
  as(1, ignore_read);
  ASSERT_EQ(write(fd[1], "x", 1), 1);
  ASSERT_TRUE(is_readable(poe_kernel_backend(host.k)));
  for (int i = 0; i < 4; i++) ASSERT_EQ(poe_kernel_step(host.k), 1);
  ASSERT_EQ(moves, 1);
  ASSERT_TRUE(!is_readable(poe_kernel_backend(host.k)));
  fd[0] = twin;
  as(1, watch_read);
  ASSERT_EQ(poe_kernel_step(host.k), 1);
  ASSERT_LOG("1 read 0");
  close(fd[0]);
  close(fd[1]);
  poe_kernel_stop(host.k);
  take_log();
  host_close();
}

TEST(a_ghost_that_never_shows_itself_is_not_awaited_for_ever) {
  open_on("uv");
  make_pipe(fd);
  int twin = dup(fd[0]);
  start(1);
  as(1, hold);
  as(1, watch_read);
  ASSERT_EQ(poe_kernel_step(host.k), 1);
  close(fd[0]);
  as(1, ignore_read);
  ASSERT_EQ(poe_kernel_step(host.k), 1);
  ASSERT_EQ(host.k->loop->is_wary, 1);
  host.k->loop->wary_ns -= UINT64_C(10000000000);
  ASSERT_EQ(poe_kernel_step(host.k), 1);
  ASSERT_EQ(host.k->loop->is_wary, 0);
  close(twin);
  close(fd[1]);
  poe_kernel_stop(host.k);
  host_close();
}

/* ---- time ------------------------------------------------------------------------- */

static int64_t due;
HANDLER(in_time) {
  ASSERT_GE(poe_now_ns(host.k), due);
  seen++;
}
static int64_t length;
static void set_delay(void) {
  due = poe_now_ns(host.k) + length;
  do_delay("late", length, NONE);
}

EACH_LOOP(waits_are_as_long_as_asked) {
  static const int64_t lengths[] = {1, 300 * US, MS, 2 * MS, 7 * MS};
  on(1, "late", in_time);
  for (int with_fd = 0; with_fd < 2; with_fd++)
    for (size_t i = 0; i < 5; i++) {
      start(1);
      length = lengths[i];
      as(1, set_delay);
      if (with_fd) as(1, watch_read);
      unsigned before = seen;
      while (seen == before) ASSERT_EQ(do_slice(), 1);
      poe_kernel_stop(host.k);
    }
  ASSERT_EQ(seen, 10);
  take_log();
}

/* libuv's own, but the process may lose the processor right after. */
static int is_preempted;
int uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t ms, uint64_t again) {
  int (*real)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);
  *(void **)&real = dlsym(RTLD_NEXT, "uv_timer_start");
  int err = real(t, cb, ms, again);
  uint64_t end = uv_hrtime() + (ms + 2) * 1000000;
  while (is_preempted && uv_hrtime() < end) continue;
  return err;
}

TEST(uv_a_timer_that_is_over_before_the_wait_ends_it) {
  open_on("uv");
  make_pipe(fd);
  on(1, "late", in_time);
  start(1);
  length = 5 * MS;
  as(1, set_delay);
  as(1, watch_read);
  is_preempted = 1;
  alarm(10); /* the failure is to wait for ever */
  while (!seen) ASSERT_EQ(do_slice(), 1);
  poe_kernel_stop(host.k);
  host_assert_empty();
  host_close();
}

/* ---- signals ------------------------------------------------------------------------- */

static void watch_usr1(void) { ASSERT_EQ(do_sig("USR1", "usr1", NONE), 0); }
HANDLER(let_go) { do_dec(1, "t", NULL); }
HANDLER(raise_usr1) { raise(SIGUSR1); }
static void delay_raise(void) { do_delay("raise", 3 * MS, NONE); }

EACH_LOOP(a_signal_ends_the_wait) {
  on(1, "usr1", let_go);
  on(1, "raise", raise_usr1);
  start(1);
  as(1, watch_usr1);
  as(1, hold);
  as(1, delay_raise);
  run();
  ASSERT_LOG("1 raise, 1 usr1 USR1, 1 _stop");
  struct sigaction sa;
  sigaction(SIGUSR1, NULL, &sa);
  ASSERT_TRUE(sa.sa_handler == SIG_DFL);
}

static void watch_term(void) { ASSERT_EQ(do_sig("TERM", "term", NONE), 0); }

EACH_LOOP(an_unhandled_TERM_stops_all_in_order) {
  on(1, "term", NULL);
  start(1);
  start(2);
  as(1, watch_term);
  as(1, hold);
  raise(SIGTERM);
  run();
  ASSERT_LOG("1 term TERM, 2 _stop, 1 _stop");
}

static void watch_two_names(void) {
  ASSERT_EQ(do_sig("IO", "usr1", NONE), 0);
  ASSERT_EQ(do_sig("POLL", "usr1", NONE), 0);
}

EACH_LOOP(two_names_of_a_signal_leave_nothing_behind) {
  start(1);
  as(1, watch_two_names);
  run();
  take_log();
}

static void see_storm(void) { do_unsig("USR1"); }
HANDLER(count_storm) {
  seen++;
  take_log();
}

EACH_LOOP(more_signals_than_a_pipe_holds_are_not_lost) {
  on(1, "usr1", count_storm);
  start(1);
  as(1, watch_usr1);
  as(1, hold);
  for (int i = 0; i < 70000; i++) raise(SIGUSR1);
  while (!seen) ASSERT_EQ(do_slice(), 1);
  as(1, see_storm);
  poe_kernel_stop(host.k);
  take_log();
}

static int far_fd, far_result;
static void watch_far(void) {
  far_result = do_watch(far_fd, POE_RD, "read", 1, NONE);
  if (!far_result) do_ignore(far_fd, POE_RD);
}

EACH_LOOP(a_high_descriptor_is_watched_or_refused) {
  far_fd = fcntl(fd[0], F_DUPFD, 1500);
  start(1);
  if (far_fd >= 0) as(1, watch_far);
  ASSERT_TRUE(far_result == 0 || far_result == -EMFILE);
  close(far_fd);
  run();
  take_log();
}

/* ---- processes ------------------------------------------------------------------------- */

static pid_t pid;
static void watch_pid(void) { ASSERT_EQ(do_sig_child(pid, "gone", NONE), 0); }

EACH_LOOP(the_end_of_a_child_is_told) {
  on(1, "gone", NULL);
  start(1);
  pid = (pid_t)poe_kernel_fork(host.k);
  if (pid == 0) {
    char c;
    close(fd[1]);
    while (read(fd[0], &c, 1) > 0) continue;
    _exit(5);
  }
  as(1, watch_pid);
  ASSERT_EQ(do_slice(), 1);
  close(fd[1]);
  fd[1] = -1;
  run();
  ASSERT_LOG("1 gone CHLD, 1 _stop");
}

static void child_works(void) {
  on(1, "read", read_all);
  ASSERT_EQ(write(fd[1], "wxyz", 4), 4);
  as(1, delay_raise);
  while (!strstr(take_log(), "usr1")) ASSERT_EQ(do_slice(), 1);
  poe_kernel_stop(host.k);
  host_assert_empty();
  host_close();
}

EACH_LOOP(in_a_forked_child_the_loop_is_its_own) {
  int status;
  on(1, "usr1", NULL);
  on(1, "raise", raise_usr1);
  start(1);
  as(1, watch_read);
  as(1, watch_usr1);
  ASSERT_EQ(do_slice(), 1);
  pid = (pid_t)poe_kernel_fork(host.k);
  if (pid == 0) {
    child_works();
    _exit(7);
  }
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 7);
  on(1, "read", read_all);
  close(fd[1]);
  fd[1] = -1;
  run();
}

/* ---- the end ------------------------------------------------------------------------------ */

EACH_LOOP(a_loop_in_use_is_closed_with_the_kernel) {
  start(1);
  start(2);
  as(1, watch_read);
  as(2, watch_write);
  as(1, watch_usr1);
  as(2, watch_term);
  poe_kernel_stop(host.k);
  take_log();
}

TEST(watchers_that_are_left_go_with_the_loop) {
  warm_up();
  int before = count_fds();
  static const char *const loops[] = {"uv", "poll", "select", "bare"};
  for (int i = 0; i < 4; i++) {
    open_on(loops[i]);
    make_pipe(fd);
    start(1);
    as(1, watch_read);
    as(1, watch_usr1);
    as(1, set_delay);
    host_close();
    close(fd[0]);
    close(fd[1]);
    ASSERT_EQ(count_fds(), before);
  }
}
