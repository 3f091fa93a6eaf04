/* SPDX-License-Identifier: MIT */
/*
 * state.c -- the host's Lua state: as luaL_newstate makes it, on slabs like the
 * kernel's, which take less room for what a script makes, and less time.
 *
 * What C modules do with lua_getallocf works as ever.
 */
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "host.h"
#include "poe.h"

static poe_slabs *slabs; /* of the one state that the host has */

/* As lua's: off until "@on". */
static struct {
  int is_on;
  int goes_on; /* the next message is the rest of one */
} warnings;

static void warn(void *ud, const char *message, int goes_on) {
  (void)ud;
  if (!warnings.goes_on && !goes_on && *message == '@') {
    if (strcmp(message, "@on") == 0) warnings.is_on = 1;
    if (strcmp(message, "@off") == 0) warnings.is_on = 0;
    return;
  }
  if (warnings.is_on)
    fprintf(stderr, "%s%s%s", warnings.goes_on ? "" : "Lua warning: ",
            message, goes_on ? "" : "\n");
  warnings.goes_on = goes_on;
}

/* Returning from it, Lua aborts. */
static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "poe: PANIC: unprotected error in call to Lua API (%s)\n",
          message ? message : "error object is not a string");
  return 0;
}

/* The collectgarbage of Lua, the first upvalue; when it has collected all there
   is, what was so freed goes back to the system. */
static int collect(lua_State *L) {
  static const char *const options[] = {
      "collect", "incremental", "generational", "step",      "setpause",
      "setstepmul", "stop",     "restart",      "isrunning", "count", NULL};
  static const int numbers[] = {0, 3, 2, 1, 1, 1, 0, 0, 0, 0};
  int option = luaL_checkoption(L, 1, "collect", options);
  /* Wrong ones are blamed on this function, which has a name. */
  for (int i = 0; i < numbers[option]; i++) luaL_optinteger(L, i + 2, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  if (option == 0) poe_slabs_trim(slabs);
  return lua_gettop(L);
}

void host_trim_when_collected(lua_State *L) {
  if (slabs == NULL) return;
  lua_getglobal(L, "collectgarbage");
  lua_pushcclosure(L, collect, 1);
  lua_setglobal(L, "collectgarbage");
}

lua_State *host_open_state(void) {
  warnings.is_on = warnings.goes_on = 0;
  slabs = poe_slabs_new();
  lua_State *L = slabs ? lua_newstate(poe_slabs_alloc, slabs) : NULL;
  if (L == NULL) return NULL;
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn, NULL);
  return L;
}

void host_close_state(lua_State *L) {
  if (L != NULL) lua_close(L);
  poe_slabs_free(slabs);
  slabs = NULL;
}
