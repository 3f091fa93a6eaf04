/* SPDX-License-Identifier: MIT */
/*
 * kernel_fuzz.c -- byte strings as programs for the kernel.
 *
 * Each byte is an operation or an operand; handlers read on where the one
 * that caused them stopped, so that any nesting can come up.  After every
 * slice the invariants of check.h hold, and when the bytes are used up all
 * ends: every payload has come back once, and nothing is left.  A program is
 * run twice, as the host gets posts one by one and in batches: the same must
 * come of it.
 *
 * Linked with libFuzzer (make fuzz), or with replay.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "fake_host.h"
#include "target.h"

#define SESSIONS 12 /* numbers that programs can name */
#define BORN_MAX 150
#define DEPTH_MAX 40
#define FDS 6
#define TIMERS 16

static const char *const events[] = {"e0", "e1", "e2", "e3", "e4", "nobody"};
static const char *const names[] = {"a", "b", "c", "d"};
static const char *const signals[] = {"X",    "Y",    "TERM", "INT",
                                      "CHLD", "IDLE", "DIE",  "UIDESTROY",
                                      "USR1", "PIPE", "HUP",  "ZOMBIE"};
#define PICK(list) (list)[next() % (sizeof(list) / sizeof *(list))]

int test_in_batches;

static struct {
  const uint8_t *at, *end;
  uint64_t log; /* all that was handled, as a hash */
  unsigned born, depth;
  int64_t timer[TIMERS]; /* the ids of late */
  unsigned ntimers;
  int fd[FDS];
} run;

/* ---- assertions: the fuzzer wants to see a crash -------------------------------- */

_Noreturn void test_fail(const char *file, int line, const char *format, ...) {
  va_list args;
  fprintf(stderr, "%s:%d: ", file, line);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  abort();
}

void test_int(const char *file, int line, const char *a, const char *op,
              const char *b, long long x, long long y, int holds) {
  if (!holds)
    test_fail(file, line, "%s %s %s (%lld, %lld)", a, op, b, x, y);
}

void test_str(const char *file, int line, const char *a, const char *x,
              const char *y) {
  if (!x || !y ? x != y : strcmp(x, y) != 0)
    test_fail(file, line, "%s: %s, not %s", a, x ? x : "NULL", y ? y : "NULL");
}

/* ---- operands ---------------------------------------------------------------------- */

static unsigned next(void) { return run.at < run.end ? *run.at++ : 0; }

/* A session that lives, or 0: the kernel. */
static unsigned somebody(void) {
  unsigned data = 1 + next() % SESSIONS;
  return is_alive(data) ? data : 0;
}

static struct poe_payload some_args(void) {
  static const int values[] = {1, 2, 3, 4, 5, 6, 7, 8};
  return issue(next() % 4, values);
}

static int64_t some_time(void) {
  static const int64_t unit[] = {1, US, MS, 100 * MS, SEC, HOUR};
  return ((int64_t)next() - 16) * PICK(unit);
}

static int64_t some_timer(void) { return run.timer[next() % TIMERS]; }

static int some_fd(void) { return run.fd[next() % FDS]; }

static enum poe_mode some_mode(void) { return (enum poe_mode)(next() % 3); }

/* ---- operations: wherever they are called ---------------------------------------------- */

static void op_start(void) {
  if (run.born >= BORN_MAX) return;
  run.born++;
  try_start(1 + next() % SESSIONS);
}
static void op_post(void) {
  unsigned to = somebody();
  do_post(to, PICK(events), some_args());
}
static void op_call(void) {
  unsigned to = somebody();
  if (run.depth < DEPTH_MAX) do_call(to, PICK(events));
}
static void op_signal(void) {
  unsigned to = somebody();
  do_signal(to, PICK(signals), some_args());
}
static void op_inc(void) {
  unsigned who = somebody();
  if (who) do_inc(who, PICK(names), NULL);
}
static void op_dec(void) {
  unsigned who = somebody();
  if (who) do_dec(who, PICK(names), NULL);
}
static void op_level(void) {
  int fd = some_fd();
  fake_loop_level(fd, next() % 8);
}
static void op_forget(void) { do_forget(some_fd()); }
static void op_time(void) {
  int64_t ns = some_time();
  if (next() % 4 == 0)
    fake_clock_step_wall(ns);
  else
    fake_clock_pass(ns < 0 ? -ns : ns);
}
static void op_caught(void) {
  static const int numbers[] = {SIGUSR1, SIGTERM, SIGINT, SIGPIPE};
  int signum = PICK(numbers);
  if (fake_loop_catches(signum)) poe_loop_caught(host.k, signum);
}
static void op_stop(void) { poe_kernel_stop(host.k); }
static void op_stop_one(void) {
  unsigned who = somebody();
  if (who) poe_session_stop(host.k, by(who));
}
static void op_no_memory(void) { memory.allow = next(); }
static void op_handled(void) { poe_sig_handled(host.k); }
static void op_destroyed(void) { poe_kernel_destroyed(host.k); }
static void op_fail_watch(void) { fake_loop.fail_watch = -EBADF; }
static void op_catch(void) { poe_kernel_set_catch(host.k, next() % 2); }
static void op_look(void) {
  int64_t due;
  poe_next_event_epoch_ns(host.k, &due);
  poe_kernel_timeout_ns(host.k);
}

/* ---- operations of the running session ---------------------------------------------------- */

