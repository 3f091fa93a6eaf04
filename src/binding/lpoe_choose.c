/* SPDX-License-Identifier: MIT */
/*
 * lpoe_choose.c -- which event loop: the environment, configure, or what the
 * program has loaded.
 *
 * The environment wins over all; what configure names wins over what is found
 * in package.loaded when poe is first required.  A name is that of a bridge
 * in C, or of a module poe.loop.NAME; that gives a bridge's object, or a light
 * userdata, its struct poe_loop_ops.
 *
 * POE: Loop detection in Kernel.pm.
 */
#include <stdarg.h>
#include <string.h>

#include "lpoe.h"

/* Raise.  The position is that of the program that called configure; else it
   would be one in poe's own files, which is none of the reader's. */
static void fail(lua_State *L, const char *who, const char *format, ...) {
  va_list args;
  luaL_where(L, strcmp(who, "configure") == 0 ? 1 : -1);
  lua_pushfstring(L, "%s: ", who);
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 3);
  lua_error(L);
}

/* Modules whose presence says which loop the program runs on. */
static const char *const known[] = {"luv", "cqueues"};

#define KNOWN (sizeof known / sizeof *known)

static int is_not_found(const char *message, const char *module) {
  size_t n = strlen(module);
  return strncmp(message, "module '", 8) == 0 &&
         strncmp(message + 8, module, n) == 0 &&
         strncmp(message + 8 + n, "' not found", 11) == 0;
}

/* Push what the module poe.loop.NAME is. */
static void require_bridge(lua_State *L, const char *name, const char *who) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_GNAME);
  lua_getfield(L, -1, "require");
  lua_replace(L, -3);
  lua_pop(L, 1);
  const char *module = lua_pushfstring(L, "poe.loop.%s", name);
  lua_insert(L, -2);
  lua_pushvalue(L, -2); /* [module, require, module] */
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    const char *message = luaL_tolstring(L, -1, NULL);
    if (is_not_found(message, module))
      fail(L, who,
           "unknown event loop '%s' (known are uv, poll, select and every "
           "module poe.loop.NAME)",
           name);
    fail(L, who, "event loop '%s': %s", name, message);
  }
  lua_remove(L, -2);
}

/* [bridge] */
static const struct poe_loop_ops *to_ops(struct lpoe *P, lua_State *L,
                                         const char *name, const char *who) {
  if (lua_islightuserdata(L, -1)) return lua_touserdata(L, -1);
  if (!lua_istable(L, -1) && !lua_isuserdata(L, -1))
    fail(L, who, "event loop '%s': module poe.loop.%s is no bridge but a %s",
         name, name, luaL_typename(L, -1));
  return lpoe_loop_take(P, L, lua_gettop(L), name);
}

static void check_in_time(struct lpoe *P, lua_State *L, const char *name,
                          const char *who) {
  if (poe_kernel_set_loop(P->k, NULL))
    fail(L, who, "too late for event loop '%s': '%s' is in use", name,
         poe_kernel_loop_name(P->k));
}

void lpoe_choose_loop(struct lpoe *P, lua_State *L, const char *name,
                      const char *who) {
  int top = lua_gettop(L);
  if (strcmp(poe_kernel_loop_name(P->k), name) == 0) return;
  const struct poe_loop_ops *ops = poe_loop_find(name);
  if (!ops) {
    check_in_time(P, L, name, who);
    require_bridge(L, name, who);
    ops = to_ops(P, L, name, who);
  }
  check_in_time(P, L, name, who);
  poe_kernel_set_loop(P->k, ops);
  lua_settop(L, top);
}

static int is_loaded(lua_State *L, const char *module) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, module);
  int is_there = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return is_there;
}

static const char *find_loaded(lua_State *L) {
  const char *found = NULL;
  for (size_t i = 0; i < KNOWN; i++) {
    if (!is_loaded(L, known[i])) continue;
    if (found)
      fail(L, "poe",
           "two event loops are loaded, '%s' and '%s': set POE_EVENT_LOOP to "
           "the one to use, or require poe first",
           found, known[i]);
    found = known[i];
  }
  return found;
}

int lpoe_find_loop(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  const char *name = lpoe_environment(L, "POE_EVENT_LOOP");
  if (P->loop_chosen) return 0;
  if (name && *name) {
    lpoe_choose_loop(P, L, name, "POE_EVENT_LOOP");
    return 0;
  }
  name = find_loaded(L);
  if (name) lpoe_choose_loop(P, L, name, "poe");
  P->loop_chosen = 1;
  return 0;
}
