/* SPDX-License-Identifier: MIT */
/*
 * The least a TCP echo server can do: one epoll_wait for many, one read and
 * one write a request. It keeps nothing that could not be written, which 64
 * bytes to a client that waits for them never need.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int poll_fd;

static int listen_loopback(void) {
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 511)) return -1;
  getsockname(fd, (struct sockaddr *)&at, &len);
  printf("port=%d\n", ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

static void watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void serve(int fd) {
  char bytes[65536];
  ssize_t n = read(fd, bytes, sizeof bytes);
  if (n <= 0 || write(fd, bytes, (size_t)n) != n) close(fd);
}

int main(void) {
  struct epoll_event events[1024];
  int listener = listen_loopback();
  if (listener < 0) return 1;
  poll_fd = epoll_create1(0);
  watch(listener);
  for (;;) {
    int n = epoll_wait(poll_fd, events, 1024, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd != listener) {
        serve(events[i].data.fd);
        continue;
      }
      int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
      if (fd >= 0) watch(fd);
    }
  }
}
