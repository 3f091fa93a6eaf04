/* SPDX-License-Identifier: MIT */
/*
 * sys.c -- opens module poe.sys; results and arguments in one shape.
 *
 * A failure at run time is nil, "CODE: text", "CODE"; wrong usage raises.
 * Options tables are read raw: no metamethod runs between the checks and the
 * system call, and a string stays anchored in the caller's table.
 */
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#define NAME(code)                                                             \
  { code, #code }

/* Of two names for one number the first is used. */
static const struct {
  int err;
  const char *name;
} errno_names[] = {
    NAME(E2BIG),
    NAME(EACCES),
    NAME(EADDRINUSE),
    NAME(EADDRNOTAVAIL),
    NAME(EAFNOSUPPORT),
    NAME(EAGAIN),
    NAME(EALREADY),
    NAME(EBADF),
    NAME(EBUSY),
    NAME(ECHILD),
    NAME(ECONNABORTED),
    NAME(ECONNREFUSED),
    NAME(ECONNRESET),
    NAME(EDEADLK),
    NAME(EDESTADDRREQ),
    NAME(EDQUOT),
    NAME(EEXIST),
    NAME(EFAULT),
    NAME(EFBIG),
    NAME(EHOSTDOWN),
    NAME(EHOSTUNREACH),
    NAME(EINPROGRESS),
    NAME(EINTR),
    NAME(EINVAL),
    NAME(EIO),
    NAME(EISCONN),
    NAME(EISDIR),
    NAME(ELIBBAD),
    NAME(ELOOP),
    NAME(EMFILE),
    NAME(EMLINK),
    NAME(EMSGSIZE),
    NAME(ENAMETOOLONG),
    NAME(ENETDOWN),
    NAME(ENETRESET),
    NAME(ENETUNREACH),
    NAME(ENFILE),
    NAME(ENOBUFS),
    NAME(ENODEV),
    NAME(ENOENT),
    NAME(ENOEXEC),
    NAME(ENOLCK),
    NAME(ENOMEM),
    NAME(ENOPROTOOPT),
    NAME(ENOSPC),
    NAME(ENOSYS),
    NAME(ENOTBLK),
    NAME(ENOTCONN),
    NAME(ENOTDIR),
    NAME(ENOTEMPTY),
    NAME(ENOTSOCK),
    NAME(EOPNOTSUPP),
    NAME(ENOTSUP),
    NAME(ENOTTY),
    NAME(ENXIO),
    NAME(EOVERFLOW),
    NAME(EPERM),
    NAME(EPFNOSUPPORT),
    NAME(EPIPE),
    NAME(EPROTO),
    NAME(EPROTONOSUPPORT),
    NAME(EPROTOTYPE),
    NAME(ERANGE),
    NAME(EROFS),
    NAME(ESHUTDOWN),
    NAME(ESOCKTNOSUPPORT),
    NAME(ESPIPE),
    NAME(ESRCH),
    NAME(ESTALE),
    NAME(ETIMEDOUT),
    NAME(ETXTBSY),
    NAME(EUSERS),
    NAME(EXDEV),
};

const char *sys_errno_name(int err) {
  for (size_t i = 0; i < sizeof errno_names / sizeof *errno_names; i++) {
    if (errno_names[i].err == err) return errno_names[i].name;
  }
  return "EUNKNOWN";
}

int sys_fail(lua_State *L, int err, const char *what) {
  const char *name = sys_errno_name(err);
  lua_pushnil(L);
  if (what != NULL)
    lua_pushfstring(L, "%s: %s: %s", name, strerror(err), what);
  else
    lua_pushfstring(L, "%s: %s", name, strerror(err));
  lua_pushstring(L, name);
  return 3; /* [.., nil, message, code] */
}

int sys_result(lua_State *L, int err) {
  if (err != 0) return sys_fail(L, err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

const char *sys_check_path(lua_State *L, int arg) {
  size_t len;
  const char *path = luaL_checklstring(L, arg, &len);
  luaL_argcheck(L, strlen(path) == len, arg, "path contains a zero byte");
  luaL_argcheck(L, len > 0, arg, "path is empty");
  return path;
}

static bool is_listed(const char *key, const char *const keys[]) {
  for (; *keys != NULL; keys++) {
    if (strcmp(*keys, key) == 0) return true;
  }
  return false;
}

void sys_check_options(lua_State *L, int arg, const char *const keys[]) {
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, arg)) { /* [.., key, value] */
    if (lua_type(L, -2) != LUA_TSTRING || !is_listed(lua_tostring(L, -2), keys))
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "unknown option '%s'",
                                    luaL_tolstring(L, -2, NULL)));
    lua_pop(L, 1);
  }
}

