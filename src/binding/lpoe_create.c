/* SPDX-License-Identifier: MIT */
/*
 * lpoe_create.c -- sessions begin and end: parameters of create, slots.
 *
 * What is kept of a living session lies under its slot: its heap, flags, and
 * the index of its states, see lpoe_state.c.  A slot is taken before the
 * session is created, and given back when the kernel says that it has gone.
 */
#include <ctype.h>
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

/* A custom session's object stands for none any more. */
static void forget_custom(lua_State *A, lua_Integer i) {
  lua_getiuservalue(A, LPOE_AT_KERNEL, LPOE_UV_CUSTOM);
  lua_getiuservalue(A, LPOE_AT_KERNEL, LPOE_UV_OBJECTS);
  lua_rawgeti(A, -1, i);
  lua_pushvalue(A, -1);
  lua_rawget(A, -4); /* [custom, objects, object, ID] */
  lua_pushinteger(A, -lua_tointeger(A, -1));
  lua_replace(A, -2);
  lua_rawset(A, -4);
  lua_pushnil(A);
  lua_rawseti(A, -2, i);
  lua_pop(A, 2);
}

/* What Lua kept for the slot goes. */
static void empty_slot(struct lpoe *P, uint32_t slot) {
  lua_State *A = P->aux;
  lua_Integer i = (lua_Integer)slot + 1;
  P->turnover++;
  lpoe_drop_states(P, slot);
  lua_pushboolean(A, 0);
  lua_rawseti(A, LPOE_AT_HEAPS, i);
  if (P->slot[slot].flags & LPOE_OPTIONS) lpoe_option_forget(P, slot);
  if (P->slot[slot].flags & LPOE_CUSTOM) forget_custom(A, i);
  give_slot(P, slot);
}

/* core.on_end(ids, function): it is called with the value that a session's ID
   has in ids, once that session has ended.  There is one such function. */
int lpoe_on_end(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_createtable(L, 2, 0);
  lua_insert(L, 1); /* [pair, ids, function] */
  lua_rawseti(L, 1, 2);
  lua_rawseti(L, 1, 1);
  lua_setiuservalue(L, lua_upvalueindex(1), LPOE_UV_ENDS);
  P->tells_ends = 1;
  return 0;
}

/* Nothing is raised: as from a finalizer, nobody could do anything about it. */
static void tell_end(struct lpoe *P, uint64_t id) {
  lua_State *A = P->aux, *W = P->worker;
  int top = lua_gettop(A);
  lua_getiuservalue(A, LPOE_AT_KERNEL, LPOE_UV_ENDS);
  lua_rawgeti(A, -1, 2);
  lua_rawgeti(A, -2, 1);
  int is_wanted = lua_rawgeti(A, -1, (lua_Integer)id) != LUA_TNIL &&
                  lua_checkstack(W, 4);
  lua_remove(A, -2);
  if (is_wanted) lua_xmove(A, W, 2); /* function, value */
  lua_settop(A, top);
  if (is_wanted && lua_pcall(W, 1, 0, 0) != LUA_OK) lua_pop(W, 1);
}

void lpoe_session_gone(void *ud, poe_session *s) {
  struct lpoe *P = ud;
  if (P->closing) return;
  uint64_t id = poe_session_id(s);
  lpoe_forget_places(P);
  empty_slot(P, lpoe_slot_of(s));
  if (P->tells_ends) tell_end(P, id);
}

/* ---- parameters ---------------------------------------------- */

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

/* Whether two names are the same word: inline_states, InlineStates. */
static int is_same_word(const char *a, const char *b) {
  for (;; a++, b++) {
    while (*a == '_') a++;
    while (*b == '_') b++;
    if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) return 0;
    if (!*a) return 1;
  }
}

static int raise_unknown(lua_State *L, const char *name) {
  size_t n = sizeof parameters / sizeof *parameters;
  if (lua_getfield(L, 1, "create") == LUA_TFUNCTION)
    return luaL_error(L, "create: call it with '.', not with ':'");
  for (size_t i = 0; i < n; i++)
    if (is_same_word(parameters[i], name))
      return luaL_error(L, "create: unknown parameter '%s' (did you mean '%s'?)",
                        name, parameters[i]);
  return luaL_error(L, "create: unknown parameter '%s'", name);
}

