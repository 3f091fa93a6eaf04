/* SPDX-License-Identifier: MIT */
/*
 * lpoe_event.c -- post, yield, call, state, and what the queue holds.
 */
#include <errno.h>
#include <string.h>

#include "lpoe.h"

/* nil, message and code are on top; a mistake in the event's name says more. */
static int no_dest(lua_State *L) {
  if (lua_type(L, 3) != LUA_TSTRING) lpoe_type_error(L, 3, "event name");
  return 3;
}

LPOE_HOT static int kernel_post(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  struct lpoe_message m;
  poe_session *dest = lpoe_check_dest(P, L, 2);
  if (!dest) return no_dest(L);
  uint64_t id = poe_session_id(dest);
  lpoe_take(P, L, 3, 4, &m);
  lpoe_warn_own_event(P, m.event, "posting it");
  if (m.has_allocated) dest = lpoe_find_again(P, id);
  int err = dest ? poe_post(P->k, dest, m.event, m.origin, m.args) : -ESRCH;
  if (lpoe_sent(P, &m, err) == 0) return lpoe_true(L);
  return lpoe_not_sent(P, L, id, err);
}

LPOE_HOT static int kernel_yield(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  struct lpoe_message m;
  lpoe_take(P, L, 2, 3, &m);
  lpoe_warn_own_event(P, m.event, "yielding it");
  int err = poe_yield(P->k, m.event, m.origin, m.args);
  if (lpoe_sent(P, &m, err) == 0) return 0;
  lpoe_self_in_session(L, "yield");
  return lpoe_not_sent(P, L, poe_session_id(poe_active_session(P->k)), err);
}

/* What call returns when the handler did not; the event's name is on top. */
static int call_failed(struct lpoe *P, lua_State *L, int err, uint64_t id,
                       const poe_session *s, const struct poe_value *error) {
  char label[128];
  const char *event = lua_tostring(L, -1);
  if (s)
    poe_session_label(s, label, sizeof label);
  else
    snprintf(label, sizeof label, "session %llu", (unsigned long long)id);
  if (err == -POE_ERAISE) return lpoe_raise(P, L, error);
  if (err == -POE_EDEEP)
    return luaL_error(L, "calls are nested too deep (in '%s')", event);
  if (err == -ENOSYS)
    return lpoe_fail(P, L, ENOSYS, POE_ASSERT_STATES,
                     "%s has no handler for '%s'", label, event);
  if (err == -POE_EDIED)
    return lpoe_fail(P, L, POE_EDIED, POE_ASSERT_EVENTS,
                     "the handler of '%s' in %s failed", event, label);
  return lpoe_fail(P, L, -err, POE_ASSERT_EVENTS, "%s has ended", label);
}

/* Nobody has asserted anything of what was only offered. */
static int not_taken(lua_State *L, int err, uint64_t id) {
  const char *code = lpoe_errno_name(err);
  lua_pushnil(L);
  lua_pushfstring(L, "%s: session %I has not taken '%s'", code,
                  (lua_Integer)id, lua_tostring(L, -2));
  lua_pushstring(L, code);
  return 3;
}

/* The exception leaves by longjmp: the name's reference must go before. */
static inline int call_event(struct lpoe *P, lua_State *L, poe_session *s,
                             poe_name *event, int first, int is_offer) {
  struct poe_value error = {0};
  int top = first - 1;
  uint64_t id = poe_session_id(s);
  struct lpoe_direct direct = {L, lua_gettop(L) - top, 0};
  if (id == 0) { /* POE: a call to the kernel does nothing and returns 0 */
    poe_name_unref(P->k, event);
    lua_pushinteger(L, 0);
    return 1;
  }
  int err = poe_call(P->k, s, event, lpoe_origin(P, L), &direct, &error);
  if (err == 0) {
    poe_name_unref(P->k, event);
    return direct.nresults;
  }
  lua_settop(L, top);
  size_t len;
  const char *text = poe_name_text(event, &len);
  lua_pushlstring(L, text, len);
  poe_name_unref(P->k, event);
  if (is_offer && (err == -ENOSYS || err == -ESRCH))
    return not_taken(L, -err, id);
  s = poe_session_find(P->k, id); /* it may have ended meanwhile */
  return call_failed(P, L, err, id, s, &error);
}

