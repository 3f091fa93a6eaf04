/* SPDX-License-Identifier: MIT */
/*
 * lpoe_session.c -- sessions as Lua sees them: create, objects, options.
 *
 * A session object holds an id and nothing else; each use looks it up.  One
 * object stands for one session as long as anybody keeps it, so objects can
 * be compared.  What Lua keeps for a living session lies under its slot: the
 * heap, and the table of states, see lpoe_state.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

/* ---- slots --------------------------------------------------------------------- */

/* So that there is a free one.  Raises. */
static void grow(struct lpoe *P, lua_State *L) {
  uint32_t room = P->slot_room ? P->slot_room * 2 : 16;
  void *p = realloc(P->slot, room * sizeof *P->slot);
  if (!p) luaL_error(L, "not enough memory");
  P->slot = p;
  P->slot_room = room;
}

/* A new slot for the heap at an index.  Raises before it is taken. */
static uint32_t take_slot(struct lpoe *P, lua_State *L, int heap) {
  if (P->free_slot == LPOE_NONE && P->nslots == P->slot_room) grow(P, L);
  uint32_t slot = P->free_slot == LPOE_NONE ? P->nslots : P->free_slot;
  lua_getiuservalue(L, lua_upvalueindex(1), LPOE_UV_HEAPS);
  lua_pushvalue(L, heap);
  lua_rawseti(L, -2, (lua_Integer)slot + 1);
  lua_pop(L, 1);
  if (slot == P->nslots)
    P->nslots++;
  else
    P->free_slot = P->slot[slot].next_free;
  P->slot[slot].flags = 0;
  P->slot[slot].states = 0;
  return slot;
}

static void give_slot(struct lpoe *P, uint32_t slot) {
  P->slot[slot].next_free = P->free_slot;
  P->free_slot = slot;
}

/* What Lua kept for the slot goes. */
static void empty_slot(struct lpoe *P, uint32_t slot);

/* ---- objects ------------------------------------------------------------------------ */

static void set_by_id(lua_State *L, int kernel, int uservalue, uint64_t id) {
  /* [value] */
  lua_getiuservalue(L, kernel, uservalue);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)id);
  lua_pop(L, 1);
}

static int get_by_id(lua_State *L, int kernel, int uservalue, uint64_t id) {
  lua_getiuservalue(L, kernel, uservalue);
  int type = lua_rawgeti(L, -1, (lua_Integer)id);
  lua_remove(L, -2);
  return type;
}

/* With the kernel at an index. */
static void push_object(lua_State *L, int kernel, uint64_t id) {
  lua_getiuservalue(L, kernel, LPOE_UV_SESSIONS);
  if (lua_rawgeti(L, -1, (lua_Integer)id) == LUA_TNIL) {
    lua_pop(L, 1);
    uint64_t *object = lua_newuserdatauv(L, sizeof *object, 0);
    *object = id;
    lua_getiuservalue(L, kernel, LPOE_UV_CLASS);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, (lua_Integer)id);
  }
  lua_replace(L, -2);
}

int lpoe_is_custom(const struct lpoe *P, const poe_session *s) {
  return poe_session_is_alive(s) &&
         P->slot[lpoe_slot_of(s)].flags & LPOE_CUSTOM;
}

void lpoe_push_session(struct lpoe *P, lua_State *L, const poe_session *s) {
  luaL_checkstack(L, 8, NULL);
  lpoe_push_kernel(L);
  if (poe_session_id(s) == 0) return;
  if (lpoe_is_custom(P, s))
    get_by_id(L, lua_gettop(L), LPOE_UV_OBJECTS, lpoe_slot_of(s) + 1u);
  else
    push_object(L, lua_gettop(L), poe_session_id(s));
  lua_remove(L, -2);
}

void lpoe_push_id(struct lpoe *P, lua_State *L, uint64_t id) {
  const poe_session *s = poe_session_find(P->k, id);
  if (s) {
    lpoe_push_session(P, L, s);
    return;
  }
  lpoe_push_kernel(L);
  push_object(L, lua_gettop(L), id);
  lua_remove(L, -2);
}

/* [] -> [ID, 0 for a session that has not begun or has ended, or nil] */
static void push_custom_id(lua_State *L, int index) {
  luaL_checkstack(L, 4, NULL);
  index = lua_absindex(L, index);
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_CUSTOM);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

