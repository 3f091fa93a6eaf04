/* SPDX-License-Identifier: MIT */
/*
 * loop_uv_register.c -- what libuv does not survive, done before it does it.
 *
 * libuv aborts the process when it cannot make the pipe of its signals, and
 * when epoll_ctl(2) refuses what a uv_run registers (ENOSPC: too many watches
 * of this user; ENOMEM).  Where that can happen it is tried here first, when
 * there is still somebody to tell; libuv then finds what it was about to make.
 *
 * It drops signals when their pipe is full, after 4,096: it is made wider.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "loop_uv.h"

#define SIGNAL_PIPE_BYTES (1 << 20) /* as much as anybody may have */

/* What uv_loop_init opens: a pipe for all loops, one for this, two more.  When
   it fails half-way it leaves the first one open. */
#define DESCRIPTORS 6

int poe__uv_has_room(void) {
  int fd[DESCRIPTORS], n = 2, err = 0;
  if (pipe2(fd, O_CLOEXEC) < 0) return -errno;
  while (n < DESCRIPTORS && !err) {
    fd[n] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
    if (fd[n] < 0)
      err = -errno;
    else
      n++;
  }
  while (n-- > 0) close(fd[n]);
  return err;
}

int poe__uv_register(const poe_loop *l, int fd, unsigned events) {
#ifdef __linux__
  struct epoll_event e = {.events = events, .data = {.fd = fd}};
  int backend = uv_backend_fd(&l->uv);
  if (epoll_ctl(backend, EPOLL_CTL_ADD, fd, &e) < 0 && errno != EEXIST)
    return -errno;
#else
  (void)l, (void)fd, (void)events; /* kqueue(2) tells later, as an event */
#endif
  return 0;
}

static void widen_signal_pipe(const poe_loop *l) {
#ifdef F_SETPIPE_SZ
  fcntl(l->uv.signal_pipefd[1], F_SETPIPE_SZ, SIGNAL_PIPE_BYTES);
#else
  (void)l;
#endif
}

int poe__uv_register_all(const poe_loop *l) {
  widen_signal_pipe(l);
  for (unsigned fd = 0; fd < l->uv.nwatchers; fd++) {
    const uv__io_t *w = l->uv.watchers[fd];
    int err = w && w->pevents ? poe__uv_register(l, (int)fd, w->pevents) : 0;
    if (err) return err;
  }
  return 0;
}
