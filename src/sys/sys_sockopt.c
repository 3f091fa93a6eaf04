/* SPDX-License-Identifier: MIT */
/*
 * sys_sockopt.c -- getsockopt and setsockopt by name.
 *
 * One table says of each option what its value is in Lua: a boolean, an
 * integer, the seconds of SO_LINGER (false: off), or the code of SO_ERROR
 * (false: none).  What the system refuses is its own error, as a value.
 */
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <netinet/tcp.h>

enum kind { KIND_BOOL, KIND_INT, KIND_LINGER, KIND_ERROR };

struct option {
  const char *name;
  int level;
  int number;
  enum kind kind;
};

#define OPTION(level, number, kind)                                            \
  { #number, level, number, kind }

static const struct option options[] = {
    OPTION(SOL_SOCKET, SO_REUSEADDR, KIND_BOOL),
    OPTION(SOL_SOCKET, SO_REUSEPORT, KIND_BOOL),
    OPTION(SOL_SOCKET, SO_KEEPALIVE, KIND_BOOL),
    OPTION(SOL_SOCKET, SO_BROADCAST, KIND_BOOL),
    OPTION(SOL_SOCKET, SO_OOBINLINE, KIND_BOOL),
    OPTION(SOL_SOCKET, SO_DONTROUTE, KIND_BOOL),
    OPTION(SOL_SOCKET, SO_ACCEPTCONN, KIND_BOOL),
    OPTION(SOL_SOCKET, SO_RCVBUF, KIND_INT),
    OPTION(SOL_SOCKET, SO_SNDBUF, KIND_INT),
    OPTION(SOL_SOCKET, SO_RCVLOWAT, KIND_INT),
    OPTION(SOL_SOCKET, SO_TYPE, KIND_INT),
    OPTION(SOL_SOCKET, SO_LINGER, KIND_LINGER),
    OPTION(SOL_SOCKET, SO_ERROR, KIND_ERROR),
    OPTION(IPPROTO_TCP, TCP_NODELAY, KIND_BOOL),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE, KIND_INT),
    OPTION(IPPROTO_TCP, TCP_KEEPINTVL, KIND_INT),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT, KIND_INT),
    OPTION(IPPROTO_IP, IP_TTL, KIND_INT),
    OPTION(IPPROTO_IP, IP_TOS, KIND_INT),
    OPTION(IPPROTO_IP, IP_MULTICAST_TTL, KIND_INT),
    OPTION(IPPROTO_IP, IP_MULTICAST_LOOP, KIND_BOOL),
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY, KIND_BOOL),
    OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS, KIND_INT),
};

static const struct option *check_option(lua_State *L, int arg) {
  const char *name = luaL_checkstring(L, arg);
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    if (strcmp(options[i].name, name) == 0) return &options[i];
  }
  luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'", name));
  return NULL;
}

static int check_int(lua_State *L, int arg) {
  lua_Integer n = luaL_checkinteger(L, arg);
  luaL_argcheck(L, n >= 0 && n <= INT_MAX, arg, "value out of range");
  return (int)n;
}

static int set_int(lua_State *L, int fd, const struct option *o, int value) {
  int status = setsockopt(fd, o->level, o->number, &value, sizeof value);
  return sys_result(L, status != 0 ? errno : 0);
}

static int set_linger(lua_State *L, int fd, const struct option *o) {
  struct linger value = {.l_onoff = lua_toboolean(L, 3)};
  if (value.l_onoff) value.l_linger = check_int(L, 3);
  int status = setsockopt(fd, o->level, o->number, &value, sizeof value);
  return sys_result(L, status != 0 ? errno : 0);
}

/* sock:setsockopt(name, value) -> true */
static int socket_setsockopt(lua_State *L) {
  int fd = sys_check_socket(L, 1)->fd;
  const struct option *o = check_option(L, 2);
  luaL_checkany(L, 3);
  switch (o->kind) {
    case KIND_BOOL:
      luaL_checktype(L, 3, LUA_TBOOLEAN);
      return set_int(L, fd, o, lua_toboolean(L, 3));
    case KIND_INT: return set_int(L, fd, o, check_int(L, 3));
    case KIND_LINGER: return set_linger(L, fd, o);
    case KIND_ERROR: break;
  }
  return luaL_argerror(L, 2, "option can only be read");
}

static int get_linger(lua_State *L, int fd, const struct option *o) {
  struct linger value = {0};
  socklen_t len = sizeof value;
  if (getsockopt(fd, o->level, o->number, &value, &len) != 0)
    return sys_fail(L, errno, NULL);
  if (value.l_onoff)
    lua_pushinteger(L, value.l_linger);
  else
    lua_pushboolean(L, 0);
  return 1;
}

static void push_value(lua_State *L, enum kind kind, int value) {
  if (kind == KIND_INT)
    lua_pushinteger(L, value);
  else if (kind == KIND_ERROR && value != 0)
    lua_pushstring(L, sys_errno_name(value));
  else
    lua_pushboolean(L, value);
}

/* sock:getsockopt(name) -> value */
static int socket_getsockopt(lua_State *L) {
  int value = 0;
  socklen_t len = sizeof value;
  int fd = sys_check_socket(L, 1)->fd;
  const struct option *o = check_option(L, 2);
  if (o->kind == KIND_LINGER) return get_linger(L, fd, o);
  if (getsockopt(fd, o->level, o->number, &value, &len) != 0)
    return sys_fail(L, errno, NULL);
  push_value(L, o->kind, value);
  return 1;
}

static const luaL_Reg methods[] = {
    {"setsockopt", socket_setsockopt},
    {"getsockopt", socket_getsockopt},
    {NULL, NULL},
};

void sys_add_sockopt_methods(lua_State *L) { sys_add_functions(L, methods); }
