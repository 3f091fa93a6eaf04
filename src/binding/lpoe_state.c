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
 * who shares a table copies it first.  How many sessions share it beside the
 * first stands in the table itself, under 0, which is no name's id.
 */
#include "lpoe.h"

static void push_states(struct lpoe *P, lua_State *L, const poe_session *s) {
  (void)P;
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_STATES);
  lua_rawgeti(L, -1, (lua_Integer)lpoe_slot_of(s) + 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static lua_Integer sharers(lua_State *L, int states) {
  lua_rawgeti(L, states, 0);
  lua_Integer n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

static void set_sharers(lua_State *L, int states, lua_Integer n) {
  if (n)
    lua_pushinteger(L, n);
  else
    lua_pushnil(L);
  lua_rawseti(L, states, 0);
}

static poe_name *name_of(struct lpoe *P, lua_State *L, int key) {
  return poe_name_by_id(P->k, (uint32_t)lua_tointeger(L, key));
}

/* Each of the names in the table of states on top has one reference more. */
static void hold_names(struct lpoe *P, lua_State *L) {
  lua_pushnil(L);
  for (; lua_next(L, -2); lua_pop(L, 1)) poe_name_ref(name_of(P, L, -2));
}

/* [states, handler]: a table of the session's own in place of a shared one. */
static void unshare(struct lpoe *P, lua_State *L, uint32_t slot) {
  int states = lua_gettop(L) - 1;
  lua_Integer n = sharers(L, states);
  if (n == 0) return;
  luaL_checkstack(L, 6, NULL);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, states)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, states + 2);
  }
  set_sharers(L, states + 2, 0);
  hold_names(P, L);
  set_sharers(L, states, n - 1);
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_STATES);
  lua_pushvalue(L, states + 2);
  lua_rawseti(L, -2, (lua_Integer)slot + 1);
  P->turnover++;
  lua_pop(L, 2);
  lua_replace(L, states);
}

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

void lpoe_set_state(struct lpoe *P, lua_State *L, poe_session *s,
                    poe_name *event) {
  uint32_t slot = lpoe_slot_of(s);
  push_states(P, L, s);
  lua_insert(L, -2);
  unshare(P, L, slot);
  if (P->model == slot) P->model_size = 0;
  if (P->slot[lpoe_slot_of(s)].flags & LPOE_OPT_DEBUG) {
    int known = lua_rawgeti(L, -2, poe_name_id(event)) != LUA_TNIL;
    lua_pop(L, 1);
    if (known && !lua_isnil(L, -1))
      poe_log(P->k, "redefining handler for event(%s) for session(%llu)",
              poe_name_text(event, NULL),
              (unsigned long long)poe_session_id(s));
  }
  put_state(P, L, event);
  lua_pop(L, 1);
}

void lpoe_drop_states(struct lpoe *P, lua_State *L) {
  if (!lua_istable(L, -1)) return;
  int states = lua_gettop(L);
  lua_Integer n = sharers(L, states);
  if (n) {
    set_sharers(L, states, n - 1);
    return;
  }
  lua_pushnil(L);
  for (; lua_next(L, states); lua_pop(L, 1)) {
    poe_name_unref(P->k, name_of(P, L, -2));
  }
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

static void add_inline(struct lpoe *P, lua_State *L, int states, int group) {
  lua_pushnil(L);
  while (lua_next(L, group)) {
    if (lua_type(L, -1) != LUA_TFUNCTION) {
      const char *type = luaL_typename(L, -1);
      luaL_error(L, "inline_states['%s'] must be a function, got a %s",
                 luaL_tolstring(L, -2, NULL), type);
    }
    add_state(P, L, states, lua_absindex(L, -2), "inline_states");
  }
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

static void check_states(struct lpoe *P, lua_State *L, int states) {
  poe_name *start = poe_name_find(P->k, "_start", 6);
  if (lua_rawgeti(L, states, poe_name_id(start)) == LUA_TNIL)
    luaL_error(L, "create: no handler for _start");
  lua_pop(L, 1);
  poe_name *signal = poe_name_find(P->k, "_signal", 7);
  if (signal && lua_rawgeti(L, states, poe_name_id(signal)) != LUA_TNIL)
    luaL_error(L, "create: a _signal handler is never called: watch signals "
                  "with kernel:sig");
}

static int build_states(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, 1);
  int states = 5; /* after P and the three groups */
  if (!lua_isnil(L, 2)) add_inline(P, L, states, 2);
  if (!lua_isnil(L, 3)) add_objects(P, L, states, 3, "object_states", 0);
  if (!lua_isnil(L, 4)) add_objects(P, L, states, 4, "package_states", 1);
  check_states(P, L, states);
  return 0;
}

/* ---- create: sharing ------------------------------------------------------------------ */

static poe_name *name_at(struct lpoe *P, lua_State *L, int key) {
  size_t len;
  if (lua_type(L, key) != LUA_TSTRING) return NULL;
  const char *text = lua_tolstring(L, key, &len);
  return poe_name_find(P->k, text, len);
}

/* [.., name, handler]: as in these states? */
static int is_same(struct lpoe *P, lua_State *L, int states) {
  const poe_name *name = name_at(P, L, -2);
  if (!name) return 0;
  lua_rawgeti(L, states, poe_name_id(name));
  int is = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return is;
}

/* Push the table of the session created last, if these inline_states are just
   what it holds.  Runs no finalizers, so the session stays. */
static int push_shared(struct lpoe *P, lua_State *L, int group) {
  int n = 0;
  lua_getiuservalue(L, lua_upvalueindex(1), LPOE_UV_STATES);
  lua_rawgeti(L, -1, (lua_Integer)P->model + 1);
  lua_replace(L, -2);
  int states = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, group) && is_same(P, L, states)) {
    n++;
    lua_pop(L, 1);
  }
  int is_whole = lua_gettop(L) == states && n == P->model_size;
  lua_settop(L, states);
  if (is_whole)
    set_sharers(L, states, sharers(L, states) + 1);
  else
    lua_pop(L, 1);
  return is_whole;
}

static int is_inline(lua_State *L, int groups) {
  return !lua_isnil(L, groups) && lua_isnil(L, groups + 1) &&
         lua_isnil(L, groups + 2);
}

void lpoe_has_states(struct lpoe *P, lua_State *L, uint32_t slot, int groups,
                     int is_shared) {
  P->model = slot;
  if (is_shared) return;
  P->model_size = 0;
  if (!is_inline(L, groups)) return;
  lua_pushnil(L);
  for (; lua_next(L, groups); lua_pop(L, 1)) P->model_size++;
}

int lpoe_push_states(struct lpoe *P, lua_State *L, int groups) {
  luaL_checkstack(L, 8, NULL);
  if (P->model_size && is_inline(L, groups) && push_shared(P, L, groups))
    return 1;
  lua_newtable(L);
  int states = lua_gettop(L);
  lua_pushcfunction(L, build_states);
  lua_pushlightuserdata(L, P);
  for (int i = 0; i < 3; i++) lua_pushvalue(L, groups + i);
  lua_pushvalue(L, states);
  if (lua_pcall(L, 5, 0, 0) == LUA_OK) return 0;
  lua_insert(L, -2);
  lpoe_drop_states(P, L);
  lua_pop(L, 1);
  if (lua_type(L, -1) == LUA_TSTRING) { /* blame the caller's line */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}
