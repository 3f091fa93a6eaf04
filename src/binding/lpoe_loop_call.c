/* SPDX-License-Identifier: MIT */
/*
 * lpoe_loop_call.c -- calling the methods of a bridge that is written in Lua.
 *
 * They are called protected, on a thread of their own.  What one raises is kept
 * until it can be raised from where the program is: the kernel is told
 * -POE_ELOOP.
 */
#include <errno.h>
#include <string.h>

#include "lpoe_loop.h"

const char *const lpoe_loop_methods[METHODS] = {
    [INITIALIZE] = "loop_initialize",
    [TIMESLICE] = "loop_do_timeslice",
    [WATCH_FD] = "loop_watch_filehandle",
    [IGNORE_FD] = "loop_ignore_filehandle",
    [FINALIZE] = "loop_finalize",
    [RUN] = "loop_run",
    [HALT] = "loop_halt",
    [FORKED] = "loop_forked",
    [ATTACH_UIDESTROY] = "loop_attach_uidestroy",
    [WATCH_SIGNAL] = "loop_watch_signal",
    [IGNORE_SIGNAL] = "loop_ignore_signal",
    [RESUME_TIME] = "loop_resume_time_watcher",
    [RESET_TIME] = "loop_reset_time_watcher",
    [PAUSE_TIME] = "loop_pause_time_watcher",
    [PAUSE_FD] = "loop_pause_filehandle",
    [RESUME_FD] = "loop_resume_filehandle",
};

int lpoe_loop_has(const struct lpoe *P, enum lpoe_loop_method m) {
  return (int)(P->loop_methods >> m & 1);
}

void lpoe_loop_push(lua_State *L, int at) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_LOOP);
  lua_rawgeti(L, -1, at);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* ---- failures ------------------------------------------------------------ */

/* [value]: keep it under `at`.  Does not raise. */
static void set_field(lua_State *L, int at) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_LOOP);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, at);
  lua_pop(L, 3);
}

int lpoe_loop_traceback(lua_State *L) { /* error -> its text */
  luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, NULL, 1);
  if (!lpoe_of_state(L)->loop_failed) set_field(L, AT_TRACE);
  lua_settop(L, 2);
  return 1;
}

/* [message]: the first failure is the one that is told. */
void lpoe_loop_keep_failure(struct lpoe *P, lua_State *B) {
  if (P->loop_failed) {
    lua_pop(B, 1);
    return;
  }
  P->loop_failed = 1;
  set_field(B, AT_ERROR);
}

int lpoe_loop_raise(struct lpoe *P, lua_State *L) {
  luaL_checkstack(L, 8, NULL);
  lpoe_loop_push(L, AT_NAME);
  lpoe_loop_push(L, AT_ERROR);
  P->loop_failed = 0;
  luaL_tolstring(L, -1, NULL);
  lua_pushfstring(L, "event loop '%s': %s", lua_tostring(L, -3),
                  lua_tostring(L, -1));
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_TRACE);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, 3);
  lpoe_loop_push(L, AT_TRACE);
  lua_rawseti(L, -2, 4);
  lua_pop(L, 2);
  return lua_error(L);
}

/* ---- calling a method ---------------------------------------------------- */

static int to_errno(const char *code) {
  for (int err = 1; err < 134; err++)
    if (strcmp(lpoe_errno_name(err), code) == 0) return err;
  return 0;
}

/* [..., nil, message, code]: a negative errno; raises if it is none. */
static int failure(lua_State *L, const struct lpoe_loop_call *c) {
  if (lua_toboolean(L, -3) || lua_isnoneornil(L, -2)) return 0;
  int err = lua_type(L, -1) == LUA_TSTRING ? to_errno(lua_tostring(L, -1)) : 0;
  if (err != EPERM || c->method != WATCH_FD)
    luaL_error(L, "%s: %s", lpoe_loop_methods[c->method],
               luaL_tolstring(L, -2, NULL));
  return -err;
}

static int perform(lua_State *L) { /* call */
  struct lpoe_loop_call *c = lua_touserdata(L, 1);
  luaL_checkstack(L, 12, NULL);
  lpoe_loop_push(L, AT_BRIDGE);
  lua_getfield(L, -1, lpoe_loop_methods[c->method]);
  lua_insert(L, -2); /* [call, method, bridge] */
  int n = c->push ? c->push(L, c) : 0;
  lua_call(L, n + 1, 3);
  c->err = failure(L, c);
  return 0;
}

/* 0, a negative errno, or -POE_ELOOP; 0 for a method that is not there. */
int lpoe_loop_call(struct lpoe_loop_call c) {
  struct lpoe *P = c.l->P;
  lua_State *B = P->bridge;
  if (!lpoe_loop_has(P, c.method) || P->is_collected) return 0;
  if (!lua_checkstack(B, 12)) return -ENOMEM;
  lua_pushcfunction(B, lpoe_loop_traceback);
  lua_pushcfunction(B, perform);
  lua_pushlightuserdata(B, &c);
  int status = lua_pcall(B, 1, 0, -3);
  if (status != LUA_OK) lpoe_loop_keep_failure(P, B);
  lua_pop(B, 1);
  return status == LUA_OK ? c.err : -POE_ELOOP;
}

int lpoe_loop_push_seconds(lua_State *L, const struct lpoe_loop_call *c) {
  if (c->ns < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)c->ns / 1e9);
  return 1;
}

int lpoe_loop_push_mode(lua_State *L, const struct lpoe_loop_call *c) {
  lua_pushinteger(L, c->number);
  lua_pushinteger(L, c->mode);
  return 2;
}

int lpoe_loop_push_signal(lua_State *L, const struct lpoe_loop_call *c) {
  char buf[16];
  lua_pushstring(L, poe_signal_name(c->number, buf));
  lua_pushinteger(L, c->number);
  return 2;
}
