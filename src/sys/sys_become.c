/* SPDX-License-Identifier: MIT */
/*
 * sys_become.c -- what a new process does before it is what it shall be.
 *
 * Runs between fork and exec, maybe while other threads held locks: only
 * functions that POSIX calls async-signal-safe, and plain system calls.  The
 * first failure ends it; what was done until then stays done.
 *
 * Order: session and group first, since a terminal needs them; rights are
 * dropped after what needs them, before the directory is entered as the new
 * user.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { STD = 3 };

static int result(int status) { return status < 0 ? errno : 0; }

/* setsid fails for the leader of a group: a new process is none. */
static int new_session(const struct sys_setup *s) {
  if (s->has_session) return result(setsid());
  return s->has_group ? result(setpgid(0, 0)) : 0;
}

/* Out of the way of what becomes 0, 1 and 2. */
static int move_up(int fd) {
  return fd >= 0 && fd < STD ? fcntl(fd, F_DUPFD_CLOEXEC, STD) : fd;
}

/* Open across exec, and blocking, as programs expect of what they are given. */
static int install(int fd, int to) {
  if (dup2(fd, to) < 0) return errno;
  return sys_set_nonblock(to, false);
}

static int standard(const struct sys_setup *s) {
  int fd[STD];
  for (int i = 0; i < STD; i++) {
    fd[i] = move_up(s->std[i]);
    if (fd[i] < 0 && s->std[i] >= 0) return errno;
  }
  for (int i = 0; i < STD; i++) {
    int err = fd[i] < 0 ? 0 : install(fd[i], i);
    if (err != 0) return err;
  }
  for (int i = 0; i < STD; i++) {
    if (fd[i] != s->std[i]) close(fd[i]);
  }
  return 0;
}

static int terminal(const struct sys_setup *s) {
  return s->has_terminal ? result(ioctl(0, TIOCSCTTY, 0)) : 0;
}

/* -1 may be a niceness. */
static int niceness(const struct sys_setup *s) {
  if (s->nice == 0) return 0;
  errno = 0;
  int now = getpriority(PRIO_PROCESS, 0);
  if (now == -1 && errno != 0) return errno;
  return result(setpriority(PRIO_PROCESS, 0, now + s->nice));
}

static int groups(const struct sys_setup *s) {
  if (!s->has_groups) return 0;
  return result(setgroups((size_t)s->n_groups, s->groups));
}

static int group(const struct sys_setup *s) {
  return s->has_gid ? result(setgid(s->gid)) : 0;
}

static int user(const struct sys_setup *s) {
  return s->has_uid ? result(setuid(s->uid)) : 0;
}

static int directory(const struct sys_setup *s) {
  return s->cwd != NULL ? result(chdir(s->cwd)) : 0;
}

static int environment(const struct sys_setup *s) {
  if (s->env != NULL) environ = s->env;
  return 0;
}

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

static bool range(const struct sys_setup *s) {
#ifdef SYS_close_range
  unsigned flags = s->is_on_exec ? CLOSE_RANGE_CLOEXEC : 0u;
  unsigned first = (unsigned)s->close_from;
  return syscall(SYS_close_range, first, UINT_MAX, flags) == 0;
#else
  (void)s;
  return false;
#endif
}

/* Systems without close_range have perhaps a million numbers to try. */
static int others(const struct sys_setup *s) {
  if (s->close_from == 0 || range(s)) return 0;
  long max = sysconf(_SC_OPEN_MAX);
  for (int fd = s->close_from; fd < (max < 0 ? 65536 : max); fd++) {
    if (s->is_on_exec)
      fcntl(fd, F_SETFD, FD_CLOEXEC);
    else
      close(fd);
  }
  return 0;
}

static const struct {
  const char *name;
  int (*run)(const struct sys_setup *s);
} steps[] = {
    {"session", new_session}, {"redirection", standard}, {"terminal", terminal},
    {"nice", niceness},       {"groups", groups},        {"group", group},
    {"user", user},           {"cwd", directory},        {"env", environment},
    {"close_from", others},
};

int sys_become(const struct sys_setup *setup, const char **step) {
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    int err = steps[i].run(setup);
    *step = steps[i].name;
    if (err != 0) return err;
  }
  return 0;
}
