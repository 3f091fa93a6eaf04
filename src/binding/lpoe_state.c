/* SPDX-License-Identifier: MIT */
/*
 * lpoe_state.c -- states: which handler a session has for which event.
 *
 * A session's states are a table by name id; each entry is one reference of
 * its name.  A handler is a function, or {object, method} for a method that is
 * looked up when the event comes.
 *
 * A program makes many sessions of a kind.  One whose handlers are those of
 * the session created before it shares its table, until one of them changes:
 * who shares a table copies it first.  The tables lie in LPOE_UV_STATES, each
 * once; its index stands in the slots of those who share it, whose number is
 * under the same index in P->states.
 */
#include <stdlib.h>

#include "lpoe.h"

/* ---- tables of states --------------------------------------------------------- */

/* So that there is a free index.  Raises. */
static void grow(struct lpoe *P, lua_State *L) {
  uint32_t room = P->states_room ? P->states_room * 2 : 16;
  void *p = realloc(P->states, room * sizeof *P->states);
  if (!p) luaL_error(L, "not enough memory");
  P->states = p;
  P->states_room = room;
  if (P->nstates == 0) P->nstates = 1;
}

/* Put the table on top among the others: one session has it.  Raises before
   anything has changed; runs no finalizers. */
static uint32_t keep_table(struct lpoe *P, lua_State *L) {
  if (!P->free_states && P->nstates == P->states_room) grow(P, L);
  uint32_t index = P->free_states ? P->free_states : P->nstates;
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_STATES);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, index);
  lua_pop(L, 2);
  if (P->free_states)
    P->free_states = P->states[index].next_free;
  else
    P->nstates++;
  P->states[index].users = 1;
  return index;
}

static void push_table(lua_State *L, uint32_t index) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_STATES);
  lua_rawgeti(L, -1, index);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static poe_name *name_of(struct lpoe *P, lua_State *L, int key) {
  return poe_name_by_id(P->k, (uint32_t)lua_tointeger(L, key));
}

/* Each of the names in the table on top has one reference more. */
static void hold_names(struct lpoe *P, lua_State *L) {
  lua_pushnil(L);
  for (; lua_next(L, -2); lua_pop(L, 1)) poe_name_ref(name_of(P, L, -2));
}

/* Nobody has it any more. */
static void remove_table(struct lpoe *P, uint32_t index) {
  lua_State *A = P->aux;
  lua_rawgeti(A, LPOE_AT_STATES, index);
  lua_pushnil(A);
  for (; lua_next(A, -2); lua_pop(A, 1))
    poe_name_unref(P->k, name_of(P, A, -2));
  lua_pop(A, 1);
  lua_pushboolean(A, 0);
  lua_rawseti(A, LPOE_AT_STATES, index);
  P->states[index].next_free = P->free_states;
  P->free_states = index;
}

void lpoe_drop_states(struct lpoe *P, uint32_t slot) {
  uint32_t index = P->slot[slot].states;
  if (!index || --P->states[index].users) return;
  if (index == P->model) P->model_size = 0;
  remove_table(P, index);
}

/* ---- one state ------------------------------------------------------------------ */

/* [states, handler] -> [states]: under the event's id. */
static void put_state(struct lpoe *P, lua_State *L, poe_name *event) {
  uint32_t id = poe_name_id(event);
  int is_new = lua_rawgeti(L, -2, id) == LUA_TNIL;
  lua_pop(L, 1);
  int is_removal = lua_isnil(L, -1);
  if (!is_new) lpoe_forget_places(P);
  lua_rawseti(L, -2, id);
  if (is_new && !is_removal) poe_name_ref(event);
  if (!is_new && is_removal) poe_name_unref(P->k, event);
}

static int is_shared(const struct lpoe *P, const poe_session *s) {
  return poe_session_is_alive(s) &&
         P->states[P->slot[lpoe_slot_of(s)].states].users > 1;
}

/* [to, from] */
static void copy_table(lua_State *L) {
  int from = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, from)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, from - 1);
  }
}

