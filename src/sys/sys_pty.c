/* SPDX-License-Identifier: MIT */
/*
 * sys_pty.c -- pseudo-terminals and the size of terminals.
 *
 * Both ends are made at once, so that a read from the master waits for the
 * program to come rather than fail because nobody has the slave open yet.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <sys/ioctl.h>

enum { CELL_WIDTH = 9, CELL_HEIGHT = 16 }; /* of a character, in pixels */

static int open_master(struct sys_fd *s) {
  s->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (s->fd < 0) return errno;
  if (grantpt(s->fd) != 0 || unlockpt(s->fd) != 0) return errno;
  return sys_set_nonblock(s->fd, true);
}

static int open_slave(struct sys_fd *s, int master, char *name, size_t size) {
  int err = ptsname_r(master, name, size);
  if (err != 0) return err;
  s->fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  return s->fd < 0 ? errno : 0;
}

/* sys.openpty() -> master, slave, path */
static int sys_openpty(lua_State *L) {
  char name[64];
  struct sys_fd *master = sys_new(L, SYS_FD);
  struct sys_fd *slave = sys_new(L, SYS_FD);
  int err = open_master(master);
  if (err == 0) err = open_slave(slave, master->fd, name, sizeof name);
  if (err != 0) {
    sys_release(master);
    sys_release(slave);
    return sys_fail(L, err, NULL);
  }
  lua_pushstring(L, name);
  return 3;
}

static int check_terminal(lua_State *L) {
  int fd = sys_to_number(L, 1);
  if (fd < -1) luaL_typeerror(L, 1, "descriptor");
  return fd;
}

/* sys.set_raw(terminal) -> true: bytes pass as they are, none is echoed. */
static int sys_set_raw(lua_State *L) {
  struct termios t;
  int fd = check_terminal(L);
  if (tcgetattr(fd, &t) != 0) return sys_fail(L, errno, NULL);
  cfmakeraw(&t);
  return sys_result(L, tcsetattr(fd, TCSANOW, &t) != 0 ? errno : 0);
}

/* sys.get_winsize(terminal) -> rows, columns, width, height */
static int sys_get_winsize(lua_State *L) {
  struct winsize w;
  if (ioctl(check_terminal(L), TIOCGWINSZ, &w) != 0)
    return sys_fail(L, errno, NULL);
  lua_pushinteger(L, w.ws_row);
  lua_pushinteger(L, w.ws_col);
  lua_pushinteger(L, w.ws_xpixel);
  lua_pushinteger(L, w.ws_ypixel);
  return 4;
}

static unsigned short check_size(lua_State *L, int arg, lua_Integer def) {
  lua_Integer n = luaL_optinteger(L, arg, def);
  luaL_argcheck(L, n >= 0 && n <= USHRT_MAX, arg, "not in 0..65535");
  return (unsigned short)n;
}

/* sys.set_winsize(terminal, rows, columns [, width, height]) -> true */
static int sys_set_winsize(lua_State *L) {
  int fd = check_terminal(L);
  luaL_checkinteger(L, 2);
  luaL_checkinteger(L, 3);
  struct winsize w = {.ws_row = check_size(L, 2, 0),
                      .ws_col = check_size(L, 3, 0)};
  lua_Integer width = (lua_Integer)w.ws_col * CELL_WIDTH;
  lua_Integer height = (lua_Integer)w.ws_row * CELL_HEIGHT;
  w.ws_xpixel = check_size(L, 4, width > USHRT_MAX ? USHRT_MAX : width);
  w.ws_ypixel = check_size(L, 5, height > USHRT_MAX ? USHRT_MAX : height);
  return sys_result(L, ioctl(fd, TIOCSWINSZ, &w) != 0 ? errno : 0);
}

static const luaL_Reg functions[] = {
    {"openpty", sys_openpty},
    {"set_raw", sys_set_raw},
    {"get_winsize", sys_get_winsize},
    {"set_winsize", sys_set_winsize},
    {NULL, NULL},
};

void sys_open_pty(lua_State *L) { sys_add_functions(L, functions); }
