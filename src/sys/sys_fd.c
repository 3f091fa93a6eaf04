/* SPDX-License-Identifier: MIT */
/*
 * sys_fd.c -- descriptor objects: pipes, files, what was inherited.
 *
 * Owns struct sys_fd from its making to its close.  Every descriptor behind an
 * object is non-blocking and closed on exec.  The object is closed once, by
 * close(), __close or __gc, whichever comes first; the hook of SYS_ON_CLOSE
 * sees it before, while its number is still its own.  A socket is always of
 * the socket class, however it came here, because writing to one must not
 * raise SIGPIPE.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

struct sys_fd *sys_new(lua_State *L, enum sys_class class) {
  struct sys_fd *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (struct sys_fd){.fd = -1, .is_socket = class == SYS_SOCKET};
  lua_pushvalue(L, lua_upvalueindex((int)class));
  lua_setmetatable(L, -2);
  return s;
}

static bool has_class(lua_State *L, int metatable, enum sys_class class) {
  return lua_rawequal(L, metatable, lua_upvalueindex((int)class));
}

/* Sockets first: they are read and written most often. */
struct sys_fd *sys_test(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TUSERDATA || !lua_getmetatable(L, arg))
    return NULL;
  bool is_ours = has_class(L, -1, SYS_SOCKET) || has_class(L, -1, SYS_FD);
  lua_pop(L, 1);
  return is_ours ? lua_touserdata(L, arg) : NULL;
}

static struct sys_fd *check_object(lua_State *L, int arg) {
  struct sys_fd *s = sys_test(L, arg);
  if (s == NULL) luaL_typeerror(L, arg, "descriptor");
  return s;
}

static void closed_error(lua_State *L, int arg) {
  luaL_argerror(L, arg, "attempt to use a closed descriptor");
}

struct sys_fd *sys_check_fd(lua_State *L, int arg) {
  struct sys_fd *s = check_object(L, arg);
  if (s->fd < 0) closed_error(L, arg);
  return s;
}

struct sys_fd *sys_check_socket(lua_State *L, int arg) {
  struct sys_fd *s = sys_test(L, arg);
  if (s == NULL || !s->is_socket) luaL_typeerror(L, arg, "socket");
  if (s->fd < 0) closed_error(L, arg);
  return s;
}

size_t sys_check_count(lua_State *L, int arg) {
  lua_Integer n = luaL_optinteger(L, arg, SYS_READ_MAX);
  luaL_argcheck(L, n > 0, arg, "number of bytes must be positive");
  return n < SYS_READ_MAX ? (size_t)n : SYS_READ_MAX;
}

/* After EINTR the descriptor is gone all the same. */
int sys_release(struct sys_fd *s) {
  int fd = s->fd;
  s->fd = -1;
  if (fd >= 0) sys_tty_closed(fd);
  if (fd < 0 || close(fd) == 0 || errno == EINTR) return 0;
  return errno;
}

int sys_give(lua_State *L, struct sys_fd *s, int err, const char *what) {
  if (err == 0) return 1;
  sys_release(s);
  return sys_fail(L, err, what);
}

/* F_SETFL is skipped when nothing changes: the flag is shared by all who
   inherited the open file. */
int sys_set_nonblock(int fd, bool on) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return errno;
  int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0) return errno;
  return 0;
}

static int set_cloexec(int fd, bool on) {
  return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? errno : 0;
}

/* [object]: calls the hook, if there is one. */
static int call_hook(lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, SYS_ON_CLOSE) == LUA_TFUNCTION) {
    lua_insert(L, 1); /* [hook, object] */
    lua_call(L, 1, 0);
  }
  return 0;
}

/* Hook, then close.  Only running out of memory is raised, and after it. */
static int close_object(lua_State *L, struct sys_fd *s) {
  if (s->fd < 0 || s->closing) return 0;
  s->closing = true;
  lua_pushcfunction(L, call_hook);
  lua_pushvalue(L, 1);
  int status = lua_pcall(L, 1, 0, 0);
  s->closing = false;
  int err = sys_release(s);
  if (status == LUA_ERRMEM) lua_error(L);
  return err;
}

static int fd_close(lua_State *L) {
  return sys_result(L, close_object(L, check_object(L, 1)));
}

static int fd_gc(lua_State *L) {
  close_object(L, check_object(L, 1));
  return 0;
}

