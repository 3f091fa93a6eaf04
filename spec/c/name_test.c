/* SPDX-License-Identifier: MIT */
/* name_test.c -- interned names: one for each text, while it has users. */
#include <stdio.h>
#include <string.h>

#include "fake_host.h"

static poe_name *get(const char *text) {
  return poe_name_get(host.k, text, strlen(text));
}

TEST(equal_texts_are_one_name) {
  host_open();
  poe_name *a = get("alpha"), *b = get("alpha"), *c = get("beta");
  ASSERT_PTR_EQ(a, b);
  ASSERT_NE((intptr_t)a, (intptr_t)c);
  ASSERT_NE(poe_name_id(a), poe_name_id(c));
  ASSERT_PTR_EQ(poe_name_by_id(host.k, poe_name_id(c)), c);
  poe_name_unref(host.k, a);
  ASSERT_PTR_EQ(poe_name_find(host.k, "alpha", 5), b);
  poe_name_unref(host.k, b);
  ASSERT_TRUE(!poe_name_find(host.k, "alpha", 5));
  poe_name_unref(host.k, c);
  host_assert_empty();
  host_close();
}

TEST(length_counts_and_zeros_are_text) {
  size_t len;
  host_open();
  poe_name *a = poe_name_get(host.k, "a\0b", 3);
  poe_name *b = poe_name_get(host.k, "a\0c", 3);
  poe_name *c = poe_name_get(host.k, "a", 1);
  poe_name *empty = poe_name_get(host.k, "", 0);
  ASSERT_TRUE(a != b && b != c && a != c && c != empty);
  ASSERT_EQ(memcmp(poe_name_text(b, &len), "a\0c", 4), 0);
  ASSERT_EQ(len, 3);
  ASSERT_STR_EQ(poe_name_text(empty, NULL), "");
  poe_name_unref(host.k, a);
  poe_name_unref(host.k, b);
  poe_name_unref(host.k, c);
  poe_name_unref(host.k, empty);
  host_assert_empty();
  host_close();
}

TEST(a_referenced_name_stays) {
  host_open();
  poe_name *a = get("alpha");
  poe_name_ref(a);
  poe_name_unref(host.k, a);
  ASSERT_PTR_EQ(poe_name_find(host.k, "alpha", 5), a);
  poe_name_unref(host.k, a);
  poe_name_unref(host.k, NULL);
  ASSERT_TRUE(!poe_name_find(host.k, "alpha", 5));
  host_close();
}

TEST(ids_are_used_again_only_when_free) {
  static poe_name *n[500];
  char text[48];
  host_open();
  for (int i = 0; i < 500; i++) {
    snprintf(text, sizeof text, "a rather long name, number %d", i);
    n[i] = get(text);
  }
  uint32_t top = poe_name_id(n[499]);
  for (int round = 0; round < 20000; round++) {
    unsigned i = test_below(500);
    poe_name_unref(host.k, n[i]);
    snprintf(text, sizeof text, "round %d", round);
    n[i] = get(text);
    ASSERT_LE(poe_name_id(n[i]), top);
    ASSERT_PTR_EQ(poe_name_by_id(host.k, poe_name_id(n[i])), n[i]);
  }
  for (int i = 0; i < 500; i++)
    for (int j = 0; j < i; j++) ASSERT_NE(poe_name_id(n[i]), poe_name_id(n[j]));
  for (int i = 0; i < 500; i++) poe_name_unref(host.k, n[i]);
  host_assert_empty();
  host_close();
}

TEST(a_name_without_memory_is_none) {
  host_open();
  for (int allow = 0; allow < 3; allow++) {
    memory.allow = allow;
    poe_name *a = get("something new");
    memory.allow = -1;
    if (a)
      poe_name_unref(host.k, a);
    else
      ASSERT_TRUE(!poe_name_find(host.k, "something new", 13));
  }
  ASSERT_GT(memory.failed, 0);
  host_assert_empty();
  host_close();
}

static void nothing(void) {}

TEST(a_queued_event_keeps_its_name) {
  host_open();
  on(1, "ping", NULL);
  start(1);
  ASSERT_EQ(do_post(1, "ping", NONE), 0);
  ASSERT_EQ(do_post(1, "ping", NONE), 0);
  as(1, nothing);
  ASSERT_EQ(do_run(), 0);
  ASSERT_LOG("1 ping, 1 ping");
  host_assert_empty();
  ASSERT_TRUE(!poe_name_find(host.k, "ping", 4));
  host_close();
}
