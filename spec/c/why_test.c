/* SPDX-License-Identifier: MIT */
/* why_test.c -- what keeps a session alive, who made it, and signals that ask. */
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

static char told[4096];

static void tell(void *ud, const struct poe_reason *r) {
  char label[64], text[256];
  size_t used = strlen(told);
  ASSERT_PTR_EQ(ud, &host);
  snprintf(told + used, sizeof told - used, "%s%s: %s%s",
           used ? "\n" : "", poe_session_label(r->session, label, sizeof label),
           poe_reason_text(host.k, r, text, sizeof text),
           r->keeps_program ? "" : " -");
}

/* All that keeps session `only` alive, or the program for 0. */
static const char *ask(unsigned only) {
  told[0] = '\0';
  ASSERT_EQ(poe_why(host.k, only ? by(only) : NULL, tell, &host), 0);
  return told;
}

static int fd[2];

static void own_something(void) {
  do_alias("al");
  do_delay("tick", 1000 * MS, NONE);
  do_watch(fd[0], POE_RD, "rd", 1, NONE);
  do_inc(1, "tag", NULL);
  do_inc(1, "tag", NULL);
  do_post(1, "x", NONE);
}

static void drop_all(void) {
  do_unalias("al");
  poe_timer_clear(host.k, nm("tick"));
  do_ignore(fd[0], POE_RD);
  do_dec(1, "tag", NULL);
  do_dec(1, "tag", NULL);
}

TEST(what_is_made_while_nobody_records_it_is_known_in_part) {
  char wanted[1024];
  host_open();
  make_pipe(fd);
  start(1);
  as(1, own_something);
  snprintf(wanted, sizeof wanted,
           "session 1 \"al\": event '_garbage_collect', sent\n"
           "session 1 \"al\": event 'x', sent, in the handler of '(as)'\n"
           "session 1 \"al\": timer 1 'tick', due in 1.000 s, made while why "
           "was off\n"
           "session 1 \"al\": descriptor %d for reading, as 'rd', made while "
           "why was off\n"
           "session 1 \"al\": tag 'tag', count 2, made while why was off\n"
           "session 1 \"al\": alias 'al', made while why was off -",
           fd[0]);
  ASSERT_STR_EQ(ask(1), wanted);
  as(1, drop_all);
  end();
}

TEST(who_makes_what_and_when_is_recorded_if_asked_for) {
  char wanted[1024];
  host_open();
  poe_set_why(host.k, 1);
  make_pipe(fd);
  start(1);
  poe_here(host.k, (struct poe_origin){nm("x.lua"), 7});
  as(1, own_something);
  poe_here(host.k, (struct poe_origin){NULL, 0});
  fake_clock.mono_ns += 250 * MS;
  snprintf(wanted, sizeof wanted,
           "session 1 \"al\": event '_garbage_collect', sent 0.250 s ago\n"
           "session 1 \"al\": event 'x', sent 0.250 s ago, in the handler of "
           "'(as)'\n"
           "session 1 \"al\": timer 1 'tick', due in 0.750 s, set 0.250 s ago "
           "at x.lua:7, in the handler of '(as)'\n"
           "session 1 \"al\": descriptor %d for reading, as 'rd', watched "
           "0.250 s ago at x.lua:7, in the handler of '(as)'\n"
           "session 1 \"al\": tag 'tag', count 2, last taken 0.250 s ago at "
           "x.lua:7, in the handler of '(as)'\n"
           "session 1 \"al\": alias 'al', set 0.250 s ago at x.lua:7, in the "
           "handler of '(as)' -",
           fd[0]);
  ASSERT_STR_EQ(ask(1), wanted);
  as(1, drop_all);
  poe_set_why(host.k, 0);
  end();
}

TEST(what_was_recorded_is_forgotten_when_it_is_switched_off) {
  host_open();
  poe_set_why(host.k, 1);
  start(1);
  ASSERT_TRUE(poe_is_why(host.k));
  poe_set_why(host.k, 0);
  ASSERT_TRUE(!poe_is_why(host.k));
  ASSERT_EQ(host.k->why.made.count, 0);
  end();
}

static void post_three(void) {
  do_post(1, "y", NONE);
  do_post(1, "x", NONE);
  do_post(1, "y", NONE);
}

TEST(events_alike_are_told_as_one_and_at_both_ends) {
  host_open();
  start(1);
  start(2);
  as(2, post_three);
  ASSERT_STR_EQ(
      ask(0),
      "session 1: event '_garbage_collect', sent\n"
      "session 1: 2 events 'y', sent by session 2, in the handler of '(as)'\n"
      "session 1: event 'x', sent by session 2, in the handler of '(as)'\n"
      "session 2: event '_garbage_collect', sent\n"
      "session 2: 2 events 'y' to session 1, sent, in the handler of '(as)'\n"
      "session 2: event 'x' to session 1, sent, in the handler of '(as)'");
  ASSERT_STR_EQ(
      ask(2),
      "session 2: event '_garbage_collect', sent\n"
      "session 2: 2 events 'y' to session 1, sent, in the handler of '(as)'\n"
      "session 2: event 'x' to session 1, sent, in the handler of '(as)'");
  end();
}

HANDLER(start_2) { start(2); }
HANDLER(ask_within) {
  ASSERT_STR_EQ(ask(2), "session 2: its handler of 'go' runs, sent by session "
                        "1, in the handler of '(as)'\n"
                        "session 2: event '_garbage_collect', sent");
}
static void call_2(void) { ASSERT_EQ(do_call(2, "go"), 0); }