static int fd_read(lua_State *L) {
  struct sys_fd *s = sys_check_fd(L, 1);
  size_t n = sys_check_count(L, 2);
  char bytes[SYS_READ_MAX];
  ssize_t got;
  do {
    got = read(s->fd, bytes, n);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return sys_fail(L, errno, NULL);
  lua_pushlstring(L, bytes, (size_t)got);
  return 1;
}

static ssize_t write_some(const struct sys_fd *s, const char *p, size_t n) {
  if (s->is_socket) return send(s->fd, p, n, MSG_NOSIGNAL);
  return write(s->fd, p, n);
}

static int fd_write(lua_State *L) {
  size_t len;
  struct sys_fd *s = sys_check_fd(L, 1);
  const char *bytes = luaL_checklstring(L, 2, &len);
  lua_Integer first = luaL_optinteger(L, 3, 1);
  luaL_argcheck(L, first >= 1 && (lua_Unsigned)first <= len + 1, 3,
                "position is outside of the bytes");
  size_t skip = (size_t)first - 1;
  ssize_t done;
  do {
    done = write_some(s, bytes + skip, len - skip);
  } while (done < 0 && errno == EINTR);
  if (done < 0) return sys_fail(L, errno, NULL);
  lua_pushinteger(L, done);
  return 1;
}

/* -1 when closed, as LuaSocket has it: a select then says EBADF. */
static int fd_fileno(lua_State *L) {
  lua_pushinteger(L, check_object(L, 1)->fd);
  return 1;
}

static int fd_is_closed(lua_State *L) {
  lua_pushboolean(L, check_object(L, 1)->fd < 0);
  return 1;
}

static int fd_tostring(lua_State *L) {
  struct sys_fd *s = check_object(L, 1);
  const char *class = s->is_socket ? "socket" : "fd";
  if (s->fd < 0)
    lua_pushfstring(L, "%s (closed)", class);
  else
    lua_pushfstring(L, "%s %d", class, s->fd);
  return 1;
}

static int sys_type(lua_State *L) {
  luaL_checkany(L, 1);
  struct sys_fd *s = sys_test(L, 1);
  if (s == NULL)
    lua_pushnil(L);
  else
    lua_pushstring(L, s->is_socket ? "socket" : "fd");
  return 1;
}

static int sys_pipe(lua_State *L) {
  int ends[2];
  struct sys_fd *r = sys_new(L, SYS_FD);
  struct sys_fd *w = sys_new(L, SYS_FD);
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return sys_fail(L, errno, NULL);
  r->fd = ends[0];
  w->fd = ends[1];
  return 2;
}

static const struct {
  const char *name;
  int flags;
} open_words[] = {
    {"r", O_RDONLY},
    {"r+", O_RDWR},
    {"w", O_WRONLY | O_CREAT | O_TRUNC},
    {"w+", O_RDWR | O_CREAT | O_TRUNC},
    {"a", O_WRONLY | O_CREAT | O_APPEND},
    {"a+", O_RDWR | O_CREAT | O_APPEND},
    /* The first MODES are the modes; these may follow one. */
    {"creat", O_CREAT},
    {"excl", O_EXCL},
    {"trunc", O_TRUNC},
    {"append", O_APPEND},
    {"nofollow", O_NOFOLLOW},
    {"directory", O_DIRECTORY},
    {"sync", O_SYNC},
    {"dsync", O_DSYNC},
};

enum { MODES = 6, WORDS = sizeof open_words / sizeof *open_words };

/* The flags of one of open_words[from..to), or -1. */
static int find_word(const char *word, size_t len, int from, int to) {
  for (int i = from; i < to; i++) {
    const char *name = open_words[i].name;
    if (strlen(name) == len && memcmp(name, word, len) == 0)
      return open_words[i].flags;
  }
  return -1;
}

/* "mode" or "mode,word,word" */
static int check_open_flags(lua_State *L, int arg) {
  size_t total;
  const char *word = luaL_optlstring(L, arg, "r", &total);
  luaL_argcheck(L, strlen(word) == total, arg, "flags contain a zero byte");
  size_t len = strcspn(word, ",");
  int flags = find_word(word, len, 0, MODES);
  int all = flags;
  while (flags >= 0 && word[len] == ',') {
    word += len + 1;
    len = strcspn(word, ",");
    flags = find_word(word, len, MODES, WORDS);
    all |= flags;
  }
  if (flags < 0)
    luaL_argerror(L, arg, lua_pushfstring(L, "invalid flag '%s'", word));
  return all;
}

static int sys_open(lua_State *L) {
  const char *path = sys_check_path(L, 1);
  int flags = check_open_flags(L, 2);
  lua_Integer mode = luaL_optinteger(L, 3, 0666);
  luaL_argcheck(L, mode >= 0 && mode <= 07777, 3, "mode is not in 0..07777");
  struct sys_fd *s = sys_new(L, SYS_FD);
  do {
    s->fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, (mode_t)mode);
  } while (s->fd < 0 && errno == EINTR);
  return sys_give(L, s, s->fd < 0 ? errno : 0, path);
}

