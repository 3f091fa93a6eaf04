/* SPDX-License-Identifier: MIT */
/*
 * sys_addr.c -- socket addresses, from Lua and to Lua.
 *
 * A host is a numeric IPv4 or IPv6 address (with a scope: "fe80::1%eth0");
 * names are not looked up, for that would block.  A Unix address is a path,
 * "" if the socket has none.
 */
#include "sys.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include <arpa/inet.h>

static void set_port(struct sys_addr *a, int port) {
  in_port_t net = htons((uint16_t)port);
  if (a->as.any.sa_family == AF_INET6)
    a->as.in6.sin6_port = net;
  else
    a->as.in.sin_port = net;
}

int sys_addr_inet(struct sys_addr *a, const char *host, int port) {
  struct addrinfo *found;
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST,
                           .ai_socktype = SOCK_STREAM};
  int status = getaddrinfo(host, NULL, &hints, &found);
  if (status == EAI_MEMORY) return ENOMEM;
  if (status != 0) return EINVAL;
  *a = (struct sys_addr){.len = found->ai_addrlen};
  memcpy(&a->as, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  set_port(a, port);
  return 0;
}

/* The zero at the end counts, so that no system needs to guess it. */
int sys_addr_unix(struct sys_addr *a, const char *path) {
  size_t size = strlen(path) + 1;
  if (size == 1) return EINVAL;
  if (size > sizeof a->as.un.sun_path) return ENAMETOOLONG;
  *a = (struct sys_addr){
      .len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)};
  a->as.un.sun_family = AF_UNIX;
  memcpy(a->as.un.sun_path, path, size);
  return 0;
}

static int push_inet(lua_State *L, const struct sys_addr *a) {
  char host[INET6_ADDRSTRLEN + 32]; /* and a scope */
  bool is_v6 = a->as.any.sa_family == AF_INET6;
  in_port_t port = is_v6 ? a->as.in6.sin6_port : a->as.in.sin_port;
  if (getnameinfo(&a->as.any, a->len, host, sizeof host, NULL, 0,
                  NI_NUMERICHOST) != 0)
    return sys_fail(L, EAFNOSUPPORT, NULL);
  lua_pushstring(L, host);
  lua_pushinteger(L, ntohs(port));
  return 2;
}

/* An abstract name begins with a zero and ends where the address does. */
static int push_unix(lua_State *L, const struct sys_addr *a) {
  const char *path = a->as.un.sun_path;
  size_t len = 0;
  if (a->len > offsetof(struct sockaddr_un, sun_path))
    len = a->len - offsetof(struct sockaddr_un, sun_path);
  if (len > 0 && path[0] != '\0') len = strnlen(path, len);
  lua_pushlstring(L, path, len);
  return 1;
}

int sys_addr_push(lua_State *L, const struct sys_addr *a) {
  if (a->len < sizeof a->as.any.sa_family) return lua_pushliteral(L, ""), 1;
  switch (a->as.any.sa_family) {
    case AF_INET:
    case AF_INET6: return push_inet(L, a);
    case AF_UNIX: return push_unix(L, a);
    default: return sys_fail(L, EAFNOSUPPORT, NULL);
  }
}
