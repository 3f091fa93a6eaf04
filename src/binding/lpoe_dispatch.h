/* SPDX-License-Identifier: MIT */
/*
 * lpoe_dispatch.h -- what the files share that call Lua from the kernel:
 * lpoe_dispatch.c one event at a time, lpoe_batch.c many, both on coroutines
 * of lpoe_thread.c; what may allocate or raise is done by lpoe_careful.c.
 */
#ifndef LPOE_DISPATCH_H
#define LPOE_DISPATCH_H

#include "lpoe.h"

/* ---- lpoe_thread.c ---------------------------------------------------------- */

/* The coroutine for this depth, with its base and no more on it; NULL: no
   memory.  Finalizers may run inside. */
lua_State *lpoe_thread_at_depth(struct lpoe *P);
/* Make a failed or suspended coroutine as new. */
void lpoe_reset_thread(lua_State *co);
/* Is there no C stack left for one more handler? */
int lpoe_is_too_deep(struct lpoe *P);

/* ---- lpoe_careful.c --------------------------------------------------------- */

struct lpoe_careful {
  struct lpoe *P;
  const struct poe_dispatch *d;
  int is_default;
  int taken; /* the event's arguments are off the store */
};

/* In the coroutine: [the struct, the arguments of a direct call]. */
int lpoe_careful(lua_State *L);

/* ---- lpoe_dispatch.c -------------------------------------------------------- */

/* What is wrong with a handler that was left so; NULL: its error says it. */
const char *lpoe_how_ended(int status);
/* The op of the same name. */
enum poe_outcome lpoe_dispatch(void *ud, const struct poe_dispatch *d,
                               struct poe_value *result);
/* The error on top of co, or `why`, is the handler's exception; co is as new.
   co may be NULL. */
enum poe_outcome lpoe_failed(struct lpoe *P, lua_State *co,
                             const struct poe_dispatch *d, const char *why,
                             struct poe_value *result);

/* ---- lpoe_batch.c ----------------------------------------------------------- */

/* The op of the same name. */
void lpoe_batch(void *ud);

#endif
