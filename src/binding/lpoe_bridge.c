/* SPDX-License-Identifier: MIT */
/*
 * lpoe_bridge.c -- what bridges in modules of their own get: poe_bridge.h.
 *
 * Steps are run on a thread of their own, which runs no Lua function itself.
 */
#include "lpoe.h"
#include "poe_bridge.h"

/* On the stack of the thread. */
enum { AT_STEP = 1, AT_TRACEBACK };

static const char anchor; /* registry: the thread */

/* error: to the log, with the traceback of the handler it came from. */
static int report(lua_State *L) {
  struct lpoe *P = lpoe_of_state(L);
  lua_settop(L, 2); /* [error, last_traceback] */
  lua_pushfstring(L, "poe: event loop '%s': %s", poe_kernel_loop_name(P->k),
                  luaL_tolstring(L, 1, NULL));
  lpoe_log(P, lua_tostring(L, -1));
  lua_pushvalue(L, 2);
  lua_call(L, 0, 2);
  if (lua_rawequal(L, 1, -1) && lua_isstring(L, -2))
    lpoe_log(P, lua_tostring(L, -2));
  return 0;
}

static int step(poe_kernel *k) {
  struct lpoe *P = poe_kernel_host(k);
  lua_rawgetp(P->worker, LUA_REGISTRYINDEX, &anchor);
  lua_State *T = lua_tothread(P->worker, -1);
  lua_pop(P->worker, 1);
  lua_pushvalue(T, AT_STEP);
  if (lua_pcall(T, 0, 1, 0) == LUA_OK) {
    int more = lua_toboolean(T, -1);
    lua_pop(T, 1);
    return more;
  }
  lua_pushcfunction(T, report);
  lua_insert(T, -2);
  lua_pushvalue(T, AT_TRACEBACK);
  if (lua_pcall(T, 2, 0, 0) != LUA_OK) {
    lpoe_log(P, "poe: not enough memory");
    lua_pop(T, 1);
  }
  return -POE_ERAISE;
}

static void make_thread(lua_State *L) {
  lua_State *T = lua_newthread(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "poe.core");
  lua_getfield(L, -1, "step");
  lua_getfield(L, -2, "last_traceback");
  lua_xmove(L, T, 2);
  lua_pop(L, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &anchor);
}

int lpoe_bridge(lua_State *L) {
  static const struct poe_bridge bridge = {
      .version = POE_VERSION,
      .loop_find = poe_loop_find,
      .set_driver = poe_kernel_set_driver,
      .backend = poe_kernel_backend,
      .timeout_ns = poe_kernel_timeout_ns,
      .session_count = poe_session_count,
      .destroyed = poe_kernel_destroyed,
      .step = step,
  };
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &anchor) == LUA_TNIL) make_thread(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&bridge);
  return 1;
}
