/* SPDX-License-Identifier: MIT */
/*
 * gcov_exit.c -- for `make cov`: what a process has run is kept also when it
 * ends by _exit(2) or by a signal of its own, as children in tests do.
 */
#include <gcov.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
int __real_raise(int signum);
int __wrap_raise(int signum);

/* Its descriptors go first: there may be none left to write with. */
void __wrap__exit(int status) {
  for (int fd = 3; fd < 64; fd++) close(fd);
  __gcov_dump();
  __real__exit(status);
}

/* When it comes back nevertheless, what follows is kept by the next one. */
int __wrap_raise(int signum) {
  struct sigaction sa;
  if (sigaction(signum, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
    __gcov_dump();
    __gcov_reset();
  }
  return __real_raise(signum);
}
