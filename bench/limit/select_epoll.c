/* SPDX-License-Identifier: MIT */
/*
 * The least it takes to hear of ready descriptors: epoll_wait over `size`
 * pipes, of which ten always have a byte to read, and a C call for each.
 *
 *   select_epoll [operations [size]]
 */
#define _GNU_SOURCE
#include "../lib/meter.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ACTIVE = 10 };

static long count;

__attribute__((noinline)) static void on_ready(int fd) { count += fd >= 0; }

static int watch_pipes(long size) {
  int poll_fd = epoll_create1(0), ends[2];
  for (long i = 0; i < size; i++) {
    if (pipe(ends)) exit(1);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = ends[0]};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, ends[0], &event);
    if (i < ACTIVE && write(ends[1], "x", 1) != 1) exit(1);
  }
  return poll_fd;
}

int main(int argc, char **argv) {
  struct epoll_event events[1024];
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  long ops = meter_ops(argc, argv, 1000000);
  int poll_fd = watch_pipes(argc > 2 ? strtol(argv[2], NULL, 10) : ACTIVE);
  double began = meter_cpu_ns();
  while (count < ops) {
    int n = epoll_wait(poll_fd, events, 1024, -1);
    for (int i = 0; i < n; i++) on_ready(events[i].data.fd);
  }
  printf("ns=%.2f ops=%ld rss_kb=%ld\n", (meter_cpu_ns() - began) / (double)ops,
         ops, meter_status_kb(getpid(), "VmHWM"));
  return 0;
}
