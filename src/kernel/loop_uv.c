/* SPDX-License-Identifier: MIT */
/*
 * loop_uv.c -- the bridge to libuv: one uv_poll for each descriptor, one
 * uv_signal for each signal, and a timer that only bounds the wait.
 *
 * The only owner of uv handles; each is freed in its close callback.  The
 * callbacks record and return: no user code runs inside uv_run.
 *
 * libuv counts in milliseconds.  A wait is therefore cut: all but its last
 * two milliseconds, and what it may oversleep, through uv_run, the rest by
 * ppoll(2) on the loop's own descriptor, in the resolution of the system.
 *
 * libuv registers a started uv_poll in the next uv_run, and aborts the process
 * if it cannot: loop_uv_register.c does it first.  One that was closed or
 * became another file since is therefore looked for, and given up.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "loop_uv.h"

#define FINE_NS 2000000

static int to_uv(unsigned mask) {
  return (mask & 1u << POE_RD ? UV_READABLE : 0) |
         (mask & 1u << POE_WR ? UV_WRITABLE : 0) |
         (mask & 1u << POE_EX ? UV_PRIORITIZED : 0);
}

static unsigned from_uv(int events) {
  return (events & UV_READABLE ? 1u << POE_RD : 0) |
         (events & UV_WRITABLE ? 1u << POE_WR : 0) |
         (events & UV_PRIORITIZED ? 1u << POE_EX : 0);
}

/* ---- descriptors ------------------------------------------------------------- */

static void on_poll(uv_poll_t *uv, int status, int events);

static int start_poller(struct poller *p) {
  poe__list_remove(&p->fresh);
  int err = uv_poll_start(&p->uv, to_uv(p->mask), on_poll);
  if (!err) err = poe__uv_register(p->loop, p->fd, p->uv.io_watcher.pevents);
  if (err) {
    uv_poll_stop(&p->uv);
    return err;
  }
  poe__list_push(&p->loop->fresh, &p->fresh);
  p->loop->is_stale = 1;
  return 0;
}

/* Give up what libuv could not register. */
static void check_fresh(poe_loop *l) {
  while (!poe__list_empty(&l->fresh)) {
    struct poller *p = POE__ITEM(l->fresh.next, struct poller, fresh);
    if (poe__uv_is_same_file(p))
      poe__list_remove(&p->fresh);
    else
      poe__uv_give_up(p);
  }
}

static void on_poll(uv_poll_t *uv, int status, int events) {
  struct poller *p = (struct poller *)(void *)uv;
  poe_loop *l = p->loop;
  /* An error is for whoever reads or writes to find out.  libuv has stopped
     the handle; it must go on, as readiness is a level. */
  unsigned mask = status < 0 ? p->mask : from_uv(events) & p->mask;
  if (status < 0 && start_poller(p)) {
    poe__uv_give_up(p);
    return;
  }
  if (l->is_wary) mask = poe__uv_confirm(p, mask);
  if (!mask) return;
  l->recorded = 1;
  poe_loop_ready(l->k, p->fd, mask);
}

static void on_poll_closed(uv_handle_t *h) {
  struct poller *p = (struct poller *)(void *)h;
  poe__free(p->loop->k, p, sizeof *p);
}

static int make_poller(poe_loop *l, int fd, struct poller **out) {
  int err = 0;
  size_t old = l->room;
  err = poe__grow(l->k, (void **)&l->by_fd, sizeof *l->by_fd, &l->room,
                  (size_t)fd + 1);
  if (err) return err;
  memset(l->by_fd + old, 0, (l->room - old) * sizeof *l->by_fd);
  struct poller *p = poe__zalloc(l->k, sizeof *p);
  if (!p) return -ENOMEM;
  struct stat st = {0};
  err = fstat(fd, &st) ? -errno : uv_poll_init(&l->uv, &p->uv, fd);
  p->loop = l;
  p->fd = fd;
  p->dev = st.st_dev;
  p->ino = st.st_ino;
  poe__list_init(&p->fresh);
  if (err) {
    poe__free(l->k, p, sizeof *p);
    return err;
  }
  *out = l->by_fd[fd] = p;
  return 0;
}

static int uv_watch_fd(poe_loop *l, int fd, unsigned mask) {
  struct poller *p = (size_t)fd < l->room ? l->by_fd[fd] : NULL;
  if (!p) {
    int err = make_poller(l, fd, &p);
    if (err) return err;
  }
  p->mask = mask;
  p->is_foreign = poe__select_is_foreign(l->k, fd);
  if (mask) return start_poller(p);
  poe__list_remove(&p->fresh);
  poe__uv_suspect(p);
  return uv_poll_stop(&p->uv);
}

static void uv_ignore_fd(poe_loop *l, int fd) {
  struct poller *p = (size_t)fd < l->room ? l->by_fd[fd] : NULL;
  if (!p) return;
  l->by_fd[fd] = NULL;
  poe__list_remove(&p->fresh);
  poe__uv_suspect(p);
  l->is_closing = 1;
  uv_close((uv_handle_t *)&p->uv, on_poll_closed);
}

/* ---- signals --------------------------------------------------------------------- */

static void on_signal(uv_signal_t *uv, int signum) {
  struct catcher *c = (struct catcher *)(void *)uv;
  c->loop->recorded = 1;
  poe_loop_caught(c->loop->k, signum);
}

static void on_signal_closed(uv_handle_t *h) {
  struct catcher *c = (struct catcher *)(void *)h;
  poe__free(c->loop->k, c, sizeof *c);
}

