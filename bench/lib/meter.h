/* SPDX-License-Identifier: MIT */
/*
 * The C twin of meter.lua for the limit programs: CPU time of the process,
 * fields of /proc/self/status, the scaled number of operations.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double meter_clock_ns(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline double meter_cpu_ns(void) {
  return meter_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* In kB; -1 if there is no such field or no such process. */
static inline long meter_status_kb(long pid, const char *field) {
  char path[64], line[256];
  long kb = -1;
  size_t len = strlen(field);
  snprintf(path, sizeof path, "/proc/%ld/status", pid);
  FILE *status = fopen(path, "r");
  if (!status) return -1;
  while (fgets(line, sizeof line, status))
    if (!strncmp(line, field, len) && line[len] == ':')
      kb = strtol(line + len + 1, NULL, 10);
  fclose(status);
  return kb;
}

static inline long meter_ops(int argc, char **argv, long fallback) {
  const char *scale = getenv("BENCH_SCALE");
  if (argc > 1) return strtol(argv[1], NULL, 10);
  return scale ? (long)((double)fallback * strtod(scale, NULL)) : fallback;
}

#endif
