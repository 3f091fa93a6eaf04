/* SPDX-License-Identifier: MIT */
/*
 * A TCP echo server as libuv's users write it in C: uv_read_start, and
 * uv_try_write with uv_write for what did not go out at once.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static char buffer[65536];

static void on_alloc(uv_handle_t *handle, size_t want, uv_buf_t *buf) {
  (void)handle;
  (void)want;
  *buf = uv_buf_init(buffer, sizeof buffer);
}

static void on_close(uv_handle_t *handle) { free(handle); }

static void on_written(uv_write_t *request, int status) {
  (void)status;
  free(request);
}

/* The rest is copied behind the request, which its callback frees. */
static void write_rest(uv_stream_t *stream, const char *rest, size_t len) {
  uv_write_t *request = malloc(sizeof *request + len);
  char *copy = (char *)(request + 1);
  memcpy(copy, rest, len);
  uv_buf_t buf = uv_buf_init(copy, (unsigned)len);
  if (uv_write(request, stream, &buf, 1, on_written)) free(request);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  if (n < 0) {
    uv_close((uv_handle_t *)stream, on_close);
    return;
  }
  uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
  int wrote = uv_try_write(stream, &out, 1);
  if (wrote < 0) wrote = 0;
  if (wrote < n) write_rest(stream, buf->base + wrote, (size_t)(n - wrote));
}

static void on_connection(uv_stream_t *listener, int status) {
  uv_tcp_t *client = malloc(sizeof *client);
  if (status < 0) return;
  uv_tcp_init(listener->loop, client);
  if (uv_accept(listener, (uv_stream_t *)client))
    uv_close((uv_handle_t *)client, on_close);
  else
    uv_read_start((uv_stream_t *)client, on_alloc, on_read);
}

int main(void) {
  uv_tcp_t listener;
  struct sockaddr_in at;
  int len = sizeof at;
  uv_ip4_addr("127.0.0.1", 0, &at);
  uv_tcp_init(uv_default_loop(), &listener);
  uv_tcp_bind(&listener, (struct sockaddr *)&at, 0);
  if (uv_listen((uv_stream_t *)&listener, 511, on_connection)) return 1;
  uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &len);
  printf("port=%d\n", ntohs(at.sin_port));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
