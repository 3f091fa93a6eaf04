/* SPDX-License-Identifier: MIT */
/*
 * uv_driver.c -- a kernel in a uv_loop_t that is somebody else's.
 *
 * In each turn of the loop, before it waits, the kernel says how long it may
 * (on_prepare); afterwards, if something is due, comes a step (on_check).  So
 * handlers run at one place of the turn, outside of libuv's polling, and no
 * other callback of the kernel's runs any.
 *
 * The loop counts in milliseconds: a timer is up to one late, never early.
 * Of the handles only `prepare` ever keeps the loop alive, while there are
 * sessions.  All are one block of memory, but for the poller: a fork needs a
 * new one.
 */
#include <errno.h>
#include <stdlib.h>

#include "embed.h"

struct uv_driver {
  struct uv_driver_config c;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle; /* active: the loop does not wait */
  uv_timer_t timer;
  uv_poll_t *poll; /* of the kernel's backend */
  int is_readable;
  int is_closed;
  int open_handles;
};

/* ---- the turn ------------------------------------------------------------- */

static void on_idle(uv_idle_t *idle) { (void)idle; }
static void on_timer(uv_timer_t *timer) { (void)timer; }

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct uv_driver *d = poll->data;
  (void)status;
  (void)events;
  d->is_readable = 1;
}

static void arm_timer(struct uv_driver *d, int64_t ns) {
  uv_update_time(d->c.loop);
  uv_timer_start(&d->timer, on_timer, (uint64_t)((ns + 999999) / 1000000), 0);
}

/* While nobody is there, the kernel costs the loop nothing. */
static void set_alive(struct uv_driver *d, int is_alive) {
  if (uv_has_ref((uv_handle_t *)&d->prepare) == is_alive) return;
  if (is_alive) {
    uv_ref((uv_handle_t *)&d->prepare);
    uv_poll_start(d->poll, UV_READABLE, on_poll);
  } else {
    uv_unref((uv_handle_t *)&d->prepare);
    uv_poll_stop(d->poll);
  }
}

static void arm(struct uv_driver *d) {
  int64_t ns = poe_kernel_timeout_ns(d->c.k);
  set_alive(d, ns >= 0 || poe_session_count(d->c.k) > 0);
  if (ns == 0)
    uv_idle_start(&d->idle, on_idle);
  else
    uv_idle_stop(&d->idle);
  if (ns > 0)
    arm_timer(d, ns);
  else
    uv_timer_stop(&d->timer);
}

static void on_prepare(uv_prepare_t *prepare) { arm(prepare->data); }

static void on_check(uv_check_t *check) {
  struct uv_driver *d = check->data;
  int is_due = d->is_readable || poe_kernel_timeout_ns(d->c.k) == 0;
  d->is_readable = 0;
  if (is_due) d->c.step(d->c.ud);
  if (!d->is_closed) arm(d);
}

void uv_driver_nudge(struct uv_driver *d) {
  if (poe_kernel_timeout_ns(d->c.k) == 0) uv_idle_start(&d->idle, on_idle);
}

/* ---- the driver's part ------------------------------------------------------ */

static void wake(void *ud) {
  struct uv_driver *d = ud;
  set_alive(d, 1);
  uv_idle_start(&d->idle, on_idle);
}

static int run(void *ud) {
  struct uv_driver *d = ud;
  uv_run(d->c.loop, UV_RUN_DEFAULT);
  return 0;
}

static void halt(void *ud) { uv_stop(((struct uv_driver *)ud)->c.loop); }

static void free_poll(uv_handle_t *poll) { free(poll); }

static int open_poll(struct uv_driver *d) {
  int fd = poe_kernel_backend(d->c.k);
  if (fd < 0) return fd;
  uv_poll_t *poll = malloc(sizeof *poll);
  if (!poll) return -ENOMEM;
  int err = uv_poll_init(d->c.loop, poll, fd);
  if (err) {
    free(poll);
    return err;
  }
  poll->data = d;
  d->poll = poll;
  uv_unref((uv_handle_t *)poll);
  return 0;
}

static int moved(void *ud) {
  struct uv_driver *d = ud;
  int was_active = uv_is_active((uv_handle_t *)d->poll);
  uv_poll_t *old = d->poll;
  uv_close((uv_handle_t *)old, free_poll);
  int err = open_poll(d);
  if (!err && was_active) err = uv_poll_start(d->poll, UV_READABLE, on_poll);
  return err;
}

/* Handlers run between two polls of the loop, so it may be renewed here. */
static int forked(void *ud) {
  struct uv_driver *d = ud;
  int err = uv_loop_fork(d->c.loop);
  if (err) return err;
  err = moved(d);
  d->c.forked(d->c.ud);
  return err;
}

static void on_closed(uv_handle_t *handle) {
  struct uv_driver *d = handle->data;
  if (--d->open_handles == 0) free(d);
}

static void close_driver(void *ud) {
  struct uv_driver *d = ud;
  uv_handle_t *const handles[] = {
      (uv_handle_t *)&d->prepare, (uv_handle_t *)&d->check,
      (uv_handle_t *)&d->idle, (uv_handle_t *)&d->timer};
  d->is_closed = 1;
  if (d->poll) uv_close((uv_handle_t *)d->poll, free_poll);
  for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
    uv_close(handles[i], on_closed);
}

static const struct poe_driver driver = {
    .wake = wake,
    .run = run,
    .halt = halt,
    .forked = forked,
    .moved = moved,
    .close = close_driver,
};

/* ---- opening ------------------------------------------------------------------ */

static void init_handles(struct uv_driver *d) {
  uv_prepare_init(d->c.loop, &d->prepare);
  uv_check_init(d->c.loop, &d->check);
  uv_idle_init(d->c.loop, &d->idle);
  uv_timer_init(d->c.loop, &d->timer);
  d->prepare.data = d->check.data = d->idle.data = d->timer.data = d;
  uv_unref((uv_handle_t *)&d->prepare);
  uv_unref((uv_handle_t *)&d->check);
  uv_unref((uv_handle_t *)&d->idle);
  uv_unref((uv_handle_t *)&d->timer);
  d->open_handles = 4;
}

int uv_driver_open(const struct uv_driver_config *config,
                   struct uv_driver **out) {
  struct uv_driver *d = calloc(1, sizeof *d);
  if (!d) return -ENOMEM;
  d->c = *config;
  init_handles(d);
  int err = open_poll(d);
  if (!err) err = poe_kernel_set_driver(d->c.k, &driver, d);
  if (err) {
    close_driver(d);
    return err;
  }
  uv_prepare_start(&d->prepare, on_prepare);
  uv_check_start(&d->check, on_check);
  set_alive(d, poe_session_count(d->c.k) > 0);
  *out = d;
  return 0;
}
