/* SPDX-License-Identifier: MIT */
/*
 * selfpipe.c -- see selfpipe.h.  The write end and the overflow flags are the
 * kernel's only mutable globals: a signal handler has no other way to them.
 */
#include "selfpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile int write_end[POE__SIGNALS];
static volatile sig_atomic_t overflow[POE__SIGNALS];

static void on_signal(int signum) {
  int saved = errno;
  unsigned char byte = (unsigned char)signum;
  if (write(write_end[signum], &byte, 1) != 1) overflow[signum] = 1;
  errno = saved;
}

int poe__selfpipe_open(struct poe__selfpipe *p) {
  int fd[2];
  memset(p, 0, sizeof *p);
  p->rd = p->wr = -1;
  if (pipe2(fd, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
  p->rd = fd[0];
  p->wr = fd[1];
  return 0;
}

void poe__selfpipe_close(struct poe__selfpipe *p) {
  for (int s = 1; s < POE__SIGNALS; s++) poe__selfpipe_ignore(p, s);
  if (p->rd >= 0) close(p->rd);
  if (p->wr >= 0) close(p->wr);
}

int poe__selfpipe_watch(struct poe__selfpipe *p, int signum) {
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigfillset(&sa.sa_mask);
  write_end[signum] = p->wr;
  if (sigaction(signum, &sa, NULL) < 0) return -errno;
  p->watched[signum] = 1;
  return 0;
}

void poe__selfpipe_ignore(struct poe__selfpipe *p, int signum) {
  struct sigaction sa = {.sa_handler = SIG_DFL};
  if (!p->watched[signum]) return;
  p->watched[signum] = 0;
  sigaction(signum, &sa, NULL);
}

static void read_overflow(poe_kernel *k, const struct poe__selfpipe *p) {
  for (int s = 1; s < POE__SIGNALS; s++)
    if (p->watched[s] && overflow[s]) {
      overflow[s] = 0;
      poe_loop_caught(k, s);
    }
}

void poe__selfpipe_read(poe_kernel *k, struct poe__selfpipe *p) {
  unsigned char bytes[256];
  ssize_t n;
  while ((n = read(p->rd, bytes, sizeof bytes)) > 0)
    for (ssize_t i = 0; i < n; i++)
      if (bytes[i] < POE__SIGNALS && p->watched[bytes[i]])
        poe_loop_caught(k, bytes[i]);
  read_overflow(k, p);
}

static void tell_handler(const struct poe__selfpipe *p) {
  for (int s = 1; s < POE__SIGNALS; s++)
    if (p->watched[s]) write_end[s] = p->wr;
}

/* The parent's go first: there may be no descriptors but theirs. */
int poe__selfpipe_forked(struct poe__selfpipe *p) {
  int old[2] = {p->rd, p->wr}, fd[2] = {-1, -1};
  p->rd = p->wr = -1;
  tell_handler(p);
  close(old[0]);
  close(old[1]);
  int err = pipe2(fd, O_NONBLOCK | O_CLOEXEC) < 0 ? -errno : 0;
  p->rd = fd[0];
  p->wr = fd[1];
  tell_handler(p);
  return err;
}

/* ---- the kernel's own, for loops that do not catch signals, and why ---------------- */

static int watch_pipe(poe_kernel *k) {
  return k->loop_ops->watch_fd(k->loop, k->selfpipe->rd, 1u << POE_RD);
}

int poe__selfpipe_need(poe_kernel *k) {
  if (k->selfpipe) return 0;
  struct poe__selfpipe *p = poe__zalloc(k, sizeof *p);
  if (!p) return -ENOMEM;
  int err = poe__selfpipe_open(p);
  if (!err) {
    k->selfpipe = p;
    err = watch_pipe(k);
  }
  if (!err) return 0;
  k->selfpipe = NULL;
  poe__selfpipe_close(p);
  poe__free(k, p, sizeof *p);
  return err;
}

int poe__loop_watch_signal(poe_kernel *k, int signum) {
  if (k->loop_ops->watch_signal)
    return k->loop_ops->watch_signal(k->loop, signum);
  int err = poe__selfpipe_need(k);
  return err ? err : poe__selfpipe_watch(k->selfpipe, signum);
}

void poe__loop_ignore_signal(poe_kernel *k, int signum) {
  if (k->loop_ops->ignore_signal)
    k->loop_ops->ignore_signal(k->loop, signum);
  else if (k->selfpipe)
    poe__selfpipe_ignore(k->selfpipe, signum);
}

int poe__loop_took_signals(poe_kernel *k, int fd) {
  if (fd != k->selfpipe->rd) return 0;
  poe__selfpipe_read(k, k->selfpipe);
  return 1;
}

int poe__loop_forked(poe_kernel *k) {
  int err = k->loop_ops->forked(k->loop);
  if (err || !k->selfpipe) return err;
  k->loop_ops->ignore_fd(k->loop, k->selfpipe->rd);
  err = poe__selfpipe_forked(k->selfpipe);
  return err ? err : watch_pipe(k);
}

void poe__loop_close(poe_kernel *k) {
  struct poe__selfpipe *p = k->selfpipe;
  if (p) {
    k->loop_ops->ignore_fd(k->loop, p->rd);
    k->selfpipe = NULL;
    poe__selfpipe_close(p);
    poe__free(k, p, sizeof *p);
  }
  if (k->loop) k->loop_ops->close(k->loop);
}
