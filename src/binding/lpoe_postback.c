/* SPDX-License-Identifier: MIT */
/*
 * lpoe_postback.c -- postbacks and callbacks: events as callable values.
 *
 * Each holds its session alive by the tag "anon_event" until it is weakened,
 * closed or collected.  Its user value is the table of creation arguments; the
 * event's name is one reference.
 *
 * POE: postback and callback in Session.pm.
 */
#include <errno.h>

#include "lpoe.h"

struct postback {
  struct lpoe *P;
  uint64_t session;
  poe_name *event; /* NULL: closed */
  int is_call, is_strong;
  uint32_t place; /* where it is recorded who made it, or 0 */
};

/* The values from `first` to the top become one table, packed with n. */
static void pack_from(lua_State *L, int first) {
  int n = lua_gettop(L) - first + 1;
  lua_createtable(L, n, 1);
  lua_insert(L, first);
  for (int i = n; i > 0; i--) lua_rawseti(L, first, i);
  lua_pushinteger(L, n);
  lua_setfield(L, first, "n");
}

static void weaken(struct postback *p) {
  int64_t count;
  if (!p->is_strong) return;
  p->is_strong = 0;
  lpoe_why_released(p->P, &p->place);
  p->P->postbacks--;
  if (!p->P->k || p->P->closing) return;
  poe_session *s = poe_session_find(p->P->k, p->session);
  if (s) poe_extref_dec(p->P->k, s, p->P->n_anon, &count);
}

static int postback_close(lua_State *L) {
  struct postback *p = luaL_checkudata(L, 1, LPOE_POSTBACK_CLASS);
  weaken(p);
  if (p->event && p->P->k && !p->P->closing) poe_name_unref(p->P->k, p->event);
  p->event = NULL;
  return 0;
}

static int postback_weaken(lua_State *L) {
  weaken(luaL_checkudata(L, 1, LPOE_POSTBACK_CLASS));
  lua_settop(L, 1);
  return 1;
}

int lpoe_postback_new(lua_State *L, int is_call) {
  struct lpoe *P = lpoe_upvalue(L);
  uint64_t id = lpoe_check_self(L);
  if (lua_type(L, 2) != LUA_TSTRING) lpoe_type_error(L, 2, "event name");
  poe_session *s = poe_session_find(P->k, id);
  if (!s || poe_session_is_stopping(s))
    return lpoe_fail(P, L, ESRCH, POE_ASSERT_DATA, "session %I has ended",
                     (LUAI_UACINT)id);
  struct postback *p = lua_newuserdatauv(L, sizeof *p, 1);
  *p = (struct postback){.P = P, .session = id, .is_call = is_call};
  luaL_setmetatable(L, LPOE_POSTBACK_CLASS);
  lua_insert(L, 3);
  pack_from(L, 4);
  lua_setiuservalue(L, 3, 1);
  p->event = lpoe_check_name(P, L, 2, "event name");
  int64_t count;
  s = poe_session_find(P->k, id);
  if (!s || poe_extref_inc(P->k, s, P->n_anon, &count))
    return luaL_error(L, "not enough memory");
  p->is_strong = 1;
  P->postbacks++;
  lpoe_why_postback(P, L, id, p->event, &p->place);
  return 1;
}

static int post(struct lpoe *P, lua_State *L, struct postback *p) {
  uint64_t words[POE_PAYLOAD_MAX];
  struct poe_payload args = lpoe_park(P, L, 2, 2, words);
  poe_session *s = poe_session_find(P->k, p->session);
  int err = s && p->event
                ? poe_post(P->k, s, p->event, lpoe_origin(P, L), args)
                : -ESRCH;
  if (err == 0) return lpoe_true(L);
  lpoe_unpark(P, args);
  return lpoe_not_sent(P, L, p->session, err);
}

static int postback_call(lua_State *L) {
  struct postback *p = luaL_checkudata(L, 1, LPOE_POSTBACK_CLASS);
  struct lpoe *P = lpoe_upvalue(L);
  if (!p->event) return luaL_error(L, "attempt to call a closed postback");
  pack_from(L, 2);
  lua_getiuservalue(L, 1, 1);
  lua_insert(L, 2); /* [postback, creation, call] */
  poe_session *s = poe_session_find(P->k, p->session);
  if (!s)
    return lpoe_fail(P, L, ESRCH, POE_ASSERT_EVENTS, "session %I has ended",
                     (LUAI_UACINT)p->session);
  if (!p->is_call) return post(P, L, p);
  poe_name_ref(p->event);
  return lpoe_call(P, L, s, p->event, 2);
}

const luaL_Reg lpoe_postback_class[] = {
    {"weaken", postback_weaken}, {"close", postback_close},
    {"__call", postback_call},   {"__gc", postback_close},
    {"__close", postback_close}, {NULL, NULL}};
