/* SPDX-License-Identifier: MIT */
/*
 * sys_limits.c -- what sys_limits.h promises.
 *
 * `kept` are the descriptors that others had before the program; `loose` those
 * that dup2 made, which nobody owns.  `ports` are those that it has bound.
 */
#include "sys_limits.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <lauxlib.h>

#include "state.h"

enum { FDS = 128, CHILDREN = 2, PORTS = 64, FILE_SIZE = 1 << 20 };

lua_State *limits_state;
char **limits_environ;

static pid_t owner;
static char own_dir[32];
static int own_dir_fd;

static struct {
  char kept[FDS], loose[FDS];
  pid_t children[CHILDREN];
  int n_children;
  in_port_t ports[PORTS];
  unsigned n_ports;
} run;

static int is_child(void) { return getpid() != owner; }

static int refuse(int err) {
  errno = err;
  return -1;
}

static int is_kept(int fd) { return fd >= 0 && fd < FDS && run.kept[fd]; }

/* ---- the directory ------------------------------------------------------- */

static int is_own_name(const char *path) {
  return path[0] != '\0' && strcmp(path, ".") != 0 && strcmp(path, "..") != 0 &&
         strchr(path, '/') == NULL;
}

static int is_device(const char *path) {
  return strcmp(path, "/dev/null") == 0 || strcmp(path, "/dev/zero") == 0 ||
         strcmp(path, "/dev/full") == 0;
}

static void empty_dir(void) {
  DIR *dir = opendir(own_dir);
  if (dir == NULL) fuzz_fail("%s is gone", own_dir);
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    if (is_own_name(e->d_name)) unlinkat(own_dir_fd, e->d_name, 0);
  }
  closedir(dir);
}

static void remove_dir(void) {
  if (is_child()) return;
  empty_dir();
  rmdir(own_dir);
}

const char *limits_init(void) {
  struct rlimit fds = {FDS, FDS}, size = {FILE_SIZE, FILE_SIZE}, core = {0, 0};
  owner = getpid();
  limits_environ = environ;
  strcpy(own_dir, "/tmp/poe-fuzz-XXXXXX");
  if (mkdtemp(own_dir) == NULL) fuzz_fail("no directory in /tmp");
  own_dir_fd = open(own_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  atexit(remove_dir);
  setrlimit(RLIMIT_NOFILE, &fds);
  setrlimit(RLIMIT_FSIZE, &size);
  setrlimit(RLIMIT_CORE, &core);
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN); /* as poe.sys would */
  umask(022);
  return own_dir;
}

static int is_terminal(const char *path);

int limits_open(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = va_arg(args, mode_t);
  va_end(args);
  if (is_own_name(path)) return openat(own_dir_fd, path, flags, mode);
  if (!is_device(path) && !is_terminal(path)) return refuse(EACCES);
  return open(path, flags, mode);
}

int limits_stat(const char *path, struct stat *st) {
  return is_own_name(path) ? fstatat(own_dir_fd, path, st, 0) : stat(path, st);
}

int limits_lstat(const char *path, struct stat *st) {
  int flags = AT_SYMLINK_NOFOLLOW;
  if (!is_own_name(path)) return refuse(EACCES);
  return fstatat(own_dir_fd, path, st, flags);
}

int limits_unlink(const char *path) {
  return is_own_name(path) ? unlinkat(own_dir_fd, path, 0) : refuse(EACCES);
}

/* ---- sockets ------------------------------------------------------------- */

union address {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
};

/* A Unix socket's name, in the directory. */
static int own_address(union address *to, const struct sockaddr *a) {
  const struct sockaddr_un *un = (const void *)a;
  char path[sizeof un->sun_path + sizeof own_dir + 1];
  if (!is_own_name(un->sun_path)) return refuse(EACCES);
  snprintf(path, sizeof path, "%s/%s", own_dir, un->sun_path);
  if (strlen(path) >= sizeof un->sun_path) return refuse(ENAMETOOLONG);
  to->un.sun_family = AF_UNIX;
  strcpy(to->un.sun_path, path);
  return 0;
}

static in_port_t *port_of(union address *a) {
  return a->any.sa_family == AF_INET6 ? &a->in6.sin6_port : &a->in.sin_port;
}

