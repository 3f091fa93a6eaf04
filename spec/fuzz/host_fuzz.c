/* SPDX-License-Identifier: MIT */
/*
 * host_fuzz.c -- bytes as command lines of the host (src/host, cli.lua, the
 * prompt), with what it reads.
 *
 * A program has up to four parts, with a byte 0xff between: the arguments and,
 * last, the variables of the environment (with zero bytes between them), the
 * standard input, and the file "s.lua".  The host's main is called, in this
 * process: it ends with 0, 1 or 2, and wrong use names the option; no
 * descriptor is left, and no memory.
 *
 * What scripts do is theirs, so they may not do much: no files but s.lua, no
 * programs, no forks, no bytecode (which Lua does not check); not for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <lauxlib.h>
#include <lualib.h>

#include "state.h"
#include "sys_limits.h"
#include "target.h"

enum { ARGS = 24, PARTS = 4, PROGRAM = 4096, EXITS = 8, CAUGHT = 32 };
enum { STATE_SIZE = 24 << 20, STEPS = 200000, TIMES = 50, SEPARATOR = 0xff };

int poe_main(int argc, char **argv);

/* The linker's --wrap. */
int __real_luaopen_os(lua_State *L);
int __wrap_luaopen_os(lua_State *L);
int __real_luaopen_io(lua_State *L);
int __wrap_luaopen_io(lua_State *L);
lua_State *__wrap_host_open_state(void);
int __real_atexit(void (*f)(void));
int __wrap_atexit(void (*f)(void));
pid_t __real_fork(void);
pid_t __wrap_fork(void);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);

static struct {
  int is_running;
  int input, output, errors; /* files in memory: the standard ones */
  int saved[3];
  int times; /* so often has the program had its steps */
  void (*at_exit[EXITS])(void);
  int n_exits;
} host;

/* ---- what scripts may not ------------------------------------------------ */

static int without(lua_State *L, const char *const *names) {
  for (; *names != NULL; names++) {
    lua_pushnil(L);
    lua_setfield(L, -2, *names);
  }
  return 1;
}

int __wrap_luaopen_os(lua_State *L) {
  static const char *const names[] = {"execute", "exit",    "remove",
                                      "rename",  "tmpname", NULL};
  __real_luaopen_os(L);
  return without(L, names);
}

int __wrap_luaopen_io(lua_State *L) {
  static const char *const names[] = {"open",   "popen", "tmpfile", "input",
                                      "output", "lines", NULL};
  __real_luaopen_io(L);
  return without(L, names);
}

static void stop(lua_State *L, lua_Debug *ar) {
  (void)ar;
  if (++host.times > TIMES) fuzz_fail("it goes on for ever");
  luaL_error(L, "enough");
}

lua_State *__wrap_host_open_state(void) {
  lua_State *L = state_open(STATE_SIZE);
  lua_sethook(L, stop, LUA_MASKCOUNT, STEPS);
  return L;
}

pid_t __wrap_fork(void) {
  if (!host.is_running) return __real_fork();
  errno = EAGAIN;
  return -1;
}

/* Traces are appended to files. */
FILE *__wrap_fopen(const char *path, const char *mode) {
  if (!host.is_running || mode[0] != 'a' || strchr(path, '/') == NULL)
    return __real_fopen(path, mode);
  errno = EACCES;
  return NULL;
}

/* The host's are run when it has ended. */
int __wrap_atexit(void (*f)(void)) {
  if (!host.is_running) return __real_atexit(f);
  if (host.n_exits < EXITS) host.at_exit[host.n_exits++] = f;
  return 0;
}

/* ---- a program's parts --------------------------------------------------- */

struct part {
  char *bytes;
  size_t n;
};

/* The last part has all that is left. */
static int cut(char *bytes, size_t n, struct part parts[PARTS]) {
  int count = 0;
  for (char *at = bytes, *end = bytes + n; count < PARTS; count++) {
    char *next =
        count < PARTS - 1 ? memchr(at, SEPARATOR, (size_t)(end - at)) : NULL;
    if (next == NULL) next = end;
    parts[count] = (struct part){at, (size_t)(next - at)};
    *next = '\0';
    if (next == end) return count + 1;
    at = next + 1;
  }
  return count;
}

static int make_args(struct part part, char *argv[ARGS + 2]) {
  static char name[] = "poe";
  int argc = 0;
  argv[argc++] = name;
  for (size_t i = 0; i < part.n && argc <= ARGS; i++) {
    argv[argc++] = part.bytes + i;
    i += strlen(part.bytes + i);
  }
  argv[argc] = NULL;
  return argc;
}

static const char *const variables[] = {
    "LUA_INIT",          "LUA_INIT_5_4",         "POE_EVENT_LOOP",
    "POE_TRACE_EVENTS",  "POE_TRACE_FILENAME",   "POE_ASSERT_DEFAULT",
    "POE_MAX_MEMORY",    "POE_SLOW_MS",          "POE_WHY",
    "POE_TRACE_DEFAULT", "POE_CATCH_EXCEPTIONS", NULL};

