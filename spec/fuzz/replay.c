/* SPDX-License-Identifier: MIT */
/*
 * replay.c -- programs made of bytes, without libFuzzer.
 *
 *   replay-TARGET [--random=N] [--seed=N] [FILE...]
 *
 * Runs each file, then N programs of random bytes, the i-th of them made from
 * the number seed + i.  They run in processes of their own, many in one; when
 * that fails each is run again alone, and a random one that fails is left in a
 * file, crash-NUMBER.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target.h"

#define SIZE 4096
#define BATCH 2000
#define SHOWN 5 /* failures, then that is enough */

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned long long state;

static unsigned long long random_bits(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1du;
}

static unsigned below(unsigned n) { return (unsigned)(random_bits() >> 33) % n; }

static size_t make_program(unsigned long long number, uint8_t *bytes) {
  state = (number + 1) * 0x9e3779b97f4a7c15u;
  random_bits();
  size_t n = 1 + below(below(4) ? 300 : 3000);
  for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(random_bits() >> 40);
  return n;
}

/* 0 in a new process, which is to exit; else its pid. */
static pid_t begin(unsigned seconds) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(seconds);
    if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(NULL, NULL);
  }
  return pid;
}

static int has_passed(pid_t pid) {
  int status = -1;
  waitpid(pid, &status, 0);
  return status == 0;
}

static int run_numbers(unsigned long long first, unsigned long long n) {
  pid_t pid = begin(300);
  if (pid > 0) return has_passed(pid);
  for (unsigned long long i = 0; i < n; i++) {
    uint8_t bytes[SIZE];
    LLVMFuzzerTestOneInput(bytes, make_program(first + i, bytes));
  }
  exit(0);
}

static void write_crash(unsigned long long number) {
  uint8_t bytes[SIZE];
  char name[64];
  size_t n = make_program(number, bytes);
  snprintf(name, sizeof name, "crash-%llu", number);
  FILE *f = fopen(name, "wb");
  if (!f) return;
  fwrite(bytes, 1, n, f);
  fclose(f);
  printf("FAIL %s\n", name);
}

/* Failures. */
static int run_random(unsigned long long seed, unsigned long long n) {
  int failed = 0;
  for (unsigned long long i = 0; i < n && failed < SHOWN; i += BATCH) {
    unsigned long long count = n - i < BATCH ? n - i : BATCH;
    if (run_numbers(seed + i, count)) continue;
    for (unsigned long long j = 0; j < count && failed < SHOWN; j++)
      if (!run_numbers(seed + i + j, 1)) write_crash(seed + i + j), failed++;
  }
  return failed;
}

static struct program {
  const char *name;
  size_t n;
  uint8_t bytes[SIZE];
} *files;

static void read_file(const char *name, struct program *p) {
  FILE *f = fopen(name, "rb");
  p->name = name;
  if (!f) perror(name), exit(2);
  p->n = fread(p->bytes, 1, SIZE, f);
  fclose(f);
}

static int run_programs(const struct program *p, int n) {
  pid_t pid = begin(300);
  if (pid > 0) return has_passed(pid);
  for (int i = 0; i < n; i++) LLVMFuzzerTestOneInput(p[i].bytes, p[i].n);
  exit(0);
}

/* Failures. */
static int run_files(int n) {
  int failed = 0;
  if (n == 0 || run_programs(files, n)) return 0;
  for (int i = 0; i < n; i++)
    if (!run_programs(files + i, 1)) printf("FAIL %s\n", files[i].name), failed++;
  return failed ? failed : 1; /* only together */
}

static int has_option(const char *arg, const char *name,
                      unsigned long long *value) {
  size_t len = strlen(name);
  if (strncmp(arg, name, len) != 0 || arg[len] != '=') return 0;
  *value = strtoull(arg + len + 1, NULL, 10);
  return 1;
}

int main(int argc, char **argv) {
  unsigned long long n = 0, seed = 1;
  int count = 0;
  files = calloc((size_t)argc, sizeof *files);
  if (!files) return 2;
  for (int i = 1; i < argc; i++) {
    if (has_option(argv[i], "--random", &n)) continue;
    if (has_option(argv[i], "--seed", &seed)) continue;
    read_file(argv[i], &files[count++]);
  }
  int failed = run_files(count);
  int crashed = run_random(seed, n);
  free(files);
  printf("%llu programs of random bytes, seed %llu\n%llu passed, %d failed\n", n,
         seed, (unsigned long long)(count - failed) + n -
         (unsigned long long)crashed, failed + crashed);
  return failed + crashed > 0;
}