int lpoe_was_session(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) return 0;
  push_custom_id(L, index);
  int was = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return was;
}

/* NULL: it is no session object. */
static const uint64_t *object_at(const struct lpoe *P, lua_State *L,
                                 int index) {
  const uint64_t *object = lua_touserdata(L, index);
  if (!object || !lua_getmetatable(L, index)) return NULL;
  int is_session = lua_topointer(L, -1) == P->session_class;
  lua_pop(L, 1);
  return is_session ? object : NULL;
}

uint64_t lpoe_session_id(struct lpoe *P, lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TTABLE) {
    push_custom_id(L, index);
    lua_Integer id = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return (uint64_t)id;
  }
  const uint64_t *object = object_at(P, L, index);
  return object ? *object : 0;
}

uint64_t lpoe_check_self(lua_State *L) {
  const uint64_t *object =
      object_at(lua_touserdata(L, lua_upvalueindex(1)), L, 1);
  if (object) return *object;
  if (lpoe_was_session(L, 1)) return lpoe_session_id(lpoe_upvalue(L), L, 1);
  return *(uint64_t *)luaL_checkudata(L, 1, LPOE_SESSION_CLASS);
}

static poe_session *find_self(struct lpoe *P, lua_State *L) {
  return poe_session_find(P->k, lpoe_check_self(L));
}

static int dead(struct lpoe *P, lua_State *L) {
  return lpoe_fail(P, L, ESRCH, POE_ASSERT_DATA, "session %I has ended",
                   (LUAI_UACINT)lpoe_check_self(L));
}

/* ---- create: parameters ---------------------------------------------- */

/* Where create keeps its parameters on the stack. */
enum parameter {
  AT_INLINE = 2,
  AT_OBJECT,
  AT_PACKAGE,
  AT_ARGS,
  AT_OPTIONS,
  AT_HEAP
};

static const char *const parameters[] = {"inline_states", "object_states",
                                         "package_states", "args", "options",
                                         "heap"};

static int parameter_index(lua_State *L, int key) {
  size_t n = sizeof parameters / sizeof *parameters;
  if (lua_type(L, key) != LUA_TSTRING)
    luaL_error(L, "create: unknown parameter %s (a named parameter expected)",
               luaL_tolstring(L, key, NULL));
  const char *name = lua_tostring(L, key);
  for (size_t i = 0; i < n; i++)
    if (strcmp(parameters[i], name) == 0) return (int)i + AT_INLINE;
  return luaL_error(L, "create: unknown parameter '%s'", name);
}

/* Spread the table at 1 over the stack; what is missing is nil. */
static void read_parameters(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_settop(L, AT_HEAP);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    int at = parameter_index(L, -2);
    if (at != AT_HEAP && !lua_istable(L, -1))
      luaL_error(L, "create: parameter '%s' must be a table, got a %s",
                 lua_tostring(L, -2), luaL_typename(L, -1));
    lua_replace(L, at);
  }
}

/* ---- options ---------------------------------------------------------------------------- */

static int flag_of(const char *name) {
  if (strcmp(name, "trace") == 0) return LPOE_OPT_TRACE;
  if (strcmp(name, "debug") == 0) return LPOE_OPT_DEBUG;
  if (strcmp(name, "default") == 0) return LPOE_OPT_DEFAULT;
  return 0;
}

/* POE's words for truth become booleans, in place. */
static void canonical_option(lua_State *L, int index) {
  int truth = lpoe_option_is_truth(L, index);
  if (!truth) return;
  lua_pushboolean(L, truth > 0);
  lua_replace(L, index);
}

/* [name, value] on top, taken: set an option of the session in a slot. */
static void set_option(struct lpoe *P, lua_State *L, uint32_t index) {
  uint64_t id = index + 1u;
  int value = lua_gettop(L), name = value - 1;
  canonical_option(L, value);
  lpoe_push_kernel(L);
  if (get_by_id(L, value + 1, LPOE_UV_OPTIONS, id) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    set_by_id(L, value + 1, LPOE_UV_OPTIONS, id);
  }
  lua_pushvalue(L, name);
  lua_pushvalue(L, value);
  lua_rawset(L, -3);
  int is_list = lpoe_option_set(P, L, index, lua_tostring(L, name), value);
  int flag = flag_of(lua_tostring(L, name));
  int is_on = !is_list && lpoe_option_is_on(L, value);
  struct lpoe_slot *slot = &P->slot[index];
  slot->flags = (uint8_t)(is_on ? slot->flags | flag : slot->flags & ~flag);
  slot->flags |= LPOE_OPTIONS;
  lua_settop(L, name - 1);
}

