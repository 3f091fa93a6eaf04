/* SPDX-License-Identifier: MIT */
/*
 * queue_test.c -- the one order of posts, delays and alarms, against a naive
 * sorted list; the FIFO's pages and the heaps' arrays.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "fake_host.h"
#include "internal.h"

/* ---- the FIFO by itself ----------------------------------------------------- */

static void push(unsigned words, uint64_t seed) {
  struct poe__post *post = poe__fifo_push(host.k, words);
  ASSERT_TRUE(post);
  post->seq = seed;
  post->m = (struct poe__message){.n = (uint16_t)words};
  for (unsigned i = 0; i < words; i++) post->words[i] = seed + i;
}

static void pop(unsigned words, uint64_t seed) {
  struct poe__post *post = poe__fifo_head(host.k);
  ASSERT_TRUE(post);
  ASSERT_EQ(post->m.n, words);
  ASSERT_EQ(post->seq, seed);
  poe__fifo_pop(host.k, post);
  /* readable until the head is asked for again */
  for (unsigned i = 0; i < words; i++) ASSERT_EQ(post->words[i], seed + i);
}

static unsigned words_of(uint64_t seed) {
  return (unsigned)(poe__mix(seed) % (POE_PAYLOAD_MAX + 3));
}

TEST(records_of_all_sizes_come_out_as_they_went_in) {
  uint64_t in = 1, out = 1;
  host_open();
  for (int round = 0; round < 300; round++) {
    for (unsigned n = test_below(900); n > 0; n--, in++) push(words_of(in), in);
    for (unsigned n = test_below(900); n > 0 && out < in; n--, out++)
      pop(words_of(out), out);
  }
  for (; out < in; out++) pop(words_of(out), out);
  ASSERT_TRUE(!poe__fifo_head(host.k));
  host_close();
}

TEST(pages_are_given_back_but_for_two) {
  host_open();
  size_t blocks = memory.blocks;
  for (uint64_t i = 0; i < 60000; i++) push(4, i);
  ASSERT_GT(memory.blocks, blocks + 10);
  for (uint64_t i = 0; i < 60000; i++) pop(4, i);
  ASSERT_TRUE(!poe__fifo_head(host.k));
  ASSERT_LE(memory.blocks, blocks + 2);
  host_close();
}

TEST(a_steady_stream_allocates_nothing) {
  host_open();
  for (uint64_t i = 0; i < 5000; i++) push(2, i);
  for (uint64_t i = 0; i < 5000; i++) pop(2, i);
  size_t calls = memory.calls;
  for (uint64_t i = 0; i < 100000; i++) {
    push(2, i);
    pop(2, i);
    ASSERT_TRUE(!poe__fifo_head(host.k));
  }
  ASSERT_EQ(memory.calls, calls);
  host_close();
}

TEST(a_push_without_memory_changes_nothing) {
  host_open();
  memory.allow = 0;
  ASSERT_TRUE(!poe__fifo_push(host.k, 1));
  ASSERT_TRUE(!poe__fifo_head(host.k));
  push(1, 7);
  pop(1, 7);
  host_close();
}

/* ---- everything against a model ------------------------------------------------ */

enum kind { POST, DELAY, ALARM };

struct expected {
  enum kind kind;
  int64_t due_ns; /* epoch; the offset is constant here */
  uint64_t order; /* of sending or adjusting */
  int64_t id;     /* of a timer */
  int value;
};

#define MOST 6000
static struct expected model[MOST];
static size_t nmodel;
static uint64_t order;
static int next_value = 1;
static int64_t last_post_ns;

static void expect(enum kind kind, int64_t due_ns, int64_t id) {
  ASSERT_LT(nmodel, MOST);
  model[nmodel++] = (struct expected){kind, due_ns, order++, id, next_value++};
}

