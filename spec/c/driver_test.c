/* SPDX-License-Identifier: MIT */
/*
 * driver_test.c -- a kernel that lives in another event loop: driver.c.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "fake_host.h"

/* The driver: its loop turns until halt, by way of `turn`. */
static struct {
  unsigned wakes, runs, halts, forks, closes;
  int is_halted;
  void *widget;
} drv;

static void wake(void *ud) {
  (void)ud;
  drv.wakes++;
}

static int run(void *ud) {
  (void)ud;
  drv.runs++;
  for (drv.is_halted = 0; !drv.is_halted;) {
    poe_kernel_step(host.k);
    int64_t ns = poe_kernel_timeout_ns(host.k);
    if (ns > 0) fake_clock_pass(ns);
  }
  return 0;
}

static void halt(void *ud) {
  (void)ud;
  drv.halts++;
  drv.is_halted = 1;
}

static int forked(void *ud) {
  (void)ud;
  drv.forks++;
  return 0;
}

static int moved(void *ud) {
  (void)ud;
  return 0;
}

static int attach(void *ud, void *widget) {
  (void)ud;
  drv.widget = widget;
  return widget ? 0 : -EINVAL;
}

static void closed(void *ud) {
  (void)ud;
  drv.closes++;
}

static const struct poe_driver driver = {.wake = wake,
                                         .run = run,
                                         .halt = halt,
                                         .forked = forked,
                                         .moved = moved,
                                         .attach_uidestroy = attach,
                                         .close = closed};

static int is_stale;

static int backend(const poe_loop *loop, int *stale) {
  (void)loop;
  *stale = is_stale;
  return 42;
}

static void open_driven(void) {
  static struct poe_loop_ops ops;
  ops = fake_loop_ops;
  ops.backend = backend;
  host_open();
  ASSERT_EQ(poe_kernel_set_loop(host.k, &ops), 0);
  ASSERT_EQ(poe_kernel_set_driver(host.k, &driver, NULL), 0);
}

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

static void delay_second(void) { do_delay("late", SEC, NONE); }

TEST(a_loop_without_a_backend_cannot_live_in_another) {
  host_open();
  ASSERT_EQ(poe_kernel_backend(host.k), -ENOSYS);
  ASSERT_EQ(poe_kernel_attach_uidestroy(host.k, &drv), -ENOSYS);
  end();
}

TEST(there_is_one_driver_and_it_learns_of_the_end) {
  open_driven();
  ASSERT_EQ(poe_kernel_backend(host.k), 42);
  ASSERT_EQ(poe_kernel_set_driver(host.k, &driver, NULL), -EBUSY);
  end();
  ASSERT_EQ(drv.closes, 1);
}

TEST(a_driver_that_lacks_a_function_is_refused) {
  host_open();
  struct poe_driver lame[6] = {driver, driver, driver, driver, driver, driver};
  lame[0].wake = NULL;
  lame[1].run = NULL;
  lame[2].halt = NULL;
  lame[3].forked = NULL;
  lame[4].moved = NULL;
  lame[5].close = NULL;
  for (int i = 0; i < 6; i++)
    ASSERT_EQ(poe_kernel_set_driver(host.k, &lame[i], NULL), -EINVAL);
  lame[0] = driver;
  lame[0].attach_uidestroy = NULL; /* this one need not be there */
  ASSERT_EQ(poe_kernel_set_driver(host.k, &lame[0], NULL), 0);
  ASSERT_EQ(poe_kernel_attach_uidestroy(host.k, &drv), -ENOSYS);
  end();
}

TEST(a_loop_that_does_not_open_has_neither_backend_nor_widgets) {
  open_driven();
  fake_loop.fail_open = -EMFILE;
  ASSERT_EQ(poe_kernel_backend(host.k), -EMFILE);
  fake_loop.fail_open = -EMFILE;
  ASSERT_EQ(poe_kernel_attach_uidestroy(host.k, &drv), -EMFILE);
  end();
}

TEST(the_driver_is_told_of_a_fork) {
  int status;
  open_driven();
  ASSERT_EQ(poe_kernel_backend(host.k), 42);
  int64_t pid = poe_kernel_fork(host.k);
  if (pid == 0) _exit(drv.forks == 1 ? 0 : 1);
  ASSERT_EQ(waitpid((pid_t)pid, &status, 0), pid);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(drv.forks, 0);
  end();
}

TEST(a_step_does_not_wait) {
  open_driven();
  on(1, "late", NULL);
  ASSERT_EQ(poe_kernel_timeout_ns(host.k), -1);
  ASSERT_EQ(poe_kernel_step(host.k), 0);
  start(1);
  ASSERT_EQ(drv.wakes, 1);
  as(1, delay_second);
  ASSERT_EQ(poe_kernel_timeout_ns(host.k), 0);
  ASSERT_EQ(poe_kernel_step(host.k), 1);
  int64_t left_ns = poe_kernel_timeout_ns(host.k);
  ASSERT_LE(left_ns, SEC); /* the clock moves as it is read */
  ASSERT_LT(SEC - 1000, left_ns);
  ASSERT_EQ(poe_kernel_step(host.k), 1);
  ASSERT_EQ(fake_loop.last_timeout_ns, 0);
  is_stale = 1;
  ASSERT_EQ(poe_kernel_timeout_ns(host.k), 0);
  is_stale = 0;
  fake_clock_pass(SEC);
  ASSERT_EQ(poe_kernel_timeout_ns(host.k), 0);
  ASSERT_EQ(poe_kernel_step(host.k), 0);
  ASSERT_EQ(poe_kernel_timeout_ns(host.k), -1);
  ASSERT_LOG("1 late");
  end();
}

TEST(run_is_the_drivers) {
  open_driven();
  on(1, "late", NULL);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_EQ(drv.runs, 0);
  start(1);
  as(1, delay_second);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_EQ(drv.runs, 1);
  ASSERT_EQ(drv.halts, 1);
  ASSERT_LOG("1 late");
  end();
}

HANDLER(run_again) {
  ASSERT_EQ(poe_kernel_run(host.k), -EBUSY);
  ASSERT_EQ(poe_kernel_step(host.k), -EBUSY);
}

TEST(a_handler_can_neither_run_nor_step) {
  open_driven();
  on(1, "late", run_again);
  start(1);
  as(1, delay_second);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  end();
}

TEST(an_error_is_that_of_the_run_or_else_of_the_step) {
  open_driven();
  on(1, "late", NULL);
  start(1);
  as(1, delay_second);
  ASSERT_EQ(poe_kernel_step(host.k), 1);
  fake_loop.fail_wait = -EIO;
  ASSERT_EQ(poe_kernel_step(host.k), -EIO);
  fake_loop.fail_wait = -EIO;
  ASSERT_EQ(poe_kernel_run(host.k), -EIO);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  end();
}

TEST(the_end_of_a_widget_stops_all_sessions) {
  open_driven();
  on(1, "late", NULL);
  start(1);
  as(1, delay_second);
  ASSERT_EQ(poe_kernel_attach_uidestroy(host.k, NULL), -EINVAL);
  ASSERT_EQ(poe_kernel_attach_uidestroy(host.k, &drv), 0);
  ASSERT_EQ(drv.widget == &drv, 1);
  ASSERT_EQ(poe_kernel_destroyed(host.k), 0);
  ASSERT_EQ(poe_kernel_run(host.k), 0);
  ASSERT_LOG("");
  end();
}
