/* SPDX-License-Identifier: MIT */
/*
 * main.c -- runs the tests: each in a child of its own, in the order of files
 * and lines; twice, as the host gets posts one by one or in batches.
 *
 * Usage: unit [-l] [PART]...   -l lists; PART: only tests whose "file: name"
 * contains one of these.  A test passes if its child exits with 0 (leak
 * checkers have their say at exit); 77 means skipped.  A test that takes
 * longer than a minute (five under valgrind) is ended and has failed.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define SECONDS 60

static struct test *tests;
int test_in_batches;
static unsigned long long seed = 0x9e3779b97f4a7c15u;

static int is_before(const struct test *a, const struct test *b) {
  int order = strcmp(a->file, b->file);
  return order < 0 || (order == 0 && a->line < b->line);
}

/* Constructors run in no certain order, so the list is kept sorted. */
void test_register(struct test *t) {
  struct test **at = &tests;
  while (*at && !is_before(t, *at)) at = &(*at)->next;
  t->next = *at;
  *at = t;
}

/* ---- assertions ----------------------------------------------------------- */

/* No exit handlers: what a failed test leaves behind is of no interest. */
static _Noreturn void end_failed(void) {
  fflush(NULL);
  _exit(1);
}

void test_fail(const char *file, int line, const char *format, ...) {
  va_list args;
  fprintf(stderr, "%s:%d: ", file, line);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  end_failed();
}

void test_skip(const char *why) {
  fprintf(stderr, "  (%s)\n", why);
  exit(TEST_SKIPPED);
}

void test_int(const char *file, int line, const char *a, const char *op,
              const char *b, long long x, long long y, int holds) {
  if (!holds)
    test_fail(file, line, "%s %s %s\n    left:  %lld\n    right: %lld", a, op,
              b, x, y);
}

void test_str(const char *file, int line, const char *a, const char *x,
              const char *y) {
  if (!x || !y ? x != y : strcmp(x, y) != 0)
    test_fail(file, line, "%s\n    is:     %s\n    wanted: %s", a,
              x ? x : "NULL", y ? y : "NULL");
}

unsigned long long test_random(void) {
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * 0x2545f4914f6cdd1du;
}

unsigned test_below(unsigned n) { return (unsigned)(test_random() >> 33) % n; }

/* ---- running -------------------------------------------------------------- */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void describe(const struct test *t, char *buf, size_t size) {
  const char *file = base_name(t->file);
  int len = (int)strcspn(file, ".");
  snprintf(buf, size, "%.*s: %s", len, file, t->name);
  for (char *p = buf; *p; p++)
    if (*p == '_' && p > buf + len) *p = ' ';
}

static int is_chosen(const char *title, char **parts, int n) {
  for (int i = 0; i < n; i++)
    if (strstr(title, parts[i])) return 1;
  return n == 0;
}

static int run(const struct test *t, int in_batches) {
  int status;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    test_in_batches = in_batches;
    alarm(getenv("UNIT_SLOW") ? SECONDS * 5 : SECONDS);
    t->run();
    exit(0);
  }
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct count {
  int passed, failed;
};

static void tell(struct count *count, const char *title, const char *how,
                 int status) {
  if (status == TEST_SKIPPED) {
    printf("skip %s%s\n", title, how);
  } else if (status == 0) {
    count->passed++;
    printf("ok   %s%s\n", title, how);
  } else {
    count->failed++;
    printf("FAIL %s%s (status %d)\n", title, how, status);
  }
}

int main(int argc, char **argv) {
  int is_list = argc > 1 && strcmp(argv[1], "-l") == 0;
  struct count count = {0, 0};
  char title[256];
  for (struct test *t = tests; t; t = t->next) {
    describe(t, title, sizeof title);
    if (!is_chosen(title, argv + 1 + is_list, argc - 1 - is_list)) continue;
    if (is_list) {
      puts(title);
      continue;
    }
    tell(&count, title, "", run(t, 0));
    tell(&count, title, ", in batches", run(t, 1));
  }
  if (!is_list)
    printf("%d passed, %d failed\n", count.passed, count.failed);
  return count.failed > 0;
}
