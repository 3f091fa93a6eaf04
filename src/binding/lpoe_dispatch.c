/* SPDX-License-Identifier: MIT */
/*
 * lpoe_dispatch.c -- the only file that calls Lua from the kernel.
 *
 * A handler runs on a pooled coroutine, one for each depth of nesting.  That
 * costs little more than a protected call, gives the traceback of a failure
 * for nothing, starts Lua's count of C calls anew, and leaves the door open
 * for handlers that wait.
 *
 * At the bottom of each coroutine lie the tables a dispatch needs.  The
 * straight way pushes without allocating; whatever may allocate or raise is
 * done by `careful`, a C function inside the coroutine.
 */
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

/* Index of the handler: above the base and the session's table of states. */
#define HANDLER (LPOE_BASE + 2)

/* ---- coroutines ---------------------------------------------------------------- */

void lpoe_push_base(lua_State *co) {
  lpoe_push_kernel(co);
  lua_getiuservalue(co, LPOE_AT_KERNEL, LPOE_UV_HEAPS);
  lua_getiuservalue(co, LPOE_AT_KERNEL, LPOE_UV_STATES);
  lua_getiuservalue(co, LPOE_AT_KERNEL, LPOE_UV_VALUES);
}

/* Make a failed or suspended coroutine as new. */
static void reset_thread(lua_State *co) {
  lua_resetthread(co);
  lua_settop(co, 0);
  lpoe_push_base(co);
}

static int add_thread(lua_State *W) {
  struct lpoe *P = lua_touserdata(W, 1);
  lpoe_push_kernel(W);
  lua_getiuservalue(W, -1, LPOE_UV_THREADS);
  lua_replace(W, 2);
  lua_State *new = lua_newthread(W); /* finalizers may run, and add one */
  if (P->nco == P->co_room) {
    unsigned room = P->co_room ? P->co_room * 2 : 4;
    lua_State **co = malloc(room * sizeof *co), **old = P->co;
    if (!co) return luaL_error(W, "not enough memory");
    if (old) memcpy(co, old, P->nco * sizeof *co);
    P->co = co; /* a signal may look there at any moment */
    P->co_room = room;
    free(old);
  }
  lua_rawseti(W, 2, (lua_Integer)P->nco + 1);
  lpoe_push_base(new);
  P->co[P->nco++] = new;
  return 0;
}

/* A script can get hold of a handler's coroutine and close or resume it. */
static lua_State *mended(lua_State *co) {
  if (lua_gettop(co) != LPOE_BASE || lua_status(co) != LUA_OK)
    reset_thread(co);
  return co;
}

/* The coroutine for this depth, or NULL. */
static lua_State *thread_at_depth(struct lpoe *P) {
  if (P->depth < P->nco) return mended(P->co[P->depth]);
  lua_State *W = P->worker;
  lua_pushcfunction(W, add_thread);
  lua_pushlightuserdata(W, P);
  if (lua_pcall(W, 1, 0, 0) != LUA_OK) {
    lua_pop(W, 1);
    return NULL;
  }
  return P->co[P->depth];
}

/* ---- the careful way -------------------------------------------------------------- */

struct careful {
  struct lpoe *P;
  const struct poe_dispatch *d;
  int is_default;
  int taken; /* the event's arguments are off the store */
};

static void push_lead(struct lpoe *P, lua_State *L,
                      const struct poe_lead *lead, int values) {
  switch (lead->kind) {
    case POE_LEAD_INT:
      lua_pushinteger(L, (lua_Integer)lead->as.i);
      break;
    case POE_LEAD_TEXT:
      lua_pushstring(L, lead->as.text);
      break;
    case POE_LEAD_NAME: {
      size_t len;
      const char *text = poe_name_text(lead->as.name, &len);
      lua_pushlstring(L, text, len);
      break;
    }
    case POE_LEAD_SESSION:
      lpoe_push_session(P, L, lead->as.session);
      break;
    case POE_LEAD_VALUE:
      if (!lpoe_push_parked(P, L, values, lpoe_payload(lead->as.value), 0))
        lua_pushnil(L);
      break;
  }
}

static void push_name(lua_State *L, const poe_name *name) {
  size_t len;
  if (!name) {
    lua_pushnil(L);
    return;
  }
  const char *text = poe_name_text(name, &len);
  lua_pushlstring(L, text, len);
}

/* All arguments of the event on top of the stack; returns how many.  Those
   that are parked come first: what allocates may run finalizers, and these may
   discard what is parked. */
static int push_arguments(struct careful *c, lua_State *L, int ndirect,
                          int values) {
  const struct poe_dispatch *d = c->d;
  int top = lua_gettop(L);
  luaL_checkstack(L, ndirect + 2 * POE_PAYLOAD_MAX + 8, "too many arguments");
  if (d->handle)
    lpoe_push_parked(c->P, L, values, lpoe_payload(d->handle), 0);
  int lead = lua_gettop(L);
  for (unsigned i = 0; i < d->nleads; i++) lua_pushnil(L);
  for (int i = 0; i < ndirect; i++) lua_pushvalue(L, i + 2);
  c->taken = !d->args_borrowed;
  lpoe_push_parked(c->P, L, values, d->args, !d->args_borrowed);
  lpoe_push_parked(c->P, L, values, d->extra, 0);
  for (unsigned i = 0; i < d->nleads; i++) {
    push_lead(c->P, L, &d->leads[i], values);
    lua_replace(L, ++lead);
  }
  return lua_gettop(L) - top;
}

