/* SPDX-License-Identifier: MIT */
/*
 * lineedit.c -- what the REPL needs of the terminal: lines, and Ctrl-C.
 *
 * Lines come through libedit's callback interface, loaded when first wanted,
 * or byte by byte from descriptor 0.  Neither way waits, so the kernel can go
 * on.  libedit calls back without a user pointer and a signal handler has
 * none either: their state is static, as there is one terminal.
 *
 * SIGINT belongs to the running chunk during call(), where it raises
 * "interrupted!", and otherwise to the kernel, whose handler is called on.
 * When one comes before the last had an effect, the process ends by it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "host.h"

typedef void line_taker(char *line);

/* What is used of libedit; all NULL until it is loaded. */
static struct {
  void (*install)(const char *prompt, line_taker *taker);
  void (*remove)(void);
  void (*read_char)(void);
  int (*redisplay)(void);
  int (*add_history)(const char *line);
} edit;

/* The line of the last feed; malloc'd, NULL at the end of input. */
static struct {
  int is_taken;
  char *line;
} input;

static struct {
  lua_State *running;       /* the thread of the chunk, or NULL */
  struct sigaction kernels; /* what our handler replaced */
  struct termios terminal;  /* as the shell left it */
  int has_terminal;
  volatile sig_atomic_t pending; /* pressed, but without effect so far */
} interrupt;

/* Lines */

static void take_line(char *line) {
  free(input.line);
  input.line = line;
  input.is_taken = 1;
}

static void stop_editing(void) {
  if (edit.remove != NULL) edit.remove();
}

static void set_variable(void *library, const char *name, int value) {
  int *variable = dlsym(library, name);
  if (variable != NULL) *variable = value;
}

/* Object and function pointers have one size here (POSIX's dlsym). */
static int resolve(void *library, const char *name, void *function) {
  void *symbol = dlsym(library, name);
  memcpy(function, &symbol, sizeof symbol);
  return symbol != NULL;
}

static int resolve_all(void *library) {
  return resolve(library, "rl_callback_handler_install", &edit.install) &&
         resolve(library, "rl_callback_read_char", &edit.read_char) &&
         resolve(library, "rl_forced_update_display", &edit.redisplay) &&
         resolve(library, "add_history", &edit.add_history) &&
         resolve(library, "rl_callback_handler_remove", &edit.remove);
}

/* open() -> whether lines can be edited */
static int lineedit_open(lua_State *L) {
  void *library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
  int is_open = library != NULL && resolve_all(library);
  if (is_open) {
    set_variable(library, "rl_catch_signals", 0); /* they are the kernel's */
    set_variable(library, "rl_inhibit_completion", 1);
    setlocale(LC_CTYPE, "");
    atexit(stop_editing);
  }
  lua_pushboolean(L, is_open);
  return 1;
}

/* prompt(text): begins a line, forgetting one that was begun */
static int lineedit_prompt(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  fflush(stdout);
  edit.remove();
  edit.install(text, take_line);
  return 0;
}

/* redisplay(): prompt and line again, after other output */
static int lineedit_redisplay(lua_State *L) {
  (void)L;
  fflush(stdout);
  edit.redisplay();
  return 0;
}

/* The terminal is gone: libedit would read nothing from it for ever. */
static int has_hung_up(int fd) {
  struct pollfd poller = {.fd = fd, .events = POLLIN};
  return poll(&poller, 1, 0) == 1 && (poller.revents & (POLLHUP | POLLNVAL));
}

