/* SPDX-License-Identifier: MIT */
/* guard_test.c -- who is told of handlers that run, and limits of queues. */
#include <stdio.h>
#include <string.h>

#include "fake_host.h"
#include "internal.h"

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

/* ---- the guard -------------------------------------------------------------- */

static void began(void *ud, const struct poe_frame *f) {
  ASSERT_PTR_EQ(ud, &host);
  ASSERT_PTR_EQ(f->outer, poe_kernel_frame(host.k));
  note("<%s", poe_name_text(f->event, NULL));
}

static void ended(void *ud, const struct poe_frame *f) {
  ASSERT_PTR_EQ(ud, &host);
  ASSERT_PTR_EQ(f->outer, poe_kernel_frame(host.k));
  note("%s>", poe_name_text(f->event, NULL));
}

static const struct poe_guard guard = {began, ended};

HANDLER(call_inner) { do_call(c->me, "inner"); }
static void post_outer(void) { do_post(1, "outer", NONE); }

TEST(a_guard_is_told_of_each_handler_and_of_nested_ones_within) {
  host_open();
  on(1, "outer", call_inner);
  on(1, "inner", NULL);
  start(1);
  as(1, post_outer);
  take_log();
  poe_kernel_set_guard(host.k, &guard, &host);
  do_slice();
  poe_kernel_set_guard(host.k, NULL, NULL);
  ASSERT_LOG("<outer, 1 outer, <inner, 1 inner, inner>, outer>, <_stop, _stop>");
  end();
}

HANDLER(set_guard) { poe_kernel_set_guard(host.k, &guard, &host); }
HANDLER(unset_guard) { poe_kernel_set_guard(host.k, NULL, NULL); }
static void post_both(void) {
  do_post(1, "set", NONE);
  do_post(1, "seen", NONE);
  do_post(1, "unset", NONE);
}

TEST(a_guard_that_comes_or_goes_in_a_handler_is_not_told_of_its_rest) {
  host_open();
  on(1, "set", set_guard);
  on(1, "seen", NULL);
  on(1, "unset", unset_guard);
  start(1);
  as(1, post_both);
  take_log();
  do_slice();
  ASSERT_LOG("1 set, <seen, 1 seen, seen>, <unset, 1 unset");
  end();
}

TEST(a_guard_and_traces_do_not_disturb_each_other) {
  host_open();
  on(1, "outer", NULL);
  start(1);
  as(1, post_outer);
  take_log();
  poe_kernel_set_guard(host.k, &guard, &host);
  poe_set_trace_mask(host.k, POE_TRACE_EVENTS);
  poe_set_trace_mask(host.k, 0);
  ASSERT_EQ(poe_trace_mask(host.k), 0);
  host.lines[0] = '\0';
  do_slice();
  poe_kernel_set_guard(host.k, NULL, NULL);
  ASSERT_LOG("<outer, 1 outer, outer>, <_stop, _stop>");
  ASSERT_STR_EQ(host.lines, "");
  end();
}
