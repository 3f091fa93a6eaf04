/* SPDX-License-Identifier: MIT */
/*
 * The least a forked child costs its parent: fork, and waitpid when all run.
 *
 *   children [count]
 */
#define _GNU_SOURCE
#include "../lib/meter.h"

#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  long n = meter_ops(argc, argv, 1000);
  pid_t *pids = calloc((size_t)n, sizeof *pids);
  int status;
  if (!pids) return 1;
  double began = meter_cpu_ns();
  for (long i = 0; i < n; i++) {
    pids[i] = fork();
    if (pids[i] == 0) _exit(0);
  }
  for (long i = 0; i < n; i++)
    if (waitpid(pids[i], &status, 0) != pids[i]) return 1;
  printf("ns=%.0f ops=%ld lost=0 rss_kb=%ld\n",
         (meter_cpu_ns() - began) / (double)n, n,
         meter_status_kb(getpid(), "VmHWM"));
  free(pids);
  return 0;
}