/* A table of the session's own in place of a shared one. */
static void unshare(struct lpoe *P, lua_State *L, const poe_session *s) {
  struct lpoe_slot *slot = &P->slot[lpoe_slot_of(s)];
  push_table(L, slot->states);
  copy_table(L);
  lua_pop(L, 1);
  uint32_t own = keep_table(P, L);
  hold_names(P, L);
  P->states[slot->states].users--;
  slot->states = own;
  P->turnover++;
}

static void log_redefinition(struct lpoe *P, const poe_session *s,
                             const poe_name *event) {
  poe_log(P->k, "redefining handler for event(%s) for session(%llu)",
          poe_name_text(event, NULL), (unsigned long long)poe_session_id(s));
}

/* [handler]: the session has its states alone. */
static void set_state(struct lpoe *P, lua_State *L, const poe_session *s,
                      poe_name *event) {
  const struct lpoe_slot *slot = &P->slot[lpoe_slot_of(s)];
  if (slot->states == P->model) P->model_size = 0;
  push_table(L, slot->states);
  if (slot->flags & LPOE_OPT_DEBUG && !lua_isnil(L, -2)) {
    int type = lua_rawgeti(L, -1, poe_name_id(event));
    if (type != LUA_TNIL) log_redefinition(P, s, event);
    lua_pop(L, 1);
  }
  lua_insert(L, -2);
  put_state(P, L, event);
}

void lpoe_set_state(struct lpoe *P, lua_State *L, const poe_session *s,
                    poe_name *event) {
  int handler = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  if (is_shared(P, s)) {
    lua_newtable(L); /* finalizers may end this session, or the others */
    if (is_shared(P, s)) unshare(P, L, s);
    lua_settop(L, handler);
  }
  if (poe_session_is_alive(s)) set_state(P, L, s, event);
  lua_settop(L, handler - 1);
}

/* ---- create: checking ------------------------------------------------------------------ */

/* [..., states]: event name at `key`, handler on top of the stack. */
static void add_state(struct lpoe *P, lua_State *L, int states, int key,
                      const char *group) {
  if (lua_type(L, key) != LUA_TSTRING)
    luaL_error(L, "event names in %s must be strings, got a %s", group,
               luaL_typename(L, key));
  poe_name *event = lpoe_check_name(P, L, key, "event name");
  lua_pushvalue(L, states);
  lua_insert(L, -2);
  put_state(P, L, event);
  lua_pop(L, 1);
  poe_name_unref(P->k, event);
}

/* How many there are. */
static int add_inline(struct lpoe *P, lua_State *L, int states, int group) {
  int n = 0;
  lua_pushnil(L);
  for (; lua_next(L, group); n++) {
    if (lua_type(L, -1) != LUA_TFUNCTION) {
      const char *type = luaL_typename(L, -1);
      luaL_error(L, "inline_states['%s'] must be a function, got a %s",
                 luaL_tolstring(L, -2, NULL), type);
    }
    add_state(P, L, states, lua_absindex(L, -2), "inline_states");
  }
  return n;
}

/* [..., key, method]: the event's name, its handler {object, method}. */
static void add_method(struct lpoe *P, lua_State *L, int states, int object,
                       const char *group) {
  int method = lua_gettop(L), key = method - 1;
  if (lua_type(L, method) != LUA_TSTRING)
    luaL_error(L, "method names in %s must be strings, got a %s", group,
               luaL_typename(L, method));
  if (lua_isinteger(L, key)) key = method; /* a list: named as the event */
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, object);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, method);
  lua_rawseti(L, -2, 2);
  add_state(P, L, states, key, group);
}

/* The object that a key of package_states means: a module or its name. */
static void push_object_of(lua_State *L, int key, int is_package) {
  if (!is_package || lua_type(L, key) != LUA_TSTRING) {
    lua_pushvalue(L, key);
    return;
  }
  lua_getglobal(L, "require");
  lua_pushvalue(L, key);
  lua_call(L, 1, 1);
  if (!lua_istable(L, -1))
    luaL_error(L, "package_states: module '%s' is no table",
               lua_tostring(L, key));
}

