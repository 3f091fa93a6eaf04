/* SPDX-License-Identifier: MIT */
/*
 * loop_fail_test.c -- the bridges when the system refuses: no descriptors, no
 * watches, signals and drivers that cannot be had.  Whoever asked is told, the
 * process goes on, and nothing is left open.
 */
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_host.h"
#include "internal.h"

static int fd[2];

/* A bridge that does not catch signals itself. */
static void open_on(const char *loop) {
  static struct poe_loop_ops bare;
  int is_bare = strcmp(loop, "bare") == 0;
  host_open_with((struct host_options){.real_loop = is_bare ? "uv" : loop});
  if (!is_bare) return;
  bare = *poe_loop_find("poll");
  bare.watch_signal = NULL;
  bare.ignore_signal = NULL;
  ASSERT_EQ(poe_kernel_set_loop(host.k, &bare), 0);
}

static const char *const loops[] = {"uv", "poll", "select", "bare"};
#define LOOPS 4

/* ---- no descriptors ---------------------------------------------------------- */

#define LIMIT 64
static int hoard[LIMIT];
static unsigned hoarded;

static void limit_to(rlim_t n) {
  struct rlimit r;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &r), 0);
  r.rlim_cur = n;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &r), 0);
}

/* All but so many are taken. */
static void leave(unsigned room) {
  limit_to(LIMIT);
  for (hoarded = 0; (hoard[hoarded] = dup(0)) >= 0;) hoarded++;
  ASSERT_GE(hoarded, room);
  while (room-- > 0) close(hoard[--hoarded]);
}

static unsigned give_back(void) {
  unsigned room = 0;
  int own[LIMIT];
  while ((own[room] = dup(0)) >= 0) room++;
  for (unsigned i = 0; i < room; i++) close(own[i]);
  while (hoarded > 0) close(hoard[--hoarded]);
  return room;
}

static void watch_usr1(void) {
  int err = do_sig("USR1", "usr1", NONE);
  note("%s", err ? strerror(-err) : "watched");
}

/* libuv keeps a pipe for the process from its first loop on. */
static void warm_up(void) {
  open_on("uv");
  ASSERT_EQ(poe__loop_open(host.k), 0);
  host_close();
}

TEST(a_loop_opens_with_few_descriptors_or_says_so) {
  warm_up();
  for (int i = 0; i < LOOPS; i++) {
    int was_open = 0;
    for (unsigned room = 0; room < 12; room++) {
      open_on(loops[i]);
      leave(room);
      int err = poe__loop_open(host.k);
      if (err) ASSERT_EQ(err, -EMFILE);
      ASSERT_GE(!err, was_open);
      was_open = !err;
      host_close();
      ASSERT_EQ(give_back(), room);
    }
    ASSERT_EQ(was_open, 1);
  }
}

TEST(a_loop_that_could_not_open_does_when_there_is_room) {
  for (int i = 0; i < LOOPS; i++) {
    open_on(loops[i]);
    on(1, "usr1", NULL);
    leave(0);
    ASSERT_EQ(try_start(1), -EMFILE);
    give_back();
    start(1);
    as(1, watch_usr1);
    ASSERT_LOG("watched");
    ASSERT_EQ(do_run(), 0);
    take_log();
    host_assert_empty();
    host_close();
  }
}

TEST(a_signal_that_needs_a_pipe_is_refused_without_one) {
  open_on("bare");
  start(1);
  ASSERT_EQ(poe__loop_open(host.k), 0);
  leave(0);
  as(1, watch_usr1);
  ASSERT_LOG("Too many open files");
  give_back();
  as(1, watch_usr1);
  ASSERT_LOG("watched");
  ASSERT_EQ(do_run(), 0);
  host_close();
}

/* Nothing can be opened in the child. */
static int status_of_fork(const char *loop) {
  int status = -1;
  open_on(loop);
  start(1);
  as(1, watch_usr1);
  take_log();
  limit_to(0);
  int64_t pid = poe_kernel_fork(host.k);
  if (pid <= 0) _exit(pid == -EMFILE ? 7 : 8);
  ASSERT_EQ(waitpid((pid_t)pid, &status, 0), pid);
  limit_to(LIMIT);
  host_close();
  return status;
}

