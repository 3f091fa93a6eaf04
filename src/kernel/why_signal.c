/* SPDX-License-Identifier: MIT */
/*
 * why_signal.c -- USR1 asks what keeps the program; INT tells it in leaving.
 *
 * Both come by the kernel's own self-pipe, whatever the loop: sessions that
 * watch them are served from here.  Only one INT is kept for the kernel to
 * look at; until it has, the next one has its default action, so that a
 * program that hangs in a handler can be interrupted still.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "selfpipe.h"

int poe__why_owns(const poe_kernel *k, int signum) {
  return k->why.is_listening && k->selfpipe && k->selfpipe->watched[signum] &&
         (signum == SIGUSR1 || signum == SIGINT);
}

static int arm_interrupt(poe_kernel *k) {
  struct sigaction sa;
  int err = poe__selfpipe_watch(k->selfpipe, SIGINT);
  if (err) return err;
  sigaction(SIGINT, NULL, &sa);
  sa.sa_flags |= (int)SA_RESETHAND;
  return sigaction(SIGINT, &sa, NULL) < 0 ? -errno : 0;
}

static int is_ignored(int signum) {
  struct sigaction sa;
  return sigaction(signum, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

int poe__why_opened(poe_kernel *k) {
  if (!k->why.is_listening) return 0;
  int err = poe__selfpipe_need(k);
  if (!err) err = poe__selfpipe_watch(k->selfpipe, SIGUSR1);
  if (!err && !is_ignored(SIGINT)) err = arm_interrupt(k);
  if (!err) k->signals.os_watched++;
  return err;
}

int poe_listen_why(poe_kernel *k) {
  if (k->why.is_listening) return 0;
  k->why.is_listening = 1;
  return k->loop ? poe__why_opened(k) : 0;
}

static int is_watched(poe_kernel *k, const char *signal) {
  const poe_name *name = poe_name_find(k, signal, strlen(signal));
  return name && poe__signal_is_watched(k, name);
}

void poe__why_interrupted(poe_kernel *k) {
  if (k->ops->why) k->ops->why(k->ud);
}

/* Nobody watches it: it does what it does to any process. */
static void end_process(poe_kernel *k) {
  poe__why_interrupted(k);
  signal(SIGINT, SIG_DFL);
  raise(SIGINT);
}

uint32_t poe__why_caught(poe_kernel *k, int signum, uint32_t times) {
  if (times == 0 || !poe__why_owns(k, signum)) return times;
  if (signum == SIGUSR1) {
    if (k->ops->why) k->ops->why(k->ud);
    return is_watched(k, "USR1") ? times : 0;
  }
  if (!is_watched(k, "INT")) end_process(k);
  if (arm_interrupt(k)) k->error = -errno;
  return times;
}
