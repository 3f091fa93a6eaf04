/* SPDX-License-Identifier: MIT */
/*
 * Starts a program again and again and prints the median of what one run
 * takes from spawn to exit: wall time (ns), its own CPU time, peak memory.
 *
 *   spawn [-n runs] -- program...
 */
#define _GNU_SOURCE
#include "../lib/meter.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *list, long n) {
  qsort(list, (size_t)n, sizeof *list, compare);
  return list[n / 2];
}

static double timeval_ns(struct timeval t) {
  return (double)t.tv_sec * 1e9 + (double)t.tv_usec * 1e3;
}

static void run_once(char **command, struct rusage *used) {
  pid_t pid;
  int status;
  if (posix_spawnp(&pid, command[0], NULL, NULL, command, environ)) {
    perror(command[0]);
    exit(1);
  }
  if (wait4(pid, &status, 0, used) != pid || status != 0) {
    fprintf(stderr, "spawn: %s failed\n", command[0]);
    exit(1);
  }
}

int main(int argc, char **argv) {
  long n = 40;
  int c;
  while ((c = getopt(argc, argv, "n:")) != -1) {
    if (c != 'n') return 2;
    n = strtol(optarg, NULL, 10);
  }
  double *wall = calloc((size_t)n, sizeof *wall);
  double *cpu = calloc((size_t)n, sizeof *cpu);
  struct rusage used;
  if (optind >= argc || n < 1 || !wall || !cpu) return 2;
  run_once(argv + optind, &used);
  for (long i = 0; i < n; i++) {
    double began = meter_clock_ns(CLOCK_MONOTONIC);
    run_once(argv + optind, &used);
    wall[i] = meter_clock_ns(CLOCK_MONOTONIC) - began;
    cpu[i] = timeval_ns(used.ru_utime) + timeval_ns(used.ru_stime);
  }
  printf("ns=%.0f cpu_ns=%.0f rss_kb=%ld ops=%ld\n", median(wall, n),
         median(cpu, n), used.ru_maxrss, n);
  free(wall);
  free(cpu);
  return 0;
}
