/* SPDX-License-Identifier: MIT */
/*
 * lpoe_dispatch.c -- one event at a time: the kernel calls a handler.
 *
 * The straight way pushes without allocating; what may allocate or raise is
 * left to lpoe_careful.c.
 */
#include "lpoe_dispatch.h"

/* Index of the handler: above the base and the session's table of states. */
#define HANDLER (LPOE_BASE + 2)
/* For so many there is room on the stack of who called. */
#define FEW_RESULTS 4

/* ---- dispatch ------------------------------------------------------------------------ */

/* What is given directly comes alone. */
static int is_plain(const struct poe_dispatch *d) {
  if (d->direct) return 1;
  for (unsigned i = 0; i < d->nleads; i++)
    if (d->leads[i].kind != POE_LEAD_INT) return 0;
  return !lpoe_is_packed(d->args) && !lpoe_is_packed(d->extra);
}

static int take_direct(lua_State *co, struct lpoe_direct *direct) {
  int n = direct->nargs;
  lua_xmove(direct->L, co, n);
  direct->nargs = 0;
  return n;
}

/* Straight: the function on top, kernel, heap, arguments; nothing allocates. */
static int push_straight(struct lpoe *P, lua_State *co, uint32_t slot,
                         const struct poe_dispatch *d) {
  lua_pushvalue(co, LPOE_AT_KERNEL);
  lua_rawgeti(co, LPOE_AT_HEAPS, (lua_Integer)slot + 1);
  int n = 2;
  if (d->direct) return n + take_direct(co, d->direct);
  if (d->handle)
    n += lpoe_push_parked(P, co, LPOE_AT_VALUES, lpoe_payload(d->handle), 0);
  for (unsigned i = 0; i < d->nleads; i++, n++)
    lua_pushinteger(co, (lua_Integer)d->leads[i].as.i);
  n += lpoe_push_parked(P, co, LPOE_AT_VALUES, d->args, !d->args_borrowed);
  n += lpoe_push_parked(P, co, LPOE_AT_VALUES, d->extra, 0);
  return n;
}

static void drop_direct(const struct poe_dispatch *d) {
  struct lpoe_direct *direct = d->direct;
  if (!direct) return;
  lua_pop(direct->L, direct->nargs);
  direct->nargs = 0;
}

static void drop_arguments(struct lpoe *P, const struct poe_dispatch *d) {
  drop_direct(d);
  if (!d->args_borrowed) lpoe_unpark(P, d->args);
}

enum poe_outcome lpoe_failed(struct lpoe *P, lua_State *co,
                             const struct poe_dispatch *d, const char *why,
                             struct poe_value *result) {
  *result = lpoe_park_exception(P, co, d->frame, why);
  if (co) lpoe_reset_thread(co);
  return POE_DIED;
}

/* Hand the handler's values to who asked for them. */
static enum poe_outcome deliver(struct lpoe *P, lua_State *co, int top,
                                const struct poe_dispatch *d,
                                struct poe_value *result) {
  struct lpoe_direct *direct = d->direct;
  if (d->frame->type & (POE_EV_START | POE_EV_STOP)) {
    if (top >= HANDLER) {
      lua_settop(co, HANDLER);
      *result = lpoe_park_one(P, co);
    }
  } else if (direct) {
    int n = top - (HANDLER - 1);
    const char *why = n > FEW_RESULTS
        ? lpoe_lacks_room(P, direct->L, n, "too many results") : NULL;
    if (why) return lpoe_failed(P, co, d, why, result);
    lua_xmove(co, direct->L, n);
    direct->nresults = n;
  }
  lua_settop(co, LPOE_BASE);
  return POE_HANDLED;
}

const char *lpoe_how_ended(int status) {
  return status == LUA_YIELD ? "attempt to yield in a handler (only a "
                               "coroutine of its own may yield)"
                             : NULL;
}

static enum poe_outcome resume(struct lpoe *P, lua_State *co, int nargs,
                               const struct poe_dispatch *d,
                               struct poe_value *result) {
  int top; /* when it has ended: of all that is on the stack */
  int status = lua_resume(co, NULL, nargs, &top);
  if (status == LUA_OK) return deliver(P, co, top, d, result);
  return lpoe_failed(P, co, d, lpoe_how_ended(status), result);
}

static enum poe_outcome go_careful(struct lpoe *P, lua_State *co,
                                   const struct poe_dispatch *d,
                                   int is_default, struct poe_value *result) {
  struct lpoe_direct *direct = d->direct;
  struct lpoe_careful c = {P, d, is_default, 0};
  int n = direct ? direct->nargs : 0;
  lua_settop(co, HANDLER - 1);
  lua_pushcfunction(co, lpoe_careful);
  lua_pushlightuserdata(co, &c);
  if (n) {
    const char *why = lpoe_lacks_room(P, co, n + 4, "too many arguments");
    if (why) {
      drop_arguments(P, d);
      return lpoe_failed(P, co, d, why, result);
    }
    take_direct(co, direct);
  }
  const struct poe_frame *outer = P->default_frame;
  if (is_default) P->default_frame = d->frame;
  enum poe_outcome outcome = resume(P, co, n + 1, d, result);
  P->default_frame = outer;
  if (!c.taken && !d->args_borrowed) lpoe_unpark(P, d->args);
  return outcome;
}