static int earlier(const void *a, const void *b) {
  const struct expected *x = a, *y = b;
  if (x->due_ns != y->due_ns) return x->due_ns < y->due_ns ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

static struct expected *random_timer(void) {
  for (int tries = 0; tries < 10 && nmodel; tries++) {
    struct expected *e = &model[test_below((unsigned)nmodel)];
    if (e->kind != POST) return e;
  }
  return NULL;
}

/* Few different times, so that ties are many.  The clock stands still. */
static int64_t random_time(void) { return (int64_t)test_below(50) * MS; }

static const char *random_name(void) {
  static const char *const n[] = {"a", "b", "c"};
  return n[test_below(3)];
}

static void send_one(void) {
  int64_t t = random_time(), now = fake_clock.epoch_ns;
  int v = next_value;
  switch (test_below(3)) {
    case 0:
      ASSERT_EQ(do_post(1, random_name(), ARGS(v)), 0);
      if (now > last_post_ns) last_post_ns = now;
      expect(POST, last_post_ns, 0);
      break;
    case 1: expect(DELAY, now + t, do_delay(random_name(), t, ARGS(v))); break;
    default:
      expect(ALARM, EPOCH_START + t,
             do_alarm(random_name(), EPOCH_START + t, ARGS(v)));
  }
}

static void change_one(void) {
  struct expected *e = random_timer();
  int64_t due, t = random_time();
  if (!e) return;
  switch (test_below(3)) {
    case 0:
      ASSERT_EQ(do_timer_remove(e->id), e->value);
      *e = model[--nmodel];
      return;
    case 1:
      t -= 25 * MS;
      ASSERT_EQ(poe_timer_adjust(host.k, e->id, t, &due), 0);
      e->due_ns += t;
      break;
    default:
      ASSERT_EQ(poe_timer_readjust(host.k, e->id, t, &due), 0);
      e->due_ns = fake_clock.epoch_ns + t;
  }
  ASSERT_EQ(due, e->due_ns);
  e->order = order++;
}

static void change_much(void) {
  for (unsigned n = 200 + test_below(400); n > 0; n--) {
    if (test_below(3))
      send_one();
    else
      change_one();
    if (n % 16 == 0) check_heaps(host.k);
  }
  take_log();
}

static struct expected want[MOST];
static size_t nwant, nseen;

static void arrived(struct call *c) {
  ASSERT_LT(nseen, nwant);
  ASSERT_EQ(c->args[0], want[nseen].value);
  nseen++;
}

/* What is due by now comes in order, and nothing else. */
static void slice_and_compare(void) {
  int64_t now = fake_clock.epoch_ns;
  qsort(model, nmodel, sizeof *model, earlier);
  for (nwant = 0; nwant < nmodel && model[nwant].due_ns <= now; nwant++)
    want[nwant] = model[nwant];
  nseen = 0;
  while (nseen < nwant) ASSERT_EQ(do_slice(), 1);
  nmodel -= nwant;
  for (size_t i = 0; i < nmodel; i++) model[i] = model[nwant + i];
  take_log();
}

TEST(order_is_that_of_a_sorted_list) {
  host_open();
  fake_clock.step_ns = 0;
  on(1, "a", arrived);
  on(1, "b", arrived);
  on(1, "c", arrived);
  start(1);
  for (int round = 0; round < 60; round++) {
    as(1, change_much);
    fake_clock_pass(random_time());
    slice_and_compare();
  }
  fake_clock_pass(SEC);
  slice_and_compare();
  ASSERT_EQ(nmodel, 0);
  ASSERT_EQ(do_run(), 0);
  host_assert_empty();
  host_close();
}

static void hour_of_delays(void) {
  for (int i = 0; i < 100000; i++) {
    int64_t ns = (int64_t)(poe__mix((uint64_t)i + 1) % (uint64_t)HOUR);
    ASSERT_GT(do_delay("t", ns, NONE), 0);
  }
}

static int64_t last_seen_ns;

static void in_time(struct call *c) {
  (void)c;
  ASSERT_GE(fake_clock.mono_ns, last_seen_ns);
  last_seen_ns = fake_clock.mono_ns;
  nseen++;
  take_log();
}

TEST(a_hundred_thousand_timers_fire_in_time_and_their_memory_goes) {
  host_open();
  host.unchecked = 1;
  on(1, "t", in_time);
  start(1);
  size_t bytes = memory.bytes;
  as(1, hour_of_delays);
  check_heaps(host.k);
  ASSERT_EQ(poe_event_count(host.k), 100001);
  size_t at_most = memory.bytes - bytes;
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(nseen, 100000);
  ASSERT_LE(memory.bytes, bytes + at_most / 20);
  host_assert_empty();
  host_close();
}

static void post_many(void) {
  for (int i = 1; i <= 200000; i++) ASSERT_EQ(do_post(1, "p", ARGS(i)), 0);
}

static void in_order(struct call *c) {
  ASSERT_EQ(c->args[0], ++nseen);
  take_log();
}

TEST(a_backlog_of_posts_stays_in_order_and_its_memory_goes) {
  host_open();
  host.unchecked = 1;
  on(1, "p", in_order);
  start(1);
  size_t bytes = memory.bytes;
  as(1, post_many);
  ASSERT_GT(memory.bytes, bytes + 200000 * sizeof(struct poe__post));
  ASSERT_EQ(do_run(), 0);
  ASSERT_EQ(nseen, 200000);
  ASSERT_LE(memory.bytes, bytes + 2 * 256 * 1024 + 4096);
  host_assert_empty();
  host_close();
}
