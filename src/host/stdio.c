/* SPDX-License-Identifier: MIT */
/*
 * stdio.c -- how the process leaves its standard files behind.
 *
 * They are others' too: the shell reads the same terminal afterwards.  Who
 * watches one makes it non-blocking, for all who have it open; in the end it is
 * as it was, unless this is the child of a fork.  And whoever reads the output
 * is to know when some of it could not be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

#define FILES 3

static int was_blocking[FILES];
static pid_t owner;

static void block_again(void) {
  if (getpid() != owner) return;
  for (int fd = 0; fd < FILES; fd++) {
    int flags = was_blocking[fd] ? fcntl(fd, F_GETFL) : 0;
    if (flags > 0 && flags & O_NONBLOCK)
      fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
}

/* Nobody reads it any more, and nobody is to be told. */
static int output_is_unwanted(void) {
  struct pollfd out = {STDOUT_FILENO, 0, 0};
  return poll(&out, 1, 0) == 1 && out.revents & POLLERR;
}

/* What was printed is only known to be written when the buffer is empty. */
static void at_end(void) {
  block_again(); /* what is left may take its time */
  int err = fflush(stdout) == 0 ? 0 : errno;
  if ((!err && !ferror(stdout)) || output_is_unwanted()) return;
  fprintf(stderr, "poe: standard output is not complete%s%s\n", err ? ": " : "",
          err ? strerror(err) : "");
  _exit(EXIT_FAILURE);
}

void host_keep_stdio(void) {
  owner = getpid();
  for (int fd = 0; fd < FILES; fd++) {
    int flags = fcntl(fd, F_GETFL);
    was_blocking[fd] = flags >= 0 && !(flags & O_NONBLOCK);
  }
  atexit(at_end);
}
