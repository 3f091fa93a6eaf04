/* SPDX-License-Identifier: MIT */
/*
 * lpoe_batch.c -- events, handled one after another in one coroutine.
 *
 * A C function in the coroutine takes events from the kernel and calls their
 * handlers: that saves a protected call for each.  An error ends the
 * coroutine; it is dealt with outside, and a new one goes on.  What needs more
 * than a plain call is handed out and dispatched by itself.
 */
#include "lpoe_dispatch.h"

/* A batch's stack: the base in its places, and pairs of heap and states, the
   last of them those of the session whose turn it is.  They are popped when
   there are many: that is dear. */
enum { AT_BATCH = LPOE_BASE + 1, AT_MOST = AT_BATCH + 32 };

struct batch {
  struct lpoe *P;
  const struct poe_dispatch *d; /* under way or, when the coroutine has ended,
                                   not to be run straight; NULL: none */
  int states;        /* their index, the heap's is one less */
  uint32_t slot;     /* of the session, or LPOE_NONE... */
  unsigned turnover; /* ...as of P->turnover */
};

static void turn_to_slot(lua_State *L, struct batch *b, uint32_t slot) {
  if (b->states >= AT_MOST) lua_settop(L, b->states = AT_BATCH);
  lua_rawgeti(L, LPOE_AT_HEAPS, (lua_Integer)slot + 1);
  lua_rawgeti(L, LPOE_AT_STATES, b->P->slot[slot].states);
  b->states += 2;
  b->slot = slot;
}

/* What has gone may be among them. */
static void forget_pairs(const struct lpoe *P, struct batch *b) {
  b->turnover = P->turnover;
  b->slot = LPOE_NONE;
  b->states = AT_MOST;
}

/* Push the handler, if it may be called as it is. */
static int push_handler(struct lpoe *P, lua_State *L, struct batch *b) {
  const struct poe_frame *f = b->d->frame;
  uint32_t slot = lpoe_slot_of(f->session);
  if (P->slot[slot].flags & (LPOE_CUSTOM | LPOE_OPT_TRACE | LPOE_PENDING))
    return 0;
  if (b->turnover != P->turnover) forget_pairs(P, b);
  if (slot != b->slot) turn_to_slot(L, b, slot);
  return lua_rawgeti(L, b->states, poe_name_id(f->event)) == LUA_TFUNCTION;
}

static int handled(lua_State *L, int status, lua_KContext context);

/* Stack: the base, the struct batch, the pairs. */
LPOE_HOT static int run_batch(lua_State *L) {
  struct batch *b = lua_touserdata(L, AT_BATCH);
  struct lpoe *P = b->P;
  while ((b->d = poe_next(P->k))) {
    if (!push_handler(P, L, b)) return 0;
    lua_pushvalue(L, LPOE_AT_KERNEL);
    lua_pushvalue(L, b->states - 1);
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

/* True when it ended without an error; else it was that of a handler: before
   the first there is nothing that could raise. */
static int enter_batch(struct lpoe *P, lua_State *co, struct batch *b) {
  int nresults;
  b->d = NULL;
  forget_pairs(P, b);
  lua_pushcfunction(co, run_batch);
  for (int i = 1; i <= LPOE_BASE; i++) lua_pushvalue(co, i);
  lua_pushlightuserdata(co, b);
  P->depth++;
  int status = lua_resume(co, NULL, LPOE_BASE + 1, &nresults);
  if (status != LUA_OK) end_failed(P, co, b, status);
  P->depth--;
  return status == LUA_OK;
}

void lpoe_batch(void *ud) {
  struct lpoe *P = ud;
  struct batch b = {.P = P};
  do {
    lua_State *co = lpoe_is_too_deep(P) ? NULL : lpoe_thread_at_depth(P);
    if (!co || !lua_checkstack(co, AT_MOST + POE_PAYLOAD_MAX + 8))
      b.d = poe_next(P->k);
    else if (!enter_batch(P, co, &b))
      continue;
    if (b.d) run_handed(P, b.d);
  } while (b.d);
}
