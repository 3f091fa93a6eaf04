/* SPDX-License-Identifier: MIT */
/*
 * sys_child.c -- new processes: spawn, and become for those who forked.
 *
 * Everything is looked up, checked and allocated before the fork, so the child
 * has only system calls to make (sys_become.c).  It tells the parent through a
 * pipe why it failed; that the pipe was closed by a successful exec is how the
 * parent knows that the program runs.  A child that failed is reaped here.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

enum { NICE_MAX = 40 };

/* What the child sends; `step` is a constant of this very program. */
struct failure {
  int err;
  const char *step;
};

/* ---- options ------------------------------------------------------------- */

static const char *const keys[] = {
    "program", "env",    "clear_env", "cwd",        "stdin",
    "stdout",  "stderr", "setsid",    "setpgid",    "terminal",
    "user",    "group",  "nice",      "close_from", NULL};

/* Pushes the option, nil too; gives its type. */
static int push_option(lua_State *L, const char *key) {
  lua_pushstring(L, key);
  return lua_rawget(L, 1);
}

static int bad_option(lua_State *L, const char *key, const char *expected) {
  return luaL_argerror(L, 1,
                       lua_pushfstring(L, "%s: %s expected, got %s", key,
                                       expected, luaL_typename(L, -1)));
}

static int option_descriptor(lua_State *L, const char *key) {
  if (push_option(L, key) == LUA_TNIL) {
    lua_pop(L, 1);
    return -1;
  }
  int fd = sys_to_number(L, lua_gettop(L));
  if (fd < -1) bad_option(L, key, "descriptor");
  if (fd < 0)
    luaL_argerror(L, 1,
                  lua_pushfstring(L, "%s: attempt to use a closed descriptor",
                                  key));
  lua_pop(L, 1);
  return fd;
}

static int option_nice(lua_State *L) {
  int is_integer = 1;
  lua_Integer n = 0;
  if (push_option(L, "nice") != LUA_TNIL)
    n = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || n < -NICE_MAX || n > NICE_MAX)
    bad_option(L, "nice", "integer in -40..40");
  lua_pop(L, 1);
  return (int)n;
}

/* true with the number, or false with the name; both raise if it is neither. */
static bool is_number(lua_State *L, const char *key, lua_Integer *n,
                      const char **name) {
  int is_integer = 0;
  if (lua_type(L, -1) == LUA_TSTRING) {
    *name = lua_tostring(L, -1);
    return false;
  }
  *n = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || *n < 0 || *n >= UINT_MAX)
    bad_option(L, key, "name or number");
  return true;
}

/* Pushes an array of the groups of a user, to be kept on the stack. */
static void push_groups(lua_State *L, struct sys_setup *s, const char *user) {
  int n = 64;
  gid_t *list = NULL;
  do {
    list = lua_newuserdatauv(L, (size_t)n * sizeof *list, 0);
  } while (getgrouplist(user, s->gid, list, &n) < 0);
  s->groups = list;
  s->n_groups = n;
}

/* What there is no entry for, systems tell in many ways. */
static int no_entry(lua_State *L, int err, const char *what) {
  bool is_trouble = err == EIO || err == EMFILE || err == ENFILE ||
                    err == ENOMEM || err == EINTR || err == ERANGE;
  return sys_fail(L, is_trouble ? err : ENOENT, what);
}

/* Pushes what must stay on the stack: 0, or the results of a failure. */
static int take_group(lua_State *L, struct sys_setup *s) {
  lua_Integer n = 0;
  const char *name = NULL;
  if (push_option(L, "group") == LUA_TNIL) return 0;
  s->has_gid = s->has_groups = true;
  if (is_number(L, "group", &n, &name)) {
    s->gid = (gid_t)n;
  } else {
    errno = 0;
    const struct group *found = getgrnam(name);
    if (found == NULL) return no_entry(L, errno, name);
    s->gid = found->gr_gid;
  }
  gid_t *list = lua_newuserdatauv(L, sizeof *list, 0);
  *list = s->gid;
  s->groups = list;
  s->n_groups = 1;
  return 0;
}

