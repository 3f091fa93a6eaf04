/* SPDX-License-Identifier: MIT */
/*
 * program.c -- C programs that embed a kernel, one for each fact, by name:
 * spec/embed_spec.lua runs them and compares what they print.
 *
 * All leave main with everything closed, so that a leak checker has the last
 * word.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "poe_embed.h"

static uv_loop_t loop;
static poe_embed *embed;

/* ---- what all use --------------------------------------------------------- */

static void on_error(void *ud, const char *message, const char *traceback) {
  printf("error: %s%s\n", message, traceback ? "" : " (no traceback)");
  if (ud && traceback && strstr(traceback, ud))
    printf("traceback: %s\n", (char *)ud);
}

static void show(const struct poe_arg *arg) {
  switch (arg->kind) {
    case POE_ARG_NIL: printf(" nil"); break;
    case POE_ARG_BOOLEAN:
      printf(" %s", arg->as.boolean ? "true" : "false");
      break;
    case POE_ARG_INTEGER: printf(" %" PRId64, arg->as.integer); break;
    case POE_ARG_NUMBER: printf(" %.17g", arg->as.number); break;
    case POE_ARG_STRING:
      printf(" '%s'/%zu", arg->as.string.at, arg->as.string.len);
      break;
    case POE_ARG_OTHER: printf(" other '%s'", arg->as.string.at); break;
  }
}

/* The session "program": prints what it gets, ends with the event "enough". */
static void on_event(void *ud, poe_embed *e,
                     const struct poe_embed_event *event) {
  (void)ud;
  printf("%s", event->name);
  for (size_t i = 0; i < event->n; i++) show(&event->args[i]);
  printf("\n");
  if (strcmp(event->name, "enough") == 0) poe_embed_end(e, "program");
}

static void open_embed(void) {
  struct poe_embed_config config = {.loop = &loop, .on_error = on_error};
  if (poe_embed_open(&config, &embed)) abort();
}

static int run(const char *text) {
  return poe_embed_text(embed, text, "=script");
}

static void turn(void) { uv_run(&loop, UV_RUN_DEFAULT); }

static void say(int result) { printf("result %d\n", result); }