static int is_loopback(const union address *a) {
  if (a->any.sa_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
  return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
}

/* What may be used of it; the length, or -1. */
static int allowed_address(union address *to, const struct sockaddr *a,
                           socklen_t len) {
  *to = (union address){.any.sa_family = a->sa_family};
  if (a->sa_family == AF_UNIX)
    return own_address(to, a) < 0 ? -1 : (int)sizeof to->un;
  memcpy(to, a, len < sizeof *to ? len : sizeof *to);
  return is_loopback(to) ? (int)len : refuse(ENETUNREACH);
}

int limits_bind(int fd, const struct sockaddr *a, socklen_t len) {
  union address to;
  int n = allowed_address(&to, a, len);
  if (n < 0) return -1;
  if (a->sa_family != AF_UNIX) *port_of(&to) = 0;
  int status = bind(fd, &to.any, (socklen_t)n);
  len = sizeof to;
  if (status == 0 && a->sa_family != AF_UNIX &&
      getsockname(fd, &to.any, &len) == 0)
    run.ports[run.n_ports++ % PORTS] = *port_of(&to);
  return status;
}

/* The port that was given counts those that were bound. */
static int own_peer(union address *to, const struct sockaddr *a,
                    socklen_t len) {
  int n = allowed_address(to, a, len);
  if (n < 0 || a->sa_family == AF_UNIX) return n;
  if (run.n_ports == 0) return refuse(ECONNREFUSED);
  unsigned most = run.n_ports < PORTS ? run.n_ports : PORTS;
  *port_of(to) = run.ports[ntohs(*port_of(to)) % most];
  return n;
}

int limits_connect(int fd, const struct sockaddr *a, socklen_t len) {
  union address to;
  int n = own_peer(&to, a, len);
  return n < 0 ? -1 : connect(fd, &to.any, (socklen_t)n);
}

ssize_t limits_sendto(int fd, const void *bytes, size_t n, int flags,
                      const struct sockaddr *a, socklen_t len) {
  union address to;
  int size = own_peer(&to, a, len);
  return size < 0 ? -1 : sendto(fd, bytes, n, flags, &to.any, (socklen_t)size);
}

int limits_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found) {
  struct addrinfo own = *hints;
  if (strcmp(host, "localhost") != 0) own.ai_flags |= AI_NUMERICHOST;
  return getaddrinfo(host, service, &own, found);
}

int limits_setsockopt(int fd, int level, int name, const void *value,
                      socklen_t len) {
  struct linger linger = {0};
  if (level == SOL_SOCKET && name == SO_LINGER) {
    memcpy(&linger, value, sizeof linger);
    linger.l_linger = 0;
    value = &linger;
  }
  return setsockopt(fd, level, name, value, len);
}

/* ---- processes ----------------------------------------------------------- */

int limits_kill(pid_t pid, int number) {
  return number == 0 ? kill(pid, 0) : refuse(EPERM);
}

int limits_raise(int number) {
  (void)number;
  return 0;
}

pid_t limits_fork(void) {
  if (run.n_children == CHILDREN) return refuse(EAGAIN);
  pid_t pid = fork();
  if (pid > 0) run.children[run.n_children++] = pid;
  return pid;
}

/* The strings are all looked at. */
int limits_execvp(const char *file, char *const argv[]) {
  size_t n = 0;
  for (char *const *p = argv; *p != NULL; p++) n += strlen(*p);
  for (char *const *p = limits_environ; *p != NULL; p++) n += strlen(*p);
  if (n > 0 && is_child() && strcmp(file, "true") == 0)
    return execvp(file, argv);
  return refuse(n == 0 ? E2BIG : ENOENT);
}

_Noreturn void limits_exit(int status) {
  if (is_child()) _exit(status);
  luaL_error(limits_state, "bad argument #1 to '_exit' (the process goes on)");
  abort();
}

#define IN_CHILD(call) return is_child() ? (call) : refuse(EPERM)

int limits_chdir(const char *path) { IN_CHILD(chdir(path)); }
pid_t limits_setsid(void) { IN_CHILD(setsid()); }
int limits_setpgid(pid_t pid, pid_t group) { IN_CHILD(setpgid(pid, group)); }
int limits_setuid(uid_t id) { IN_CHILD(setuid(id)); }
int limits_setgid(gid_t id) { IN_CHILD(setgid(id)); }
int limits_setgroups(size_t n, const gid_t *list) {
  IN_CHILD(setgroups(n, list));
}
int limits_setpriority(__priority_which_t which, id_t who, int value) {
  IN_CHILD(setpriority(which, who, value));
}

void (*limits_signal(int number, void (*handler)(int)))(int) {
  return is_child() ? signal(number, handler) : SIG_DFL;
}

