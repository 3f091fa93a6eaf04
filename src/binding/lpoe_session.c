/* SPDX-License-Identifier: MIT */
/*
 * lpoe_session.c -- sessions as Lua sees them: objects and their methods.
 *
 * A session object holds an id and nothing else; each use looks it up.  One
 * object stands for one session as long as anybody keeps it, so objects can
 * be compared.  A session from session_alloc has the object it was given.
 */
#include <errno.h>

#include "lpoe.h"

/* ---- objects ------------------------------------------------------------------------ */

void lpoe_push_object(lua_State *L, int kernel, uint64_t id) {
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

static void push_custom(lua_State *L, int kernel, uint32_t slot) {
  lua_getiuservalue(L, kernel, LPOE_UV_OBJECTS);
  lua_rawgeti(L, -1, (lua_Integer)slot + 1);
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
    push_custom(L, lua_gettop(L), lpoe_slot_of(s));
  else
    lpoe_push_object(L, lua_gettop(L), poe_session_id(s));
  lua_remove(L, -2);
}

void lpoe_push_id(struct lpoe *P, lua_State *L, uint64_t id) {
  const poe_session *s = poe_session_find(P->k, id);
  if (s) {
    lpoe_push_session(P, L, s);
    return;
  }
  lpoe_push_kernel(L);
  lpoe_push_object(L, lua_gettop(L), id);
  lua_remove(L, -2);
}

/* True if the table at index is, or was, a session's object; *id as
   LPOE_UV_CUSTOM has it, or 0. */
static int is_custom_object(lua_State *L, int index, lua_Integer *id) {
  luaL_checkstack(L, 4, NULL);
  index = lua_absindex(L, index);
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_CUSTOM);
  lua_pushvalue(L, index);
  int type = lua_rawget(L, -2);
  *id = lua_tointeger(L, -1);
  lua_pop(L, 3);
  return type != LUA_TNIL;
}

int lpoe_was_session(lua_State *L, int index) {
  lua_Integer id;
  return lua_type(L, index) == LUA_TTABLE && is_custom_object(L, index, &id);
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
    lua_Integer id;
    is_custom_object(L, index, &id);
    return id > 0 ? (uint64_t)id : 0;
  }
  const uint64_t *object = object_at(P, L, index);
  return object ? *object : 0;
}

uint64_t lpoe_check_self(lua_State *L) {
  const uint64_t *object =
      object_at(lua_touserdata(L, lua_upvalueindex(1)), L, 1);
  if (object) return *object;
  lua_Integer id;
  if (lua_type(L, 1) == LUA_TTABLE && is_custom_object(L, 1, &id))
    return (uint64_t)(id < 0 ? -id : id);
  lpoe_type_error(L, 1, LPOE_SESSION_CLASS);
}

static poe_session *find_self(struct lpoe *P, lua_State *L) {
  return poe_session_find(P->k, lpoe_check_self(L));
}

static int dead(struct lpoe *P, lua_State *L) {
  return lpoe_fail(P, L, ESRCH, POE_ASSERT_DATA, "session %I has ended",
                   (LUAI_UACINT)lpoe_check_self(L));
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
  const poe_name *alias = s ? poe_alias_first(s) : NULL;
  if (alias)
    lua_pushfstring(L, "session %I \"%s\"", (LUAI_UACINT)id,
                    poe_name_text(alias, NULL));
  else
    lua_pushfstring(L, "session %I", (LUAI_UACINT)id);
  return 1;
}

static int session_postback(lua_State *L) { return lpoe_postback_new(L, 0); }
static int session_callback(lua_State *L) { return lpoe_postback_new(L, 1); }

/* core.stop_session(session): for sessions of one's own kind. */
int lpoe_session_stop(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  poe_session *s = find_self(P, L);
  if (!s) return dead(P, L);
  poe_session_stop(P->k, s);
  return lpoe_true(L);
}

const luaL_Reg lpoe_session_class[] = {{"ID", session_ID},
                                       {"get_heap", session_get_heap},
                                       {"option", lpoe_session_option},
                                       {"postback", session_postback},
                                       {"callback", session_callback},
                                       {"__tostring", session_tostring},
                                       {NULL, NULL}};