int sys_to_number(lua_State *L, int index) {
  int is_integer = 0;
  const struct sys_fd *s = sys_test(L, index);
  if (s != NULL) return s->fd;
  const luaL_Stream *file = luaL_testudata(L, index, LUA_FILEHANDLE);
  if (file != NULL) return file->closef != NULL ? fileno(file->f) : -1;
  if (lua_type(L, index) != LUA_TNUMBER) return -2;
  lua_Integer n = lua_tointegerx(L, index, &is_integer);
  return is_integer && n >= 0 && n <= INT_MAX ? (int)n : -3;
}

/* The number of an object, a Lua file or an integer; -1 if closed. */
static int check_number(lua_State *L, int arg) {
  int fd = sys_to_number(L, arg);
  if (fd == -2) luaL_typeerror(L, arg, "descriptor");
  luaL_argcheck(L, fd != -3, arg, "descriptor out of range");
  return fd;
}

static int check_open_number(lua_State *L, int arg) {
  int fd = check_number(L, arg);
  if (fd < 0) closed_error(L, arg);
  return fd;
}

static bool is_socket(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int family_of(int fd) {
  struct sys_addr a = {.len = sizeof a.as};
  return getsockname(fd, &a.as.any, &a.len) == 0 ? a.as.any.sa_family : 0;
}

static struct sys_fd *new_for(lua_State *L, int fd) {
  if (!is_socket(fd)) return sys_new(L, SYS_FD);
  struct sys_fd *s = sys_new(L, SYS_SOCKET);
  s->family = family_of(fd);
  return s;
}

static int sys_dup(lua_State *L) {
  int fd = check_open_number(L, 1);
  struct sys_fd *s = new_for(L, fd);
  s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return sys_give(L, s, s->fd < 0 ? errno : sys_set_nonblock(s->fd, true),
                  NULL);
}

/* The number stays the caller's if this fails. */
static int sys_fdopen(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= INT_MAX, 1, "descriptor out of range");
  int fd = (int)n;
  struct sys_fd *s = new_for(L, fd);
  int err = set_cloexec(fd, true);
  if (err == 0) err = sys_set_nonblock(fd, true);
  if (err == 0) s->fd = fd;
  return sys_give(L, s, err, NULL);
}

/*
 * Makes `to` fit for a program to be executed: open across exec and blocking,
 * which is what programs expect of their standard descriptors.
 */
static int sys_dup2(lua_State *L) {
  int from = check_open_number(L, 1);
  lua_Integer to = luaL_checkinteger(L, 2);
  luaL_argcheck(L, to >= 0 && to <= INT_MAX, 2, "descriptor out of range");
  int err = 0;
  if (dup2(from, (int)to) < 0) err = errno;
  if (err == 0) err = set_cloexec((int)to, false);
  if (err == 0) err = sys_set_nonblock((int)to, false);
  if (err != 0) return sys_fail(L, err, NULL);
  lua_pushinteger(L, to);
  return 1;
}

static int sys_isatty(lua_State *L) {
  int fd = check_number(L, 1);
  lua_pushboolean(L, fd >= 0 && isatty(fd));
  return 1;
}

static const luaL_Reg methods[] = {
    {"read", fd_read},     {"write", fd_write},         {"close", fd_close},
    {"fileno", fd_fileno}, {"is_closed", fd_is_closed}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", fd_gc},
    {"__close", fd_gc},
    {"__tostring", fd_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"type", sys_type},     {"pipe", sys_pipe},     {"open", sys_open},
    {"dup", sys_dup},       {"fdopen", sys_fdopen}, {"dup2", sys_dup2},
    {"isatty", sys_isatty}, {NULL, NULL},
};

void sys_add_fd_methods(lua_State *L) { sys_add_functions(L, methods); }

void sys_add_metamethods(lua_State *L) { sys_add_functions(L, metamethods); }

void sys_open_fd(lua_State *L) { sys_add_functions(L, functions); }
