/* SPDX-License-Identifier: MIT */
/*
 * host.c -- a C program with an event loop of its own, and sessions in it.
 *
 * A timer of the program's posts to the session "counter" of counter.lua, a
 * thread sends to it, and the session made of `on_event` hears what came of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

#include "poe_embed.h"

static void on_timer(uv_timer_t *timer) {
  poe_embed_post(timer->data, "counter", "add", POE_ARGS(poe_int(1)));
}

static void run_thread(void *e) {
  poe_embed_send(e, "counter", "greet", POE_ARGS(poe_str("a thread")));
}

/* The session "program". */
static void on_event(void *ud, poe_embed *e,
                     const struct poe_embed_event *event) {
  uv_timer_t *timer = ud;
  if (strcmp(event->name, "count") == 0)
    printf("count %" PRId64 "\n", event->args[0].as.integer);
  if (strcmp(event->name, "say") == 0)
    printf("%s\n", event->args[0].as.string.at);
  if (strcmp(event->name, "enough") == 0) {
    uv_close((uv_handle_t *)timer, NULL);
    poe_embed_end(e, "program");
  }
}

int main(int argc, char **argv) {
  uv_loop_t loop;
  uv_timer_t timer;
  uv_thread_t thread;
  poe_embed *e;
  struct poe_embed_config config = {.loop = &loop};
  uv_loop_init(&loop);
  uv_timer_init(&loop, &timer);
  if (poe_embed_open(&config, &e)) return 1;
  timer.data = e;
  poe_embed_session(e, "program", on_event, &timer);
  if (poe_embed_file(e, argc > 1 ? argv[1] : "counter.lua")) return 1;
  uv_timer_start(&timer, on_timer, 10, 10);
  uv_thread_create(&thread, run_thread, e);
  uv_run(&loop, UV_RUN_DEFAULT); /* until the last session has ended */
  uv_thread_join(&thread);
  poe_embed_close(e);
  uv_run(&loop, UV_RUN_DEFAULT); /* lets what was closed go */
  return uv_loop_close(&loop) ? 1 : 0;
}
