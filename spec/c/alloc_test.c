/* SPDX-License-Identifier: MIT */
/*
 * alloc_test.c -- the kernel's own memory: blocks of all sizes do not touch
 * each other, the count is right, and what is freed is used again.
 */
#include <string.h>

#include "fake_host.h"
#include "internal.h"

#define BLOCKS 3000

static struct {
  unsigned char *p;
  size_t size;
} block[BLOCKS];

static size_t base;

static void open_own(void) {
  struct poe_census c;
  host_open_with((struct host_options){.use_malloc = 1});
  poe_census(host.k, &c);
  base = c.allocations;
}

static size_t allocations(void) {
  struct poe_census c;
  poe_census(host.k, &c);
  return c.allocations - base;
}

static size_t random_size(void) {
  return test_below(8) ? 1 + test_below(300) : 1 + test_below(9000);
}

static void fill(unsigned i) {
  size_t size = block[i].size = random_size();
  int is_zeroed = test_below(2) == 0;
  block[i].p = is_zeroed ? poe__zalloc(host.k, size) : poe__alloc(host.k, size);
  ASSERT_TRUE(block[i].p);
  ASSERT_EQ((uintptr_t)block[i].p % 8, 0);
  for (size_t j = 0; is_zeroed && j < size; j++) ASSERT_EQ(block[i].p[j], 0);
  memset(block[i].p, (int)(i % 251), size);
}

static void empty(unsigned i) {
  for (size_t j = 0; j < block[i].size; j++) ASSERT_EQ(block[i].p[j], i % 251);
  poe__free(host.k, block[i].p, block[i].size);
  block[i].p = NULL;
}

TEST(blocks_of_all_sizes_are_apart) {
  size_t live = 0;
  open_own();
  for (int round = 0; round < 60000; round++) {
    unsigned i = test_below(BLOCKS);
    /* swing between few and many */
    int want = (round / 15000) % 2 ? test_below(8) == 0 : 1;
    if ((block[i].p != NULL) == want) continue;
    if (want)
      fill(i);
    else
      empty(i);
    live += want ? 1 : (size_t)-1;
    ASSERT_EQ(allocations(), live);
  }
  for (unsigned i = 0; i < BLOCKS; i++)
    if (block[i].p) empty(i);
  ASSERT_EQ(allocations(), 0);
  poe__free(host.k, NULL, 10);
  host_close();
}

TEST(an_array_grows_and_keeps_what_is_in_it) {
  uint64_t *at = NULL;
  size_t room = 0;
  open_own();
  for (size_t i = 0; i < 100000; i++) {
    ASSERT_EQ(poe__grow(host.k, (void **)&at, sizeof *at, &room, i + 1), 0);
    at[i] = i * 3;
  }
  for (size_t i = 0; i < 100000; i++) ASSERT_EQ(at[i], i * 3);
  ASSERT_EQ(allocations(), 1);
  poe__free(host.k, at, room * sizeof *at);
  ASSERT_EQ(allocations(), 0);
  host_close();
}

/* ---- slabs alone ---------------------------------------------------------- */

static unsigned char mark_of(size_t i, size_t j) {
  return (unsigned char)(i * 31 + j);
}

static void check_marks(size_t i, size_t size) {
  for (size_t j = 0; j < size; j++)
    ASSERT_EQ(block[i].p[j], mark_of(i, j));
}

static void resize(poe_slabs *m, size_t i, size_t size) {
  size_t kept = size < block[i].size ? size : block[i].size;
  unsigned char *p = poe_slabs_alloc(m, block[i].p, block[i].size, size);
  ASSERT_EQ(p == NULL, size == 0);
  block[i].p = p;
  block[i].size = size;
  check_marks(i, kept);
  for (size_t j = kept; j < size; j++) p[j] = mark_of(i, j);
}

static void resize_all_to(poe_slabs *m, size_t size) {
  for (size_t i = 0; i < BLOCKS; i++) resize(m, i, size);
}

TEST(a_block_keeps_what_is_in_it_at_every_size) {
  poe_slabs *m = poe_slabs_new();
  for (int round = 0; round < 60000; round++)
    resize(m, test_below(BLOCKS), test_below(3) ? random_size() : 0);
  resize_all_to(m, 0);
  poe_slabs_free(m);
}

