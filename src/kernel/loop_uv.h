/* SPDX-License-Identifier: MIT */
/*
 * loop_uv.h -- private to the files loop_uv*.c: the loop's structs, and what
 * one asks of the other about ghosts and about what libuv does not survive.
 *
 * Ghosts: what was closed while epoll(7) knew it stays there as long as its
 * open file lives elsewhere, in a duplicate or another process, and is
 * reported under a number that is nobody's or another's by now.
 */
#ifndef POE_LOOP_UV_H
#define POE_LOOP_UV_H

#include <uv.h>

#include "internal.h"

struct poller {
  uv_poll_t uv;
  struct poe_loop *loop;
  struct poe__list fresh; /* in loop->fresh until libuv has registered it */
  int fd;
  unsigned mask;
  int is_foreign; /* it may be closed behind our back */
  dev_t dev;
  ino_t ino;
};

struct catcher {
  uv_signal_t uv;
  struct poe_loop *loop;
};

struct poe_loop {
  poe_kernel *k;
  uv_loop_t uv;
  uv_timer_t timer;
  struct poller **by_fd;
  size_t room;
  struct poe__list fresh;
  struct catcher *by_signal[POE__SIGNALS];
  int recorded;   /* something in this wait */
  int is_over;    /* the timer has ended this wait */
  int is_closing; /* libuv closes handles in the next uv_run */
  int is_stale;   /* libuv registers in uv_run what was begun before */
  int is_wary;    /* there may be ghosts ... */
  uint64_t wary_ns; /* ... since then, by uv_hrtime */
  int is_haunted; /* there is one */
};

/* Are there descriptors for libuv's own?  0 or -errno */
int poe__uv_has_room(void);
/* Watch fd for events as epoll(7) has them: 0 or -errno */
int poe__uv_register(const poe_loop *l, int fd, unsigned events);
/* All that libuv will register in the next uv_run: 0 or -errno */
int poe__uv_register_all(const poe_loop *l);

/* Is its descriptor still the file that was watched? */
int poe__uv_is_same_file(const struct poller *p);
/* Its descriptor is closed, or another file. */
void poe__uv_give_up(struct poller *p);
/* libuv is about to stop watching p. */
void poe__uv_suspect(const struct poller *p);
/* While ghosts are suspected: the modes of these that are p's own. */
unsigned poe__uv_confirm(const struct poller *p, unsigned mask);
/* At the end of a wait, then: away with them, if there are any.  0 or -errno */
int poe__uv_exorcise(poe_loop *l);
/* A new epoll, in which libuv registers all anew; after a fork, too. */
int poe__uv_renew(poe_loop *l);

#endif