/* Pushes the option; false, and nothing pushed, if there is none. */
static bool get_option(lua_State *L, int arg, const char *key) {
  lua_pushstring(L, key);
  if (lua_rawget(L, arg) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

/* Raises about the option whose value is on top. */
static int bad_option(lua_State *L, int arg, const char *key,
                      const char *expected) {
  const char *got = luaL_typename(L, -1);
  return luaL_argerror(
      L, arg,
      lua_pushfstring(L, "%s: %s expected, got %s", key, expected, got));
}

const char *sys_option_string(lua_State *L, int arg, const char *key,
                              const char *def) {
  size_t len;
  if (!get_option(L, arg, key)) return def;
  if (lua_type(L, -1) != LUA_TSTRING) bad_option(L, arg, key, "string");
  const char *value = lua_tolstring(L, -1, &len);
  if (strlen(value) != len)
    bad_option(L, arg, key, "string without zero bytes");
  lua_pop(L, 1);
  return value;
}

int sys_option_int(lua_State *L, int arg, const char *key, int def, int max) {
  int is_integer = 0;
  if (!get_option(L, arg, key)) return def;
  if (lua_type(L, -1) != LUA_TNUMBER) bad_option(L, arg, key, "integer");
  lua_Integer value = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || value < 0 || value > max)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "%s: %s is not in 0..%d", key,
                                  luaL_tolstring(L, -1, NULL), max));
  lua_pop(L, 1);
  return (int)value;
}

bool sys_option_bool(lua_State *L, int arg, const char *key, bool def) {
  if (!get_option(L, arg, key)) return def;
  if (!lua_isboolean(L, -1)) bad_option(L, arg, key, "boolean");
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* luaopen keeps the metatables at stack indices 1 and 2. */
void sys_add_functions(lua_State *L, const luaL_Reg *functions) {
  lua_pushvalue(L, SYS_FD);
  lua_pushvalue(L, SYS_SOCKET);
  luaL_setfuncs(L, functions, 2);
}

/* A broken pipe is an error value here, never the end of the process. */
static void ignore_sigpipe(void) {
  struct sigaction old;
  if (sigaction(SIGPIPE, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
      old.sa_handler == SIG_DFL)
    signal(SIGPIPE, SIG_IGN);
}

/* Fills the metatable at the index; the methods are its __index. */
static void fill_class(lua_State *L, enum sys_class class) {
  lua_pushvalue(L, (int)class);
  sys_add_metamethods(L);
  lua_newtable(L); /* [.., metatable, methods] */
  sys_add_fd_methods(L);
  sys_add_file_methods(L);
  if (class == SYS_SOCKET) {
    sys_add_socket_methods(L);
    sys_add_sockopt_methods(L);
  }
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

SYS_EXPORT int luaopen_poe_sys(lua_State *L);

/* Opened again, it renews its classes: old objects are still its own. */
int luaopen_poe_sys(lua_State *L) {
  lua_settop(L, 0);
  luaL_newmetatable(L, "poe.sys.fd");
  luaL_newmetatable(L, "poe.sys.socket"); /* [fd, socket] */
  fill_class(L, SYS_FD);
  fill_class(L, SYS_SOCKET);
  lua_newtable(L); /* [fd, socket, module] */
  sys_open_fd(L);
  sys_open_file(L);
  sys_open_net(L);
  sys_open_resolve(L);
  sys_open_proc(L);
  sys_open_child(L);
  sys_open_pty(L);
  sys_open_tty(L);
  ignore_sigpipe();
  return 1;
}