/* The n values on top become one table, packed with n. */
static void pack_top(lua_State *L, int n) {
  lua_createtable(L, n, 1);
  lua_insert(L, -n - 1);
  for (int i = n; i > 0; i--) lua_rawseti(L, -i - 1, i);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
}

static int push_event_arguments(struct careful *c, lua_State *L, int ndirect,
                                int values) {
  if (!c->is_default) return push_arguments(c, L, ndirect, values);
  push_name(L, c->d->frame->event);
  pack_top(L, push_arguments(c, L, ndirect, values));
  return 2;
}

/* session_alloc's own kind: _invoke_state does as it likes. */
static int push_custom(struct careful *c, lua_State *L, int ndirect,
                       int values) {
  const struct poe_frame *f = c->d->frame;
  lpoe_push_session(c->P, L, f->session);
  int object = lua_gettop(L);
  pack_top(L, push_arguments(c, L, ndirect, values));
  lua_getfield(L, object, "_invoke_state");
  lua_insert(L, object);
  lpoe_push_session(c->P, L, f->sender);
  push_name(L, f->event);
  lua_rotate(L, object + 2, 2); /* [invoke, object, sender, event, args] */
  push_name(L, f->file);
  lua_pushinteger(L, f->line);
  push_name(L, f->from);
  return 7;
}

/* The handler [{object, method}] on top becomes: method, object. */
static void push_method(lua_State *L) {
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  lua_remove(L, -3); /* [object, name] */
  lua_pushvalue(L, -1);
  lua_gettable(L, -3); /* [object, name, method] */
  if (lua_isnil(L, -1))
    luaL_error(L, "object has no method '%s'", lua_tostring(L, -2));
  lua_replace(L, -2);
  lua_insert(L, -2);
}

/* [handler, kernel, heap], the handler as the table of states has it. */
static void push_target(struct careful *c, lua_State *L) {
  const struct poe_session *s = c->d->frame->session;
  lua_Integer slot = (lua_Integer)lpoe_slot_of(s) + 1;
  const poe_name *event =
      c->is_default ? c->P->n_default : c->d->frame->event;
  lpoe_push_kernel(L);
  int kernel = lua_gettop(L);
  lua_getiuservalue(L, kernel, LPOE_UV_STATES);
  lua_rawgeti(L, -1, slot);
  lua_rawgeti(L, -1, poe_name_id(event));
  lua_insert(L, kernel);
  lua_pop(L, 2); /* [handler, kernel] */
  lua_getiuservalue(L, -1, LPOE_UV_HEAPS);
  lua_rawgeti(L, -1, slot);
  lua_replace(L, -2);
}

/* [handler, kernel, heap, n arguments]: ready for the call. */
static int resolve_method(lua_State *L, int n) {
  int handler = lua_gettop(L) - n - 2;
  if (lua_type(L, handler) != LUA_TTABLE) return n + 2;
  lua_pushvalue(L, handler);
  push_method(L); /* [.., method, object] */
  lua_insert(L, handler + 1);
  lua_replace(L, handler);
  return n + 3;
}

static int finish(lua_State *L, int status, lua_KContext below) {
  (void)status;
  return lua_gettop(L) - (int)below;
}

/* Stack: the struct careful, the arguments of a direct call. */
static int careful(lua_State *L) {
  struct careful *c = lua_touserdata(L, 1);
  struct lpoe *P = c->P;
  int ndirect = lua_gettop(L) - 1;
  luaL_checkstack(L, 20, NULL);
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_VALUES);
  lua_remove(L, -2);
  int values = lua_gettop(L), n;
  if (P->slot[lpoe_slot_of(c->d->frame->session)].flags & LPOE_CUSTOM) {
    n = push_custom(c, L, ndirect, values);
  } else {
    push_target(c, L);
    n = resolve_method(L, push_event_arguments(c, L, ndirect, values));
  }
  lua_callk(L, n, LUA_MULTRET, values, finish);
  return finish(L, LUA_OK, values);
}

/* ---- dispatch ------------------------------------------------------------------------ */

static int is_plain(const struct poe_dispatch *d) {
  for (unsigned i = 0; i < d->nleads; i++)
    if (d->leads[i].kind != POE_LEAD_INT) return 0;
  return !lpoe_is_packed(d->args) && !lpoe_is_packed(d->extra);
}

