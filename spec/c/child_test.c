/* SPDX-License-Identifier: MIT */
/*
 * child_test.c -- child processes: who is told, who is reaped, who is left
 * alone.  The children are real; SIGCHLD comes from the fake loop.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_host.h"
#include "internal.h"

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

/* A child that waits for its pipe to close and exits with `status`. */
static pid_t spawn(int status, int *hold) {
  int fd[2];
  make_pipe(fd);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    char c;
    close(fd[1]);
    while (read(fd[0], &c, 1) > 0) continue;
    _exit(status);
  }
  close(fd[0]);
  *hold = fd[1];
  return pid;
}

static void await_zombie(pid_t pid) {
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void let_go(pid_t pid, int hold) {
  close(hold);
  await_zombie(pid);
}

static pid_t exited(int status) {
  int hold;
  pid_t pid = spawn(status, &hold);
  let_go(pid, hold);
  return pid;
}

static int is_reaped(pid_t pid) { return waitpid(pid, NULL, WNOHANG) < 0; }

static pid_t pid;
static int64_t seen_pid, seen_status;

HANDLER(see) {
  seen_pid = c->lead[1];
  seen_status = c->lead[2];
  ASSERT_PTR_EQ(c->f->sender, by(0));
}

static void open_2(void) {
  host_open();
  on(1, "gone", see);
  on(0, "gone", NULL);
  on(0, "chld", NULL);
  on(0, "_stop", NULL);
  start(1);
  start(2);
}

static int result;
static void watch(void) { result = do_sig_child(pid, "gone", ARGS(7)); }
static void watch_other(void) { result = do_sig_child(pid, "other", NONE); }
static void ignore(void) {
  ASSERT_EQ(poe_sig_child_ignore(host.k, pid), 0);
  ASSERT_EQ(poe_sig_child_ignore(host.k, -1), 0);
  ASSERT_EQ(poe_sig_child_ignore(host.k, INT64_MAX), 0);
}
static void watch_chld(void) { ASSERT_EQ(do_sig("CLD", "chld", NONE), 0); }
static void stay(void) { do_alias("stay"); }

TEST(one_that_ended_before_is_told_of) {
  open_2();
  pid = exited(3);
  as(1, watch);
  ASSERT_EQ(result, 0);
  ASSERT_TRUE(fake_loop_catches(SIGCHLD));
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 gone CHLD(7), 1 _stop, 2 _stop");
  ASSERT_EQ(seen_pid, pid);
  ASSERT_TRUE(WIFEXITED((int)seen_status));
  ASSERT_EQ(WEXITSTATUS((int)seen_status), 3);
  ASSERT_TRUE(is_reaped(pid));
  end();
}

TEST(watching_keeps_session_and_kernel_until_it_ends) {
  int hold;
  open_2();
  pid = spawn(0, &hold);
  as(1, watch);
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("2 _stop");
  let_go(pid, hold);
  fake_loop_signal_at(CLOCK_START + SEC, SIGCHLD);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 gone CHLD(7), 1 _stop");
  end();
}

TEST(killed_by_a_signal_the_status_says_so) {
  int hold;
  open_2();
  pid = spawn(0, &hold);
  kill(pid, SIGKILL);
  await_zombie(pid);
  as(1, watch);
  ASSERT_EQ(do_run(), 0);
  ASSERT_TRUE(WIFSIGNALED((int)seen_status));
  ASSERT_EQ(WTERMSIG((int)seen_status), SIGKILL);
  end();
}

TEST(all_who_watch_are_told_in_order_then_CHLD) {
  open_2();
  pid = exited(0);
  as(2, watch_chld);
  as(2, watch);
  as(1, watch);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("2 gone CHLD(7), 1 gone CHLD(7), 2 chld CHLD, 1 _stop, 2 _stop");
  end();
}

TEST(a_second_watch_replaces_the_first) {
  open_2();
  on(1, "other", NULL);
  pid = exited(0);
  as(1, watch);
  as(1, watch_other);
  ASSERT_EQ(words_out(), 0);
  ASSERT_EQ(poe_session_refcount(by(1)), 2);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 other CHLD, 1 _stop, 2 _stop");
  end();
}

TEST(what_is_no_child_is_refused) {
  open_2();
  static const int64_t bad[] = {0, -1, 1, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < 5; i++) {
    pid = (pid_t)bad[i];
    as(1, watch);
    ASSERT_EQ(result, -ECHILD);
  }
  pid = getpid();
  as(1, watch);
  ASSERT_EQ(result, -ECHILD);
  ASSERT_TRUE(!fake_loop_catches(SIGCHLD));
  end();
}

TEST(ignored_it_is_left_alone) {
  open_2();
  pid = exited(0);
  as(1, watch);
  as(1, ignore);
  as(1, ignore);
  ASSERT_TRUE(!fake_loop_catches(SIGCHLD));
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(waitpid(pid, NULL, 0), pid);
  end();
}

TEST(a_strangers_child_is_not_reaped_and_hides_nobody) {
  int hold;
  open_2();
  pid_t stranger = exited(1);
  pid = spawn(4, &hold);
  as(1, watch);
  as(2, watch_chld);
  ASSERT_EQ(do_slice(), 1);
  let_go(pid, hold);
  fake_loop_signal_at(CLOCK_START + SEC, SIGCHLD);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(seen_pid, pid);
  ASSERT_EQ(waitpid(stranger, NULL, 0), stranger);
  end();
}

TEST(one_reaped_by_others_is_over_too) {
  int hold;
  open_2();
  pid = spawn(4, &hold);
  pid_t stranger = exited(1);
  as(1, watch);
  ASSERT_EQ(do_slice(), 1);
  let_go(pid, hold);
  ASSERT_EQ(waitpid(pid, NULL, 0), pid);
  fake_loop_signal_at(CLOCK_START + SEC, SIGCHLD);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(seen_pid, pid);
  ASSERT_EQ(seen_status, 0);
  ASSERT_EQ(waitpid(stranger, NULL, 0), stranger);
  end();
}

TEST(a_session_that_ends_takes_its_watches_along) {
  int hold;
  open_2();
  pid = spawn(0, &hold);
  as(1, watch);
  poe_kernel_stop(host.k);
  ASSERT_TRUE(!fake_loop_catches(SIGCHLD));
  ASSERT_EQ(words_out(), 0);
  let_go(pid, hold);
  end();
  ASSERT_EQ(waitpid(pid, NULL, 0), pid);
}

static void try_unwatchable(void) {
  fake_loop.fail_signal = -EMFILE;
  ASSERT_EQ(do_sig_child(pid, "gone", ARGS(1)), -EMFILE);
  fake_loop.fail_signal = -EMFILE;
  ASSERT_EQ(do_sig("CHLD", "chld", ARGS(1)), -EMFILE);
}

TEST(what_the_loop_refuses_is_not_watched_either) {
  open_2();
  pid = exited(2);
  as(1, try_unwatchable);
  ASSERT_EQ(host.k->signals.os_watched, 0);
  ASSERT_EQ(poe_session_refcount(by(1)), 1);
  as(1, watch);
  ASSERT_EQ(result, 0);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(seen_pid, pid);
  end();
}

/* ---- fork ------------------------------------------------------------------------- */

static int gate[2];
static void fork_off(void) {
  make_pipe(gate);
  pid = (pid_t)poe_kernel_fork(host.k);
  if (pid == 0) {
    char c;
    close(gate[1]);
    while (read(gate[0], &c, 1) > 0) continue;
    _exit(6);
  }
  ASSERT_GT(pid, 0);
}

static void open_gate(void) {
  close(gate[1]);
  await_zombie(pid);
}

TEST(those_of_the_kernels_fork_are_awaited_while_CHLD_is_watched) {
  open_2();
  as(1, watch_chld);
  as(1, stay);
  as(1, fork_off);
  ASSERT_EQ(do_slice(), 1);
  open_gate();
  fake_loop_signal_at(fake_clock.mono_ns + SEC, SIGCHLD);
  take_log();
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 chld CHLD, 1 _stop");
  ASSERT_TRUE(is_reaped(pid));
  end();
}

TEST(unwatched_ones_are_reported_when_the_run_ends) {
  open_2();
  as(1, fork_off);
  open_gate();
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_TRUE(strstr(host.lines, "was reaped as run() ended"));
  ASSERT_TRUE(is_reaped(pid));
  int hold;
  pid_t slow = spawn(0, &hold);
  poe__child_forked_off(host.k, slow);
  host.lines[0] = '\0';
  start(3);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_TRUE(strstr(host.lines, "still runs as run() ends"));
  close(hold);
  waitpid(slow, NULL, 0);
  end();
}

/* What a forked child finds; its exit status is the verdict. */
static int in_child(void (*fn)(void)) {
  int status;
  fflush(NULL);
  pid_t child = (pid_t)poe_kernel_fork(host.k);
  if (child == 0) {
    fn();
    _exit(9);
  }
  ASSERT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char parent_id[96];
static void look_as_child(void) {
  ASSERT_EQ(fake_loop.forks, 1);
  ASSERT_TRUE(strcmp(parent_id, poe_kernel_id(host.k)) != 0);
  ASSERT_EQ(host.k->children.watchers.count, 0);
  ASSERT_EQ(words_out(), 0);
  ASSERT_TRUE(!fake_loop_catches(SIGCHLD));
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(poe_kernel_has_forked(host.k), 0);
  end();
}

TEST(in_a_forked_child_the_parents_children_are_not_awaited) {
  int hold;
  open_2();
  pid = spawn(0, &hold);
  as(1, watch);
  strcpy(parent_id, poe_kernel_id(host.k));
  ASSERT_EQ(in_child(look_as_child), 9);
  ASSERT_EQ(fake_loop.forks, 0);
  ASSERT_EQ(poe_kernel_has_forked(host.k), 0);
  ASSERT_STR_EQ(parent_id, poe_kernel_id(host.k));
  as(1, ignore);
  let_go(pid, hold);
  end();
}

TEST(run_notices_a_fork_it_was_not_told_of) {
  int status;
  open_2();
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    ASSERT_EQ(poe_kernel_run(host.k), 0);
    ASSERT_EQ(fake_loop.forks, 1);
    _exit(9);
  }
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 9);
  end();
}
