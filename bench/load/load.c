/* SPDX-License-Identifier: MIT */
/*
 * The client of the echo cases. It starts the server that its command line
 * names, waits for the line "port=N" on the server's output, opens the busy
 * and the idle connections, lets each busy one send a message and wait for
 * all of it to come back, and charges the server's CPU time - read from the
 * server's own process clock, so every server is measured in the same way and
 * none needs code for it - to the requests. Then it ends the server.
 *
 *   load [-c busy] [-i idle] [-n requests] [-s bytes] [-p pace_us] -- server...
 *
 * With -p there is one request at a time, one in pace_us: for latencies.
 */
#define _GNU_SOURCE
#include "../lib/meter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct client {
  int fd;
  size_t got;
  double sent_ns;
};

static struct {
  long busy, idle, requests, bytes, pace_us;
} opt = {50, 0, 100000, 64, 0};

static char message[65536], answer[65536];
static pid_t server;

static void end_server(void) {
  int status;
  if (server <= 0) return;
  kill(server, SIGTERM);
  for (int i = 0; i < 2000; i++) {
    if (waitpid(server, &status, WNOHANG) == server) return;
    usleep(10000);
  }
  kill(server, SIGKILL);
  waitpid(server, &status, 0);
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  end_server();
  exit(1);
}

static char **parse(int argc, char **argv) {
  int c;
  while ((c = getopt(argc, argv, "c:i:n:s:p:")) != -1) {
    long value = optarg ? strtol(optarg, NULL, 10) : 0;
    if (c == 'c') opt.busy = value;
    else if (c == 'i') opt.idle = value;
    else if (c == 'n') opt.requests = value;
    else if (c == 's') opt.bytes = value;
    else if (c == 'p') opt.pace_us = value;
    else exit(2);
  }
  if (optind >= argc || opt.bytes > (long)sizeof message) exit(2);
  return argv + optind;
}

/* Returns the port that the server prints. */
static int start_server(char **command) {
  int out[2];
  char line[256];
  if (pipe(out)) fail("pipe");
  server = fork();
  if (server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out[1], 1);
    close(out[0]);
    close(out[1]);
    execvp(command[0], command);
    _exit(127);
  }
  close(out[1]);
  FILE *in = fdopen(out[0], "r");
  while (fgets(line, sizeof line, in))
    if (!strncmp(line, "port=", 5)) return atoi(line + 5);
  fail("the server printed no port");
  return 0;
}

static int dial(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

/* One echo on a blocking descriptor. */
static void round_trip(int fd) {
  size_t got = 0;
  if (write(fd, message, (size_t)opt.bytes) != opt.bytes) fail("write");
  while (got < (size_t)opt.bytes) {
    ssize_t n = read(fd, answer, sizeof answer);
    if (n <= 0) fail("read");
    got += (size_t)n;
  }
}

/* A round trip now and then keeps the listening queue from overflowing. */
static void open_idle(int port) {
  for (long i = 0; i < opt.idle; i++) {
    int fd = dial(port);
    if (i % 64 == 0 || i == opt.idle - 1) round_trip(fd);
  }
}

static void send_one(struct client *client) {
  client->got = 0;
  client->sent_ns = meter_clock_ns(CLOCK_MONOTONIC);
  if (write(client->fd, message, (size_t)opt.bytes) != opt.bytes)
    fail("write");
}

/* True when the whole answer is there. */
static int receive(struct client *client) {
  ssize_t n = read(client->fd, answer, sizeof answer);
  if (n <= 0) fail("the server closed a connection");
  if (memcmp(answer, message + client->got, (size_t)n)) fail("wrong bytes");
  client->got += (size_t)n;
  return client->got == (size_t)opt.bytes;
}

/* Closed loop over all clients until `requests` answers have come. */
static void drive(int poll_fd, struct client *clients, long requests,
                  double *took) {
  struct epoll_event events[256];
  long sent = 0, done = 0;
  for (long i = 0; i < opt.busy && sent < requests; i++, sent++)
    send_one(&clients[i]);
  while (done < requests) {
    int n = epoll_wait(poll_fd, events, 256, 20000);
    if (n <= 0) fail("the server does not answer");
    for (int i = 0; i < n; i++) {
      struct client *client = events[i].data.ptr;
      if (!receive(client)) continue;
      took[done++] = meter_clock_ns(CLOCK_MONOTONIC) - client->sent_ns;
      if (sent < requests) {
        send_one(client);
        sent++;
      }
    }
  }
}

static void drive_paced(int fd, long requests, double *took) {
  for (long i = 0; i < requests; i++) {
    usleep((useconds_t)opt.pace_us);
    double sent = meter_clock_ns(CLOCK_MONOTONIC);
    round_trip(fd);
    took[i] = meter_clock_ns(CLOCK_MONOTONIC) - sent;
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void report(double cpu_ns, double wall_ns, double *took) {
  long n = opt.requests;
  qsort(took, (size_t)n, sizeof *took, compare);
  printf("ns=%.1f ops=%ld wall_ns=%.1f median_us=%.1f p99_us=%.1f "
         "max_us=%.1f rss_kb=%ld\n",
         cpu_ns / (double)n, n, wall_ns / (double)n, took[n / 2] / 1e3,
         took[n * 99 / 100] / 1e3, took[n - 1] / 1e3,
         meter_status_kb(server, "VmHWM"));
}

static void measure(int poll_fd, struct client *clients) {
  double *took = malloc((size_t)opt.requests * sizeof *took);
  clockid_t server_clock;
  if (clock_getcpuclockid(server, &server_clock)) fail("no CPU clock");
  if (!opt.pace_us) drive(poll_fd, clients, opt.requests / 10 + 1, took);
  double cpu = meter_clock_ns(server_clock);
  double wall = meter_clock_ns(CLOCK_MONOTONIC);
  if (opt.pace_us) drive_paced(clients[0].fd, opt.requests, took);
  else drive(poll_fd, clients, opt.requests, took);
  report(meter_clock_ns(server_clock) - cpu,
         meter_clock_ns(CLOCK_MONOTONIC) - wall, took);
  free(took);
}

static void raise_descriptor_limit(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
  char **command = parse(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  for (size_t i = 0; i < sizeof message; i++) message[i] = (char)(33 + i % 90);
  int port = start_server(command), poll_fd = epoll_create1(0);
  struct client *clients = calloc((size_t)opt.busy, sizeof *clients);
  open_idle(port);
  for (long i = 0; i < opt.busy; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
    clients[i].fd = dial(port);
    round_trip(clients[i].fd);
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, clients[i].fd, &event);
  }
  measure(poll_fd, clients);
  end_server();
  free(clients);
  return 0;
}