/* Straight: the function on top, kernel, heap, arguments; nothing allocates. */
static int push_straight(struct lpoe *P, lua_State *co, uint32_t slot,
                         const struct poe_dispatch *d) {
  lua_pushvalue(co, LPOE_AT_KERNEL);
  lua_rawgeti(co, LPOE_AT_HEAPS, (lua_Integer)slot + 1);
  int n = 2;
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

static enum poe_outcome fail(struct lpoe *P, lua_State *co,
                             const struct poe_dispatch *d, const char *why,
                             struct poe_value *result) {
  *result = lpoe_park_exception(P, co, d->frame, why);
  if (co) reset_thread(co);
  return POE_DIED;
}

/* Hand the handler's values to who asked for them. */
static enum poe_outcome deliver(struct lpoe *P, lua_State *co,
                                const struct poe_dispatch *d,
                                struct poe_value *result) {
  struct lpoe_direct *direct = d->direct;
  if (d->frame->type & (POE_EV_START | POE_EV_STOP)) {
    if (lua_gettop(co) >= HANDLER) {
      lua_settop(co, HANDLER);
      *result = lpoe_park_one(P, co);
    }
  } else if (direct) {
    int n = lua_gettop(co) - (HANDLER - 1);
    if (!lua_checkstack(direct->L, n))
      return fail(P, co, d, "too many results", result);
    lua_xmove(co, direct->L, n);
    direct->nresults = n;
  }
  lua_settop(co, LPOE_BASE);
  return POE_HANDLED;
}

static enum poe_outcome resume(struct lpoe *P, lua_State *co, int nargs,
                               const struct poe_dispatch *d,
                               struct poe_value *result) {
  int nresults;
  int status = lua_resume(co, NULL, nargs, &nresults);
  if (status == LUA_OK) return deliver(P, co, d, result);
  return fail(P, co, d,
              status == LUA_YIELD
                  ? "attempt to yield in a handler (only a coroutine of its "
                    "own may yield)"
                  : NULL,
              result);
}

static enum poe_outcome go_careful(struct lpoe *P, lua_State *co,
                                   const struct poe_dispatch *d,
                                   int is_default, struct poe_value *result) {
  struct lpoe_direct *direct = d->direct;
  struct careful c = {P, d, is_default, 0};
  int n = direct ? direct->nargs : 0;
  lua_settop(co, HANDLER - 1);
  lua_pushcfunction(co, careful);
  lua_pushlightuserdata(co, &c);
  if (n) {
    if (!lua_checkstack(co, n + 4)) {
      drop_arguments(P, d);
      return fail(P, co, d, "too many arguments", result);
    }
    lua_xmove(direct->L, co, n);
    direct->nargs = 0;
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
  if (direct && !lua_checkstack(co, direct->nargs + 8)) {
    drop_arguments(P, d);
    return fail(P, co, d, "too many arguments", result);
  }
  /* A few arguments always fit beside the base. */
  if (!direct && lpoe_count(d->args) + lpoe_count(d->extra) > 6 &&
      !lua_checkstack(co, 2 * POE_PAYLOAD_MAX + 8)) {
    drop_arguments(P, d);
    return fail(P, co, d, "not enough memory", result);
  }
  int n = push_straight(P, co, slot, d);
  if (direct) {
    n += direct->nargs;
    lua_xmove(direct->L, co, direct->nargs);
    direct->nargs = 0;
  }
  return resume(P, co, n, d, result);
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
  lua_rawgeti(co, LPOE_AT_STATES, (lua_Integer)slot + 1);
  if (flags) {
    if (flags & LPOE_PENDING && lpoe_option_apply(P, f->session))
      poe_log(P->k, "not enough memory for the options of session %llu",
              (unsigned long long)poe_session_id(f->session));
    if (flags & LPOE_OPT_TRACE) trace_option(P, f);
    if (flags & LPOE_CUSTOM) {
      P->slot[slot].id = poe_session_id(f->session);
      return go_careful(P, co, d, 0, result);
    }
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

/* Is there C stack left for one more handler? */
static int stack_is_used_up(struct lpoe *P) {
  char here;
  const char *bottom = P->stack_bottom;
  if (P->depth == 0) {
    P->stack_bottom = (const char *)__builtin_frame_address(0);
    return 0;
  }
  size_t used = bottom > &here ? (size_t)(bottom - &here)
                               : (size_t)(&here - bottom);
  return used > P->stack_max;
}

LPOE_HOT static enum poe_outcome dispatch(void *ud, const struct poe_dispatch *d,
                                 struct poe_value *result) {
  struct lpoe *P = ud;
  int is_full = stack_is_used_up(P);
  lua_State *co = is_full ? NULL : thread_at_depth(P);
  if (!poe_session_is_alive(d->frame->session)) {
    drop_arguments(P, d); /* a finalizer has ended it just now */
    return POE_UNHANDLED;
  }
  if (!co) {
    drop_arguments(P, d);
    return fail(P, NULL, d,
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
    .dispatch = dispatch,
    .discard = discard,
    .session_gone = lpoe_session_gone,
    .name_gone = lpoe_name_gone,
    .collect = collect,
    .combine = lpoe_combine,
    .log = log_line,
    .destroyed = lpoe_destroyed,
    .why = lpoe_why_print,
};
