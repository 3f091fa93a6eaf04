/* SPDX-License-Identifier: MIT */
/*
 * Megabytes over a TCP connection on the loopback, both ends in this process, as
 * libuv's users write it in C: 64 KiB a write, the next one when it is written.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <uv.h>

#include "../lib/meter.h"

#define CHUNK 65536
#define MIB 1048576

static char chunk[CHUNK], buffer[CHUNK];
static long long to_send, to_receive, warm;
static long ops;
static double started;
static uv_tcp_t listener, sender, receiver;
static uv_write_t write_request;

static void on_alloc(uv_handle_t *handle, size_t want, uv_buf_t *buf) {
  (void)handle;
  (void)want;
  *buf = uv_buf_init(buffer, sizeof buffer);
}

static void close_all(void) {
  double ns = meter_cpu_ns() - started;
  printf("ns=%.15g ops=%ld rss_kb=%ld\n", ns / (double)ops, ops,
         meter_status_kb((long)getpid(), "VmHWM"));
  uv_close((uv_handle_t *)&sender, NULL);
  uv_close((uv_handle_t *)&receiver, NULL);
}

/* The clock starts when the warm-up has arrived. */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  (void)stream;
  (void)buf;
  if (n < 0) exit(1);
  to_receive -= n;
  if (started == 0 && to_receive <= (long long)ops * MIB)
    started = meter_cpu_ns();
  if (to_receive <= 0) close_all();
}

static void send_next(void);

static void on_written(uv_write_t *request, int status) {
  (void)request;
  if (status == 0) send_next();
}

static void send_next(void) {
  if (to_send == 0) return;
  uv_buf_t buf = uv_buf_init(chunk, CHUNK);
  to_send -= CHUNK;
  if (uv_write(&write_request, (uv_stream_t *)&sender, &buf, 1, on_written))
    exit(1);
}

static void on_connection(uv_stream_t *server, int status) {
  uv_tcp_init(server->loop, &receiver);
  if (status < 0 || uv_accept(server, (uv_stream_t *)&receiver)) exit(1);
  uv_close((uv_handle_t *)server, NULL);
  uv_read_start((uv_stream_t *)&receiver, on_alloc, on_read);
}

static void on_connect(uv_connect_t *request, int status) {
  (void)request;
  if (status < 0) exit(1);
  send_next();
}

int main(int argc, char **argv) {
  uv_connect_t connect_request;
  struct sockaddr_in at;
  int len = sizeof at;
  ops = meter_ops(argc, argv, 1024);
  warm = (ops / 10 ? ops / 10 : 1) * (long long)MIB;
  to_send = to_receive = warm + (long long)ops * MIB;
  uv_ip4_addr("127.0.0.1", 0, &at);
  uv_tcp_init(uv_default_loop(), &listener);
  uv_tcp_bind(&listener, (struct sockaddr *)&at, 0);
  if (uv_listen((uv_stream_t *)&listener, 5, on_connection)) return 1;
  uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &len);
  uv_tcp_init(uv_default_loop(), &sender);
  uv_tcp_connect(&connect_request, &sender, (struct sockaddr *)&at, on_connect);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