TEST(the_size_of_a_new_block_may_be_anything) {
  poe_slabs *m = poe_slabs_new();
  void *p = poe_slabs_alloc(m, NULL, 5, 40); /* lua_Alloc: a kind of object */
  ASSERT_EQ(poe_slabs_alloc(m, NULL, 5, 0), NULL);
  ASSERT_EQ(poe_slabs_alloc(m, p, 40, 0), NULL);
  poe_slabs_free(m);
  poe_slabs_free(NULL);
}

/* What is free in a slab is used before there is another... */
TEST(slabs_are_used_again) {
  poe_slabs *m = poe_slabs_new();
  resize_all_to(m, 56);
  size_t bytes = m->bytes;
  for (int round = 0; round < 10; round++) {
    for (size_t i = 0; i < BLOCKS; i += 2) resize(m, i, 0);
    for (size_t i = 0; i < BLOCKS; i += 2) resize(m, i, 56);
  }
  ASSERT_EQ(m->bytes, bytes);
  resize_all_to(m, 0);
  poe_slabs_free(m);
}

/* ...those that are empty serve blocks of any size... */
TEST(empty_slabs_serve_every_size) {
  poe_slabs *m = poe_slabs_new();
  resize_all_to(m, 280);
  size_t burst = m->bytes;
  for (size_t size = 8; size <= 280; size += 8) {
    resize_all_to(m, 0);
    resize_all_to(m, size);
    ASSERT_LE(m->bytes, burst + POE__SLAB_CLASSES * 65536);
  }
  resize_all_to(m, 0);
  poe_slabs_free(m);
}

/* ...and of many most go, the rest when that is asked for. */
TEST(slabs_of_a_burst_go_back) {
  enum { MANY = 50000 };
  static void *many[MANY];
  poe_slabs *m = poe_slabs_new();
  for (size_t i = 0; i < MANY; i++)
    many[i] = poe_slabs_alloc(m, NULL, 0, 280);
  size_t burst = m->bytes;
  ASSERT_GE(burst, MANY * 280);
  for (size_t i = 0; i < MANY; i++) poe_slabs_alloc(m, many[i], 280, 0);
  ASSERT_LE(m->bytes, burst / 8);
  void *kept = poe_slabs_alloc(m, NULL, 0, 280);
  poe_slabs_trim(m);
  ASSERT_LE(m->bytes, 65536);
  memset(kept, 1, 280);
  poe_slabs_alloc(m, kept, 280, 0);
  poe_slabs_trim(m);
  ASSERT_EQ(m->bytes, 0);
  poe_slabs_free(m);
}

TEST(slabs_keep_to_a_budget) {
  struct poe_budget b = {.limit = 256 * 1024};
  poe_slabs *m = poe_slabs_new();
  poe__slabs_set_budget(m, &b);
  size_t n = 0;
  while (n < BLOCKS && (block[n].p = poe_slabs_alloc(m, NULL, 0, 200))) n++;
  ASSERT_GT(n, 900);
  ASSERT_LT(n, BLOCKS);
  ASSERT_EQ(b.refused, 1);
  ASSERT_EQ(b.used, m->bytes);
  ASSERT_LE(b.used, b.limit);
  ASSERT_EQ(poe_slabs_alloc(m, block[0].p, 200, b.limit), NULL); /* it stays */
  while (n) poe_slabs_alloc(m, block[--n].p, 200, 0);
  poe__slabs_set_budget(m, NULL);
  ASSERT_EQ(b.used, 0);
  poe_slabs_free(m);
  memset(block, 0, sizeof block);
}

/* ---- a kernel on them ------------------------------------------------------ */

static unsigned rounds;
HANDLER(again) {
  if (rounds++ < 20) {
    for (int i = 0; i < 500; i++) do_post(1, "e", ARGS(1, 2, 3));
    for (int i = 0; i < 500; i++) do_delay("t", (int64_t)i * US, ARGS(1));
    start(2);
    do_post(1, "again", NONE);
  }
  take_log();
}
HANDLER(quiet) { take_log(); }

TEST(a_busy_kernel_on_its_own_memory_leaves_nothing) {
  open_own();
  host.unchecked = 1;
  on(1, "again", again);
  on(1, "e", quiet);
  on(1, "t", quiet);
  start(1);
  do_post(1, "again", NONE);
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(rounds, 21);
  host_assert_empty();
  host_close();
}
