/* SPDX-License-Identifier: MIT */
/*
 * lpoe_tree.c -- names, references and relations of sessions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

/* With one reference for the caller.  It is not among P->recent: few aliases
   are given twice. */
static poe_name *check_alias(struct lpoe *P, lua_State *L) {
  size_t len;
  if (lua_type(L, 2) != LUA_TSTRING) lpoe_type_error(L, 2, "alias");
  const char *text = lua_tolstring(L, 2, &len);
  if (len == 0) lpoe_arg_error(L, 2, "the empty string is no alias");
  poe_name *alias = poe_name_get(P->k, text, len);
  if (!alias) luaL_error(L, "not enough memory");
  return alias;
}

static int alias_failed(struct lpoe *P, lua_State *L, int err) {
  const char *alias = lua_tostring(L, 2);
  const char *format = err == -EEXIST ? "alias '%s' is another session's"
                       : err == -EPERM ? "alias '%s' is another session's"
                                       : "no such alias: '%s'";
  return lpoe_fail(P, L, -err, POE_ASSERT_DATA, format, alias);
}

static int kernel_alias_set(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "alias_set");
  poe_name *alias = check_alias(P, L);
  lpoe_here(P, L);
  int err = poe_alias_set(P->k, alias);
  poe_name_unref(P->k, alias);
  if (err == -ESRCH)
    return lpoe_fail(P, L, ESRCH, POE_ASSERT_DATA,
                     "session %I is stopping: it cannot have aliases",
                     (LUAI_UACINT)poe_session_id(poe_active_session(P->k)));
  return err ? alias_failed(P, L, err) : lpoe_true(L);
}

static int kernel_alias_remove(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "alias_remove");
  poe_name *alias = check_alias(P, L);
  int err = poe_alias_remove(P->k, alias);
  poe_name_unref(P->k, alias);
  return err ? alias_failed(P, L, err) : lpoe_true(L);
}

static int kernel_alias_resolve(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  poe_session *s = lpoe_check_dest(P, L, 2);
  if (!s) return 3;
  lpoe_push_session(P, L, s);
  return 1;
}

struct text {
  const char *at;
  size_t len;
};

static int compare_texts(const void *a, const void *b) {
  const struct text *x = a, *y = b;
  int order = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);
  return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* The session's aliases as strings, as many as it still has by then: making
   strings may run finalizers, and these may end it. */
static int push_aliases(struct lpoe *P, lua_State *L, uint64_t id) {
  const poe_session *s = lpoe_find_again(P, id);
  const poe_name *alias = s ? poe_alias_first(s) : NULL;
  int n = 0;
  for (; alias; n++) {
    size_t len;
    const char *text = poe_name_text(alias, &len);
    luaL_checkstack(L, 2, "too many aliases");
    text = lua_pushlstring(L, text, len);
    alias = poe_name_find(P->k, text, len);
    s = lpoe_find_again(P, id);
    if (!alias || !s || poe_alias_find(P->k, alias) != s) return n + 1;
    alias = poe_alias_next(P->k, alias);
  }
  return n;
}

static int kernel_alias_list(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  poe_session *s = poe_active_session(P->k);
  if (!lua_isnoneornil(L, 2)) {
    s = lpoe_check_dest(P, L, 2);
    if (!s) return 0;
  }
  int n = push_aliases(P, L, poe_session_id(s));
  if (n == 0) return 0;
  luaL_checkstack(L, n + 1, "too many aliases");
  struct text *texts = lua_newuserdatauv(L, (size_t)n * sizeof *texts, 0);
  for (int i = 0; i < n; i++)
    texts[i].at = lua_tolstring(L, i - n - 1, &texts[i].len);
  qsort(texts, (size_t)n, sizeof *texts, compare_texts);
  for (int i = 0; i < n; i++) lua_pushlstring(L, texts[i].at, texts[i].len);
  return n;
}

static int kernel_ID(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  lua_pushstring(L, poe_kernel_id(P->k));
  return 1;
}

static int kernel_ID_id_to_session(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  int type = lua_type(L, 2);
  if (type != LUA_TNUMBER && type != LUA_TSTRING)
    lpoe_type_error(L, 2, "session ID");
  if (type == LUA_TSTRING && strcmp(lua_tostring(L, 2), poe_kernel_id(P->k)) != 0)
    return lpoe_fail(P, L, ESRCH, POE_ASSERT_DATA, "no such session: %s",
                     lua_tostring(L, 2));
  return kernel_alias_resolve(L);
}

