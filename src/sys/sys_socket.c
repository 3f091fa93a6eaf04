/* SPDX-License-Identifier: MIT */
/*
 * sys_socket.c -- the methods of sockets: accept, send, recv, addresses.
 *
 * They follow the methods of every descriptor: bytes, or nil, message, code
 * with "EAGAIN" when there is nothing yet.  Sending never raises SIGPIPE.  A
 * peer is told as host, port, or as the path of a Unix socket.
 */
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

static const struct {
  const char *name;
  int flag;
} flag_names[] = {
    {"oob", MSG_OOB},
    {"peek", MSG_PEEK},
    {"dontroute", MSG_DONTROUTE},
    {"more", MSG_MORE},
};

static int check_flag(lua_State *L, int arg) {
  const char *name = luaL_checkstring(L, arg);
  for (size_t i = 0; i < sizeof flag_names / sizeof *flag_names; i++) {
    if (strcmp(flag_names[i].name, name) == 0) return flag_names[i].flag;
  }
  return luaL_argerror(L, arg, lua_pushfstring(L, "unknown flag '%s'", name));
}

/* The flags named from arg on. */
static int check_flags(lua_State *L, int arg) {
  int flags = 0;
  for (; arg <= lua_gettop(L); arg++) flags |= check_flag(L, arg);
  return flags;
}

/* sock:accept() -> socket, host, port | socket, path */
static int socket_accept(lua_State *L) {
  const struct sys_fd *s = sys_check_socket(L, 1);
  struct sys_addr peer = {.len = sizeof peer.as};
  struct sys_fd *client = sys_new(L, SYS_SOCKET);
  client->family = s->family;
  do {
    client->fd =
        accept4(s->fd, &peer.as.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (client->fd < 0 && errno == EINTR);
  if (client->fd < 0) return sys_fail(L, errno, NULL);
  return 1 + sys_addr_push(L, &peer);
}

/* True when poll(2) says that a connect has come to its end. */
static bool is_settled(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  return poll(&p, 1, 0) > 0;
}

/* How connecting went: 0, EINPROGRESS, or why it failed (told once). */
static int connect_result(int fd) {
  int err = 0;
  socklen_t len = sizeof err;
  struct sys_addr peer = {.len = sizeof peer.as};
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0) return errno;
  if (err != 0 || getpeername(fd, &peer.as.any, &peer.len) == 0) return err;
  return errno == ENOTCONN && !is_settled(fd) ? EINPROGRESS : errno;
}

/* sock:connect_error() -> nil | message, code */
static int socket_connect_error(lua_State *L) {
  int err = connect_result(sys_check_socket(L, 1)->fd);
  if (err == 0) return lua_pushnil(L), 1;
  sys_fail(L, err, NULL);
  return 2;
}

static int push_sent(lua_State *L, ssize_t done) {
  if (done < 0) return sys_fail(L, errno, NULL);
  lua_pushinteger(L, done);
  return 1;
}

/* sock:send(bytes, flag...) -> count */
static int socket_send(lua_State *L) {
  size_t len;
  const struct sys_fd *s = sys_check_socket(L, 1);
  const char *bytes = luaL_checklstring(L, 2, &len);
  int flags = check_flags(L, 3);
  ssize_t done;
  do {
    done = send(s->fd, bytes, len, flags | MSG_NOSIGNAL);
  } while (done < 0 && errno == EINTR);
  return push_sent(L, done);
}

/* Where sendto sends: host and port, or the path of a Unix socket. */
static int check_addr(lua_State *L, const struct sys_fd *s,
                      struct sys_addr *a) {
  const char *host = sys_check_path(L, 3);
  if (s->family == AF_UNIX) return sys_addr_unix(a, host);
  lua_Integer port = luaL_checkinteger(L, 4);
  luaL_argcheck(L, port >= 0 && port <= UINT16_MAX, 4, "port out of range");
  return sys_addr_inet(a, host, (int)port);
}

/* sock:sendto(bytes, host, port) -> count */
static int socket_sendto(lua_State *L) {
  size_t len;
  struct sys_addr to;
  const struct sys_fd *s = sys_check_socket(L, 1);
  const char *bytes = luaL_checklstring(L, 2, &len);
  int err = check_addr(L, s, &to);
  if (err != 0) return sys_fail(L, err, lua_tostring(L, 3));
  ssize_t done;
  do {
    done = sendto(s->fd, bytes, len, MSG_NOSIGNAL, &to.as.any, to.len);
  } while (done < 0 && errno == EINTR);
  return push_sent(L, done);
}

/* sock:recv(n, flag...) -> bytes */
static int socket_recv(lua_State *L) {
  const struct sys_fd *s = sys_check_socket(L, 1);
  size_t n = sys_check_count(L, 2);
  int flags = check_flags(L, 3);
  char bytes[SYS_READ_MAX];
  ssize_t got;
  do {
    got = recv(s->fd, bytes, n, flags);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return sys_fail(L, errno, NULL);
  lua_pushlstring(L, bytes, (size_t)got);
  return 1;
}

/* sock:recvfrom(n, flag...) -> bytes, host, port | bytes, path */
static int socket_recvfrom(lua_State *L) {
  const struct sys_fd *s = sys_check_socket(L, 1);
  size_t n = sys_check_count(L, 2);
  int flags = check_flags(L, 3);
  struct sys_addr from = {.len = sizeof from.as};
  char bytes[SYS_READ_MAX];
  ssize_t got;
  do {
    got = recvfrom(s->fd, bytes, n, flags, &from.as.any, &from.len);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return sys_fail(L, errno, NULL);
  lua_pushlstring(L, bytes, (size_t)got);
  return 1 + sys_addr_push(L, &from);
}

static int socket_shutdown(lua_State *L) {
  static const char *const names[] = {"r", "w", "rw", NULL};
  static const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
  const struct sys_fd *s = sys_check_socket(L, 1);
  int which = luaL_checkoption(L, 2, "rw", names);
  return sys_result(L, shutdown(s->fd, how[which]) != 0 ? errno : 0);
}

static int socket_getsockname(lua_State *L) {
  const struct sys_fd *s = sys_check_socket(L, 1);
  struct sys_addr a = {.len = sizeof a.as};
  if (getsockname(s->fd, &a.as.any, &a.len) != 0)
    return sys_fail(L, errno, NULL);
  return sys_addr_push(L, &a);
}

static int socket_getpeername(lua_State *L) {
  const struct sys_fd *s = sys_check_socket(L, 1);
  struct sys_addr a = {.len = sizeof a.as};
  if (getpeername(s->fd, &a.as.any, &a.len) != 0)
    return sys_fail(L, errno, NULL);
  return sys_addr_push(L, &a);
}

static const luaL_Reg methods[] = {
    {"accept", socket_accept},
    {"connect_error", socket_connect_error},
    {"send", socket_send},
    {"sendto", socket_sendto},
    {"recv", socket_recv},
    {"recvfrom", socket_recvfrom},
    {"shutdown", socket_shutdown},
    {"getsockname", socket_getsockname},
    {"getpeername", socket_getpeername},
    {NULL, NULL},
};

void sys_add_socket_methods(lua_State *L) { sys_add_functions(L, methods); }