static int session_option(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  poe_session *s = find_self(P, L);
  luaL_checktype(L, 2, LUA_TSTRING);
  if (!s) return dead(P, L);
  int is_set = lua_gettop(L) >= 3;
  lua_settop(L, 3);
  if (is_set) lpoe_option_check(L, "option", lua_tostring(L, 2), 3);
  if (lpoe_option_push(P, L, s, lua_tostring(L, 2))) return 1;
  lpoe_push_kernel(L);
  if (get_by_id(L, 4, LPOE_UV_OPTIONS, lpoe_slot_of(s) + 1u) ==
      LUA_TTABLE) {
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
  }
  if (is_set) { /* [.., old] */
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    set_option(P, L, lpoe_slot_of(s));
    if (lpoe_option_apply(P, s)) return luaL_error(L, "not enough memory");
  }
  return 1;
}

static void check_options(lua_State *L) {
  if (lua_isnil(L, AT_OPTIONS)) return;
  lua_pushnil(L);
  while (lua_next(L, AT_OPTIONS)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "create: names of options must be strings, got a %s",
                 luaL_typename(L, -2));
    lpoe_option_check(L, "create", lua_tostring(L, -2), lua_gettop(L));
    lua_pop(L, 1);
  }
}

static void apply_options(struct lpoe *P, lua_State *L, uint32_t slot) {
  if (lua_isnil(L, AT_OPTIONS)) return;
  lua_pushnil(L);
  while (lua_next(L, AT_OPTIONS)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    set_option(P, L, slot);
  }
}

/* ---- create: doing ------------------------------------------------------------------------ */

static int push_args(lua_State *L) {
  if (lua_isnil(L, AT_ARGS)) return 0;
  lua_getfield(L, AT_ARGS, "n");
  lua_Integer n = lua_isinteger(L, -1)
                      ? lua_tointeger(L, -1)
                      : (lua_Integer)lua_rawlen(L, AT_ARGS);
  lua_pop(L, 1);
  if (n < 0 || n > 250000) luaL_error(L, "create: too many args");
  luaL_checkstack(L, (int)n + 8, "too many args");
  for (lua_Integer i = 1; i <= n; i++) lua_geti(L, AT_ARGS, i);
  return (int)n;
}

static int start(struct lpoe *P, lua_State *L, uint32_t slot, int nargs) {
  uint64_t id;
  struct lpoe_direct direct = {L, nargs, 0};
  int err = poe_session_start(P->k, slot, lpoe_origin(P, L), &direct, &id);
  if (!err) {
    push_object(L, lua_upvalueindex(1), id);
    return 1;
  }
  empty_slot(P, slot);
  if (err == -POE_EDEEP)
    return luaL_error(L, "sessions are created too deep within each other");
  if (err == -POE_ELOOP) return lpoe_loop_raise(P, L);
  if (err == -ENOMEM) return luaL_error(L, "not enough memory");
  return luaL_error(L, "cannot create a session: %s", strerror(-err));
}

/* core.stop_session(session): for sessions of one's own kind. */
int lpoe_session_stop(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  poe_session *s = find_self(P, L);
  if (!s) return dead(P, L);
  poe_session_stop(P->k, s);
  return lpoe_true(L);
}

/* What is wrong with the states, as an error of the caller's line. */
static int raise_at_caller(lua_State *L) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

int lpoe_session_create(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  read_parameters(L);
  check_options(L);
  if (lua_isnil(L, AT_HEAP)) {
    lua_newtable(L);
    lua_replace(L, AT_HEAP);
  }
  int nargs = push_args(L);
  luaL_checkstack(L, 12, NULL);
  uint32_t slot = take_slot(P, L, AT_HEAP);
  if (lpoe_fill_states(P, L, slot, AT_INLINE) != LUA_OK) {
    empty_slot(P, slot);
    return raise_at_caller(L);
  }
  apply_options(P, L, slot);
  return start(P, L, slot, nargs);
}

