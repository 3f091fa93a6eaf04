/* SPDX-License-Identifier: MIT */
/*
 * sys_tty.c -- terminals whose modes are changed, and given back.
 *
 * Owns the list of terminals that tty_open has opened.  Each remembers how it
 * was found, until tty_restore; whatever is left then is restored at the end of
 * the process: at exit, when this library is unloaded, or by a signal that
 * nobody else handles.  A terminal belongs to the process that opened it: after
 * a fork only the parent restores it.  One that other processes have in the
 * foreground is left to them.  One that was opened twice is as it was found the
 * first time, when both are restored.  One whose object was closed before keeps
 * its place until that is wanted.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sys/stat.h>

#define MAX_TERMINALS 8
#define MAX_FAREWELL 32 /* bytes */

/* Read by the signal handler: `is_used` is set last and cleared first. */
static struct terminal {
  volatile sig_atomic_t is_used;
  int fd;     /* its own: the object may be closed by then */
  int object; /* the object's descriptor; -1: that is closed */
  dev_t device;
  pid_t owner;
  size_t farewell_size;
  char farewell[MAX_FAREWELL];
  int flags; /* of the open file, which others may share */
  struct termios modes;
} terminals[MAX_TERMINALS];

/* Signals that end a process. */
static const int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/* ---- giving back ---------------------------------------------------------- */

/* Others have the terminal.  One that is not ours to share is nobody's. */
static bool is_background(int fd) {
  pid_t group = tcgetpgrp(fd);
  return group >= 0 && group != getpgrp();
}

/* 0 or an errno.  Safe in a signal handler. */
static int restore(struct terminal *t) {
  int err = 0;
  if (!t->is_used || t->owner != getpid()) return 0;
  if (is_background(t->fd)) return 0;
  if (tcsetattr(t->fd, TCSANOW, &t->modes) != 0) err = errno;
  if (fcntl(t->fd, F_SETFL, t->flags) < 0 && err == 0) err = errno;
  return err;
}

/* At the end of the process nobody else tells the terminal good-bye. */
static void restore_all(void) {
  for (int i = 0; i < MAX_TERMINALS; i++) {
    struct terminal *t = &terminals[i];
    if (!t->is_used || t->owner != getpid() || is_background(t->fd)) continue;
    if (t->farewell_size > 0 &&
        write(t->fd, t->farewell, t->farewell_size) < 0)
      t->farewell_size = 0;
    (void)restore(t);
  }
}

static void on_fatal(int number) {
  int err = errno;
  restore_all();
  signal(number, SIG_DFL);
  raise(number); /* comes when this handler returns */
  errno = err;
}

/* Replaces a disposition, if it is `from`. */
static void exchange(int number, void (*from)(int), void (*to)(int)) {
  struct sigaction now;
  if (sigaction(number, NULL, &now) != 0) return;
  if (now.sa_flags & SA_SIGINFO || now.sa_handler != from) return;
  signal(number, to);
}

static void watch_fatal(void) {
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
    exchange(fatal[i], SIG_DFL, on_fatal);
}

static void ignore_fatal(void) {
  for (int i = 0; i < MAX_TERMINALS; i++)
    if (terminals[i].is_used) return;
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
    exchange(fatal[i], on_fatal, SIG_DFL);
}

__attribute__((destructor)) static void at_end(void) {
  restore_all();
  for (int i = 0; i < MAX_TERMINALS; i++) terminals[i].is_used = 0;
  ignore_fatal();
}

/* ---- opening ---------------------------------------------------------------- */

static struct terminal *find(int fd) {
  for (int i = 0; i < MAX_TERMINALS; i++) {
    struct terminal *t = &terminals[i];
    if (t->is_used && t->object == fd && t->owner == getpid()) return t;
  }
  return NULL;
}

static void forget(struct terminal *t) {
  t->is_used = 0;
  close(t->fd);
}

/* Another one of the same terminal, or NULL. */
static struct terminal *find_other(dev_t device, const struct terminal *t) {
  for (int i = 0; i < MAX_TERMINALS; i++) {
    struct terminal *o = &terminals[i];
    if (o != t && o->is_used && o->owner == getpid() && o->device == device)
      return o;
  }
  return NULL;
}

/* 0 or an errno: as it was found, unless another object has it still. */
static int give_back(struct terminal *t) {
  int err = find_other(t->device, t) != NULL ? 0 : restore(t);
  forget(t);
  return err;
}

static struct terminal *find_free(void) {
  struct terminal *lost = NULL;
  for (int i = 0; i < MAX_TERMINALS; i++) {
    struct terminal *t = &terminals[i];
    if (t->is_used && t->owner != getpid()) forget(t); /* the parent's */
    if (!t->is_used) return t;
    if (t->object < 0) lost = t;
  }
  if (lost != NULL) give_back(lost);
  return lost;
}

void sys_tty_closed(int fd) {
  struct terminal *t = find(fd);
  if (t != NULL) t->object = -1;
}

/* A second open file for the same terminal, or -1. */
static int open_again(int fd, dev_t device) {
  char name[256];
  struct stat st;
  if (ttyname_r(fd, name, sizeof name) != 0) return -1;
  int again = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (again < 0) return -1;
  if (fstat(again, &st) == 0 && st.st_rdev == device) return again;
  close(again);
  return -1;
}