/* libuv ends such a child itself. */
TEST(a_child_that_cannot_have_its_loop_is_told) {
  for (int i = 1; i < LOOPS; i++) {
    int status = status_of_fork(loops[i]);
    if (WIFSIGNALED(status)) FAIL("%s: signal %d", loops[i], WTERMSIG(status));
    ASSERT_EQ(WEXITSTATUS(status), 7);
  }
}

/* ---- no watches ---------------------------------------------------------------- */

static int refusal; /* the errno of every epoll_ctl that adds */

int epoll_ctl(int epfd, int op, int watched, struct epoll_event *event) {
  int (*real)(int, int, int, struct epoll_event *);
  *(void **)&real = dlsym(RTLD_NEXT, "epoll_ctl");
  if (refusal && op == EPOLL_CTL_ADD) {
    errno = refusal;
    return -1;
  }
  return real(epfd, op, watched, event);
}

static void watch_read(void) {
  int err = do_watch(fd[0], POE_RD, "read", 1, NONE);
  note("%s", err ? strerror(-err) : "watched");
}
static void ignore_read(void) { do_ignore(fd[0], POE_RD); }

TEST(uv_a_descriptor_that_epoll_refuses_is_told_at_the_call) {
  open_on("uv");
  make_pipe(fd);
  start(1);
  ASSERT_EQ(poe__loop_open(host.k), 0);
  refusal = ENOSPC;
  as(1, watch_read);
  ASSERT_LOG("No space left on device");
  refusal = 0;
  as(1, watch_read);
  ASSERT_LOG("watched");
  as(1, ignore_read);
  ASSERT_EQ(do_run(), 0);
  host_close();
}

TEST(uv_a_loop_that_epoll_refuses_does_not_open) {
  open_on("uv");
  refusal = ENOMEM;
  ASSERT_EQ(poe__loop_open(host.k), -ENOMEM);
  refusal = 0;
  ASSERT_EQ(poe__loop_open(host.k), 0);
  host_close();
}

/* ---- closed behind our back ------------------------------------------------------ */

static int other[2];
HANDLER(end_other) {
  do_ignore(other[0], POE_RD);
}
static void watch_other(void) {
  ASSERT_EQ(do_watch(other[0], POE_RD, "other", 2, NONE), 0);
}

TEST(select_one_that_was_closed_is_found_among_others) {
  open_on("select");
  host.unchecked = 1;
  make_pipe(fd);
  make_pipe(other);
  off(1, "_stop");
  on(1, "other", end_other);
  start(1);
  as(1, watch_read);
  take_log();
  as(1, watch_other);
  close(fd[0]);
  ASSERT_EQ(write(other[1], "x", 1), 1);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 other 0");
  host_close();
}

/* ---- why -------------------------------------------------------------------------- */

TEST(why_may_be_asked_for_twice_and_when_the_loop_is_open) {
  open_on("poll");
  ASSERT_EQ(poe__loop_open(host.k), 0);
  ASSERT_EQ(poe_listen_why(host.k), 0);
  ASSERT_EQ(poe_listen_why(host.k), 0);
  struct sigaction sa;
  ASSERT_EQ(sigaction(SIGINT, NULL, &sa), 0);
  ASSERT_TRUE(sa.sa_handler != SIG_DFL);
  host_close();
}

TEST(why_leaves_an_int_that_is_ignored) {
  struct sigaction sa;
  signal(SIGINT, SIG_IGN);
  open_on("poll");
  ASSERT_EQ(poe_listen_why(host.k), 0);
  ASSERT_EQ(poe__loop_open(host.k), 0);
  ASSERT_EQ(sigaction(SIGINT, NULL, &sa), 0);
  ASSERT_TRUE(sa.sa_handler == SIG_IGN);
  host_close();
}

TEST(why_without_a_pipe_is_refused) {
  open_on("uv");
  ASSERT_EQ(poe__loop_open(host.k), 0);
  leave(0);
  ASSERT_EQ(poe_listen_why(host.k), -EMFILE);
  give_back();
  host_close();
}