static int kernel_ID_session_to_id(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  poe_session *s = lpoe_check_dest(P, L, 2);
  if (!s) return 3;
  if (s == poe_kernel_session(P->k)) return kernel_ID(L);
  lua_pushinteger(L, (lua_Integer)poe_session_id(s));
  return 1;
}

/* ---- references --------------------------------------------------------------- */

static int refcount(lua_State *L,
                    int (*change)(poe_kernel *, poe_session *, poe_name *,
                                  int64_t *)) {
  struct lpoe *P = lpoe_self(L);
  int is_integer;
  lua_Integer id = lua_tointegerx(L, 2, &is_integer);
  if (lua_type(L, 2) != LUA_TNUMBER || !is_integer)
    lpoe_type_error(L, 2, "session ID");
  if (lua_type(L, 3) != LUA_TSTRING) lpoe_type_error(L, 3, "tag");
  poe_session *s = id > 0 ? poe_session_find(P->k, (uint64_t)id) : NULL;
  int64_t count = 0;
  int err = -ESRCH;
  if (s) {
    poe_name *tag = lpoe_check_name(P, L, 3, "tag");
    lpoe_here(P, L);
    err = change(P->k, s, tag, &count);
    unsigned is_asserted = poe_asserted(P->k, POE_ASSERT_DATA);
    int64_t undone;
    if (!err && count < 0 && is_asserted) poe_extref_inc(P->k, s, tag, &undone);
    poe_name_unref(P->k, tag);
    if (!err && count < 0 && is_asserted)
      return luaL_error(L, "<dt> decrementing tag '%s' that session %I does "
                        "not have", lua_tostring(L, 3), (LUAI_UACINT)id);
  }
  if (err)
    return lpoe_fail(P, L, -err, POE_ASSERT_DATA, "no such session: %I",
                     (LUAI_UACINT)id);
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

static int kernel_refcount_increment(lua_State *L) {
  return refcount(L, poe_extref_inc);
}

static int kernel_refcount_decrement(lua_State *L) {
  return refcount(L, poe_extref_dec);
}

/* ---- the tree --------------------------------------------------------------------- */

static int kernel_detach_myself(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "detach_myself");
  int err = poe_detach_myself(P->k, lpoe_origin(P, L));
  if (!err) return lpoe_true(L);
  return lpoe_fail(P, L, -err, POE_ASSERT_DATA,
                   "the session is the kernel's own child");
}

static int kernel_detach_child(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "detach_child");
  poe_session *child = lpoe_check_dest(P, L, 2);
  if (!child) return 3;
  int err = poe_detach_child(P->k, child, lpoe_origin(P, L));
  if (!err) return lpoe_true(L);
  return lpoe_fail(P, L, -err, POE_ASSERT_DATA,
                   "session %I is no child of the running one",
                   (LUAI_UACINT)poe_session_id(child));
}

static int kernel_get_children(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  lua_settop(L, 2);
  lua_newtable(L); /* first the IDs: making objects may run finalizers */
  poe_session *s = lpoe_check_dest(P, L, 2);
  if (!s) return 3;
  lua_Integer n = 0;
  poe_session *child = poe_session_first_child(s);
  for (; child; child = poe_session_next_sibling(child)) {
    lua_pushinteger(L, (lua_Integer)poe_session_id(child));
    lua_rawseti(L, 3, ++n);
  }
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 3, i);
    lpoe_push_id(P, L, (uint64_t)lua_tointeger(L, -1));
    lua_rawseti(L, 3, i);
    lua_pop(L, 1);
  }
  return 1;
}

static int kernel_get_parent(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  poe_session *s = lpoe_check_dest(P, L, 2);
  if (!s) return 3;
  if (poe_session_parent(s))
    lpoe_push_session(P, L, poe_session_parent(s));
  else
    lua_pushnil(L);
  return 1;
}

const luaL_Reg lpoe_tree_methods[] = {
    {"alias_set", kernel_alias_set},
    {"alias_remove", kernel_alias_remove},
    {"alias_resolve", kernel_alias_resolve},
    {"alias_list", kernel_alias_list},
    {"ID", kernel_ID},
    {"ID_id_to_session", kernel_ID_id_to_session},
    {"ID_session_to_id", kernel_ID_session_to_id},
    {"refcount_increment", kernel_refcount_increment},
    {"refcount_decrement", kernel_refcount_decrement},
    {"detach_myself", kernel_detach_myself},
    {"detach_child", kernel_detach_child},
    {"get_children", kernel_get_children},
    {"get_parent", kernel_get_parent},
    {NULL, NULL}};
