/* SPDX-License-Identifier: MIT */
/*
 * oom_test.c -- every operation with 0, 1, 2... allocations allowed, failing
 * once and failing from then on.
 *
 * Nothing may crash or leak, each payload comes back once, and after a single
 * failure the same kernel does its work: a known program runs on it and must
 * leave the log it always leaves.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_host.h"
#include "internal.h"

static int fd[2];
static struct host_options options;

/* ---- the program that proves a kernel sound --------------------------------------- */

HANDLER(proof_start) {
  ASSERT_EQ(try_start(101), 0);
  ASSERT_EQ(do_alias("proof"), 0);
}
HANDLER(proof_go) {
  ASSERT_EQ(do_post(101, "p.pong", ARGS(1)), 0);
  ASSERT_GT(do_delay("p.late", MS, ARGS(2)), 0);
  ASSERT_EQ(do_sig("X", "p.sig", ARGS(3)), 0);
  ASSERT_EQ(do_watch(fd[1], POE_WR, "p.write", 4, NONE), 0);
  ASSERT_EQ(do_signal(100, "X", NONE), 0);
}
HANDLER(proof_write) { ASSERT_EQ(do_ignore(fd[1], POE_WR), 0); }
HANDLER(proof_late) { ASSERT_EQ(do_unalias("proof"), 0); }

static void assert_sound(void) {
  memory.allow = -1;
  if (poe_kernel_frame(host.k)) FAIL("a frame is left");
  poe_kernel_stop(host.k);
  poe_kernel_slice(host.k);
  exception();
  take_log();
  fake_loop_level(fd[1], W);
  on(100, "_start", proof_start);
  on(100, "p.go", proof_go);
  on(101, "p.pong", NULL);
  on(100, "p.sig", NULL);
  on(100, "p.write", proof_write);
  on(100, "p.late", proof_late);
  ASSERT_EQ(try_start(100), 0);
  ASSERT_EQ(do_post(100, "p.go", NONE), 0);
  take_log();
  ASSERT_EQ(do_run(), 0);
  if (!strstr(take_log(), "p.late(2)")) FAIL("the proof did not end");
  host_assert_empty();
}

/* ---- trying --------------------------------------------------------------------------- */

typedef void (*scenario)(void);

/* One scenario on a fresh kernel; true if no allocation had to fail. */
static int try_with(scenario fn, int64_t allow, int for_ever, int late) {
  memory.failed = 0;
  memory.for_ever = for_ever;
  memory.allow = late ? -1 : allow;
  int err = host_try_open(options);
  if (err) {
    ASSERT_EQ(err, -ENOMEM);
    host.k = NULL;
  } else {
    if (late) ASSERT_EQ(try_start(1), 0);
    if (late) ASSERT_EQ(try_start(2), 0);
    memory.allow = late ? allow : memory.allow;
    fn();
    assert_sound();
  }
  memory.allow = -1;
  host_close();
  take_log();
  return memory.failed == 0;
}

static void try_all(scenario fn, int for_ever, int late) {
  int64_t allow = 0;
  while (!try_with(fn, allow, for_ever, late))
    if (++allow > 2000) FAIL("it never gets enough memory");
  /* a scenario that allocates nothing proves nothing */
  if (!late) ASSERT_GT(allow, 0);
}

static void try_scenario(scenario fn) {
  make_pipe(fd);
  for (int for_ever = 0; for_ever < 2; for_ever++)
    for (int late = 0; late < 2; late++) try_all(fn, for_ever, late);
}

