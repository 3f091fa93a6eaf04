/* SPDX-License-Identifier: MIT */
/*
 * lpoe_thread.c -- the coroutines that handlers run on, one for each depth of
 * nesting, used again and again.
 *
 * That costs little more than a protected call, gives the traceback of a
 * failure for nothing, starts Lua's count of C calls anew, and leaves the door
 * open for handlers that wait.  At the bottom of each lie the tables that a
 * dispatch needs.
 */
#include <stdlib.h>
#include <string.h>

#include "lpoe_dispatch.h"

void lpoe_push_base(lua_State *co) {
  lpoe_push_kernel(co);
  lua_getiuservalue(co, LPOE_AT_KERNEL, LPOE_UV_HEAPS);
  lua_getiuservalue(co, LPOE_AT_KERNEL, LPOE_UV_STATES);
  lua_getiuservalue(co, LPOE_AT_KERNEL, LPOE_UV_VALUES);
}

void lpoe_reset_thread(lua_State *co) {
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
    lpoe_reset_thread(co);
  return co;
}

lua_State *lpoe_thread_at_depth(struct lpoe *P) {
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

int lpoe_is_too_deep(struct lpoe *P) {
  /* Not a variable's: under a sanitizer these may lie elsewhere. */
  const char *here = __builtin_frame_address(0), *bottom = P->stack_bottom;
  if (P->depth == 0) {
    P->stack_bottom = here;
    return 0;
  }
  size_t used = bottom > here ? (size_t)(bottom - here)
                              : (size_t)(here - bottom);
  return used > P->stack_max;
}
