/* SPDX-License-Identifier: MIT */
/*
 * sys.h -- private to src/sys: descriptor objects and what the files share.
 *
 * poe.sys is a thin layer over the system calls that users of selects need.
 * It knows no kernel; the kernel's binding may leave a function in the
 * registry under SYS_ON_CLOSE, which is told of each object about to close.
 *
 * Invariant: a struct sys_fd owns its descriptor.  fd == -1 is the closed
 * state; an object is made in that state first and acquires its descriptor
 * after, so that an error raised in between loses nothing.
 *
 * Every function of the module has two upvalues, the metatables of the classes
 * at the indices of enum sys_class: a type check is a rawequal.
 */
#ifndef POE_SYS_H
#define POE_SYS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2, accept4 */
#endif

#include <stdbool.h>
#include <stddef.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <lauxlib.h>
#include <lua.h>

#define SYS_EXPORT __attribute__((visibility("default")))

/* Registry key of function(object), called before an object is closed. */
#define SYS_ON_CLOSE "poe.sys.on_close"

/* Most bytes one read gives: a pipe's capacity, more than any datagram. */
#define SYS_READ_MAX 65536

/* The upvalue that holds the metatable. */
enum sys_class { SYS_FD = 1, SYS_SOCKET = 2 };

struct sys_fd {
  int fd;     /* -1: closed */
  int family; /* of a socket: AF_INET, AF_INET6, AF_UNIX, ... */
  bool is_socket;
  bool closing; /* the close hook runs: a nested close does nothing */
};

/* A socket address of any family; len is what the system uses of it. */
struct sys_addr {
  socklen_t len;
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
  } as;
};

/* sys.c: results, arguments, tables of functions */

/* nil, "CODE: text", "CODE" for an errno; `what` (or NULL) ends the text. */
int sys_fail(lua_State *L, int err, const char *what);
const char *sys_errno_name(int err);
/* true if err is 0, else sys_fail. */
int sys_result(lua_State *L, int err);

/* A string without zero bytes, as the system wants its paths. */
const char *sys_check_path(lua_State *L, int arg);

/* Raises unless arg is a table whose keys are all in the NULL-ended list. */
void sys_check_options(lua_State *L, int arg, const char *const keys[]);
/* One option of such a table; they raise if it has the wrong type or range. */
const char *sys_option_string(lua_State *L, int arg, const char *key,
                              const char *def);
int sys_option_int(lua_State *L, int arg, const char *key, int def, int max);
bool sys_option_bool(lua_State *L, int arg, const char *key, bool def);

/* Adds functions to the table on top; only while the module is opened. */
void sys_add_functions(lua_State *L, const luaL_Reg *functions);

/* sys_fd.c: the objects */

/* Pushes a closed object. */
struct sys_fd *sys_new(lua_State *L, enum sys_class class);
/* The object at arg, open or closed; NULL if it is something else. */
struct sys_fd *sys_test(lua_State *L, int arg);
/* The open object of any class, or the open socket, at arg; raise if none. */
struct sys_fd *sys_check_fd(lua_State *L, int arg);
struct sys_fd *sys_check_socket(lua_State *L, int arg);
/* The number of bytes to read at arg: positive, at most SYS_READ_MAX. */
size_t sys_check_count(lua_State *L, int arg);
/* Closes without the hook; 0 or an errno. */
int sys_release(struct sys_fd *s);
/* 1 with the object on top if err is 0, else releases it and fails. */
int sys_give(lua_State *L, struct sys_fd *s, int err, const char *what);
int sys_set_nonblock(int fd, bool on);
/* The number of an object, a Lua file or an integer; -1: it is closed, -2: that
   is no descriptor, -3: no descriptor can have this number. */
int sys_to_number(lua_State *L, int index);

void sys_open_fd(lua_State *L);         /* [.., module] */
void sys_add_fd_methods(lua_State *L);  /* [.., methods] */
void sys_add_metamethods(lua_State *L); /* [.., metatable] */

/* sys_file.c: files */

void sys_open_file(lua_State *L);        /* [.., module] */
void sys_add_file_methods(lua_State *L); /* [.., methods] */

/* sys_addr.c: socket addresses */

/* These give 0 or an errno; a host is numeric. */
int sys_addr_inet(struct sys_addr *a, const char *host, int port);
int sys_addr_unix(struct sys_addr *a, const char *path);
/* Pushes host, port or path and gives their number, or fails. */
int sys_addr_push(lua_State *L, const struct sys_addr *a);

/* sys_net.c, sys_socket.c, sys_sockopt.c: sockets */

void sys_open_net(lua_State *L);            /* [.., module] */
void sys_add_socket_methods(lua_State *L);  /* [.., methods] */
void sys_add_sockopt_methods(lua_State *L); /* [.., methods] */

/* sys_text.c: the strings of an exec */

/* Push texts and array, as told there. `index` is absolute: a string or list,
   and a table, whose variables are all there are or are added to ours.  `key`
   is the option that it is of the argument, or NULL; in an option false stands
   for a variable that there is not to be. */
char **sys_push_argv(lua_State *L, int index, int arg, const char *key);
char **sys_push_env(lua_State *L, int index, int arg, const char *key,
                    bool is_added);

/* sys_proc.c: processes */

/* Every signal at its default. */
void sys_default_signals(void);

void sys_open_proc(lua_State *L); /* [.., module] */

/* sys_resolve.c: names */

void sys_open_resolve(lua_State *L); /* [.., module] */

/* sys_become.c: what a new process does before it is what it shall be */

struct sys_setup {
  int std[3];       /* what becomes 0, 1 and 2; -1: stays as it is */
  bool has_session; /* setsid */
  bool has_group;   /* a process group of its own */
  bool has_terminal;
  bool has_uid, has_gid, has_groups;
  uid_t uid;
  gid_t gid;
  int n_groups;
  const gid_t *groups; /* supplementary ones */
  int nice;            /* more than now */
  const char *cwd;     /* NULL: stays */
  char **env;          /* NULL: stays */
  int close_from;      /* 0: all stay open */
  bool is_on_exec;     /* they are closed by the exec to come */
};

/* 0, or an errno with the name of what failed.  Nothing in it allocates, locks
   or raises, so it may run after a fork. */
int sys_become(const struct sys_setup *setup, const char **step);

/* sys_child.c: new processes */

void sys_open_child(lua_State *L); /* [.., module] */

/* sys_pty.c: pseudo-terminals */

void sys_open_pty(lua_State *L); /* [.., module] */

/* sys_tty.c: terminals whose modes are changed */

void sys_open_tty(lua_State *L); /* [.., module] */
/* The number of an object is to be another's. */
void sys_tty_closed(int fd);

#endif
