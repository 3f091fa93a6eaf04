/* SPDX-License-Identifier: MIT */
/*
 * sys_net.c -- makes sockets: tcp, udp, unix, socketpair.
 *
 * Each constructor checks its options, pushes a closed object, then goes
 * through steps that give 0 or an errno; on failure the object is released and
 * the caller gets nil, message, code, and the name of the step.  Nothing here waits: a connection under
 * way is a success, and connect_error() tells later how it went.
 *
 * Safe by default: listeners and bound datagram sockets are on 127.0.0.1, the
 * file of a Unix socket is its owner's alone, and only a dead one is replaced.
 */
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

/* The steps, as the caller gets to know them. */
enum step { RESOLVE, SOCKET, BIND, LISTEN, CONNECT };

static const char *const step_names[] = {"resolve", "socket", "bind", "listen",
                                         "connect"};

/* As sys_give; a fourth value tells which step failed. */
static int give(lua_State *L, struct sys_fd *s, int err, const char *what,
                enum step step) {
  int n = sys_give(L, s, err, what);
  if (err == 0) return n;
  lua_pushstring(L, step_names[step]);
  return n + 1;
}

static int open_socket(struct sys_fd *s, int family, int type) {
  s->fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  s->family = family;
  return s->fd < 0 ? errno : 0;
}

static int set_flag(const struct sys_fd *s, int level, int name, int value) {
  if (setsockopt(s->fd, level, name, &value, sizeof value) != 0) return errno;
  return 0;
}

static int bind_to(const struct sys_fd *s, const struct sys_addr *a) {
  return bind(s->fd, &a->as.any, a->len) != 0 ? errno : 0;
}

/* EINTR and EINPROGRESS both mean that the connection is under way. */
static int connect_to(const struct sys_fd *s, const struct sys_addr *a) {
  if (connect(s->fd, &a->as.any, a->len) == 0) return 0;
  return errno == EINPROGRESS || errno == EINTR ? 0 : errno;
}

/* What tcp.listen, tcp.connect, udp.bind and udp.connect are asked for. */
struct inet_options {
  int type; /* SOCK_STREAM or SOCK_DGRAM */
  const char *host;
  int port;
  const char *bind_host; /* NULL: the system chooses */
  int bind_port;
  int backlog;
  bool reuse;
  int v6only;     /* -1: as the system has it */
  enum step step; /* the last one taken */
};

static int inet_addr_of(struct sys_addr *a, struct inet_options *o) {
  o->step = RESOLVE;
  return sys_addr_inet(a, o->host, o->port);
}

static int prepare(struct sys_fd *s, int family, struct inet_options *o) {
  o->step = SOCKET;
  int err = open_socket(s, family, o->type);
  if (err == 0 && o->reuse) err = set_flag(s, SOL_SOCKET, SO_REUSEADDR, 1);
  if (err == 0 && o->v6only >= 0)
    err = set_flag(s, IPPROTO_IPV6, IPV6_V6ONLY, o->v6only);
  return err;
}

static int inet_bind(struct sys_fd *s, struct inet_options *o) {
  struct sys_addr a;
  int err = inet_addr_of(&a, o);
  if (err == 0) err = prepare(s, a.as.any.sa_family, o);
  if (err != 0) return err;
  o->step = BIND;
  return bind_to(s, &a);
}

static int inet_listen(struct sys_fd *s, struct inet_options *o) {
  int err = inet_bind(s, o);
  if (err != 0) return err;
  o->step = LISTEN;
  return listen(s->fd, o->backlog) != 0 ? errno : 0;
}

static int inet_connect(struct sys_fd *s, struct inet_options *o) {
  struct sys_addr to, from;
  int err = inet_addr_of(&to, o);
  if (err == 0 && o->bind_host != NULL)
    err = sys_addr_inet(&from, o->bind_host, o->bind_port);
  if (err == 0) err = prepare(s, to.as.any.sa_family, o);
  if (err == 0 && o->bind_host != NULL) {
    o->step = BIND;
    err = bind_to(s, &from);
  }
  if (err != 0) return err;
  o->step = CONNECT;
  return connect_to(s, &to);
}

/* -1 if the option is not given. */
static int option_tristate(lua_State *L, const char *key) {
  lua_pushstring(L, key);
  bool is_given = lua_rawget(L, 1) != LUA_TNIL;
  lua_pop(L, 1);
  return is_given ? sys_option_bool(L, 1, key, false) : -1;
}