/* Without an option `group` a user has the groups of his login. */
static int take_user(lua_State *L, struct sys_setup *s) {
  lua_Integer n = 0;
  const char *name = NULL;
  if (push_option(L, "user") == LUA_TNIL) return 0;
  bool has_number = is_number(L, "user", &n, &name);
  errno = 0;
  const struct passwd *found = has_number ? getpwuid((uid_t)n) : getpwnam(name);
  if (found == NULL && (!has_number || !s->has_gid))
    return no_entry(L, errno, luaL_tolstring(L, -1, NULL));
  s->has_uid = true;
  s->uid = found != NULL ? found->pw_uid : (uid_t)n;
  if (found == NULL) return 0;
  if (!s->has_gid) s->gid = found->pw_gid;
  s->has_gid = s->has_groups = true;
  push_groups(L, s, found->pw_name);
  return 0;
}

/* Nothing to change for who is nobody special and stays who he is. */
static void keep_rights(struct sys_setup *s) {
  if (geteuid() == 0) return;
  if (s->has_uid && s->uid == getuid() && s->uid == geteuid())
    s->has_uid = false;
  if (s->has_gid && s->gid == getgid() && s->gid == getegid())
    s->has_gid = false;
  if (!s->has_uid && !s->has_gid) s->has_groups = false;
}

/* Pushes the merged environment, if it is not ours. */
static void take_env(lua_State *L, struct sys_setup *s) {
  bool is_cleared = sys_option_bool(L, 1, "clear_env", false);
  int type = push_option(L, "env");
  if (type == LUA_TNIL && !is_cleared) return;
  if (type == LUA_TNIL)
    lua_newtable(L);
  else if (type != LUA_TTABLE)
    bad_option(L, "env", "table");
  s->env = sys_push_env(L, lua_gettop(L), 1, "env", !is_cleared);
}

/* 0 with things pushed that must stay, or the results of a failure. */
static int take_options(lua_State *L, struct sys_setup *s) {
  luaL_checkstack(L, 20, NULL);
  sys_check_options(L, 1, keys);
  s->std[0] = option_descriptor(L, "stdin");
  s->std[1] = option_descriptor(L, "stdout");
  s->std[2] = option_descriptor(L, "stderr");
  s->has_session = sys_option_bool(L, 1, "setsid", false);
  s->has_group = sys_option_bool(L, 1, "setpgid", false);
  s->has_terminal = sys_option_bool(L, 1, "terminal", false);
  s->nice = option_nice(L);
  s->cwd = sys_option_string(L, 1, "cwd", NULL);
  s->close_from =
      sys_option_int(L, 1, "close_from", s->is_on_exec ? 3 : 0, INT_MAX);
  take_env(L, s);
  int failed = take_group(L, s);
  if (failed == 0) failed = take_user(L, s);
  keep_rights(s);
  return failed;
}

static int fail_step(lua_State *L, const struct failure *f,
                     const struct sys_setup *s, const char *program) {
  const char *what = NULL;
  if (strcmp(f->step, "exec") == 0) what = program;
  if (strcmp(f->step, "cwd") == 0) what = s->cwd;
  if (what == NULL) return sys_fail(L, f->err, f->step);
  return sys_fail(L, f->err, lua_pushfstring(L, "%s: %s", f->step, what));
}

/* ---- spawn ----------------------------------------------------------------- */

_Noreturn static void run_child(const struct sys_setup *s, char **argv,
                                int report) {
  struct failure f = {0};
  sigset_t none;
  report = fcntl(report, F_DUPFD_CLOEXEC, 3);
  sys_default_signals();
  f.err = report < 0 ? errno : sys_become(s, &f.step);
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, NULL);
  if (f.err == 0) {
    execvp(argv[0], argv);
    f = (struct failure){errno, "exec"};
  }
  ssize_t sent = write(report, &f, sizeof f);
  _exit(sent == sizeof f ? 127 : 126);
}