/* How the terminal and the open file were found. */
static int look(int fd, struct terminal *t) {
  struct stat st;
  if (tcgetattr(fd, &t->modes) != 0 || fstat(fd, &st) != 0) return errno;
  t->flags = fcntl(fd, F_GETFL);
  if (t->flags < 0) return errno;
  t->device = st.st_rdev;
  const struct terminal *before = find_other(st.st_rdev, NULL);
  if (before != NULL) t->modes = before->modes;
  return 0;
}

/* An open file of its own, so that whoever else has the terminal does not find
   it non-blocking; if that cannot be, a duplicate. */
static int open_terminal(struct sys_fd *s, int from, struct terminal *t) {
  struct terminal new = {.is_used = 0, .owner = getpid()};
  int err = look(from, &new);
  if (err != 0) return err;
  s->fd = open_again(from, new.device);
  if (s->fd < 0)
    s->fd = fcntl(from, F_DUPFD_CLOEXEC, 0);
  else
    new.flags |= O_NONBLOCK; /* its own */
  if (s->fd < 0) return errno;
  new.object = s->fd;
  new.fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
  if (new.fd < 0) return errno;
  *t = new;
  t->is_used = 1;
  return sys_set_nonblock(s->fd, true);
}

static int check_number(lua_State *L) {
  int fd = sys_to_number(L, 1);
  if (fd < -1) luaL_typeerror(L, 1, "descriptor");
  return fd;
}

/* sys.tty_open(terminal) -> object */
static int tty_open(lua_State *L) {
  int from = check_number(L);
  struct sys_fd *s = sys_new(L, SYS_FD);
  struct terminal *t = find_free();
  if (t == NULL) return sys_fail(L, EMFILE, NULL);
  return sys_give(L, s, open_terminal(s, from, t), NULL);
}

/* ---- modes ------------------------------------------------------------------ */

/* NULL if this process has not opened it by tty_open, or restored it since. */
static struct terminal *check_terminal(lua_State *L) {
  return find(sys_check_fd(L, 1)->fd);
}

static int set_modes(int fd, const struct termios *modes) {
  while (tcsetattr(fd, TCSANOW, modes) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

/*
 * sys.tty_edit(terminal, has_signals, farewell) -> true: keys come as they are
 * and are not echoed; those that send signals do only with has_signals.  Output
 * is as it was.  The farewell is written if the process ends like this.
 */
static int tty_edit(lua_State *L) {
  size_t size;
  struct terminal *t = check_terminal(L);
  const char *farewell = luaL_optlstring(L, 3, "", &size);
  luaL_argcheck(L, size <= MAX_FAREWELL, 3, "more than 32 bytes");
  if (t == NULL) return sys_fail(L, ENOTTY, NULL);
  t->farewell_size = 0;
  memcpy(t->farewell, farewell, size);
  t->farewell_size = size;
  struct termios modes = t->modes;
  modes.c_iflag &= (tcflag_t) ~(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP | IXON);
  modes.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | IEXTEN);
  if (!lua_toboolean(L, 2)) modes.c_lflag &= (tcflag_t)~ISIG;
  modes.c_cc[VMIN] = 1;
  modes.c_cc[VTIME] = 0;
  watch_fatal();
  int err = set_modes(t->fd, &modes);
  if (err == 0 && fcntl(t->fd, F_SETFL, t->flags | O_NONBLOCK) < 0) err = errno;
  return sys_result(L, err);
}

/* sys.tty_pause(terminal) -> true: as it was found, until the next tty_edit. */
static int tty_pause(lua_State *L) {
  struct terminal *t = check_terminal(L);
  return sys_result(L, t == NULL ? ENOTTY : restore(t));
}

/* sys.tty_restore(terminal) -> true: as it was found, and forgotten. */
static int tty_restore(lua_State *L) {
  struct terminal *t = check_terminal(L);
  if (t == NULL) return sys_fail(L, ENOTTY, NULL);
  int err = give_back(t);
  ignore_fatal();
  return sys_result(L, err);
}

/* sys.tty_stop() -> true: stops this process as SIGTSTP would. */
static int tty_stop(lua_State *L) {
  struct sigaction old, def = {.sa_handler = SIG_DFL};
  sigset_t stop, mask;
  sigemptyset(&def.sa_mask);
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  if (sigaction(SIGTSTP, &def, &old) != 0) return sys_fail(L, errno, NULL);
  raise(SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &stop, &mask); /* continued when it returns */
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  sigaction(SIGTSTP, &old, NULL);
  return sys_result(L, 0);
}

/* ---- output ------------------------------------------------------------------- */

/* sys.tty_wait(terminal, seconds) -> whether it takes bytes by then.  It blocks:
   for what is left to be written at the end. */
static int tty_wait(lua_State *L) {
  struct pollfd p = {.fd = sys_check_fd(L, 1)->fd, .events = POLLOUT};
  lua_Number seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds >= 0 && seconds <= 60, 2, "not in 0..60");
  int n;
  do n = poll(&p, 1, (int)(seconds * 1000));
  while (n < 0 && errno == EINTR);
  lua_pushboolean(L, n > 0);
  return 1;
}

static const luaL_Reg functions[] = {
    {"tty_open", tty_open},   {"tty_edit", tty_edit},
    {"tty_pause", tty_pause}, {"tty_restore", tty_restore},
    {"tty_stop", tty_stop},   {"tty_wait", tty_wait},
    {NULL, NULL},
};

void sys_open_tty(lua_State *L) { sys_add_functions(L, functions); }