static void close_handle(uv_handle_t *handle) {
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* ---- the facts --------------------------------------------------------------- */

static void arguments(void) {
  open_embed();
  poe_embed_session(embed, "program", on_event, NULL);
  run("local poe = require 'poe'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:alias_set 'echo' end,\n"
      "  echo = function(k, h, ...)\n"
      "    k:post('program', 'back', ...)\n"
      "    k:post('program', 'other',\n"
      "      setmetatable({}, { __tostring = function() return 'T' end }))\n"
      "    k:post('program', 'enough')\n"
      "    k:alias_remove 'echo'\n"
      "  end } }");
  say(poe_embed_post(embed, "echo", "echo",
                     POE_ARGS(poe_nil(), poe_bool(1), poe_bool(0),
                              poe_int(INT64_MIN), poe_num(0.1), poe_str("text"),
                              poe_bytes("a\0b", 3), poe_str(""), poe_nil())));
  turn();
}

static void strangers(void) {
  open_embed();
  say(poe_embed_post(embed, "nobody", "event", 0, NULL) == -ESRCH);
  say(poe_embed_end(embed, "nobody") == -ESRCH);
  say(poe_embed_session(embed, "program", on_event, NULL));
  say(poe_embed_session(embed, "program", on_event, NULL) == -EEXIST);
  say(poe_embed_end(embed, "program"));
  say(run("this is no Lua") == -POE_ERAISE);
  say(run("error(42)") == -POE_ERAISE);
  say(poe_embed_file(embed, "/nowhere/x.lua") == -POE_ERAISE);
  say(run("require 'poe'.configure { loop = 'poll' }") == -POE_ERAISE);
  turn();
}

static void on_tick(uv_timer_t *timer) {
  int *left = timer->data;
  printf("tick\n");
  if (--*left == 0) close_handle((uv_handle_t *)timer);
}

/* Once all sessions have been stopped: ticks, and then a new session. */
static void on_stopped(uv_timer_t *timer) {
  int *left = timer->data;
  if (poe_session_count(poe_embed_kernel(embed)) > 0) return;
  on_tick(timer);
  if (*left == 0)
    run("local poe = require 'poe'\n"
        "poe.session.create { inline_states = {\n"
        "  _start = function(k) k:delay('late', 0.005) end,\n"
        "  late = function() print 'a session made later' end } }");
}

/* An error goes to on_error; the loop and what is in it goes on. */
static void errors(void) {
  uv_timer_t tick;
  int left = 3;
  char where[] = "script:4";
  struct poe_embed_config config = {&loop, NULL, where, on_error};
  if (poe_embed_open(&config, &embed)) abort();
  uv_timer_init(&loop, &tick);
  tick.data = &left;
  run("local poe = require 'poe'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:delay('oops', 0.001) end,\n"
      "  oops = function() error 'oops' end,\n"
      "  _stop = function() print 'stopped' end } }");
  uv_timer_start(&tick, on_stopped, 1, 1);
  turn();
}

static void on_close_error(void *ud, const char *message,
                           const char *traceback) {
  (void)ud;
  (void)traceback;
  printf("error: %s\n", message);
  say(poe_embed_close(embed));
  embed = NULL;
}

static void close_on_error(void) {
  struct poe_embed_config config = {.loop = &loop, .on_error = on_close_error};
  if (poe_embed_open(&config, &embed)) abort();
  run("local poe = require 'poe'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:alias_set 'x'; k:delay('oops', 0.001) end,\n"
      "  oops = function() error('oops', 0) end } }");
  poe_embed_send(embed, "x", "nothing", 0, NULL);
  turn();
}

static void on_close_event(void *ud, poe_embed *e,
                           const struct poe_embed_event *event) {
  (void)ud;
  if (strcmp(event->name, "_start") == 0) say(poe_embed_close(e) == -EBUSY);
}

/* What is left at the end is discarded, and not run. */
static void close_early(void) {
  open_embed();
  poe_embed_session(embed, "program", on_close_event, NULL);
  run("local poe = require 'poe'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:alias_set 'x' k:sig('USR1', 'x')\n"
      "    k:delay('late', 0, {}) k:yield('late', {}) end,\n"
      "  late = function() print 'late' end,\n"
      "  _stop = function() print 'stop' end } }");
  poe_embed_send(embed, "x", "late", POE_ARGS(poe_str("left")));
}

static void on_write(uv_timer_t *timer) {
  int *fd = timer->data;
  if (write(*fd, "x", 1) != 1) abort();
  close_handle((uv_handle_t *)timer);
}

/* A descriptor that a session watches, written to by a timer of the loop's. */
static void descriptors(void) {
  int fd[2];
  char text[600];
  uv_timer_t timer;
  open_embed();
  if (pipe(fd)) abort();
  snprintf(text, sizeof text,
           "local poe = require 'poe'\n"
           "poe.session.create { inline_states = {\n"
           "  _start = function(k) k:select_read(%d, 'ready') end,\n"
           "  ready = function(k, h, fd)\n"
           "    print('ready') k:select_read(fd) k:yield 'more' end,\n"
           "  more = function(k) print 'more' end } }",
           fd[0]);
  run(text);
  timer.data = &fd[1];
  uv_timer_init(&loop, &timer);
  uv_timer_start(&timer, on_write, 10, 0);
  turn();
  close(fd[0]);
  close(fd[1]);
}

static void on_signal(uv_signal_t *handle, int signum) {
  (void)signum;
  printf("the program's handler\n");
  close_handle((uv_handle_t *)handle);
}

static void on_kill(uv_timer_t *timer) {
  kill(getpid(), SIGUSR1);
  close_handle((uv_handle_t *)timer);
}

static void signals(void) {
  uv_signal_t handle;
  uv_timer_t timer;
  open_embed();
  uv_signal_init(&loop, &handle);
  uv_signal_start(&handle, on_signal, SIGUSR1);
  run("local poe = require 'poe'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:sig('USR1', 'signal') k:alias_set 'x'\n"
      "    k:refcount_increment(k.session:ID(), 'waiting') end,\n"
      "  signal = function(k, h, name) print('the session', name)\n"
      "    k:sig('USR1')\n"
      "    k:refcount_decrement(k.session:ID(), 'waiting') end } }");
  uv_timer_init(&loop, &timer);
  uv_timer_start(&timer, on_kill, 10, 0);
  turn();
}

/* A script that calls run, as every script may. */
static void run_in_script(void) {
  uv_timer_t tick;
  int left = 2;
  open_embed();
  tick.data = &left;
  uv_timer_init(&loop, &tick);
  uv_timer_start(&tick, on_tick, 1, 1);
  run("local poe = require 'poe'\n"
      "poe.run() print 'nothing to run'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:delay('due', 0.2) end,\n"
      "  due = function(k)\n"
      "    print 'due'\n"
      "    print(pcall(k.run, k))\n"
      "  end } }\n"
      "poe.run() print 'back'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:yield 'oops' end,\n"
      "  oops = function() error('oops', 0) end } }\n"
      "print(pcall(poe.run))");
  turn();
}

static int turns;

static void on_prepare(uv_prepare_t *prepare) {
  (void)prepare;
  turns++;
}

/* A session that waits does not make the loop spin; no timer is early. */
static void waiting(void) {
  static uv_prepare_t prepare;
  open_embed();
  uv_prepare_init(&loop, &prepare);
  uv_prepare_start(&prepare, on_prepare);
  uv_unref((uv_handle_t *)&prepare);
  poe_embed_session(embed, "program", on_event, NULL);
  run("local poe = require 'poe'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k, h) h.at = poe.monotime() + 0.1\n"
      "    k:delay('due', 0.1) end,\n"
      "  due = function(k, h) print(poe.monotime() >= h.at)\n"
      "    k:post('program', 'enough') end } }");
  turn();
  printf("%s\n", turns < 30 ? "at rest" : "busy");
  close_handle((uv_handle_t *)&prepare);
}

/* Aliases alone keep nobody; with a session of C they do. */
static void idle(void) {
  open_embed();
  const char *text =
      "local poe = require 'poe'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:alias_set 'x' k:sig('IDLE', 'idle') end,\n"
      "  idle = function() print 'idle' end,\n"
      "  bye = function(k) k:alias_remove 'x'\n"
      "    k:post('program', 'enough') end,\n"
      "  _stop = function() print 'stop' end } }";
  run(text);
  turn();
  poe_embed_session(embed, "program", on_event, NULL);
  run(text);
  for (int i = 0; i < 20; i++) uv_run(&loop, UV_RUN_NOWAIT);
  say(poe_embed_post(embed, "x", "bye", 0, NULL));
  turn();
}

/* A session that turns the kernel within its handler. */
static void nested(void) {
  open_embed();
  run("local poe = require 'poe'\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:yield 'outer' end,\n"
      "  outer = function(k, h)\n"
      "    k:delay('inner', 0.01)\n"
      "    k:run_while(function() return not h.done end)\n"
      "    print 'outer' end,\n"
      "  inner = function(k, h) h.done = true print 'inner' end } }");
  turn();
}

static void forks(void) {
  open_embed();
  poe_embed_session(embed, "program", on_event, NULL);
  run("local poe = require 'poe'\n"
      "local sys = require 'poe.sys'\n"
      "local r, w = sys.pipe()\n"
      "poe.session.create { inline_states = {\n"
      "  _start = function(k) k:alias_set 'x' k:delay('fork', 0.01) end,\n"
      "  fork = function(k, h)\n"
      "    io.stdout:flush()\n"
      "    h.pid = assert(k:fork())\n"
      "    if h.pid > 0 then\n"
      "      k:sig_child(h.pid, 'gone')\n"
      "    else\n"
      "      k:select_read(r, 'ready') k:delay('write', 0.01)\n"
      "    end end,\n"
      "  write = function(k, h) w:write 'x' end,\n"
      "  ready = function(k, h) print('child ready') k:select_read(r)\n"
      "    k:delay('last', 0.01) end,\n"
      "  last = function(k) print 'child last' k:alias_remove 'x'\n"
      "    k:post('program', 'enough') end,\n"
      "  gone = function(k, h, _, pid, status)\n"
      "    print('parent', pid == h.pid, status) k:alias_remove 'x'\n"
      "    k:post('program', 'enough') end } }");
  turn();
}

static void foreign_state(void) {
  lua_State *L = luaL_newstate(), *M = luaL_newstate();
  poe_embed *none;
  struct poe_embed_config config = {
      .loop = &loop, .on_error = on_error, .lua = L};
  luaL_openlibs(L);
  if (luaL_dostring(L, "seen = 'the state of the program'")) abort();
  if (poe_embed_open(&config, &embed)) abort();
  say(poe_embed_open(&config, &none) == -EBUSY);
  config.lua = M;
  say(poe_embed_open(&config, &none) == -POE_ERAISE);
  run("local poe = require 'poe'\n"
      "poe.session.create { inline_states = { _start = function(k)\n"
      "  print(seen, k:poe_kernel_loop()) end } }");
  turn();
  say(poe_embed_close(embed));
  embed = NULL;
  say(luaL_dostring(L, "require 'poe'.session.create { inline_states = {} }"));
  printf("%s\n", lua_tostring(L, -1));
  lua_close(L);
  lua_close(M);
}

/* ---- threads ------------------------------------------------------------------- */

#define THREADS 4
#define EACH 5000

struct sender {
  uv_thread_t thread;
  int number;
};

static void send_many(void *ud) {
  struct sender *s = ud;
  for (int i = 1; i <= EACH; i++)
    if (poe_embed_send(
            embed, "counter", "count",
            POE_ARGS(poe_int(s->number), poe_int(i), poe_str("text"))))
      abort();
}

static void threads(void) {
  struct sender sender[THREADS];
  char text[900];
  open_embed();
  poe_embed_session(embed, "program", on_event, NULL);
  snprintf(text, sizeof text,
           "local poe = require 'poe'\n"
           "local left, last, ordered = %d, {}, true\n"
           "poe.session.create { inline_states = {\n"
           "  _start = function(k) k:alias_set 'counter' end,\n"
           "  count = function(k, h, thread, i, text)\n"
           "    ordered = ordered and i == (last[thread] or 0) + 1\n"
           "      and text == 'text'\n"
           "    last[thread] = i\n"
           "    left = left - 1\n"
           "    if left > 0 then return end\n"
           "    print(#last, ordered) k:alias_remove 'counter'\n"
           "    k:post('program', 'enough') end } }",
           THREADS * EACH);
  run(text);
  for (int i = 0; i < THREADS; i++) {
    sender[i].number = i + 1;
    uv_thread_create(&sender[i].thread, send_many, &sender[i]);
  }
  turn();
  for (int i = 0; i < THREADS; i++) uv_thread_join(&sender[i].thread);
}

static void send_to_nobody(void) {
  open_embed();
  poe_embed_session(embed, "program", on_event, NULL);
  poe_embed_send(embed, "nobody", "event", 0, NULL);
  poe_embed_send(embed, "program", "enough", 0, NULL);
  turn();
}

/* ------------------------------------------------------------------------------------ */

static const struct {
  const char *name;
  void (*run)(void);
} programs[] = {
    {"arguments", arguments},
    {"strangers", strangers},
    {"errors", errors},
    {"close_on_error", close_on_error},
    {"close_early", close_early},
    {"descriptors", descriptors},
    {"signals", signals},
    {"run_in_script", run_in_script},
    {"waiting", waiting},
    {"idle", idle},
    {"nested", nested},
    {"forks", forks},
    {"foreign_state", foreign_state},
    {"threads", threads},
    {"send_to_nobody", send_to_nobody},
};

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  uv_loop_init(&loop);
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
    if (argc > 1 && strcmp(programs[i].name, argv[1]) == 0) programs[i].run();
  if (embed) poe_embed_close(embed);
  turn();
  int err = uv_loop_close(&loop);
  if (err) printf("left in the loop: %s\n", uv_err_name(err));
  return err ? 1 : 0;
}
