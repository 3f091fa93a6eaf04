/* SPDX-License-Identifier: MIT */
/*
 * sys_limits.h -- what poe.sys may do while it is fuzzed, and why not all.
 *
 * Read before each file of src/sys (cc -DFUZZ_LIMITED -include): the calls
 * below become those of sys_limits.c.  In this process they hold; a child of
 * fork has all rights but to run programs and to let handles block, for what
 * else it does to itself nobody sees.
 *
 *   open stat lstat bind     names without a slash, in a directory of our own;
 *   unlink                   /dev/null, zero, full; our own terminals
 *   bind connect sendto      loopback, a port of the system's; to sockets of
 *                            ours: others listen on this machine, too
 *   getaddrinfo              numbers, localhost: no name server is asked
 *   kill raise               nobody is hit
 *   fork execvp              2 children a program, that run true(1)
 *   _exit                    ends the call, as an error
 *   chdir set*               nothing: this process goes on
 *   environ                  is a variable of its own
 *   signal sigaction         nothing: they are the fuzzer's
 *   close dup2 fcntl         what was open before is not there; nothing blocks
 *   syscall (close_range)    is not there, as on older systems
 *   setsockopt               no close waits (SO_LINGER)
 *   poll                     does not wait
 *   pthread_create           runs it at once: every time the same
 *   tcsetattr ioctl          our own terminals only
 */
#ifndef FUZZ_SYS_LIMITS_H
#define FUZZ_SYS_LIMITS_H

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <grp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <lua.h>

/* A directory, which it gives, and limits of the process; once. */
const char *limits_init(void);
/* Around each program.  At the end nothing is left, or it fails. */
void limits_begin(void);
void limits_end(void);
/* The state that a call of _exit fails in. */
extern lua_State *limits_state;

int limits_open(const char *path, int flags, ...);
int limits_stat(const char *path, struct stat *st);
int limits_lstat(const char *path, struct stat *st);
int limits_unlink(const char *path);
int limits_bind(int fd, const struct sockaddr *a, socklen_t len);
int limits_connect(int fd, const struct sockaddr *a, socklen_t len);
ssize_t limits_sendto(int fd, const void *bytes, size_t n, int flags,
                      const struct sockaddr *a, socklen_t len);
int limits_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found);
int limits_kill(pid_t pid, int number);
int limits_raise(int number);
pid_t limits_fork(void);
int limits_execvp(const char *file, char *const argv[]);
_Noreturn void limits_exit(int status);
int limits_chdir(const char *path);
pid_t limits_setsid(void);
int limits_setpgid(pid_t pid, pid_t group);
int limits_setuid(uid_t id);
int limits_setgid(gid_t id);
int limits_setgroups(size_t n, const gid_t *list);
int limits_setpriority(__priority_which_t which, id_t who, int value);
extern char **limits_environ;
void (*limits_signal(int number, void (*handler)(int)))(int);
int limits_sigaction(int number, const struct sigaction *new,
                     struct sigaction *old);
int limits_close(int fd);
int limits_dup2(int from, int to);
int limits_fcntl(int fd, int command, ...);
long limits_syscall(long number, ...);
int limits_setsockopt(int fd, int level, int name, const void *value,
                      socklen_t len);
int limits_poll(struct pollfd *fds, nfds_t n, int timeout);
int limits_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int limits_tcsetattr(int fd, int when, const struct termios *modes);
int limits_ioctl(int fd, unsigned long request, ...);

#ifdef FUZZ_LIMITED
#define open(...) limits_open(__VA_ARGS__)
#define stat(path, st) limits_stat(path, st)
#define lstat(path, st) limits_lstat(path, st)
#define unlink(path) limits_unlink(path)
#define bind(fd, a, len) limits_bind(fd, a, len)
#define connect(fd, a, len) limits_connect(fd, a, len)
#define sendto(...) limits_sendto(__VA_ARGS__)
#define getaddrinfo(...) limits_getaddrinfo(__VA_ARGS__)
#define kill(pid, number) limits_kill(pid, number)
#define raise(number) limits_raise(number)
#define fork() limits_fork()
#define execvp(file, argv) limits_execvp(file, argv)
#define _exit(status) limits_exit(status)
#define chdir(path) limits_chdir(path)
#define setsid() limits_setsid()
#define setpgid(pid, group) limits_setpgid(pid, group)
#define setuid(id) limits_setuid(id)
#define setgid(id) limits_setgid(id)
#define setgroups(n, list) limits_setgroups(n, list)
#define setpriority(...) limits_setpriority(__VA_ARGS__)
#define environ limits_environ
#define signal(number, handler) limits_signal(number, handler)
#define sigaction(number, new, old) limits_sigaction(number, new, old)
#define close(fd) limits_close(fd)
#define dup2(from, to) limits_dup2(from, to)
#define fcntl(...) limits_fcntl(__VA_ARGS__)
#define syscall(...) limits_syscall(__VA_ARGS__)
#define setsockopt(...) limits_setsockopt(__VA_ARGS__)
#define poll(fds, n, timeout) limits_poll(fds, n, timeout)
#define pthread_create(...) limits_pthread_create(__VA_ARGS__)
#define tcsetattr(...) limits_tcsetattr(__VA_ARGS__)
#define ioctl(...) limits_ioctl(__VA_ARGS__)
#endif

#endif