static void set_variables(struct part part) {
  for (const char *const *name = variables; *name != NULL; name++)
    unsetenv(*name);
  for (size_t i = 0; i < part.n; i += strlen(part.bytes + i) + 1) {
    const char *text = part.bytes + i, *value = strchr(text, '=');
    for (const char *const *name = variables; value && *name; name++) {
      size_t n = strlen(*name);
      if ((size_t)(value - text) == n && strncmp(text, *name, n) == 0)
        setenv(*name, value + 1, 1);
    }
  }
}

static void fill(int fd, struct part part) {
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, part.bytes, part.n, 0) != (ssize_t)part.n ||
      lseek(fd, 0, SEEK_SET) != 0)
    fuzz_fail("no memory for a file");
}

static void write_script(struct part part) {
  int fd = open("s.lua", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) fuzz_fail("no s.lua");
  fill(fd, part);
  close(fd);
}

/* ---- running ------------------------------------------------------------- */

/* Standard files of the program's, then those of before. */
static void redirect(const int from[3]) {
  fflush(stdout);
  fflush(stderr);
  __fpurge(stdin);
  for (int fd = 0; fd < 3; fd++) dup2(from[fd], fd);
  clearerr(stdin);
  clearerr(stdout);
  clearerr(stderr);
}

static int run_main(int argc, char **argv) {
  struct sigaction kept[CAUGHT];
  int files[3] = {host.input, host.output, host.errors};
  for (int i = 1; i < CAUGHT; i++) sigaction(i, NULL, &kept[i]);
  redirect(files);
  host.is_running = 1;
  host.times = host.n_exits = 0;
  int status = poe_main(argc, argv);
  while (host.n_exits > 0) host.at_exit[--host.n_exits]();
  host.is_running = 0;
  redirect(host.saved);
  for (int i = 1; i < CAUGHT; i++) sigaction(i, &kept[i], NULL);
  return status;
}

/* What was written to the standard error, before the list of options. */
static const char *complaint(void) {
  static char text[8192];
  ssize_t n = pread(host.errors, text, sizeof text - 1, 0);
  text[n < 0 ? 0 : n] = '\0';
  char *usage = NULL; /* an argument may have it, too */
  for (char *s = text; (s = strstr(s, "\nusage: ")) != NULL; s++) usage = s;
  if (usage != NULL) *usage = '\0';
  return text;
}

/* Does it name one of the options?  As given, or up to its value. */
static int names_option(const char *text, char **argv) {
  for (; *argv != NULL; argv++) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(*argv, "="), *argv);
    int is_short = name[0] == '-' && (name[1] == 'e' || name[1] == 'l');
    if (is_short) name[2] = '\0';
    if (name[0] == '-' && strstr(text, name) != NULL) return 1;
  }
  return 0;
}

static void check(int status, char **argv) {
  const char *text = complaint();
  if (status < 0 || status > 2) fuzz_fail("status %d", status);
  if (status == 2 && strncmp(text, "poe: ", 5) != 0)
    fuzz_fail("status 2, but '%s'", text);
  if (status == 2 && !names_option(text, argv + 1))
    fuzz_fail("it names no option: %s", text);
}

/* Arguments, and what is to be read; returns how many there are. */
static int prepare(const uint8_t *data, size_t size, char *argv[ARGS + 2]) {
  static char bytes[PROGRAM + 1];
  struct part parts[PARTS] = {{NULL, 0}}, none = {bytes, 0};
  memcpy(bytes, data, size);
  for (int n = cut(bytes, size, parts); n < PARTS; n++) parts[n] = none;
  int argc = make_args(parts[0], argv);
  fill(host.input, parts[1]);
  write_script(parts[2]);
  set_variables(parts[3]);
  fill(host.output, none);
  fill(host.errors, none);
  return argc;
}

/* What libraries keep open from their first use is there before the first. */
static void warm_up(void) {
  static const char line[] =
      "-e\0local poe = require 'poe' poe.session.create { inline_states = { "
      "_start = function(kernel) kernel:sig('USR1', 'x') kernel:yield 'y' end, "
      "y = function(kernel) kernel:stop() end } }";
  char *argv[ARGS + 2];
  int argc = prepare((const uint8_t *)line, sizeof line - 1, argv);
  if (run_main(argc, argv) != 0) fuzz_fail("%s", complaint());
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  host.input = memfd_create("input", MFD_CLOEXEC);
  host.output = memfd_create("output", MFD_CLOEXEC);
  host.errors = memfd_create("errors", MFD_CLOEXEC);
  for (int fd = 0; fd < 3; fd++) host.saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (chdir(limits_init()) != 0) fuzz_fail("no directory");
  setenv("LUA_PATH_5_4", "?.lua", 1);
  setenv("LUA_CPATH_5_4", "?.so", 1);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int is_warm;
  if (size > PROGRAM || memchr(data, '\033', size) != NULL) return 0;
  char *argv[ARGS + 2];
  if (!is_warm) warm_up();
  is_warm = 1;
  int argc = prepare(data, size, argv);
  limits_begin();
  int status = run_main(argc, argv);
  limits_end();
  check(status, argv);
  return 0;
}