TEST(a_running_handler_is_a_reason_and_so_are_children_of_their_parents) {
  host_open();
  on(1, "_start", start_2);
  on(2, "go", ask_within);
  start(1);
  as(1, call_2);
  ASSERT_STR_EQ(ask(1), "session 1: event '_garbage_collect', sent\n"
                        "session 1: child session 2, made while why was off -");
  end();
}

static void watch_chld(void) { ASSERT_EQ(do_sig("CHLD", "child", NONE), 0); }
static void unwatch_chld(void) { do_unsig("CHLD"); }

TEST(a_signal_is_a_reason_only_while_it_awaits_a_forked_process) {
  host_open();
  on(1, "child", NULL);
  start(1);
  as(1, watch_chld);
  if (strstr(ask(1), "CHLD")) FAIL("CHLD in %s", told);
  int64_t pid = poe_kernel_fork(host.k);
  if (pid == 0) _exit(0);
  ASSERT_GT(pid, 0);
  if (!strstr(ask(1), "signal CHLD, as 'child', with forked processes: 1"))
    FAIL("no CHLD in %s", told);
  as(1, unwatch_chld);
  waitpid((pid_t)pid, NULL, 0);
  end();
}

TEST(without_memory_there_is_no_list_and_nothing_else_fails) {
  host_open();
  poe_set_why(host.k, 1);
  start(1);
  start(2);
  as(2, post_three);
  nm("al");
  for (int64_t allow = 0; allow < 2; allow++) {
    memory.allow = allow;
    memory.for_ever = 1;
    ASSERT_EQ(poe_why(host.k, NULL, tell, &host), -ENOMEM);
    memory.allow = -1;
  }
  ASSERT_EQ(poe_why(host.k, NULL, tell, &host), 0);
  poe_set_why(host.k, 0);
  end();
}

/* ---- signals that ask ---------------------------------------------------------- */

/* Set only now: the signal is looked at before, however late it is. */
static void end_soon(void) { do_delay("end", MS, NONE); }
HANDLER(raise_usr1) {
  raise(SIGUSR1);
  end_soon();
}
HANDLER(watch_usr1) { ASSERT_EQ(do_sig("USR1", "usr1", NONE), 0); }
HANDLER(unwatch_usr1) { do_unsig("USR1"); }
static void usr1_soon(void) { do_delay("raise", MS, NONE); }

static void ask_by_usr1(const char *loop, int is_watched) {
  host_open_with((struct host_options){.real_loop = loop});
  ASSERT_EQ(poe_listen_why(host.k), 0);
  on(1, "raise", raise_usr1);
  on(1, "usr1", unwatch_usr1);
  on(1, "end", NULL);
  if (is_watched) on(1, "_start", watch_usr1);
  start(1);
  as(1, usr1_soon);
  take_log();
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(host.whys, 1);
  const char *log = take_log(); /* whose order is that of two clocks */
  ASSERT_EQ(strstr(log, "1 usr1 USR1") != NULL, is_watched);
  host_assert_empty();
  host_close();
}

TEST(usr1_asks_on_uv) { ask_by_usr1("uv", 0); }
TEST(usr1_asks_on_poll) { ask_by_usr1("poll", 0); }
TEST(usr1_asks_on_select) { ask_by_usr1("select", 0); }
TEST(usr1_still_comes_to_who_watches_it_on_uv) { ask_by_usr1("uv", 1); }
TEST(usr1_still_comes_to_who_watches_it_on_poll) { ask_by_usr1("poll", 1); }

HANDLER(raise_int) {
  raise(SIGINT);
  end_soon();
}
HANDLER(raise_int_twice) {
  raise(SIGINT);
  raise(SIGINT);
  end_soon();
}
HANDLER(watch_int) { ASSERT_EQ(do_sig("INT", "int", NONE), 0); }
HANDLER(int_handled) { poe_sig_handled(host.k); }

/* The signal that ended the child that ran this, or 0. */
static int ended_by(handler raise_it, handler on_int, unsigned whys) {
  pid_t pid = fork();
  if (pid == 0) {
    host_open_with((struct host_options){.real_loop = "uv"});
    poe_listen_why(host.k);
    on(1, "raise", raise_it);
    on(1, "end", NULL);
    if (on_int) {
      on(1, "_start", watch_int);
      on(1, "int", on_int);
    }
    start(1);
    as(1, usr1_soon);
    do_run();
    _exit(host.whys == whys ? 0 : 99);
  }
  int status;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  if (WIFEXITED(status)) ASSERT_EQ(WEXITSTATUS(status), 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

HANDLER(nothing) {}

TEST(int_ends_the_process_if_nobody_watches_it) {
  ASSERT_EQ(ended_by(raise_int, NULL, 0), SIGINT);
}

TEST(int_asks_before_it_stops_sessions) {
  ASSERT_EQ(ended_by(raise_int, nothing, 1), 0);
}

TEST(int_does_not_ask_if_it_is_handled) {
  ASSERT_EQ(ended_by(raise_int, int_handled, 0), 0);
}

TEST(a_second_int_in_one_handler_ends_the_process) {
  ASSERT_EQ(ended_by(raise_int_twice, int_handled, 0), SIGINT);
}