static void add_objects(struct lpoe *P, lua_State *L, int states, int group,
                        const char *name, int is_package) {
  lua_pushnil(L);
  while (lua_next(L, group)) {
    int key = lua_gettop(L) - 1, list = key + 1;
    int type = lua_type(L, key);
    if (type != LUA_TTABLE && type != LUA_TUSERDATA &&
        !(is_package && type == LUA_TSTRING))
      luaL_error(L, "keys of %s must be %s, got a %s", name,
                 is_package ? "modules or their names" : "objects",
                 luaL_typename(L, key));
    if (!lua_istable(L, list))
      luaL_error(L, "values of %s must be lists of methods, got a %s", name,
                 luaL_typename(L, list));
    push_object_of(L, key, is_package);
    int object = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, list)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      add_method(P, L, states, object, name);
      lua_settop(L, object + 1);
    }
    lua_settop(L, key);
  }
}

void lpoe_raise_signal_state(lua_State *L, const char *method) {
  luaL_error(L, "%s: a _signal handler is never called: watch signals with "
                "kernel:sig", method);
}

static void check_states(struct lpoe *P, lua_State *L, int states) {
  poe_name *start = poe_name_find(P->k, "_start", 6);
  if (lua_rawgeti(L, states, poe_name_id(start)) == LUA_TNIL)
    luaL_error(L, "create: no handler for _start");
  lua_pop(L, 1);
  poe_name *signal = poe_name_find(P->k, "_signal", 7);
  if (signal && lua_rawgeti(L, states, poe_name_id(signal)) != LUA_TNIL)
    lpoe_raise_signal_state(L, "create");
}

/* With the slot and the three groups; on an error the slot has what there is
   of its states. */
static int build_states(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, 1);
  uint32_t slot = (uint32_t)lua_tointeger(L, 2);
  lua_newtable(L);
  int states = lua_gettop(L), size = 0;
  uint32_t index = P->slot[slot].states = keep_table(P, L);
  if (!lua_isnil(L, 3)) size = add_inline(P, L, states, 3);
  if (!lua_isnil(L, 4)) add_objects(P, L, states, 4, "object_states", 0);
  if (!lua_isnil(L, 5)) add_objects(P, L, states, 5, "package_states", 1);
  check_states(P, L, states);
  P->model = index;
  P->model_size = lua_isnil(L, 4) && lua_isnil(L, 5) ? size : 0;
  return 0;
}

/* ---- create: sharing ------------------------------------------------------------------ */

/* [.., name, handler]: as in these states? */
static int is_same(struct lpoe *P, lua_State *L, int states) {
  const poe_name *name = lpoe_find_name(P, L, -2);
  if (!name) return 0;
  lua_rawgeti(L, states, poe_name_id(name));
  int is = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return is;
}

/* Are these inline_states just what the session created last has?  Runs no
   finalizers, so that it stays. */
static int is_like_model(struct lpoe *P, lua_State *L, int group) {
  int n = 0, top = lua_gettop(L), states = top + 2;
  lua_getiuservalue(L, lua_upvalueindex(1), LPOE_UV_STATES);
  lua_rawgeti(L, -1, P->model);
  lua_pushnil(L);
  while (lua_next(L, group) && is_same(P, L, states)) {
    n++;
    lua_pop(L, 1);
  }
  int is_whole = lua_gettop(L) == states && n == P->model_size;
  lua_settop(L, top);
  return is_whole;
}

static int is_inline(lua_State *L, int groups) {
  return !lua_isnil(L, groups) && lua_isnil(L, groups + 1) &&
         lua_isnil(L, groups + 2);
}

int lpoe_fill_states(struct lpoe *P, lua_State *L, uint32_t slot, int groups) {
  if (P->model_size && is_inline(L, groups) && is_like_model(P, L, groups)) {
    P->slot[slot].states = P->model;
    P->states[P->model].users++;
    return LUA_OK;
  }
  lua_pushcfunction(L, build_states);
  lua_pushlightuserdata(L, P);
  lua_pushinteger(L, slot);
  for (int i = 0; i < 3; i++) lua_pushvalue(L, groups + i);
  return lua_pcall(L, 5, 0, 0);
}
