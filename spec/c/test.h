/* SPDX-License-Identifier: MIT */
/*
 * test.h -- tests and assertions of the kernel's C layer.
 *
 * TEST(name) { ... } defines and registers one test; its name is a sentence
 * about one fact.  main.c runs each in a forked child, so a test may leave
 * the process in any state: only its exit status counts.
 *
 * Assertions print both values and end the child.  They are functions, not
 * assert(3): no build option compiles them away.  Each operand is evaluated
 * once.
 */
#ifndef POE_TEST_H
#define POE_TEST_H

#include <stddef.h>

/* Exit status of a test that cannot run here. */
#define TEST_SKIPPED 77

struct test {
  const char *file, *name;
  int line;
  void (*run)(void);
  struct test *next;
};

void test_register(struct test *t);

#define TEST(NAME)                                                             \
  static void NAME(void);                                                      \
  static struct test test_of_##NAME = {__FILE__, #NAME, __LINE__, NAME, NULL}; \
  __attribute__((constructor)) static void register_##NAME(void) {             \
    test_register(&test_of_##NAME);                                            \
  }                                                                            \
  static void NAME(void)

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_skip(const char *why);

void test_int(const char *file, int line, const char *a, const char *op,
              const char *b, long long x, long long y, int holds);
void test_str(const char *file, int line, const char *a, const char *x,
              const char *y);

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

#define ASSERT_INT_(a, op, b)                                                  \
  do {                                                                         \
    long long x_ = (long long)(a), y_ = (long long)(b);                        \
    test_int(__FILE__, __LINE__, #a, #op, #b, x_, y_, x_ op y_);               \
  } while (0)
#define ASSERT_EQ(a, b) ASSERT_INT_(a, ==, b)
#define ASSERT_NE(a, b) ASSERT_INT_(a, !=, b)
#define ASSERT_LT(a, b) ASSERT_INT_(a, <, b)
#define ASSERT_LE(a, b) ASSERT_INT_(a, <=, b)
#define ASSERT_GT(a, b) ASSERT_INT_(a, >, b)
#define ASSERT_GE(a, b) ASSERT_INT_(a, >=, b)
#define ASSERT_PTR_EQ(a, b) ASSERT_EQ((intptr_t)(a), (intptr_t)(b))
#define ASSERT_TRUE(a) ASSERT_NE(!!(a), 0)
#define ASSERT_STR_EQ(a, b) test_str(__FILE__, __LINE__, #a, (a), (b))

/* Small, fast and the same everywhere: xorshift64*. */
/* Does the host take posts in batches?  Set before a test. */
extern int test_in_batches;

unsigned long long test_random(void);
/* Below n, which is small. */
unsigned test_below(unsigned n);

#endif