static enum poe_outcome go_straight(struct lpoe *P, lua_State *co,
                                    const struct poe_dispatch *d,
                                    uint32_t slot, struct poe_value *result) {
  struct lpoe_direct *direct = d->direct;
  const char *why = NULL;
  /* A few arguments always fit beside the base. */
  if (direct && direct->nargs > LPOE_LIGHT)
    why = lpoe_lacks_room(P, co, direct->nargs + 8, "too many arguments");
  else if (!direct && lpoe_count(d->args) + lpoe_count(d->extra) > LPOE_LIGHT &&
           !lua_checkstack(co, 2 * POE_PAYLOAD_MAX + 8))
    why = "not enough memory";
  if (why) {
    drop_arguments(P, d);
    return lpoe_failed(P, co, d, why, result);
  }
  return resume(P, co, push_straight(P, co, slot, d), d, result);
}

static void trace_option(struct lpoe *P, const struct poe_frame *f) {
  poe_log(P->k, "%llu -> %s (from %s at %u)",
          (unsigned long long)poe_session_id(f->session),
          poe_name_text(f->event, NULL),
          f->file ? poe_name_text(f->file, NULL) : "?", f->line);
}

/* An event that nobody handles: said aloud only where asked for. */
static enum poe_outcome unhandled(struct lpoe *P, lua_State *co,
                                  const struct poe_dispatch *d, int flags) {
  const struct poe_frame *f = d->frame;
  char label[128];
  lua_settop(co, LPOE_BASE);
  drop_arguments(P, d);
  int is_own = f->type & (POE_EV_START | POE_EV_STOP | POE_EV_CHILD |
                          POE_EV_PARENT);
  if (!is_own && (flags & LPOE_OPT_DEFAULT ||
                  poe_asserted(P->k, POE_ASSERT_STATES)))
    poe_log(P->k, "a '%s' event was sent from %s at %u to %s but it has "
                  "neither a handler for it nor one for _default",
            poe_name_text(f->event, NULL),
            f->file ? poe_name_text(f->file, NULL) : "?", f->line,
            poe_session_label(f->session, label, sizeof label));
  return POE_UNHANDLED;
}

static enum poe_outcome run(struct lpoe *P, lua_State *co,
                            const struct poe_dispatch *d,
                            struct poe_value *result) {
  const struct poe_frame *f = d->frame;
  uint32_t slot = lpoe_slot_of(f->session);
  int flags = P->slot[slot].flags;
  lua_rawgeti(co, LPOE_AT_STATES, P->slot[slot].states);
  if (flags) {
    if (flags & LPOE_PENDING && lpoe_option_apply(P, f->session))
      poe_log(P->k, "not enough memory for the options of session %llu",
              (unsigned long long)poe_session_id(f->session));
    if (flags & LPOE_OPT_TRACE) trace_option(P, f);
    if (flags & LPOE_CUSTOM) return go_careful(P, co, d, 0, result);
  }
  int type = lua_rawgeti(co, HANDLER - 1, poe_name_id(f->event));
  if (type == LUA_TFUNCTION && is_plain(d))
    return go_straight(P, co, d, slot, result);
  if (type != LUA_TNIL) return go_careful(P, co, d, 0, result);
  type = lua_rawgeti(co, HANDLER - 1, poe_name_id(P->n_default));
  if (type == LUA_TNIL) return unhandled(P, co, d, flags);
  if (flags & LPOE_OPT_TRACE)
    poe_log(P->k, "%llu -> %s redirected to _default",
            (unsigned long long)poe_session_id(f->session),
            poe_name_text(f->event, NULL));
  return go_careful(P, co, d, 1, result);
}

LPOE_HOT enum poe_outcome lpoe_dispatch(void *ud,
                                        const struct poe_dispatch *d,
                                        struct poe_value *result) {
  struct lpoe *P = ud;
  int is_full = lpoe_is_too_deep(P);
  lua_State *co = is_full ? NULL : lpoe_thread_at_depth(P);
  if (!poe_session_is_alive(d->frame->session)) {
    drop_arguments(P, d); /* a finalizer has ended it just now */
    return POE_UNHANDLED;
  }
  if (!co) {
    drop_arguments(P, d);
    return lpoe_failed(P, NULL, d,
                is_full ? "stack overflow: events are called too deep"
                        : "not enough memory", result);
  }
  P->depth++;
  enum poe_outcome outcome = run(P, co, d, result);
  P->depth--;
  return outcome;
}

/* ---- the other ops ----------------------------------------------------------------------- */

static void discard(void *ud, struct poe_payload words) {
  lpoe_unpark(ud, words);
}

static int collect(void *ud) {
  struct lpoe *P = ud;
  if (P->postbacks == 0) return 0;
  lua_gc(P->worker, LUA_GCCOLLECT);
  return 1;
}

static void log_line(void *ud, const char *line) { lpoe_log(ud, line); }

const struct poe_ops lpoe_ops = {
    .dispatch = lpoe_dispatch,
    .batch = lpoe_batch,
    .discard = discard,
    .session_gone = lpoe_session_gone,
    .name_gone = lpoe_name_gone,
    .collect = collect,
    .combine = lpoe_combine,
    .log = log_line,
    .destroyed = lpoe_destroyed,
    .why = lpoe_why_print,
};