/* A failure is told with the address that it was about, as it was given. */
static int give_inet(lua_State *L, struct sys_fd *s, int err,
                     const struct inet_options *o) {
  const char *what = NULL;
  bool is_ours = o->step == BIND && o->bind_host != NULL;
  if (err != 0 && o->step != SOCKET)
    what = lua_pushfstring(L, "%s port %d", is_ours ? o->bind_host : o->host,
                           is_ours ? o->bind_port : o->port);
  return give(L, s, err, what, o->step);
}

static int bind_options(lua_State *L, struct inet_options *o, bool reuse) {
  o->host = sys_option_string(L, 1, "host", "127.0.0.1");
  o->port = sys_option_int(L, 1, "port", 0, UINT16_MAX);
  o->reuse = sys_option_bool(L, 1, "reuse", reuse);
  o->v6only = option_tristate(L, "v6only");
  return 0;
}

static int tcp_listen(lua_State *L) {
  static const char *const keys[] = {"host",  "port",   "backlog",
                                     "reuse", "v6only", NULL};
  struct inet_options o = {.type = SOCK_STREAM};
  sys_check_options(L, 1, keys);
  bind_options(L, &o, true);
  o.backlog = sys_option_int(L, 1, "backlog", SOMAXCONN, INT_MAX);
  struct sys_fd *s = sys_new(L, SYS_SOCKET);
  return give_inet(L, s, inet_listen(s, &o), &o);
}

static int udp_bind(lua_State *L) {
  static const char *const keys[] = {"host", "port", "reuse", "v6only", NULL};
  struct inet_options o = {.type = SOCK_DGRAM};
  sys_check_options(L, 1, keys);
  bind_options(L, &o, false);
  struct sys_fd *s = sys_new(L, SYS_SOCKET);
  return give_inet(L, s, inet_bind(s, &o), &o);
}

static int connect_inet(lua_State *L, int type) {
  static const char *const keys[] = {"host", "port", "bind_host", "bind_port",
                                     NULL};
  struct inet_options o = {.type = type, .v6only = -1};
  sys_check_options(L, 1, keys);
  o.host = sys_option_string(L, 1, "host", "127.0.0.1");
  o.port = sys_option_int(L, 1, "port", -1, UINT16_MAX);
  luaL_argcheck(L, o.port >= 0, 1, "port: integer expected, got nil");
  o.bind_host = sys_option_string(L, 1, "bind_host", NULL);
  o.bind_port = sys_option_int(L, 1, "bind_port", 0, UINT16_MAX);
  struct sys_fd *s = sys_new(L, SYS_SOCKET);
  return give_inet(L, s, inet_connect(s, &o), &o);
}

static int tcp_connect(lua_State *L) { return connect_inet(L, SOCK_STREAM); }

static int udp_connect(lua_State *L) { return connect_inet(L, SOCK_DGRAM); }

static const struct {
  const char *name;
  int type;
} type_names[] = {
    {"stream", SOCK_STREAM},
    {"dgram", SOCK_DGRAM},
    {"seqpacket", SOCK_SEQPACKET},
};

/* The prefix says where in the argument the name is: "type: ". */
static int check_type(lua_State *L, const char *name, const char *prefix) {
  for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
    if (strcmp(type_names[i].name, name) == 0) return type_names[i].type;
  }
  return luaL_argerror(L, 1,
                       lua_pushfstring(L, "%sunknown socket type '%s'", prefix,
                                       name));
}

struct unix_options {
  int type;
  const char *path;
  int backlog;
  bool reuse;
  enum step step; /* the last one taken */
};

static void unix_options(lua_State *L, struct unix_options *o,
                         const char *type) {
  o->path = sys_option_string(L, 1, "path", NULL);
  luaL_argcheck(L, o->path != NULL, 1, "path: string expected, got nil");
  o->type = check_type(L, sys_option_string(L, 1, "type", type), "type: ");
  o->reuse = sys_option_bool(L, 1, "reuse", true);
}

/* The mask makes the file 0600 from the first moment. */
static int bind_private(const struct sys_fd *s, const struct sys_addr *a) {
  mode_t mask = umask(0177);
  int err = bind_to(s, a);
  umask(mask);
  return err;
}

