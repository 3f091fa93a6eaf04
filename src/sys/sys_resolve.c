/* SPDX-License-Identifier: MIT */
/*
 * sys_resolve.c -- names of hosts and services, looked up by a thread.
 *
 * sys.resolve gives a descriptor at once; what can be read from it, later, is
 * text that ends with the line "end" (not only with the end of the file: a
 * child of a fork may hold the other end open).
 *
 *   127.0.0.1 80          one address and port a line, best first
 *   error CODE text       instead of them
 *
 * A struct lookup is the thread's from the moment that it runs: it closes the
 * pipe's other end and frees all.  Nothing is shared, so the object may be
 * closed at any time; what the thread writes then goes nowhere.  The thread
 * takes no signals, neither those that others wait for nor SIGPIPE.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So that the text fits into a pipe's 64 KiB, and a write never blocks. */
#define MAX_ADDRESSES 256

struct lookup {
  int fd; /* the pipe's end to write to */
  char *host;
  char *service;
  struct addrinfo hints;
};

static void lookup_free(struct lookup *l) {
  if (l->fd >= 0) close(l->fd);
  free(l->host);
  free(l->service);
  free(l);
}

static struct lookup *lookup_new(const char *host, const char *service) {
  struct lookup *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  l->fd = -1;
  l->host = strdup(host);
  l->service = strdup(service);
  if (l->host != NULL && l->service != NULL) return l;
  lookup_free(l);
  return NULL;
}

static const struct {
  int status;
  const char *name;
} status_names[] = {
    {EAI_AGAIN, "EAI_AGAIN"},       {EAI_BADFLAGS, "EAI_BADFLAGS"},
    {EAI_FAIL, "EAI_FAIL"},         {EAI_FAMILY, "EAI_FAMILY"},
    {EAI_MEMORY, "EAI_MEMORY"},     {EAI_NONAME, "EAI_NONAME"},
    {EAI_SERVICE, "EAI_SERVICE"},   {EAI_SOCKTYPE, "EAI_SOCKTYPE"},
    {EAI_OVERFLOW, "EAI_OVERFLOW"}, {EAI_NODATA, "EAI_NODATA"},
    {EAI_ADDRFAMILY, "EAI_ADDRFAMILY"},
};

static const char *status_name(int status) {
  for (size_t i = 0; i < sizeof status_names / sizeof *status_names; i++) {
    if (status_names[i].status == status) return status_names[i].name;
  }
  return "EAI_FAIL";
}

static void tell_failure(FILE *to, int status, int err) {
  if (status == EAI_SYSTEM)
    fprintf(to, "error %s %s\n", sys_errno_name(err), strerror(err));
  else
    fprintf(to, "error %s %s\n", status_name(status), gai_strerror(status));
}

static void tell_address(FILE *to, const struct addrinfo *a) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, port,
                  sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
    fprintf(to, "%s %s\n", host, port);
}

static void look_up(const struct lookup *l, FILE *to) {
  struct addrinfo *found = NULL;
  int status = getaddrinfo(l->host, l->service, &l->hints, &found);
  if (status != 0) {
    tell_failure(to, status, errno);
  } else {
    int left = MAX_ADDRESSES;
    for (struct addrinfo *a = found; a != NULL && left > 0; a = a->ai_next)
      left--, tell_address(to, a);
    freeaddrinfo(found);
  }
  fputs("end\n", to);
}

static void *run(void *arg) {
  struct lookup *l = arg;
  FILE *to = fdopen(l->fd, "w");
  if (to != NULL) {
    look_up(l, to);
    fclose(to);
    l->fd = -1;
  }
  lookup_free(l);
  return NULL;
}

/* 0 or an errno; then the lookup is still the caller's. */
static int start(struct lookup *l) {
  pthread_t thread;
  pthread_attr_t attr;
  sigset_t all, before;
  int err = pthread_attr_init(&attr);
  if (err != 0) return err;
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  err = pthread_create(&thread, &attr, run, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return err;
}

/* A pipe of which only the end to read does not block. */
static int open_pipe(struct sys_fd *s, struct lookup *l) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  s->fd = ends[0];
  l->fd = ends[1];
  return sys_set_nonblock(s->fd, true);
}

static int check_family(lua_State *L) {
  const char *family = sys_option_string(L, 1, "family", "any");
  if (strcmp(family, "any") == 0) return AF_UNSPEC;
  if (strcmp(family, "inet") == 0) return AF_INET;
  if (strcmp(family, "inet6") == 0) return AF_INET6;
  return luaL_argerror(L, 1,
                       lua_pushfstring(L, "family: unknown family '%s'",
                                       family));
}

/* The system would take the low 16 bits of any number, with a sign or not. */
static const char *check_service(lua_State *L) {
  char *end;
  const char *service = sys_option_string(L, 1, "service", "0");
  unsigned long n = strtoul(service, &end, 10);
  bool is_number = end != service && *end == '\0';
  if (is_number && (n > UINT16_MAX || service[0] < '0' || service[0] > '9'))
    luaL_argerror(L, 1,
                  lua_pushfstring(L, "service: '%s' is not in 0..65535",
                                  service));
  return service;
}

static int check_type(lua_State *L) {
  const char *type = sys_option_string(L, 1, "type", "stream");
  if (strcmp(type, "stream") == 0) return SOCK_STREAM;
  if (strcmp(type, "dgram") == 0) return SOCK_DGRAM;
  return luaL_argerror(L, 1,
                       lua_pushfstring(L, "type: unknown socket type '%s'",
                                       type));
}

static int sys_resolve(lua_State *L) {
  static const char *const keys[] = {"host", "service", "family", "type",
                                     NULL};
  sys_check_options(L, 1, keys);
  const char *host = sys_option_string(L, 1, "host", NULL);
  luaL_argcheck(L, host != NULL, 1, "host: string expected, got nil");
  const char *service = check_service(L);
  struct addrinfo hints = {.ai_family = check_family(L),
                           .ai_socktype = check_type(L)};
  struct sys_fd *s = sys_new(L, SYS_FD);
  struct lookup *l = lookup_new(host, service);
  if (l == NULL) return sys_fail(L, ENOMEM, NULL);
  l->hints = hints;
  int err = open_pipe(s, l);
  if (err == 0) err = start(l);
  if (err != 0) lookup_free(l);
  return sys_give(L, s, err, host);
}

static const luaL_Reg functions[] = {
    {"resolve", sys_resolve},
    {NULL, NULL},
};

void sys_open_resolve(lua_State *L) { sys_add_functions(L, functions); }