int limits_sigaction(int number, const struct sigaction *new,
                     struct sigaction *old) {
  return sigaction(number, is_child() ? new : NULL, old);
}

int limits_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*start)(void *), void *arg) {
  (void)attr;
  *thread = pthread_self();
  start(arg);
  return 0;
}

/* ---- descriptors --------------------------------------------------------- */

int limits_close(int fd) {
  if (!is_child() && is_kept(fd)) return refuse(EBADF);
  if (!is_child() && fd >= 0 && fd < FDS) run.loose[fd] = 0;
  return close(fd);
}

int limits_dup2(int from, int to) {
  if (is_child()) return dup2(from, to);
  if (is_kept(from) || is_kept(to)) return refuse(EBADF);
  int status = dup2(from, to);
  if (status >= 0 && to != from) run.loose[to] = 1;
  return status;
}

/* What a child is given it shares with a handle here, and the flag with it. */
int limits_fcntl(int fd, int command, ...) {
  va_list args;
  va_start(args, command);
  int value = va_arg(args, int);
  va_end(args);
  if (command == F_SETFL) value |= O_NONBLOCK;
  if (!is_child() && is_kept(fd)) return refuse(EBADF);
  return fcntl(fd, command, value);
}

/* Only of close_range, with three arguments. */
long limits_syscall(long number, ...) {
  va_list args;
  va_start(args, number);
  unsigned first = va_arg(args, unsigned), last = va_arg(args, unsigned);
  unsigned flags = va_arg(args, unsigned);
  va_end(args);
  return is_child() ? syscall(number, first, last, flags) : refuse(ENOSYS);
}

int limits_poll(struct pollfd *fds, nfds_t n, int timeout) {
  (void)timeout;
  return poll(fds, n, 0);
}

/* ---- terminals ----------------------------------------------------------- */

/* No other has a master that is open here. */
static int is_terminal(const char *path) {
  char name[64];
  for (int fd = 0; fd < FDS; fd++) {
    if (!is_kept(fd) && ptsname_r(fd, name, sizeof name) == 0 &&
        strcmp(name, path) == 0)
      return 1;
  }
  return 0;
}

static int is_own_terminal(int fd) {
  char name[64];
  if (is_child()) return 1;
  if (is_kept(fd) || ttyname_r(fd, name, sizeof name) != 0)
    return ptsname_r(fd, name, sizeof name) == 0;
  return is_terminal(name);
}

int limits_tcsetattr(int fd, int when, const struct termios *modes) {
  if (isatty(fd) && !is_own_terminal(fd)) return refuse(EPERM);
  return tcsetattr(fd, when, modes);
}

int limits_ioctl(int fd, unsigned long request, ...) {
  va_list args;
  va_start(args, request);
  void *value = va_arg(args, void *);
  va_end(args);
  if (!is_child() && request == TIOCSCTTY) return refuse(EPERM);
  if (request == TIOCSWINSZ && isatty(fd) && !is_own_terminal(fd))
    return refuse(EPERM);
  return ioctl(fd, request, value);
}

/* ---- a program ----------------------------------------------------------- */

static int is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

void limits_begin(void) {
  memset(&run, 0, sizeof run);
  for (int fd = 0; fd < FDS; fd++) run.kept[fd] = is_open(fd) ? 1 : 0;
}

/* Reaped, unless poe.sys has done so: they have run true(1), told why not, or
   lost their terminal. */
static void end_children(void) {
  for (int i = 0; i < run.n_children; i++) {
    int status;
    if (waitpid(run.children[i], &status, 0) < 0) continue;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (code != 0 && code != 126 && code != 127)
      fuzz_fail("a child ended with %d", code);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGHUP)
      fuzz_fail("a child ended by signal %d", WTERMSIG(status));
  }
}

_Noreturn static void fail_left(int fd) {
  char link[32], what[128];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, what, sizeof what);
  fuzz_fail("descriptor %d is left: %.*s", fd, (int)n, what);
}

void limits_end(void) {
  end_children();
  for (int fd = 0; fd < FDS; fd++) {
    if (run.kept[fd] && !is_open(fd)) fuzz_fail("descriptor %d is gone", fd);
    if (run.kept[fd] || !is_open(fd)) continue;
    if (!run.loose[fd]) fail_left(fd);
    close(fd);
  }
  empty_dir();
  mode_t mask = umask(022);
  if (mask != 022) fuzz_fail("the mask is %03o", (unsigned)mask);
}
