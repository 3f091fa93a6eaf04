/* SPDX-License-Identifier: MIT */
/*
 * map_test.c -- linear hashing against a model; that it grows and shrinks
 * bucket by bucket, so that no operation ever pauses.
 */
#include <stdlib.h>

#include "fake_host.h"
#include "internal.h"

#define ITEMS 20000

struct item {
  struct poe__link link;
  uint64_t key;
  int is_in;
};

static struct item items[ITEMS];
static struct poe__map map;

static uint64_t buckets(void) {
  return map.segment[0] ? map.low_mask + 1 + map.split : 0;
}

static struct item *find(uint64_t key) {
  struct poe__link *l = poe__map_first(&map, key);
  for (; l; l = l->next)
    if (((struct item *)(void *)l)->key == key) return (struct item *)(void *)l;
  return NULL;
}

static void add(struct item *it, uint64_t key) {
  uint64_t before = buckets();
  size_t calls = memory.calls;
  it->key = key;
  it->link.key = key;
  ASSERT_EQ(poe__map_reserve(host.k, &map), 0);
  ASSERT_LE(memory.calls, calls + 1);
  poe__map_add(&map, &it->link);
  it->is_in = 1;
  if (before) ASSERT_LE(buckets(), before + 1);
}

static void take_out(struct item *it) {
  uint64_t before = buckets();
  poe__map_remove(host.k, &map, &it->link);
  it->is_in = 0;
  ASSERT_LE(buckets(), before);
  ASSERT_GE(buckets() + 4, before);
}

static size_t walk(size_t *longest) {
  size_t n = 0;
  *longest = 0;
  for (uint64_t b = 0; b < buckets(); b++) {
    size_t chain = 0;
    for (struct poe__link *l = *poe__map_bucket(&map, b); l; l = l->next) {
      ASSERT_EQ(poe__map_index(&map, l->key), b);
      chain++;
    }
    n += chain;
    if (chain > *longest) *longest = chain;
  }
  return n;
}

static void assert_consistent(size_t count) {
  size_t longest;
  ASSERT_EQ(map.count, count);
  ASSERT_EQ(walk(&longest), count);
  ASSERT_LT(longest, 16);
}

static void done(void) {
  poe__map_fini(host.k, &map);
  host_close();
}

TEST(an_empty_map_finds_nothing) {
  host_open();
  ASSERT_TRUE(!find(1));
  done();
}

TEST(what_was_added_is_found_until_it_is_removed) {
  host_open();
  size_t count = 0;
  for (int round = 0; round < 200000; round++) {
    unsigned i = test_below(ITEMS);
    struct item *it = &items[i];
    ASSERT_PTR_EQ(find(i), it->is_in ? it : NULL);
    /* swing between nearly empty and nearly full */
    int want = (round / 40000) % 2 ? test_below(8) == 0 : test_below(8) != 0;
    if (it->is_in == want) continue;
    if (want)
      add(it, i);
    else
      take_out(it);
    count += want ? 1 : (size_t)-1;
    if (round % 20000 == 0) assert_consistent(count);
  }
  assert_consistent(count);
  done();
}

TEST(it_grows_with_its_items) {
  host_open();
  for (unsigned i = 0; i < ITEMS; i++) {
    add(&items[i], i);
    ASSERT_GE(buckets(), map.count);
    ASSERT_LE(buckets(), map.count + 16);
  }
  assert_consistent(ITEMS);
  done();
}

TEST(it_shrinks_with_its_items) {
  host_open();
  for (unsigned i = 0; i < ITEMS; i++) add(&items[i], i);
  for (unsigned i = 0; i < ITEMS; i++) {
    take_out(&items[i]);
    ASSERT_LE(buckets(), 4 * map.count > 16 ? 4 * map.count : 16);
    if (i % 1000 == 0) assert_consistent(ITEMS - 1 - i);
  }
  ASSERT_EQ(buckets(), 16);
  ASSERT_LT(memory.bytes, sizeof *host.k + 4096);
  done();
}

TEST(equal_hashes_share_a_chain) {
  host_open();
  for (unsigned i = 0; i < 100; i++) {
    add(&items[i], i);
    take_out(&items[i]);
    items[i].link.key = 5;
    ASSERT_EQ(poe__map_reserve(host.k, &map), 0);
    poe__map_add(&map, &items[i].link);
  }
  size_t n = 0;
  for (struct poe__link *l = poe__map_first(&map, 5); l; l = l->next) n++;
  ASSERT_EQ(n, 100);
  for (unsigned i = 0; i < 100; i += 2)
    poe__map_remove(host.k, &map, &items[i].link);
  n = 0;
  for (struct poe__link *l = poe__map_first(&map, 5); l; l = l->next) n++;
  ASSERT_EQ(n, 50);
  done();
}

TEST(reserving_without_memory_fails_and_changes_nothing) {
  host_open();
  memory.allow = 0;
  ASSERT_EQ(poe__map_reserve(host.k, &map), -ENOMEM);
  for (unsigned i = 0; i < 16; i++) add(&items[i], i);
  memory.allow = 0;
  items[16].link.key = 16;
  ASSERT_EQ(poe__map_reserve(host.k, &map), -ENOMEM);
  assert_consistent(16);
  add(&items[16], 16);
  assert_consistent(17);
  done();
}