/* Signals are blocked until the child has no handler of ours any more. */
static pid_t fork_child(const struct sys_setup *s, char **argv, int report) {
  sigset_t all, mask;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask);
  pid_t pid = fork();
  if (pid == 0) run_child(s, argv, report);
  int err = errno;
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  errno = err;
  return pid;
}

/* Waits for the exec; what came instead is why it failed. */
static void read_failure(int fd, struct failure *f) {
  ssize_t got;
  do {
    got = read(fd, f, sizeof *f);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof *f) *f = (struct failure){0};
}

static void reap(pid_t pid) {
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

/* The pid, or -1 and why not. */
static pid_t spawn(const struct sys_setup *s, char **argv, struct failure *f) {
  int ends[2];
  *f = (struct failure){0, "fork"};
  if (pipe2(ends, O_CLOEXEC) != 0) {
    f->err = errno;
    return -1;
  }
  pid_t pid = fork_child(s, argv, ends[1]);
  if (pid < 0) f->err = errno;
  close(ends[1]);
  if (pid > 0) read_failure(ends[0], f);
  close(ends[0]);
  if (f->err == 0) return pid;
  if (pid > 0) reap(pid);
  return -1;
}

/* sys.spawn(options) -> pid */
static int sys_spawn(lua_State *L) {
  struct sys_setup s = {.is_on_exec = true};
  struct failure f;
  lua_settop(L, 1);
  int failed = take_options(L, &s);
  if (failed != 0) return failed;
  if (push_option(L, "program") == LUA_TNIL)
    return bad_option(L, "program", "string or list");
  char **argv = sys_push_argv(L, lua_gettop(L), 1, "program");
  pid_t pid = spawn(&s, argv, &f);
  if (pid < 0) return fail_step(L, &f, &s, argv[0]);
  lua_pushinteger(L, pid);
  return 1;
}

/* ---- become ------------------------------------------------------------------ */

/* Array and texts go with the stack: the process gets a copy, which is whole
   before anything changes. */
static int set_env(struct sys_setup *s) {
  static char **own; /* what it was the last time */
  char **entries = s->env;
  size_t n = 0, size = 0;
  s->env = NULL;
  if (entries == NULL) return 0;
  for (; entries[n] != NULL; n++) size += strlen(entries[n]) + 1;
  char **copy = malloc((n + 1) * sizeof *copy + size);
  if (copy == NULL) return ENOMEM;
  char *text = (char *)(copy + n + 1);
  for (size_t i = 0; i < n; i++) {
    copy[i] = text;
    text = stpcpy(text, entries[i]) + 1;
  }
  copy[n] = NULL;
  if (environ == own) free(own); /* else others may use what is in it */
  environ = own = copy;
  return 0;
}

/* sys.become(options) -> true: the signals, too, are those of a new process. */
static int sys_become_this(lua_State *L) {
  struct sys_setup s = {0};
  struct failure f = {0, "env"};
  sigset_t none;
  lua_settop(L, 1);
  int failed = take_options(L, &s);
  if (failed != 0) return failed;
  if (push_option(L, "program") != LUA_TNIL)
    return bad_option(L, "program", "nil");
  f.err = set_env(&s);
  sys_default_signals();
  if (s.std[0] >= 0) __fpurge(stdin); /* what the parent has read ahead */
  if (f.err == 0) f.err = sys_become(&s, &f.step);
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, NULL);
  if (f.err != 0) return fail_step(L, &f, &s, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {
    {"spawn", sys_spawn},
    {"become", sys_become_this},
    {NULL, NULL},
};

void sys_open_child(lua_State *L) { sys_add_functions(L, functions); }
