/* SPDX-License-Identifier: MIT */
/*
 * loop_select.c -- the bridge to select(2): what POE itself runs on.
 *
 * Three sets of what is wanted, copied for each call.  Descriptors from
 * FD_SETSIZE on are refused with EMFILE: the sets have no place for them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>

#include "selfpipe.h"

#define MODES 3

struct poe_loop {
  poe_kernel *k;
  struct poe__selfpipe signals;
  fd_set wanted[MODES];
  fd_set ready[MODES]; /* after a wait */
  int end; /* one above the highest descriptor ever wanted */
};

static void set_modes(poe_loop *l, int fd, unsigned mask) {
  for (int mode = 0; mode < MODES; mode++) {
    if (mask & 1u << mode)
      FD_SET(fd, &l->wanted[mode]);
    else
      FD_CLR(fd, &l->wanted[mode]);
  }
}

static int select_watch_fd(poe_loop *l, int fd, unsigned mask) {
  if (fd >= FD_SETSIZE) return -EMFILE;
  set_modes(l, fd, mask);
  if (fd >= l->end) l->end = fd + 1;
  return 0;
}

static void select_ignore_fd(poe_loop *l, int fd) {
  if (fd < FD_SETSIZE) set_modes(l, fd, 0);
}

static unsigned mask_in(int fd, const fd_set *sets) {
  unsigned mask = 0;
  for (int mode = 0; mode < MODES; mode++)
    if (FD_ISSET(fd, &sets[mode])) mask |= 1u << mode;
  return mask;
}

/* select(2) does not say which descriptor is bad. */
static void find_lost(poe_loop *l) {
  for (int fd = 0; fd < l->end; fd++)
    if (fd != l->signals.rd && mask_in(fd, l->wanted) &&
        fcntl(fd, F_GETFD) < 0) {
      set_modes(l, fd, 0);
      poe_loop_lost(l->k, fd);
    }
}

static void record(poe_loop *l) {
  for (int fd = 0; fd < l->end; fd++) {
    unsigned mask = mask_in(fd, l->ready);
    if (mask && fd != l->signals.rd) poe_loop_ready(l->k, fd, mask);
  }
}

static int select_all(void *loop, int64_t ns) {
  poe_loop *l = loop;
  struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  memcpy(l->ready, l->wanted, sizeof l->ready);
  return pselect(l->end, &l->ready[0], &l->ready[1], &l->ready[2],
                 ns < 0 ? NULL : &t, NULL);
}

static int select_wait(poe_loop *l, int64_t ns) {
  int n = poe__wait(ns, select_all, l);
  int err = n < 0 ? errno : 0;
  if (err && err != EINTR && err != EBADF) return -err;
  if (n != 0) poe__selfpipe_read(l->k, &l->signals);
  if (err == EBADF) find_lost(l);
  if (n > 0) record(l);
  return 0;
}

static int select_watch_signal(poe_loop *l, int signum) {
  return poe__selfpipe_watch(&l->signals, signum);
}

static void select_ignore_signal(poe_loop *l, int signum) {
  poe__selfpipe_ignore(&l->signals, signum);
}

static int watch_signals(poe_loop *l) {
  if (l->signals.rd >= FD_SETSIZE) return -EMFILE;
  return select_watch_fd(l, l->signals.rd, 1u << POE_RD);
}

static int select_forked(poe_loop *l) {
  select_ignore_fd(l, l->signals.rd);
  int err = poe__selfpipe_forked(&l->signals);
  return err ? err : watch_signals(l);
}

static void select_close(poe_loop *l) {
  poe__selfpipe_close(&l->signals);
  poe__free(l->k, l, sizeof *l);
}

static int select_open(poe_kernel *k, poe_loop **out) {
  poe_loop *l = poe__zalloc(k, sizeof *l);
  if (!l) return -ENOMEM;
  l->k = k;
  int err = poe__selfpipe_open(&l->signals);
  if (!err) err = watch_signals(l);
  if (err) {
    select_close(l);
    return err;
  }
  *out = l;
  return 0;
}

const struct poe_loop_ops poe__loop_select = {
    .name = "select",
    .by_number = 1,
    .open = select_open,
    .close = select_close,
    .wait = select_wait,
    .watch_fd = select_watch_fd,
    .ignore_fd = select_ignore_fd,
    .watch_signal = select_watch_signal,
    .ignore_signal = select_ignore_signal,
    .forked = select_forked,
};
