/* SPDX-License-Identifier: MIT */
/*
 * lpoe_batch.c -- events, handled one after another in one coroutine.
 *
 * A C function in the coroutine takes events from the kernel and calls their
 * handlers: that saves a protected call for each.  An error ends the
 * coroutine; it is dealt with outside, and a new one goes on.  What needs more
 * than a plain call is handed out and dispatched by itself.
 */
#include <string.h>

#include "lpoe_dispatch.h"

#define PAIRS 8 /* a power of two */

/* A batch's stack: the base in its places, and pairs of heap and states of the
   sessions whose turn it was lately.  They are popped when there are many: that
   is dear. */
enum { AT_BATCH = LPOE_BASE + 1, AT_MOST = AT_BATCH + 2 * PAIRS };

/* Where a session's states lie on the stack, its heap is one below. */
struct pair {
  uint32_t slot; /* LPOE_NONE: none */
  int states;
};

struct batch {
  struct lpoe *P;
  const struct poe_dispatch *d; /* under way or, when the coroutine has ended,
                                   not to be run straight; NULL: none */
  int top;
  unsigned turnover; /* P->turnover when the pairs were true */
  struct pair pair[PAIRS]; /* by slot, modulo their number */
};

static void forget_pairs(lua_State *L, struct batch *b) {
  lua_settop(L, b->top = AT_BATCH);
  memset(b->pair, 0xff, sizeof b->pair);
}

static void push_pair(lua_State *L, struct batch *b, uint32_t slot,
                      struct pair *pair) {
  if (b->top >= AT_MOST) forget_pairs(L, b);
  lua_rawgeti(L, LPOE_AT_HEAPS, (lua_Integer)slot + 1);
  lua_rawgeti(L, LPOE_AT_STATES, b->P->slot[slot].states);
  *pair = (struct pair){slot, b->top += 2};
}

/* The index of the session's states; its heap is one below. */
static int turn_to(lua_State *L, struct batch *b, uint32_t slot) {
  struct pair *pair = &b->pair[slot % PAIRS];
  if (b->turnover != b->P->turnover) { /* one that has gone may be there */
    forget_pairs(L, b);
    b->turnover = b->P->turnover;
  }
  if (pair->slot != slot) push_pair(L, b, slot, pair);
  return pair->states;
}

/* Push the handler, if it may be called as it is, kernel and heap. */
static int push_handler(struct lpoe *P, lua_State *L, struct batch *b) {
  const struct poe_frame *f = b->d->frame;
  uint32_t slot = lpoe_slot_of(f->session);
  if (P->slot[slot].flags & (LPOE_CUSTOM | LPOE_OPT_TRACE | LPOE_PENDING))
    return 0;
  int states = turn_to(L, b, slot);
  if (lua_rawgeti(L, states, poe_name_id(f->event)) != LUA_TFUNCTION) return 0;
  lua_pushvalue(L, LPOE_AT_KERNEL);
  lua_pushvalue(L, states - 1);
  return 1;
}

static int handled(lua_State *L, int status, lua_KContext context);

/* Stack: the base, the struct batch, the pairs. */
LPOE_HOT static int run_batch(lua_State *L) {
  struct batch *b = lua_touserdata(L, AT_BATCH);
  struct lpoe *P = b->P;
  while ((b->d = poe_next(P->k))) {
    if (!push_handler(P, L, b)) return 0;
    int n = lpoe_push_parked(P, L, LPOE_AT_VALUES, b->d->args, 1);
    lua_callk(L, n + 2, 0, 0, handled);
    poe_done(P->k, POE_HANDLED, NULL);
  }
  return 0;
}

/* Lua comes back this way when the handler has caught an error by pcall: in a
   coroutine that throws away what was on the C stack. */
static int handled(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct batch *b = lua_touserdata(L, AT_BATCH);
  poe_done(b->P->k, POE_HANDLED, NULL);
  return run_batch(L);
}

/* What could not be run straight, or by itself. */
static void run_handed(struct lpoe *P, const struct poe_dispatch *d) {
  struct poe_value exception = {0};
  enum poe_outcome outcome = lpoe_dispatch(P, d, &exception);
  poe_done(P->k, outcome, &exception);
}

static void end_failed(struct lpoe *P, lua_State *co, struct batch *b,
                       int status) {
  struct poe_value exception = {0};
  lpoe_failed(P, co, b->d, lpoe_how_ended(status), &exception);
  poe_done(P->k, POE_DIED, &exception);
}

/* Of a batch's coroutine.  FAILED: a handler, which has been dealt with. */
enum end { NOT_BEGUN, FAILED, ENDED };

static enum end end_of(struct lpoe *P, lua_State *co, struct batch *b,
                       int status) {
  if (status == LUA_OK) return ENDED;
  if (!b->d) return NOT_BEGUN; /* Lua had no memory for its first call */
  end_failed(P, co, b, status);
  return FAILED;
}

static enum end enter_batch(struct lpoe *P, lua_State *co, struct batch *b) {
  int nresults;
  b->d = NULL;
  b->turnover = P->turnover - 1; /* no pair is true */
  lua_pushcfunction(co, run_batch);
  for (int i = 1; i <= LPOE_BASE; i++) lua_pushvalue(co, i);
  lua_pushlightuserdata(co, b);
  P->depth++;
  int status = lua_resume(co, NULL, LPOE_BASE + 1, &nresults);
  enum end end = end_of(P, co, b, status);
  P->depth--;
  return end;
}

/* The coroutine for it, with room; NULL: no memory, or no room below. */
static lua_State *thread_for_batch(struct lpoe *P) {
  lua_State *co = lpoe_is_too_deep(P) ? NULL : lpoe_thread_at_depth(P);
  int has_room = co && lua_checkstack(co, AT_MOST + POE_PAYLOAD_MAX + 8);
  return has_room ? co : NULL;
}

void lpoe_batch(void *ud) {
  struct lpoe *P = ud;
  struct batch b = {.P = P};
  do {
    lua_State *co = thread_for_batch(P);
    enum end end = co ? enter_batch(P, co, &b) : NOT_BEGUN;
    if (end == FAILED) continue;
    if (end == NOT_BEGUN) b.d = poe_next(P->k);
    if (b.d) run_handed(P, b.d);
  } while (b.d);
}