static int uv_watch_signal(poe_loop *l, int signum) {
  struct catcher *c = poe__zalloc(l->k, sizeof *c);
  if (!c) return -ENOMEM;
  c->loop = l;
  int err = uv_signal_init(&l->uv, &c->uv);
  if (err) {
    poe__free(l->k, c, sizeof *c);
    return err;
  }
  l->by_signal[signum] = c;
  l->is_stale = 1;
  return uv_signal_start(&c->uv, on_signal, signum);
}

static void uv_ignore_signal(poe_loop *l, int signum) {
  struct catcher *c = l->by_signal[signum];
  if (!c) return;
  l->by_signal[signum] = NULL;
  l->is_closing = 1;
  uv_close((uv_handle_t *)&c->uv, on_signal_closed);
}

/* ---- waiting ----------------------------------------------------------------------- */

/* Over before libuv began to wait, if the process had lost the processor:
   without the stop it would then wait for whatever comes next. */
static void on_timer(uv_timer_t *timer) {
  POE__ITEM(timer, struct poe_loop, timer)->is_over = 1;
  uv_stop(timer->loop);
}

static int poll_backend(void *loop, int64_t ns) {
  poe_loop *l = loop;
  struct pollfd p = {uv_backend_fd(&l->uv), POLLIN, 0};
  struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  return ppoll(&p, 1, ns < 0 ? NULL : &t, NULL);
}

static void block(poe_loop *l, int64_t ns) {
  poe__wait(ns, poll_backend, l);
}

/* What is left to wait: nothing, unless it was the timer that ended this. */
static int64_t wait_coarsely(poe_loop *l, int64_t ns) {
  int64_t till = (int64_t)uv_hrtime() + ns;
  int64_t ms = (ns - ns / POE__OVERSLEPT) / 1000000 - 1;
  l->is_over = 0;
  uv_update_time(&l->uv);
  uv_timer_start(&l->timer, on_timer, (uint64_t)ms, 0);
  uv_run(&l->uv, UV_RUN_ONCE);
  uv_timer_stop(&l->timer);
  return l->is_over && !l->recorded ? till - (int64_t)uv_hrtime() : 0;
}

static void wait_finely(poe_loop *l, int64_t ns) {
  uv_run(&l->uv, UV_RUN_NOWAIT);
  if (l->recorded) return;
  block(l, ns);
  uv_run(&l->uv, UV_RUN_NOWAIT);
}

/* libuv does not return while there is nothing but a ghost. */
static int wait_warily(poe_loop *l, int64_t ns) {
  uv_run(&l->uv, UV_RUN_NOWAIT);
  if (!l->recorded && !l->is_haunted && ns != 0) {
    block(l, ns);
    uv_run(&l->uv, UV_RUN_NOWAIT);
  }
  return poe__uv_exorcise(l);
}

/* libuv does not wait in a uv_run that closes handles. */
static void close_handles(poe_loop *l) {
  l->is_closing = 0;
  uv_run(&l->uv, UV_RUN_NOWAIT);
}

static int uv_wait(poe_loop *l, int64_t ns) {
  l->recorded = l->is_stale = 0;
  check_fresh(l);
  if (l->recorded) ns = 0;
  if (l->is_wary) return wait_warily(l, ns);
  if (l->is_closing) {
    close_handles(l);
    if (l->recorded || ns == 0) return 0;
  }
  if (ns == 0) {
    uv_run(&l->uv, UV_RUN_NOWAIT);
  } else if (!uv_loop_alive(&l->uv)) {
    block(l, ns);
  } else if (ns < 0) {
    uv_run(&l->uv, UV_RUN_ONCE);
  } else {
    if (ns >= FINE_NS) ns = wait_coarsely(l, ns);
    if (ns > 0) wait_finely(l, ns);
  }
  return 0;
}

/* ---- open and close ------------------------------------------------------------------ */

static void uv_close_loop(poe_loop *l) {
  for (size_t fd = 0; fd < l->room; fd++) uv_ignore_fd(l, (int)fd);
  for (int s = 0; s < POE__SIGNALS; s++) uv_ignore_signal(l, s);
  uv_close((uv_handle_t *)&l->timer, NULL);
  while (uv_run(&l->uv, UV_RUN_DEFAULT)) continue;
  uv_loop_close(&l->uv);
  poe__free(l->k, l->by_fd, l->room * sizeof *l->by_fd);
  poe__free(l->k, l, sizeof *l);
}

static int uv_open_loop(poe_kernel *k, poe_loop **out) {
  poe_loop *l = poe__zalloc(k, sizeof *l);
  if (!l) return -ENOMEM;
  l->k = k;
  poe__list_init(&l->fresh);
  int err = poe__uv_has_room();
  if (!err) err = uv_loop_init(&l->uv);
  if (err) {
    poe__free(k, l, sizeof *l);
    return err;
  }
  uv_timer_init(&l->uv, &l->timer);
  err = poe__uv_register_all(l);
  if (err) {
    uv_close_loop(l);
    return err;
  }
  *out = l;
  return 0;
}

static int uv_backend(const poe_loop *l, int *is_stale) {
  *is_stale = l->is_stale;
  return uv_backend_fd(&l->uv);
}

const struct poe_loop_ops poe__loop_uv = {
    .name = "uv",
    .open = uv_open_loop,
    .close = uv_close_loop,
    .wait = uv_wait,
    .watch_fd = uv_watch_fd,
    .ignore_fd = uv_ignore_fd,
    .watch_signal = uv_watch_signal,
    .ignore_signal = uv_ignore_signal,
    .forked = poe__uv_renew,
    .backend = uv_backend,
};
