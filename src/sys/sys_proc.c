/* SPDX-License-Identifier: MIT */
/*
 * sys_proc.c -- processes: exec for those who fork, _exit, kill, signal names,
 * what the system lets this process have.
 *
 * A program that is executed starts as any shell would start it: all signals
 * at their defaults, none blocked.  When exec fails, this process is as it was
 * before.  The names of sys.signals are POSIX's, without SIG.
 */
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>

#define SIGNAL(name)                                                           \
  { #name, SIG##name }

static const struct {
  const char *name;
  int number;
} signals[] = {
    SIGNAL(HUP),    SIGNAL(INT),  SIGNAL(QUIT),  SIGNAL(ILL),  SIGNAL(TRAP),
    SIGNAL(ABRT),   SIGNAL(BUS),  SIGNAL(FPE),   SIGNAL(KILL), SIGNAL(USR1),
    SIGNAL(SEGV),   SIGNAL(USR2), SIGNAL(PIPE),  SIGNAL(ALRM), SIGNAL(TERM),
    SIGNAL(CHLD),   SIGNAL(CONT), SIGNAL(STOP),  SIGNAL(TSTP), SIGNAL(TTIN),
    SIGNAL(TTOU),   SIGNAL(URG),  SIGNAL(XCPU),  SIGNAL(XFSZ), SIGNAL(VTALRM),
    SIGNAL(PROF),   SIGNAL(SYS),  SIGNAL(WINCH), SIGNAL(IO),
#ifdef SIGPWR
    SIGNAL(PWR),
#endif
#ifdef SIGSTKFLT
    SIGNAL(STKFLT),
#endif
#ifdef SIGINFO
    SIGNAL(INFO),
#endif
};

/* "TERM", "SIGTERM" or a number. */
static int check_signal(lua_State *L, int arg) {
  if (lua_type(L, arg) == LUA_TNUMBER) {
    lua_Integer n = luaL_checkinteger(L, arg);
    luaL_argcheck(L, n >= 0 && n < NSIG, arg, "signal out of range");
    return (int)n;
  }
  const char *name = luaL_checkstring(L, arg);
  const char *bare = strncmp(name, "SIG", 3) == 0 ? name + 3 : name;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    if (strcmp(signals[i].name, bare) == 0) return signals[i].number;
  }
  return luaL_argerror(L, arg, lua_pushfstring(L, "unknown signal '%s'", name));
}

static pid_t check_pid(lua_State *L, int arg) {
  lua_Integer n = luaL_checkinteger(L, arg);
  luaL_argcheck(L, n >= INT_MIN && n <= INT_MAX, arg, "pid out of range");
  return (pid_t)n;
}

/* sys.kill(pid, signal) -> true */
static int sys_kill(lua_State *L) {
  pid_t pid = check_pid(L, 1);
  int number = check_signal(L, 2);
  return sys_result(L, kill(pid, number) != 0 ? errno : 0);
}

static int sys_getpid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static int sys_getppid(lua_State *L) {
  lua_pushinteger(L, getppid());
  return 1;
}

/* Runs no exit handler, closes no state, flushes no file. */
static int sys_exit_now(lua_State *L) {
  lua_Integer code = 0;
  if (lua_isboolean(L, 1))
    code = lua_toboolean(L, 1) ? 0 : 1;
  else
    code = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, code >= 0 && code <= 255, 1, "code is not in 0..255");
  _exit((int)code);
}

static void save_signals(struct sigaction saved[]) {
  for (int i = 1; i < NSIG; i++) {
    if (sigaction(i, NULL, &saved[i]) != 0)
      saved[i] = (struct sigaction){.sa_handler = SIG_DFL};
  }
}

static void default_signals(const struct sigaction saved[]) {
  struct sigaction def = {.sa_handler = SIG_DFL};
  sigemptyset(&def.sa_mask);
  for (int i = 1; i < NSIG; i++) {
    if (saved[i].sa_handler != SIG_DFL) sigaction(i, &def, NULL);
  }
}

void sys_default_signals(void) {
  struct sigaction saved[NSIG];
  save_signals(saved);
  default_signals(saved);
}

static void restore_signals(const struct sigaction saved[]) {
  for (int i = 1; i < NSIG; i++) {
    if (saved[i].sa_handler != SIG_DFL) sigaction(i, &saved[i], NULL);
  }
}

/*
 * Comes back only on failure, with the errno.  Signals are blocked until the
 * defaults are set, so none can reach a handler of ours half-way.
 */
static int execute(char **argv, char **env) {
  struct sigaction saved[NSIG];
  sigset_t all, none, mask;
  char **old_environ = environ;
  sigfillset(&all);
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &all, &mask);
  save_signals(saved);
  default_signals(saved);
  if (env != NULL) environ = env;
  pthread_sigmask(SIG_SETMASK, &none, NULL);
  execvp(argv[0], argv);
  int err = errno;
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  environ = old_environ;
  restore_signals(saved);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  return err;
}

/* sys.exec(program or list [, env]): returns only to say why it failed. */
static int sys_exec(lua_State *L) {
  char **env = NULL;
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) luaL_checktype(L, 2, LUA_TTABLE);
  char **argv = sys_push_argv(L, 1, 1, NULL);
  if (!lua_isnil(L, 2)) env = sys_push_env(L, 2, 2, NULL, false);
  return sys_fail(L, execute(argv, env), argv[0]);
}

/* No limit is math.huge. */
static void push_limit(lua_State *L, rlim_t limit) {
  if (limit == RLIM_INFINITY)
    lua_pushnumber(L, (lua_Number)HUGE_VAL);
  else
    lua_pushinteger(L, (lua_Integer)limit);
}

/* sys.getrlimit("nofile") -> soft, hard */
static int sys_getrlimit(lua_State *L) {
  static const char *const names[] = {
      "as", "core", "cpu", "data", "fsize", "nofile", "nproc", "stack", NULL};
  static const int which[] = {RLIMIT_AS,    RLIMIT_CORE,  RLIMIT_CPU,
                              RLIMIT_DATA,  RLIMIT_FSIZE, RLIMIT_NOFILE,
                              RLIMIT_NPROC, RLIMIT_STACK};
  struct rlimit limit;
  if (getrlimit(which[luaL_checkoption(L, 1, NULL, names)], &limit) != 0)
    return sys_fail(L, errno, NULL);
  push_limit(L, limit.rlim_cur);
  push_limit(L, limit.rlim_max);
  return 2;
}

static const luaL_Reg functions[] = {
    {"exec", sys_exec},
    {"_exit", sys_exit_now},
    {"kill", sys_kill},
    {"getpid", sys_getpid},
    {"getppid", sys_getppid},
    {"getrlimit", sys_getrlimit},
    {NULL, NULL},
};

void sys_open_proc(lua_State *L) {
  size_t n = sizeof signals / sizeof *signals;
  sys_add_functions(L, functions);
  lua_createtable(L, 0, (int)n);
  for (size_t i = 0; i < n; i++) {
    lua_pushinteger(L, signals[i].number);
    lua_setfield(L, -2, signals[i].name);
  }
  lua_setfield(L, -2, "signals");
}