static int kernel_session_create(lua_State *L) {
  lpoe_self(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_remove(L, 1);
  return lpoe_session_create(L);
}

static int kernel_session_alloc(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  if (lua_getfield(L, 2, "_invoke_state") == LUA_TNIL)
    return luaL_argerror(L, 2, "object has no method '_invoke_state'");
  lua_pop(L, 1);
  if (lpoe_session_id(P, L, 2))
    return luaL_argerror(L, 2, "object is a session already");
  int nargs = lua_gettop(L) - 2;
  luaL_checkstack(L, 8, NULL);
  uint32_t slot = take_slot(P, L, 2);
  lpoe_push_kernel(L);
  int kernel = lua_gettop(L);
  lua_pushvalue(L, 2);
  set_by_id(L, kernel, LPOE_UV_OBJECTS, slot + 1u);
  lua_getiuservalue(L, kernel, LPOE_UV_CUSTOM);
  lua_pushvalue(L, 2);
  lua_pushinteger(L, 0);
  lua_rawset(L, -3);
  lua_settop(L, kernel - 1);
  P->slot[slot].flags = LPOE_CUSTOM;
  lua_pushvalue(L, 2);
  lua_insert(L, 1); /* to be returned */
  start(P, L, slot, nargs);
  lua_pushvalue(L, 1);
  return 1;
}

/* A custom session's object stands for none any more. */
static void forget_custom(lua_State *A, lua_Integer i) {
  lua_getiuservalue(A, LPOE_AT_KERNEL, LPOE_UV_CUSTOM);
  lua_getiuservalue(A, LPOE_AT_KERNEL, LPOE_UV_OBJECTS);
  lua_rawgeti(A, -1, i);
  lua_pushinteger(A, 0);
  lua_rawset(A, -4);
  lua_pushnil(A);
  lua_rawseti(A, -2, i);
  lua_pop(A, 2);
}

static void empty_slot(struct lpoe *P, uint32_t slot) {
  lua_State *A = P->aux;
  lua_Integer i = (lua_Integer)slot + 1;
  P->turnover++;
  lpoe_drop_states(P, slot);
  lua_pushboolean(A, 0);
  lua_rawseti(A, LPOE_AT_HEAPS, i);
  if (P->slot[slot].flags & LPOE_OPTIONS) {
    lua_pushnil(A);
    set_by_id(A, LPOE_AT_KERNEL, LPOE_UV_OPTIONS, (uint64_t)i);
  }
  if (P->slot[slot].flags & LPOE_CUSTOM) forget_custom(A, i);
  give_slot(P, slot);
}

void lpoe_session_gone(void *ud, poe_session *s) {
  struct lpoe *P = ud;
  if (P->closing) return;
  lpoe_forget_places(P);
  empty_slot(P, lpoe_slot_of(s));
}

/* ---- methods of session objects ---------------------------------------------------------------- */

static int session_ID(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lpoe_check_self(L));
  return 1;
}

static int session_get_heap(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  poe_session *s = find_self(P, L);
  if (!s) return dead(P, L);
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_HEAPS);
  lua_rawgeti(L, -1, (lua_Integer)lpoe_slot_of(s) + 1);
  return 1;
}

static int session_tostring(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, lua_upvalueindex(1));
  uint64_t id = lpoe_check_self(L);
  poe_session *s = P->k ? poe_session_find(P->k, id) : NULL;
  const poe_name *alias = s ? poe_alias_at(s, 0) : NULL;
  if (alias)
    lua_pushfstring(L, "session %I \"%s\"", (LUAI_UACINT)id,
                    poe_name_text(alias, NULL));
  else
    lua_pushfstring(L, "session %I", (LUAI_UACINT)id);
  return 1;
}

static int session_postback(lua_State *L) { return lpoe_postback_new(L, 0); }
static int session_callback(lua_State *L) { return lpoe_postback_new(L, 1); }

const luaL_Reg lpoe_session_class[] = {{"ID", session_ID},
                                       {"get_heap", session_get_heap},
                                       {"option", session_option},
                                       {"postback", session_postback},
                                       {"callback", session_callback},
                                       {"__tostring", session_tostring},
                                       {NULL, NULL}};

const luaL_Reg lpoe_session_methods[] = {
    {"session_create", kernel_session_create},
    {"session_alloc", kernel_session_alloc},
    {NULL, NULL}};
