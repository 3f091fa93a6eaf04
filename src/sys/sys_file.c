/* SPDX-License-Identifier: MIT */
/*
 * sys_file.c -- where one is in a file, what comes next, what a file is.
 *
 * stat follows symbolic links: who follows a log by its name wants the file
 * that the link leads to today.
 */
#include "sys.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/stat.h>

/* fd:seek([whence [, offset]]) -> position, as Lua's files have it */
static int fd_seek(lua_State *L) {
  static const char *const names[] = {"set", "cur", "end", NULL};
  static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  const struct sys_fd *s = sys_check_fd(L, 1);
  int whence = whences[luaL_checkoption(L, 2, "cur", names)];
  off_t position = lseek(s->fd, (off_t)luaL_optinteger(L, 3, 0), whence);
  if (position < 0) return sys_fail(L, errno, NULL);
  lua_pushinteger(L, position);
  return 1;
}

/* fd:available() -> bytes, whether nothing can follow them.  A terminal has
   what was written to its other end only after somebody has polled it. */
static int fd_available(lua_State *L) {
  int n = 0;
  struct pollfd p = {.fd = sys_check_fd(L, 1)->fd,
                     .events = POLLIN | POLLRDHUP};
  if (poll(&p, 1, 0) < 0 && errno != EINTR) return sys_fail(L, errno, NULL);
  if (ioctl(p.fd, FIONREAD, &n) != 0) return sys_fail(L, errno, NULL);
  lua_pushinteger(L, n);
  lua_pushboolean(L, p.revents & (POLLHUP | POLLRDHUP));
  return 2;
}

static const char *type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "directory";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFCHR: return "char";
    case S_IFBLK: return "block";
    default: return "other";
  }
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static int push_stat(lua_State *L, const struct stat *st) {
  lua_createtable(L, 0, 8);
  lua_pushstring(L, type_of(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "mode", st->st_mode & 07777);
  set_integer(L, "dev", (lua_Integer)st->st_dev);
  set_integer(L, "ino", (lua_Integer)st->st_ino);
  set_integer(L, "nlink", (lua_Integer)st->st_nlink);
  set_integer(L, "size", (lua_Integer)st->st_size);
  lua_pushnumber(L, (lua_Number)st->st_mtim.tv_sec +
                        (lua_Number)st->st_mtim.tv_nsec / 1e9);
  lua_setfield(L, -2, "mtime");
  return 1;
}

/* sys.stat(path or descriptor) -> table */
static int sys_stat(lua_State *L) {
  struct stat st;
  int status;
  const char *path = NULL;
  if (lua_type(L, 1) == LUA_TSTRING) {
    path = sys_check_path(L, 1);
    status = stat(path, &st);
  } else {
    int fd = sys_to_number(L, 1);
    if (fd < -1) luaL_typeerror(L, 1, "path or descriptor");
    status = fstat(fd, &st);
  }
  if (status != 0) return sys_fail(L, errno, path);
  return push_stat(L, &st);
}

static const luaL_Reg methods[] = {
    {"seek", fd_seek},
    {"available", fd_available},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {{"stat", sys_stat}, {NULL, NULL}};

void sys_add_file_methods(lua_State *L) { sys_add_functions(L, methods); }

void sys_open_file(lua_State *L) { sys_add_functions(L, functions); }
