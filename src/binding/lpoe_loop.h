/* SPDX-License-Identifier: MIT */
/*
 * lpoe_loop.h -- what the files of bridges written in Lua share.
 *
 * A bridge is an object with POE's method names, see doc/loops.md.
 */
#ifndef LPOE_LOOP_H
#define LPOE_LOOP_H

#include <sys/types.h>

#include "lpoe.h"

#define MODES 3
#define SIGNALS 65

/* In LPOE_UV_LOOP; all are there from the beginning, so none needs memory. */
enum { AT_BRIDGE = 1, AT_NAME, AT_ERROR, AT_TRACE, AT_COUNT = AT_TRACE };

enum lpoe_loop_method {
  INITIALIZE,
  TIMESLICE,
  WATCH_FD,
  IGNORE_FD, /* up to here required */
  FINALIZE,
  RUN,
  HALT,
  FORKED,
  ATTACH_UIDESTROY,
  WATCH_SIGNAL,
  IGNORE_SIGNAL,
  RESUME_TIME,
  RESET_TIME,
  PAUSE_TIME,
  PAUSE_FD,
  RESUME_FD,
  METHODS
};

struct watched {
  uint8_t wanted;       /* modes, as the kernel wants them */
  uint8_t told, paused; /* modes the bridge watches, and keeps paused */
  uint8_t is_dirty;     /* in loop->dirty: the bridge is to be told */
  uint8_t is_always;    /* the bridge cannot wait for it */
  dev_t dev;
  ino_t ino;
};

struct poe_loop {
  struct lpoe *P;
  struct watched *at; /* by descriptor */
  size_t room;
  int *dirty;
  size_t ndirty, dirty_room;
  size_t nalways;
  uint8_t signals[SIGNALS]; /* watched */
  int is_timed;             /* the time watcher is on */
  int is_turning;           /* in loop_do_timeslice */
  int recorded;             /* something, since the loop was last turned */
};

struct lpoe_loop_call {
  struct poe_loop *l;
  enum lpoe_loop_method method;
  int (*push)(lua_State *L, const struct lpoe_loop_call *c); /* the arguments */
  int number, mode;
  int64_t ns;
  int err; /* what the method returned, as a negative errno */
};

/* ---- lpoe_loop_call.c ---------------------------------------------------- */

extern const char *const lpoe_loop_methods[METHODS];
int lpoe_loop_has(const struct lpoe *P, enum lpoe_loop_method m);
/* Push what is kept under AT_...  Does not raise. */
void lpoe_loop_push(lua_State *L, int at);
/* Message handler: an error becomes its text, its traceback is kept. */
int lpoe_loop_traceback(lua_State *L);
/* [message]: the first failure is the one that is told. */
void lpoe_loop_keep_failure(struct lpoe *P, lua_State *B);
/* 0, a negative errno, or -POE_ELOOP; 0 for a method that is not there.  User
   code runs inside. */
int lpoe_loop_call(struct lpoe_loop_call c);
/* Arguments of a method, for struct lpoe_loop_call. */
int lpoe_loop_push_seconds(lua_State *L, const struct lpoe_loop_call *c);
int lpoe_loop_push_mode(lua_State *L, const struct lpoe_loop_call *c);
int lpoe_loop_push_signal(lua_State *L, const struct lpoe_loop_call *c);

/* ---- lpoe_loop_fd.c ------------------------------------------------------ */

int lpoe_loop_watch_fd(poe_loop *l, int fd, unsigned mask);
void lpoe_loop_ignore_fd(poe_loop *l, int fd);
/* The bridge is to be told of it, once more.  0 or -ENOMEM. */
int lpoe_loop_mark_dirty(poe_loop *l, int fd);
/* Tell the bridge all that it does not know yet. */
int lpoe_loop_tell_all(poe_loop *l);
/* Record the descriptors that no loop can wait for. */
void lpoe_loop_record_always(poe_loop *l);

#endif
