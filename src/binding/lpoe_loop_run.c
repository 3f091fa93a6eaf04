/* SPDX-License-Identifier: MIT */
/*
 * lpoe_loop_run.c -- bridges that run the kernel, rather than the kernel them,
 * and those that know of widgets.
 *
 * loop_run of such a bridge is the program's main loop: it is called where
 * poe.run is, and is given a function that runs one slice.
 */
#include "lpoe_loop.h"

/* The same for loop_run, but a session's exception stays what it is. */
static int add_run_traceback(lua_State *L) {
  return lpoe_of_state(L)->in_slice ? 1 : lpoe_loop_traceback(L);
}

static int slice(lua_State *L) { /* -> whether a session is left */
  struct lpoe *P = lpoe_upvalue(L);
  P->in_slice = 1;
  int more = lpoe_slice(P, L);
  P->in_slice = P->is_awake = 0;
  lua_pushboolean(L, more);
  return 1;
}

/* [kernel, result or error] */
static int has_run(lua_State *L, int status, lua_KContext ctx) {
  struct lpoe *P = lpoe_upvalue(L);
  (void)ctx;
  int is_ours = P->in_slice;
  P->is_driven = P->in_slice = 0;
  if (status != LUA_OK && status != LUA_YIELD) {
    if (is_ours) return lua_error(L);
    lpoe_loop_keep_failure(P, L);
  }
  if (P->loop_failed) return lpoe_loop_raise(P, L);
  return 0;
}

/* Called where nothing may be collected: its finalizers could send too. */
void lpoe_loop_wake(struct lpoe *P) {
  if (P->in_slice || P->is_awake) return;
  P->is_awake = 1;
  int was_on = lua_gc(P->bridge, LUA_GCISRUNNING);
  if (was_on) lua_gc(P->bridge, LUA_GCSTOP);
  lpoe_loop_call((struct lpoe_loop_call){
      .l = P->loop, .method = RESUME_TIME, .push = lpoe_loop_push_seconds});
  if (was_on) lua_gc(P->bridge, LUA_GCRESTART);
}

int lpoe_loop_drives(const struct lpoe *P) {
  return P->loop && lpoe_loop_has(P, RUN) && poe_session_count(P->k) > 0;
}

int lpoe_loop_run(struct lpoe *P, lua_State *L) {
  if (P->is_driven) return luaL_error(L, "the kernel is running already");
  luaL_checkstack(L, 12, NULL);
  lua_settop(L, 1);
  lua_pushcfunction(L, add_run_traceback);
  lpoe_loop_push(L, AT_BRIDGE);
  lua_getfield(L, -1, lpoe_loop_methods[RUN]);
  lua_insert(L, -2);
  lua_pushvalue(L, 1);
  lua_getiuservalue(L, 1, LPOE_UV_VALUES);
  /* [kernel, handler, loop_run, bridge, slice] */
  lua_pushcclosure(L, slice, 2);
  P->is_driven = 1;
  return has_run(L, lua_pcallk(L, 2, 0, 2, 0, has_run), 0);
}

/* ---- a widget whose end is that of all sessions -------------------------- */

/* What a bridge calls when the widget is destroyed. */
static int destroyed(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  poe_name *signal = poe_name_get(P->k, "UIDESTROY", 9);
  if (!signal) return luaL_error(L, "not enough memory");
  poe_signal(P->k, poe_kernel_session(P->k), signal, (struct poe_origin){0},
             (struct poe_payload){0});
  poe_name_unref(P->k, signal);
  return 0;
}

int lpoe_loop_attach_uidestroy(struct lpoe *P, lua_State *L, int widget) {
  if (!P->loop || !lpoe_loop_has(P, ATTACH_UIDESTROY)) return 0;
  lpoe_loop_push(L, AT_BRIDGE);
  lua_getfield(L, -1, lpoe_loop_methods[ATTACH_UIDESTROY]);
  lua_insert(L, -2);
  lua_pushvalue(L, widget);
  lpoe_push_kernel(L);
  lua_pushcclosure(L, destroyed, 1);
  lua_call(L, 3, 0);
  return 1;
}