static int parameter_index(lua_State *L, int key) {
  size_t n = sizeof parameters / sizeof *parameters;
  if (lua_type(L, key) != LUA_TSTRING)
    luaL_error(L, "create: unknown parameter %s (a named parameter expected)",
               luaL_tolstring(L, key, NULL));
  const char *name = lua_tostring(L, key);
  for (size_t i = 0; i < n; i++)
    if (strcmp(parameters[i], name) == 0) return (int)i + AT_INLINE;
  return raise_unknown(L, name);
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

/* ---- create ------------------------------------------------------------------------ */

/* How many there are: n, if it is given. */
static lua_Integer count_args(lua_State *L) {
  if (lua_getfield(L, AT_ARGS, "n") == LUA_TNIL)
    return (lua_Integer)lua_rawlen(L, AT_ARGS);
  int is_integer;
  lua_Integer n = lua_tointegerx(L, -1, &is_integer);
  if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || n < 0)
    luaL_error(L, "create: n of parameter 'args' must be a count, got %s",
               luaL_tolstring(L, -1, NULL));
  return n;
}

static int push_args(lua_State *L) {
  if (lua_isnil(L, AT_ARGS)) return 0;
  lua_Integer n = count_args(L);
  lua_settop(L, AT_HEAP);
  if (n > 250000) luaL_error(L, "create: too many args");
  luaL_checkstack(L, (int)n + 8, "too many args");
  for (lua_Integer i = 1; i <= n; i++) lua_geti(L, AT_ARGS, i);
  return (int)n;
}

static int raise_unborn(struct lpoe *P, lua_State *L, int err) {
  if (err == -POE_EDEEP)
    return luaL_error(L, "sessions are created too deep within each other");
  if (err == -POE_ELOOP) return lpoe_loop_raise(P, L);
  if (err == -ENOMEM) return luaL_error(L, "not enough memory");
  return luaL_error(L, "cannot create a session: %s", strerror(-err));
}

/* The ID of the slot's session.  Raises. */
static uint64_t start(struct lpoe *P, lua_State *L, uint32_t slot, int nargs) {
  uint64_t id;
  struct lpoe_direct direct = {L, nargs, 0};
  int err = poe_session_start(P->k, slot, lpoe_origin(P, L), &direct, &id);
  if (!err) return id;
  empty_slot(P, slot);
  raise_unborn(P, L, err);
  return 0;
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
  lpoe_options_check(L, "create", AT_OPTIONS);
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
  lpoe_options_store(P, L, slot, AT_OPTIONS);
  uint64_t id = start(P, L, slot, nargs);
  if (lpoe_results(P, L) == 0) return 0;
  lpoe_push_object(L, lua_upvalueindex(1), id);
  return 1;
}

static int kernel_session_create(lua_State *L) {
  lpoe_self(L);
  lpoe_check_type(L, 2, LUA_TTABLE);
  lua_remove(L, 1);
  return lpoe_session_create(L);
}

/* The object at an index is to stand for the session of a slot. */
static void set_custom(lua_State *L, int object, uint32_t slot) {
  lua_getiuservalue(L, lua_upvalueindex(1), LPOE_UV_OBJECTS);
  lua_pushvalue(L, object);
  lua_rawseti(L, -2, (lua_Integer)slot + 1);
  lua_getiuservalue(L, lua_upvalueindex(1), LPOE_UV_CUSTOM);
  lua_pushvalue(L, object);
  lua_pushinteger(L, 0);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

static int kernel_session_alloc(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  lpoe_check_type(L, 2, LUA_TTABLE);
  if (lua_getfield(L, 2, "_invoke_state") == LUA_TNIL)
    lpoe_arg_error(L, 2, "object has no method '_invoke_state'");
  lua_pop(L, 1);
  if (lpoe_session_id(P, L, 2))
    lpoe_arg_error(L, 2, "object is a session already");
  int nargs = lua_gettop(L) - 2;
  luaL_checkstack(L, 8, NULL);
  uint32_t slot = take_slot(P, L, 2);
  set_custom(L, 2, slot);
  P->slot[slot].flags = LPOE_CUSTOM;
  lua_pushvalue(L, 2);
  lua_insert(L, 1); /* to be returned */
  start(P, L, slot, nargs);
  lua_pushvalue(L, 1);
  return 1;
}

const luaL_Reg lpoe_session_methods[] = {
    {"session_create", kernel_session_create},
    {"session_alloc", kernel_session_alloc},
    {NULL, NULL}};