/* feed() -> the line if it is complete, false at the end, nil if not yet */
static int lineedit_feed(lua_State *L) {
  if (has_hung_up(STDIN_FILENO)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  input.is_taken = 0;
  edit.read_char();
  if (!input.is_taken)
    lua_pushnil(L);
  else if (input.line == NULL)
    lua_pushboolean(L, 0);
  else
    lua_pushstring(L, input.line);
  return 1;
}

/* history(line) */
static int lineedit_history(lua_State *L) {
  edit.add_history(luaL_checkstring(L, 1));
  return 0;
}

static int lineedit_close(lua_State *L) {
  (void)L;
  stop_editing();
  return 0;
}

static int is_readable(int fd) {
  struct pollfd poller = {.fd = fd, .events = POLLIN};
  return poll(&poller, 1, 0) == 1;
}

/* take() -> what can be read now, at most to the end of the line; nil at the
   end of input.  One byte at a time: what follows the line may be for the
   chunk that the line holds. */
static int lineedit_take(lua_State *L) {
  luaL_Buffer taken;
  luaL_buffinit(L, &taken);
  char c = '\0';
  ssize_t n = 1;
  while (c != '\n' && is_readable(STDIN_FILENO)) {
    n = read(STDIN_FILENO, &c, 1);
    if (n <= 0) break;
    luaL_addchar(&taken, c);
  }
  int has_ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
  luaL_pushresult(&taken);
  if (has_ended && lua_rawlen(L, -1) == 0) lua_pushnil(L);
  return 1;
}

/* isatty() -> whether someone sits there to read prompts and type lines */
static int lineedit_isatty(lua_State *L) {
  lua_pushboolean(L, isatty(STDIN_FILENO));
  return 1;
}

/* block(): undoes what watching does to descriptor 0, which may be shared
   with standard output, and is read by chunks as well */
static int lineedit_block(lua_State *L) {
  int flags = fcntl(STDIN_FILENO, F_GETFL);
  (void)L;
  if (flags != -1) fcntl(STDIN_FILENO, F_SETFL, flags & ~O_NONBLOCK);
  return 0;
}

/* Ctrl-C */

static void raise_interrupted(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

static void end_by(int signum) {
  if (interrupt.has_terminal)
    tcsetattr(STDIN_FILENO, TCSANOW, &interrupt.terminal);
  signal(signum, SIG_DFL);
  raise(signum);
}

/* Async-signal-safe, as lua_sethook is. */
static void on_interrupt(int signum) {
  void (*kernels)(int) = interrupt.kernels.sa_handler;
  if (interrupt.pending++ > 0)
    end_by(signum);
  else if (interrupt.running != NULL)
    lua_sethook(interrupt.running, raise_interrupted,
                LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
  else if (kernels == SIG_DFL)
    end_by(signum);
  else if (kernels != SIG_IGN)
    kernels(signum);
}

/* watch(): to be called again when the kernel may have set its handler */
static int lineedit_watch(lua_State *L) {
  struct sigaction current;
  (void)L;
  if (!interrupt.has_terminal)
    interrupt.has_terminal = tcgetattr(STDIN_FILENO, &interrupt.terminal) == 0;
  sigaction(SIGINT, NULL, &current);
  if (current.sa_handler != on_interrupt) {
    interrupt.kernels = current;
    current.sa_handler = on_interrupt;
    sigaction(SIGINT, &current, NULL);
  }
  return 0;
}

/* calm(): the last interrupt has had its effect */
static int lineedit_calm(lua_State *L) {
  (void)L;
  interrupt.pending = 0;
  return 0;
}

/* call(handler, f, ...) -> as xpcall(f, handler, ...), open to interrupts */
static int lineedit_call(lua_State *L) {
  lua_State *outer = interrupt.running;
  luaL_checkany(L, 2);
  interrupt.running = L;
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
  interrupt.running = outer;
  interrupt.pending = 0;
  lua_sethook(L, NULL, 0, 0);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 1); /* [ok, results...] */
  return lua_gettop(L);
}

static const luaL_Reg functions[] = {
    {"open", lineedit_open},
    {"prompt", lineedit_prompt},
    {"redisplay", lineedit_redisplay},
    {"feed", lineedit_feed},
    {"history", lineedit_history},
    {"close", lineedit_close},
    {"take", lineedit_take},
    {"isatty", lineedit_isatty},
    {"block", lineedit_block},
    {"watch", lineedit_watch},
    {"calm", lineedit_calm},
    {"call", lineedit_call},
    {NULL, NULL},
};

int luaopen_poe_lineedit(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
