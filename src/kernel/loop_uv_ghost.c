/* SPDX-License-Identifier: MIT */
/*
 * loop_uv_ghost.c -- what was closed behind the loop's back, and still wakes it.
 *
 * See loop_uv.h for what a ghost is.  libuv spins when it has nothing else to
 * tell, or calls who watches the number now.  Nothing can take it out of its
 * epoll: only a new one is rid of it, which costs O(n) in descriptors.
 *
 * So there are three stages.  Usually nobody looks.  Once a descriptor was
 * closed before libuv could forget it, there may be a ghost: is_wary, and what
 * libuv tells is compared with what poll(2) says.  When these differ, or a
 * number is ready that nobody watches, there is one: is_haunted.  If none shows
 * itself within ten seconds, it is taken for granted.
 *
 * Only descriptors that do not unwatch themselves are suspected (is_foreign).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "loop_uv.h"

/* With nothing else ready, one ghost among so many is enough. */
#define PEEK 16
/* A ghost may sleep for ever: after so long a new epoll is the better price. */
#define WARY_NS UINT64_C(10000000000)

/* It is if the system cannot say. */
int poe__uv_is_same_file(const struct poller *p) {
  struct stat st;
  if (fstat(p->fd, &st) < 0) return errno != EBADF;
  return st.st_dev == p->dev && st.st_ino == p->ino;
}

void poe__uv_give_up(struct poller *p) {
  poe__list_remove(&p->fresh);
  uv_poll_stop(&p->uv);
  poe_loop_lost(p->loop->k, p->fd);
  p->loop->recorded = 1;
}

/* Too late, if it is closed already. */
void poe__uv_suspect(const struct poller *p) {
  poe_loop *l = p->loop;
  if (l->is_wary || !p->is_foreign || poe__uv_is_same_file(p)) return;
  l->is_wary = 1;
  l->wary_ns = uv_hrtime();
}

/* What the descriptor itself says of these modes. */
static unsigned ask(const struct poller *p, unsigned mask) {
  struct pollfd asked = {p->fd, poe__to_poll(mask), 0};
  poll(&asked, 1, 0);
  return poe__from_poll(asked.events, asked.revents);
}

unsigned poe__uv_confirm(const struct poller *p, unsigned mask) {
  unsigned own = ask(p, mask);
  if (own != mask) p->loop->is_haunted = 1;
  return own;
}

/* After a uv_run that told nothing: is anything ready that is not so? */
static int sees_ghost(const poe_loop *l) {
#ifdef __linux__
  struct epoll_event at[PEEK];
  int n = epoll_wait(uv_backend_fd(&l->uv), at, PEEK, 0);
  for (int i = 0; i < n; i++) {
    unsigned fd = (unsigned)at[i].data.fd;
    if (fd >= l->uv.nwatchers || !l->uv.watchers[fd]) return 1;
    const struct poller *p = fd < l->room ? l->by_fd[fd] : NULL;
    if (p && !ask(p, p->mask)) return 1;
  }
#else
  (void)l; /* kqueue(2) forgets what is closed */
#endif
  return 0;
}

/* libuv aborts the process if it cannot register a descriptor: those that are
   not there any more are given up. */
int poe__uv_renew(poe_loop *l) {
  for (size_t fd = 0; fd < l->room; fd++) {
    struct poller *p = l->by_fd[fd];
    if (!p || poe__uv_is_same_file(p)) continue;
    p->is_foreign = 0; /* no ghost of it is left to suspect */
    if (p->mask) poe__uv_give_up(p);
  }
  l->is_wary = l->is_haunted = 0;
  l->is_stale = 1;
  int err = uv_loop_fork(&l->uv);
  return err ? err : poe__uv_register_all(l);
}

/* libuv loses the signals in its pipe: it must be empty, and stay so. */
int poe__uv_exorcise(poe_loop *l) {
  if (!l->recorded && sees_ghost(l)) l->is_haunted = 1;
  if (!l->is_haunted && uv_hrtime() - l->wary_ns < WARY_NS) return 0;
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  uv_run(&l->uv, UV_RUN_NOWAIT);
  int err = poe__uv_renew(l);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (err) return err;
  uv_run(&l->uv, UV_RUN_NOWAIT);
  return poe__driver_moved(l->k);
}