#define OOM(NAME)                                                              \
  static void NAME(void);                                                      \
  TEST(without_memory_##NAME) { try_scenario(NAME); }                          \
  static void NAME(void)

/* Run an operation as session 1, if there is one. */
static void in_1(void (*fn)(void)) {
  if (!is_alive(1) && try_start(1) != 0) return;
  poe_name *name = host.k->n_gc;
  struct poe_frame f = {.session = by(1),
                        .sender = by(1),
                        .event = name,
                        .active = name,
                        .type = POE_EV_POST,
                        .active_type = POE_EV_POST};
  host.k->frame = &f;
  fn();
  host.k->frame = NULL;
}

static void slices(int n) {
  while (n-- > 0 && poe_kernel_slice(host.k) == 1) continue;
}

OOM(a_kernel) {}
OOM(a_session) { try_start(1); }
OOM(an_hour_of_nothing) {
  try_start(1);
  slices(3);
}

HANDLER(family) {
  try_start(2);
  try_start(3);
}
OOM(a_family_that_ends) {
  on(1, "_start", family);
  log_family();
  if (try_start(1) == 0) slices(4);
  off(1, "_start");
}

OOM(names) {
  char text[16];
  poe_name *n[40];
  for (int i = 0; i < 40; i++) {
    int len = snprintf(text, sizeof text, "name %d", i);
    n[i] = poe_name_get(host.k, text, (size_t)len);
  }
  for (int i = 0; i < 40; i++) poe_name_unref(host.k, n[i]);
}

static void post_some(void) {
  for (int i = 1; i < 30; i++) do_post(1, "e", ARGS(i, i));
}
OOM(posts) {
  on(1, "e", NULL);
  in_1(post_some);
  slices(3);
}

static void set_timers(void) {
  int64_t due;
  for (int i = 1; i < 30; i++) {
    char name[16];
    snprintf(name, sizeof name, "t%d", i % 12);
    int64_t id = i % 2 ? do_delay(name, i * MS, ARGS(i))
                       : do_alarm(name, EPOCH_START + i * MS, ARGS(i, i));
    if (id < 0) continue;
    if (i % 5 == 0) do_timer_remove(id);
    if (i % 5 == 1) poe_timer_adjust(host.k, id, MS, &due);
    if (i % 5 == 2) poe_timer_readjust(host.k, id, MS, &due);
  }
  int64_t *ids;
  size_t n;
  if (poe_timer_list(host.k, &ids, &n) == 0)
    poe_timer_list_free(host.k, ids, n);
  poe_name *t1 = nm("t1");
  if (t1) poe_timer_clear(host.k, t1);
}
OOM(timers) {
  in_1(set_timers);
  slices(8);
}

static void many_aliases(void) {
  for (int i = 0; i < 20; i++) {
    char name[16];
    snprintf(name, sizeof name, "a%d", i);
    do_alias(name);
    if (i % 3 == 0) do_unalias(name);
  }
}
OOM(aliases) {
  in_1(many_aliases);
  slices(3);
}

static void many_tags(void) {
  for (int i = 0; i < 20; i++) {
    char name[16];
    snprintf(name, sizeof name, "g%d", i);
    do_inc(1, name, NULL);
    do_dec(1, name, NULL);
    do_dec(1, name, NULL);
    do_inc(1, name, NULL);
    if (i % 2) do_inc(1, name, NULL);
  }
}
OOM(tags) { in_1(many_tags); }

static void watch_fds(void) {
  do_watch(fd[0], POE_RD, "r", 1, ARGS(1));
  do_watch(fd[0], POE_EX, "x", 1, NONE);
  do_watch(fd[1], POE_WR, "w", 1, ARGS(2, 3));
  do_watch(fd[0], POE_RD, "again", 1, ARGS(4));
  poe_select_pause(host.k, fd[0], POE_RD);
  poe_select_resume(host.k, fd[0], POE_RD);
}
static void ignore_fds(void) {
  do_ignore(fd[0], POE_RD);
  do_ignore(fd[0], POE_EX);
}
OOM(selects) {
  on(1, "again", NULL);
  on(1, "w", NULL);
  in_1(watch_fds);
  fake_loop_level(fd[0], R | X);
  fake_loop_level(fd[1], W);
  if (poe_select_count(host.k)) slices(3);
  in_1(ignore_fds);
}

static void watch_signals(void) {
  do_sig("X", "sig", ARGS(1));
  do_sig("X", "sig", ARGS(2));
  do_sig("TERM", "sig", NONE);
  do_sig("CHLD", "sig", NONE);
  do_signal(1, "X", ARGS(3));
  do_signal(0, "X", NONE);
  do_unsig("TERM");
  poe_loop_caught(host.k, SIGUSR1);
}
OOM(signals) {
  on(1, "sig", NULL);
  in_1(watch_signals);
  slices(3);
}

HANDLER(handled) { poe_sig_handled(host.k); }
HANDLER(die_3) { die(c, 3); }
static void die_soon(void) {
  do_sig("DIE", "on_die", NONE);
  do_post(1, "fail", NONE);
  do_call(1, "fail");
}
OOM(exceptions) {
  on(1, "fail", die_3);
  on(1, "on_die", handled);
  in_1(die_soon);
  slices(4);
}

OOM(exceptions_in_stop) {
  on(1, "_stop", die_3);
  try_start(1);
  slices(3);
  off(1, "_stop");
}

static pid_t pid;
static void watch_pid(void) {
  do_sig_child(pid, "gone", ARGS(1));
  do_sig_child(pid, "gone", ARGS(2));
}
OOM(children) {
  pid = fork();
  if (pid == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
  on(1, "gone", NULL);
  in_1(watch_pid);
  slices(2);
  memory.allow = -1;
  waitpid(pid, NULL, WNOHANG);
}

static void fork_one(void) {
  int64_t child = poe_kernel_fork(host.k);
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, 0);
}
OOM(forks) { in_1(fork_one); }

static void detach(void) { poe_detach_myself(host.k, here); }
OOM(everything_stopped) {
  in_1(detach);
  if (is_alive(1)) in_1(set_timers);
  poe_kernel_stop(host.k);
}

OOM(tracing) {
  poe_set_trace_mask(host.k, 0x7f);
  in_1(post_some);
  slices(2);
  poe_set_trace_mask(host.k, 0);
  host.lines[0] = '\0';
}

/* ---- on real loops ------------------------------------------------------------------------ */

static void watch_both(void) {
  watch_fds();
  watch_signals();
}
static void signals_and_descriptors(void) {
  on(1, "sig", NULL);
  on(1, "again", NULL);
  on(1, "w", NULL);
  in_1(watch_both);
  if (poe_event_count(host.k)) slices(1);
}

static void on_loop(const char *loop) {
  options.real_loop = loop;
  try_scenario(signals_and_descriptors);
}
TEST(without_memory_uv) { on_loop("uv"); }
TEST(without_memory_poll) { on_loop("poll"); }
TEST(without_memory_select) { on_loop("select"); }