int lpoe_call(struct lpoe *P, lua_State *L, poe_session *s, poe_name *event,
              int first) {
  return call_event(P, L, s, event, first, 0);
}

LPOE_HOT static int kernel_call(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  poe_session *dest = lpoe_check_dest(P, L, 2);
  if (!dest) return no_dest(L);
  poe_name *event = lpoe_check_name(P, L, 3, "event name");
  lpoe_warn_own_event(P, event, "calling it");
  int n = lpoe_call(P, L, dest, event, 4);
  return n;
}

/* core.offer(kernel, session, event, ...): call, for who asks afterwards
   whether the session still is: that it has ended, or has no handler, is no
   failed assertion.  (Of the latter the kernel warns, if states are asserted.) */
LPOE_HOT int lpoe_offer(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  uint64_t id = lpoe_session_id(P, L, 2);
  poe_session *dest = id ? poe_session_find(P->k, id) : NULL;
  poe_name *event = lpoe_check_name(P, L, 3, "event name");
  if (dest) return call_event(P, L, dest, event, 4, 1);
  poe_name_unref(P->k, event);
  lua_pushnil(L);
  lua_pushliteral(L, "ESRCH: the session has ended");
  lua_pushliteral(L, "ESRCH");
  return 3;
}

/* [kernel, event, function or object, method]: a session of its own kind
   keeps its states itself.  POE: _register_state. */
static int register_state(struct lpoe *P, lua_State *L) {
  lpoe_push_session(P, L, poe_active_session(P->k));
  if (lua_getfield(L, -1, "_register_state") == LUA_TNIL)
    return luaL_error(L, "the running session has no '_register_state'");
  lua_replace(L, 1);
  lua_insert(L, 2); /* [register, object, event, handler, method] */
  lua_call(L, 4, 0);
  return lpoe_true(L);
}

static int kernel_state(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "state");
  int type = lua_type(L, 3);
  if (lua_type(L, 2) != LUA_TSTRING) lpoe_type_error(L, 2, "event name");
  if (type != LUA_TNONE && type != LUA_TNIL && type != LUA_TFUNCTION &&
      type != LUA_TTABLE && type != LUA_TUSERDATA && type != LUA_TSTRING)
    lpoe_type_error(L, 3, "function, object or module name");
  if (lua_isnoneornil(L, 3) && !lua_isnoneornil(L, 4))
    lpoe_type_error(L, 3, "object or module name");
  if (!lua_isnoneornil(L, 4) && lua_type(L, 4) != LUA_TSTRING)
    lpoe_type_error(L, 4, "method name");
  if (type > LUA_TNIL && strcmp(lua_tostring(L, 2), "_signal") == 0)
    lpoe_raise_signal_state(L, "state");
  lua_settop(L, 4);
  if (type == LUA_TSTRING) {
    lua_getglobal(L, "require");
    lua_pushvalue(L, 3);
    lua_call(L, 1, 1);
    lua_replace(L, 3);
  }
  lpoe_self_in_session(L, "state"); /* a module's code may have ended it */
  const poe_session *s = poe_active_session(P->k);
  if (lpoe_is_custom(P, s)) return register_state(P, L);
  if (type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TUSERDATA) {
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, lua_isnil(L, 4) ? 2 : 4);
    lua_rawseti(L, -2, 2);
    lua_replace(L, 3);
  }
  poe_name *event = lpoe_check_name(P, L, 2, "event name");
  lua_settop(L, 3);
  lpoe_set_state(P, L, s, event);
  poe_name_unref(P->k, event);
  return lpoe_true(L);
}

static int kernel_get_event_count(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  lua_pushinteger(L, (lua_Integer)poe_event_count(P->k));
  return 1;
}

static int kernel_get_next_event_time(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  int64_t due;
  if (poe_next_event_epoch_ns(P->k, &due))
    lpoe_push_epoch(L, due);
  else
    lua_pushnil(L);
  return 1;
}

const luaL_Reg lpoe_event_methods[] = {
    {"post", kernel_post},
    {"yield", kernel_yield},
    {"call", kernel_call},
    {"state", kernel_state},
    {"get_event_count", kernel_get_event_count},
    {"get_next_event_time", kernel_get_next_event_time},
    {NULL, NULL}};
