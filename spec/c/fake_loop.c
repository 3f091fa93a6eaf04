/* SPDX-License-Identifier: MIT */
/*
 * fake_loop.c -- see fake_loop.h.  There is one loop at a time.
 *
 * Only readiness that is watched is reported, as by every real loop; a call
 * that no kernel should make (watching twice, ignoring what is unknown) fails
 * the test.
 */
#include "fake_loop.h"

#include <errno.h>
#include <string.h>

#include "fake_clock.h"
#include "test.h"

#define FDS 1024
#define SIGNALS 65
#define SCRIPT 64

struct poe_loop {
  poe_kernel *k;
};

struct scripted {
  int64_t at_ns;
  int fd; /* -1: a signal */
  unsigned mask;
  int signum;
};

static struct {
  struct poe_loop loop;
  unsigned level[FDS], mask[FDS];
  char known[FDS], refused[FDS];
  char caught[SIGNALS];
  struct scripted script[SCRIPT];
  unsigned nscript;
} state;

struct fake_loop fake_loop;

void fake_loop_reset(void) {
  memset(&state, 0, sizeof state);
  memset(&fake_loop, 0, sizeof fake_loop);
}

void fake_loop_level(int fd, unsigned mask) { state.level[fd] = mask; }
void fake_loop_refuse(int fd) { state.refused[fd] = 1; }
unsigned fake_loop_mask(int fd) { return state.mask[fd]; }
int fake_loop_knows(int fd) { return state.known[fd]; }
int fake_loop_catches(int signum) { return state.caught[signum]; }

unsigned fake_loop_left(void) {
  unsigned n = 0;
  for (int i = 0; i < FDS; i++) n += state.known[i] != 0;
  for (int i = 0; i < SIGNALS; i++) n += state.caught[i] != 0;
  return n;
}

static void script(struct scripted s) {
  ASSERT_LT(state.nscript, SCRIPT);
  unsigned i = state.nscript++;
  for (; i > 0 && state.script[i - 1].at_ns > s.at_ns; i--)
    state.script[i] = state.script[i - 1];
  state.script[i] = s;
}

void fake_loop_level_at(int64_t mono_ns, int fd, unsigned mask) {
  script((struct scripted){mono_ns, fd, mask, 0});
}

void fake_loop_signal_at(int64_t mono_ns, int signum) {
  script((struct scripted){mono_ns, -1, 0, signum});
}

/* ---- the bridge ------------------------------------------------------------- */

static int take_failure(int *failure) {
  int err = *failure;
  *failure = 0;
  return err;
}

static int loop_open(poe_kernel *k, poe_loop **out) {
  int err = take_failure(&fake_loop.fail_open);
  if (err) return err;
  fake_loop.opens++;
  state.loop.k = k;
  *out = &state.loop;
  return 0;
}

static void loop_close(poe_loop *l) {
  ASSERT_PTR_EQ(l, &state.loop);
  fake_loop.closes++;
}

/* Do what is scripted up to now; the number of signals that arrived. */
static int play(poe_loop *l) {
  unsigned i = 0;
  int arrived = 0;
  for (; i < state.nscript; i++) {
    const struct scripted *s = &state.script[i];
    if (s->at_ns > fake_clock.mono_ns) break;
    if (s->fd >= 0) {
      state.level[s->fd] = s->mask;
    } else if (state.caught[s->signum]) {
      poe_loop_caught(l->k, s->signum);
      arrived++;
    }
  }
  state.nscript -= i;
  memmove(state.script, state.script + i, state.nscript * sizeof *state.script);
  return arrived;
}

/* Highest first: the kernel must not rely on an order. */
static int report(poe_loop *l) {
  int n = 0;
  for (int fd = FDS - 1; fd >= 0; fd--) {
    unsigned ready = state.level[fd] & state.mask[fd];
    if (!ready) continue;
    poe_loop_ready(l->k, fd, ready);
    n++;
  }
  return n;
}

static int loop_wait(poe_loop *l, int64_t timeout_ns) {
  fake_loop.waits++;
  fake_loop.last_timeout_ns = timeout_ns;
  int err = take_failure(&fake_loop.fail_wait);
  if (err) return err;
  int64_t end_ns = fake_clock.mono_ns + timeout_ns;
  for (;;) {
    int n = play(l);
    n += report(l);
    if (n > 0 || timeout_ns == 0) return 0;
    if (timeout_ns > 0 && fake_clock.mono_ns >= end_ns) return 0;
    int64_t next = state.nscript ? state.script[0].at_ns : INT64_MAX;
    if (timeout_ns > 0 && next > end_ns) next = end_ns;
    if (next == INT64_MAX && fake_loop.ends_waits) return 0;
    if (next == INT64_MAX) FAIL("the kernel waits for ever");
    fake_clock_pass(next - fake_clock.mono_ns);
  }
}

static int loop_watch_fd(poe_loop *l, int fd, unsigned mask) {
  ASSERT_PTR_EQ(l, &state.loop);
  ASSERT_LT(fd, FDS);
  int err = take_failure(&fake_loop.fail_watch);
  if (err) return err;
  if (state.refused[fd]) return -EPERM;
  fake_loop.watches++;
  state.known[fd] = 1;
  state.mask[fd] = mask;
  return 0;
}

static void loop_ignore_fd(poe_loop *l, int fd) {
  ASSERT_PTR_EQ(l, &state.loop);
  ASSERT_TRUE(state.known[fd]);
  fake_loop.ignores++;
  state.known[fd] = 0;
  state.mask[fd] = 0;
}

static int loop_watch_signal(poe_loop *l, int signum) {
  ASSERT_PTR_EQ(l, &state.loop);
  ASSERT_TRUE(!state.caught[signum]);
  int err = take_failure(&fake_loop.fail_signal);
  if (err) return err;
  fake_loop.signal_watches++;
  state.caught[signum] = 1;
  return 0;
}

static void loop_ignore_signal(poe_loop *l, int signum) {
  ASSERT_PTR_EQ(l, &state.loop);
  ASSERT_TRUE(state.caught[signum]);
  fake_loop.signal_ignores++;
  state.caught[signum] = 0;
}

static int loop_forked(poe_loop *l) {
  ASSERT_PTR_EQ(l, &state.loop);
  fake_loop.forks++;
  return take_failure(&fake_loop.fail_fork);
}

const struct poe_loop_ops fake_loop_ops = {
    .name = "fake",
    .open = loop_open,
    .close = loop_close,
    .wait = loop_wait,
    .watch_fd = loop_watch_fd,
    .ignore_fd = loop_ignore_fd,
    .watch_signal = loop_watch_signal,
    .ignore_signal = loop_ignore_signal,
    .forked = loop_forked,
};
