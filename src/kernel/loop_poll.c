/* SPDX-License-Identifier: MIT */
/*
 * loop_poll.c -- the bridge to poll(2): portable, and the reference.
 *
 * One array of struct pollfd, the self-pipe first, without holes: the last
 * entry fills the place of one that goes.  by_fd tells where a descriptor
 * stands; 0 is the self-pipe's place and means "nowhere".
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "selfpipe.h"

struct poe_loop {
  poe_kernel *k;
  struct poe__selfpipe signals;
  struct pollfd *at;
  size_t count, room;
  uint32_t *by_fd;
  size_t fd_room;
};

short poe__to_poll(unsigned mask) {
  return (short)((mask & 1u << POE_RD ? POLLIN : 0) |
                 (mask & 1u << POE_WR ? POLLOUT : 0) |
                 (mask & 1u << POE_EX ? POLLPRI : 0));
}

/* An error is for whoever reads or writes to find out. */
unsigned poe__from_poll(short wanted, short events) {
  unsigned mask = (events & (POLLIN | POLLHUP) ? 1u << POE_RD : 0) |
                  (events & (POLLOUT | POLLHUP) ? 1u << POE_WR : 0) |
                  (events & POLLPRI ? 1u << POE_EX : 0);
  unsigned asked = (wanted & POLLIN ? 1u << POE_RD : 0) |
                   (wanted & POLLOUT ? 1u << POE_WR : 0) |
                   (wanted & POLLPRI ? 1u << POE_EX : 0);
  return events & POLLERR ? asked : mask & asked;
}

static int add(poe_loop *l, int fd) {
  size_t old = l->fd_room;
  int err = poe__grow(l->k, (void **)&l->by_fd, sizeof *l->by_fd,
                      &l->fd_room, (size_t)fd + 1);
  if (err) return err;
  memset(l->by_fd + old, 0, (l->fd_room - old) * sizeof *l->by_fd);
  err = poe__grow(l->k, (void **)&l->at, sizeof *l->at, &l->room,
                  l->count + 1);
  if (err) return err;
  l->at[l->count] = (struct pollfd){fd, 0, 0};
  l->by_fd[fd] = (uint32_t)l->count++;
  return 0;
}

static uint32_t place_of(const poe_loop *l, int fd) {
  return (size_t)fd < l->fd_room ? l->by_fd[fd] : 0;
}

static void poll_ignore_fd(poe_loop *l, int fd) {
  uint32_t place = place_of(l, fd);
  if (!place) return;
  l->by_fd[fd] = 0;
  struct pollfd last = l->at[--l->count];
  if (place == l->count) return;
  l->at[place] = last;
  l->by_fd[last.fd < 0 ? ~last.fd : last.fd] = place;
}

/* A descriptor with nothing wanted stands there negated: poll skips it. */
static int poll_watch_fd(poe_loop *l, int fd, unsigned mask) {
  if (!place_of(l, fd)) {
    int err = add(l, fd);
    if (err) return err;
  }
  l->at[place_of(l, fd)] =
      (struct pollfd){mask ? fd : ~fd, poe__to_poll(mask), 0};
  return 0;
}

static void record(poe_loop *l) {
  for (size_t i = 1; i < l->count; i++) {
    const struct pollfd *p = &l->at[i];
    if (!p->revents) continue;
    if (p->revents & POLLNVAL)
      poe_loop_lost(l->k, p->fd);
    else
      poe_loop_ready(l->k, p->fd, poe__from_poll(p->events, p->revents));
  }
}

static int poll_all(void *loop, int64_t ns) {
  poe_loop *l = loop;
  struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  return ppoll(l->at, l->count, ns < 0 ? NULL : &t, NULL);
}

static int poll_wait(poe_loop *l, int64_t ns) {
  int n = poe__wait(ns, poll_all, l);
  if (n < 0 && errno != EINTR) return -errno;
  if (n != 0) poe__selfpipe_read(l->k, &l->signals);
  if (n > 0) record(l);
  return 0;
}

static int poll_watch_signal(poe_loop *l, int signum) {
  return poe__selfpipe_watch(&l->signals, signum);
}

static void poll_ignore_signal(poe_loop *l, int signum) {
  poe__selfpipe_ignore(&l->signals, signum);
}

static int poll_forked(poe_loop *l) {
  int err = poe__selfpipe_forked(&l->signals);
  l->at[0].fd = l->signals.rd;
  return err;
}

static void poll_close(poe_loop *l) {
  poe__selfpipe_close(&l->signals);
  poe__free(l->k, l->at, l->room * sizeof *l->at);
  poe__free(l->k, l->by_fd, l->fd_room * sizeof *l->by_fd);
  poe__free(l->k, l, sizeof *l);
}

static int poll_open(poe_kernel *k, poe_loop **out) {
  poe_loop *l = poe__zalloc(k, sizeof *l);
  if (!l) return -ENOMEM;
  l->k = k;
  int err = poe__selfpipe_open(&l->signals);
  if (!err) err = poe__grow(k, (void **)&l->at, sizeof *l->at, &l->room, 8);
  if (err) {
    poll_close(l);
    return err;
  }
  l->at[l->count++] = (struct pollfd){l->signals.rd, POLLIN, 0};
  *out = l;
  return 0;
}

const struct poe_loop_ops poe__loop_poll = {
    .name = "poll",
    .by_number = 1,
    .open = poll_open,
    .close = poll_close,
    .wait = poll_wait,
    .watch_fd = poll_watch_fd,
    .ignore_fd = poll_ignore_fd,
    .watch_signal = poll_watch_signal,
    .ignore_signal = poll_ignore_signal,
    .forked = poll_forked,
};
