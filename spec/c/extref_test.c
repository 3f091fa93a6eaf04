/* SPDX-License-Identifier: MIT */
/* extref_test.c -- tagged references, their counts, and waiting for them. */
#include "fake_host.h"
#include "internal.h"

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

TEST(each_tag_counts_by_itself_and_holds_once) {
  host_open();
  start(1);
  ASSERT_EQ(do_inc(1, "a", NULL), 1);
  ASSERT_EQ(do_inc(1, "a", NULL), 2);
  ASSERT_EQ(do_inc(1, "b", NULL), 1);
  ASSERT_EQ(poe_session_refcount(by(1)), 3);
  ASSERT_EQ(do_dec(1, "a", NULL), 1);
  ASSERT_EQ(do_dec(1, "b", NULL), 0);
  ASSERT_EQ(poe_session_refcount(by(1)), 2);
  ASSERT_EQ(do_dec(1, "a", NULL), 0);
  end();
}

TEST(a_count_may_fall_below_zero_and_then_keeps_the_kernel) {
  host_open();
  start(1);
  ASSERT_EQ(do_dec(1, "a", NULL), -1);
  ASSERT_EQ(poe_session_refcount(by(1)), 1);
  ASSERT_EQ(host.k->tags.count, 1);
  ASSERT_EQ(do_inc(1, "a", NULL), 0);
  ASSERT_EQ(host.k->tags.count, 0);
  end();
}

TEST(tags_go_with_their_session) {
  host_open();
  start(1);
  do_inc(1, "a", NULL);
  do_dec(1, "b", NULL);
  poe_kernel_stop(host.k);
  ASSERT_EQ(host.k->tags.count, 0);
  end();
}

static void release(void) { do_dec(1, "a", NULL); }

TEST(before_waiting_for_tags_the_host_may_collect) {
  host_open();
  log_life();
  start(1);
  do_inc(1, "a", NULL);
  host.collect_result = 1;
  host.collect_hook = release;
  take_log();
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(host.collects, 1);
  ASSERT_LOG("1 _stop");
  end();
}

TEST(tags_keep_the_program_waiting) {
  host_open();
  on(1, "late", NULL);
  start(1);
  do_inc(1, "a", NULL);
  ASSERT_EQ(do_slice(), 1);
  fake_loop.fail_wait = -EIO; /* instead of waiting for ever */
  ASSERT_EQ(do_slice(), -EIO);
  ASSERT_EQ(fake_loop.last_timeout_ns, -1);
  ASSERT_GE(host.collects, 1);
  release();
  end();
}

TEST(without_memory_nothing_is_counted) {
  int err;
  host_open();
  start(1);
  nm("a");
  for (int64_t allow = 0; allow < 2; allow++) {
    memory.allow = allow;
    do_inc(1, "a", &err);
    memory.allow = -1;
    ASSERT_EQ(err, -ENOMEM);
    memory.allow = 0;
    do_dec(1, "a", &err);
    memory.allow = -1;
    if (allow == 0) ASSERT_EQ(err, -ENOMEM);
    if (!err) do_inc(1, "a", NULL);
    ASSERT_EQ(poe_session_refcount(by(1)), 1);
    ASSERT_EQ(host.k->tags.count, 0);
  }
  end();
}
