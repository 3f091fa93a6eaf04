/* SPDX-License-Identifier: MIT */
/* alias_test.c -- aliases: one session for each, as many as one likes. */
#include <string.h>

#include "fake_host.h"
#include "internal.h"

static void end(void) {
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

static void set_two(void) {
  ASSERT_EQ(do_alias("x"), 0);
  ASSERT_EQ(do_alias("y"), 0);
  ASSERT_EQ(do_alias("x"), 0);
}
static void set_taken(void) {
  ASSERT_EQ(do_alias("x"), -EEXIST);
  ASSERT_EQ(do_unalias("x"), -EPERM);
  ASSERT_EQ(do_unalias("unknown"), -ESRCH);
}
static void drop_x(void) { ASSERT_EQ(do_unalias("x"), 0); }
static void set_x(void) { ASSERT_EQ(do_alias("x"), 0); }

TEST(an_alias_finds_its_session) {
  host_open();
  start(1);
  start(2);
  as(1, set_two);
  ASSERT_PTR_EQ(poe_alias_find(host.k, nm("x")), by(1));
  ASSERT_PTR_EQ(poe_alias_find(host.k, nm("y")), by(1));
  ASSERT_TRUE(!poe_alias_find(host.k, nm("z")));
  as(2, set_taken);
  poe_kernel_stop(host.k);
  end();
}

TEST(aliases_are_listed_in_the_order_set) {
  host_open();
  start(1);
  as(1, set_two);
  ASSERT_PTR_EQ(poe_alias_first(by(1)), nm("x"));
  ASSERT_PTR_EQ(poe_alias_next(host.k, nm("x")), nm("y"));
  ASSERT_TRUE(!poe_alias_next(host.k, nm("y")));
  as(1, drop_x);
  ASSERT_PTR_EQ(poe_alias_first(by(1)), nm("y"));
  poe_kernel_stop(host.k);
  end();
}

static const char *const many[] = {"a", "b", "c", "d", "e", "f"};
enum { MANY = sizeof many / sizeof *many };

/* A random one is set, or removed, and then is the last, or none. */
static void change_many(void) {
  const char *order[MANY];
  size_t n = 0;
  for (int round = 0; round < 3000; round++) {
    const char *name = many[test_below(MANY)];
    size_t i = 0;
    while (i < n && order[i] != name) i++;
    if (i == n) {
      ASSERT_EQ(poe_alias_set(host.k, nm(name)), 0);
      order[n++] = name;
    } else {
      ASSERT_EQ(poe_alias_remove(host.k, nm(name)), 0);
      memmove(&order[i], &order[i + 1], (--n - i) * sizeof *order);
    }
    const poe_name *alias = poe_alias_first(by(1));
    for (i = 0; i < n; i++, alias = poe_alias_next(host.k, alias))
      ASSERT_PTR_EQ(alias, nm(order[i]));
    ASSERT_TRUE(!alias);
  }
}

TEST(aliases_come_and_go_at_any_place) {
  host_open();
  start(1);
  as(1, change_many);
  poe_kernel_stop(host.k);
  end();
}

TEST(a_removed_alias_is_free_for_others) {
  host_open();
  start(1);
  start(2);
  as(1, set_two);
  as(1, drop_x);
  as(2, set_x);
  ASSERT_PTR_EQ(poe_alias_find(host.k, nm("x")), by(2));
  poe_kernel_stop(host.k);
  ASSERT_TRUE(!poe_alias_find(host.k, nm("x")));
  end();
}

HANDLER(still_found) {
  ASSERT_PTR_EQ(poe_alias_find(host.k, nm("x")), by(1));
  ASSERT_EQ(do_unalias("x"), 0);
}

TEST(in_stop_the_alias_still_resolves_and_can_be_removed) {
  host_open();
  on(1, "_stop", still_found);
  start(1);
  as(1, set_two);
  ASSERT_EQ(do_run(), 0); /* IDLE: aliases alone keep nothing going */
  ASSERT_LOG("1 _stop");
  end();
}

HANDLER(drop_in_e) { drop_x(); }

TEST(the_last_alias_gone_the_session_ends_with_the_slice) {
  host_open();
  log_life();
  on(1, "e", drop_in_e);
  start(1);
  as(1, set_x);
  ASSERT_EQ(poe_session_refcount(by(1)), 2);
  do_post(1, "e", NONE);
  take_log();
  ASSERT_EQ(do_slice(), 1);
  ASSERT_LOG("1 e, 1 _stop");
  end();
}