/* True if the path is a socket on which nobody listens any more. */
static bool is_dead(const struct sys_addr *a, int type) {
  struct stat st;
  struct sys_fd probe = {.fd = -1};
  if (lstat(a->as.un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode)) return false;
  int err = open_socket(&probe, AF_UNIX, type);
  if (err == 0) err = connect_to(&probe, a);
  sys_release(&probe);
  return err == ECONNREFUSED;
}

/* Its address, and a socket for it. */
static int unix_prepare(struct sys_fd *s, struct unix_options *o,
                        struct sys_addr *a) {
  o->step = RESOLVE;
  int err = sys_addr_unix(a, o->path);
  if (err != 0) return err;
  o->step = SOCKET;
  return open_socket(s, AF_UNIX, o->type);
}

static int unix_bind_to(struct sys_fd *s, struct unix_options *o) {
  struct sys_addr a;
  int err = unix_prepare(s, o, &a);
  if (err != 0) return err;
  o->step = BIND;
  err = bind_private(s, &a);
  if (err == EADDRINUSE && o->reuse && is_dead(&a, o->type)) {
    if (unlink(o->path) != 0) return errno;
    err = bind_private(s, &a);
  }
  return err;
}

static int unix_listen(lua_State *L) {
  static const char *const keys[] = {"path", "type", "backlog", "reuse", NULL};
  struct unix_options o;
  sys_check_options(L, 1, keys);
  unix_options(L, &o, "stream");
  o.backlog = sys_option_int(L, 1, "backlog", SOMAXCONN, INT_MAX);
  struct sys_fd *s = sys_new(L, SYS_SOCKET);
  int err = unix_bind_to(s, &o);
  if (err == 0) {
    o.step = LISTEN;
    if (listen(s->fd, o.backlog) != 0) err = errno;
  }
  return give(L, s, err, o.path, o.step);
}

static int unix_bind(lua_State *L) {
  static const char *const keys[] = {"path", "type", "reuse", NULL};
  struct unix_options o;
  sys_check_options(L, 1, keys);
  unix_options(L, &o, "dgram");
  struct sys_fd *s = sys_new(L, SYS_SOCKET);
  int err = unix_bind_to(s, &o);
  return give(L, s, err, o.path, o.step);
}

static int unix_connect(lua_State *L) {
  static const char *const keys[] = {"path", "type", NULL};
  struct unix_options o;
  struct sys_addr a;
  sys_check_options(L, 1, keys);
  unix_options(L, &o, "stream");
  struct sys_fd *s = sys_new(L, SYS_SOCKET);
  int err = unix_prepare(s, &o, &a);
  if (err == 0) {
    o.step = CONNECT;
    err = connect_to(s, &a);
  }
  return give(L, s, err, o.path, o.step);
}

static int sys_socketpair(lua_State *L) {
  int ends[2];
  int type = check_type(L, luaL_optstring(L, 1, "stream"), "");
  struct sys_fd *a = sys_new(L, SYS_SOCKET);
  struct sys_fd *b = sys_new(L, SYS_SOCKET);
  type |= SOCK_NONBLOCK | SOCK_CLOEXEC;
  if (socketpair(AF_UNIX, type, 0, ends) != 0) return sys_fail(L, errno, NULL);
  a->fd = ends[0];
  b->fd = ends[1];
  a->family = b->family = AF_UNIX;
  return 2;
}

static const luaL_Reg tcp[] = {
    {"listen", tcp_listen},
    {"connect", tcp_connect},
    {NULL, NULL},
};

static const luaL_Reg udp[] = {
    {"bind", udp_bind},
    {"connect", udp_connect},
    {NULL, NULL},
};

static const luaL_Reg local[] = {
    {"listen", unix_listen},
    {"bind", unix_bind},
    {"connect", unix_connect},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"socketpair", sys_socketpair},
    {NULL, NULL},
};

static void add_table(lua_State *L, const char *name, const luaL_Reg *reg) {
  lua_newtable(L);
  sys_add_functions(L, reg);
  lua_setfield(L, -2, name);
}

void sys_open_net(lua_State *L) {
  sys_add_functions(L, functions);
  add_table(L, "tcp", tcp);
  add_table(L, "udp", udp);
  add_table(L, "unix", local);
}