static void op_sig(void) {
  const char *signal = PICK(signals);
  do_sig(signal, PICK(events), some_args());
}
static void op_unsig(void) { do_unsig(PICK(signals)); }
static void keep_timer(int64_t id) {
  if (id > 0) run.timer[run.ntimers++ % TIMERS] = id;
}
static void op_delay(void) {
  const char *event = PICK(events);
  keep_timer(do_delay(event, some_time(), some_args()));
}
static void op_alarm(void) {
  const char *event = PICK(events);
  int64_t epoch = poe_epoch_ns(host.k) + some_time();
  keep_timer(do_alarm(event, epoch, some_args()));
}
static void op_remove(void) { do_timer_remove(some_timer()); }
static void op_clear(void) {
  poe_name *name = nm(PICK(events));
  if (name) poe_timer_clear(host.k, name);
}
static void op_adjust(void) {
  int64_t due, id = some_timer();
  if (next() % 2)
    poe_timer_adjust(host.k, id, some_time(), &due);
  else
    poe_timer_readjust(host.k, id, some_time(), &due);
}
static void op_list(void) {
  int64_t *ids;
  size_t n;
  if (poe_timer_list(host.k, &ids, &n)) return;
  for (size_t i = 0; i < n; i++)
    if (next() % 2) do_timer_remove(ids[i]);
  poe_timer_list_free(host.k, ids, n);
}
static void op_alias(void) { do_alias(PICK(names)); }
static void op_unalias(void) { do_unalias(PICK(names)); }
static void op_watch(void) {
  int fd = some_fd();
  enum poe_mode mode = some_mode();
  const char *event = PICK(events);
  do_watch(fd, mode, event, 1 + (int)mode, some_args());
}
static void op_ignore(void) {
  int fd = some_fd();
  do_ignore(fd, some_mode());
}
static void op_pause(void) {
  int fd = some_fd();
  enum poe_mode mode = some_mode();
  if (next() % 2)
    poe_select_pause(host.k, fd, mode);
  else
    poe_select_resume(host.k, fd, mode);
}
static void op_detach(void) { poe_detach_myself(host.k, here); }
static void op_detach_child(void) {
  unsigned who = somebody();
  if (who) poe_detach_child(host.k, by(who), here);
}
static void op_slice(void) {
  if (run.depth < DEPTH_MAX) poe_kernel_slice(host.k);
}

static void (*const anywhere[])(void) = {
    op_start,   op_post,     op_call,      op_signal,  op_inc,
    op_dec,     op_level,    op_forget,    op_time,    op_caught,
    op_stop,    op_stop_one, op_no_memory, op_handled, op_destroyed,
    op_catch,   op_look,     op_post,      op_start,   op_fail_watch};
static void (*const inside[])(void) = {
    op_sig,    op_unsig,   op_delay,  op_alarm,        op_remove, op_clear,
    op_adjust, op_list,    op_alias,  op_unalias,      op_watch,  op_ignore,
    op_pause,  op_detach,  op_slice,  op_detach_child, op_watch,  op_delay};

/* A handler: so many operations, then it may give a value or fail. */
static void work(struct call *c) {
  unsigned plan = next();
  if (run.depth >= DEPTH_MAX) return;
  run.depth++;
  for (unsigned n = plan & 7; n > 0 && run.at < run.end; n--) {
    /* An operation of the dead is the kernel's own business. */
    int is_alive_still = poe_active_session(host.k) == c->f->session;
    if (next() % 2 && is_alive_still)
      PICK(inside)();
    else
      PICK(anywhere)();
  }
  run.depth--;
  int has_value = c->f->type & (POE_EV_START | POE_EV_STOP);
  if ((plan & 0x70) == 0x70)
    die(c, 9);
  else if (has_value && plan & 8)
    give(c, 5);
}

/* ---- a program --------------------------------------------------------------------------------- */

static void begin(void) {
  static int is_open;
  for (int i = 0; !is_open && i < FDS; i += 2)
    if (pipe(run.fd + i)) abort();
  is_open = 1;
  host = (struct host){0};
  memory = (struct memory){.allow = -1};
  run.born = run.depth = run.ntimers = 0;
  memset(run.timer, 0, sizeof run.timer);
  host_open();
  fake_loop.ends_waits = 1;
  for (unsigned i = 0; i < 5; i++) on(0, events[i], work);
  on(0, "_start", work);
  on(0, "_stop", work);
  on(0, "_child", work);
  on(0, "_parent", work);
}

/* FNV-1a. */
static void read_log(void) {
  for (const char *c = take_log(); *c; c++)
    run.log = (run.log ^ (uint8_t)*c) * 0x100000001b3u;
}

static void finish(void) {
  run.at = run.end;
  memory.allow = -1;
  fake_loop.fail_watch = 0;
  poe_kernel_stop(host.k);
  for (int i = 0; i < 8 && poe_session_count(host.k) > 0; i++) {
    poe_kernel_slice(host.k);
    poe_kernel_stop(host.k);
  }
  poe_kernel_slice(host.k);
  exception();
  host_assert_empty();
  read_log();
  host_close();
}

static uint64_t run_program(const uint8_t *data, size_t size, int in_batches) {
  test_in_batches = in_batches;
  run.log = 0xcbf29ce484222325u;
  run.at = data;
  run.end = data + (size > 4096 ? 4096 : size);
  begin();
  while (run.at < run.end) {
    if (next() % 3 == 0) {
      if (do_slice() == -POE_ERAISE) exception();
    } else {
      PICK(anywhere)();
    }
    read_log();
  }
  finish();
  return run.log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint64_t log = run_program(data, size, 0);
  if (run_program(data, size, 1) != log)
    FAIL("in batches it goes another way");
  return 0;
}
