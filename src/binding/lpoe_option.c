/* SPDX-License-Identifier: MIT */
/*
 * lpoe_option.c -- options of sessions that the kernel knows about: max_events
 * and when_full, and the switches of the same names.
 *
 * A session's are kept in its slot.  Options of create are there before the
 * session is: LPOE_PENDING says that they are to be told to the kernel before
 * the first handler, _start, runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

static const char *const policies[] = {[POE_REJECT] = "reject",
                                       [POE_DROP_OLDEST] = "drop_oldest",
                                       [POE_DROP_NEWEST] = "drop_newest"};

/* ---- values ------------------------------------------------------------------- */

/* As many, 0 for any number; -1 if the value is neither. */
static int64_t to_max(lua_State *L, int value) {
  int is_integer;
  if (lua_isnil(L, value)) return 0;
  if (lua_isboolean(L, value)) return lua_toboolean(L, value) ? -1 : 0;
  if (lua_type(L, value) != LUA_TNUMBER) return -1;
  lua_Integer n = lua_tointegerx(L, value, &is_integer);
  return is_integer && n > 0 && n <= UINT32_MAX ? n : -1;
}

static int to_policy(lua_State *L, int value) {
  if (lua_isnil(L, value)) return POE_REJECT;
  if (lua_type(L, value) != LUA_TSTRING) return -1;
  for (int i = 0; i < 3; i++)
    if (strcmp(lua_tostring(L, value), policies[i]) == 0) return i;
  return -1;
}

/* The value at index in words, for a message. */
static const char *shown(lua_State *L, int value) {
  if (lua_type(L, value) == LUA_TSTRING)
    return lua_pushfstring(L, "'%s'", lua_tostring(L, value));
  return luaL_tolstring(L, value, NULL);
}

static int64_t check_max(lua_State *L, const char *who, int value) {
  int64_t max = to_max(L, value);
  if (max < 0)
    luaL_error(L, "%s: 'max_events' must be a positive integer or false, got "
               "%s", who, shown(L, value));
  return max;
}

static enum poe_when_full check_policy(lua_State *L, const char *who,
                                       int value) {
  int policy = to_policy(L, value);
  if (policy < 0)
    luaL_error(L, "%s: 'when_full' must be 'reject', 'drop_oldest' or "
               "'drop_newest', got %s", who, shown(L, value));
  return (enum poe_when_full)policy;
}

/* ---- of a session ---------------------------------------------------------------- */

void lpoe_option_check(lua_State *L, const char *who, const char *name,
                       int value) {
  if (strcmp(name, "max_events") == 0) check_max(L, who, value);
  if (strcmp(name, "when_full") == 0) check_policy(L, who, value);
  if (strcmp(name, "dropped_events") == 0)
    luaL_error(L, "%s: 'dropped_events' cannot be set", who);
}

/* The slot's fields mean something from now on. */
static struct lpoe_slot *open_slot(struct lpoe *P, uint32_t index) {
  struct lpoe_slot *slot = &P->slot[index];
  if (!(slot->flags & LPOE_SPECIAL)) {
    slot->max_events = 0;
    slot->when_full = POE_REJECT;
  }
  slot->flags |= LPOE_SPECIAL | LPOE_PENDING;
  return slot;
}

void lpoe_option_set(struct lpoe *P, lua_State *L, uint32_t index,
                     const char *name, int value) {
  if (strcmp(name, "max_events") == 0)
    open_slot(P, index)->max_events = (uint32_t)to_max(L, value);
  else if (strcmp(name, "when_full") == 0)
    open_slot(P, index)->when_full = (uint8_t)to_policy(L, value);
}

int lpoe_option_apply(struct lpoe *P, poe_session *s) {
  struct lpoe_slot *slot = &P->slot[lpoe_slot_of(s)];
  if (!(slot->flags & LPOE_PENDING)) return 0;
  slot->flags &= (uint8_t)~LPOE_PENDING;
  return poe_session_set_limit(P->k, s, slot->max_events,
                               (enum poe_when_full)slot->when_full);
}

int lpoe_option_push(struct lpoe *P, lua_State *L, const poe_session *s,
                     const char *name) {
  if (strcmp(name, "dropped_events") != 0) return 0;
  lua_pushinteger(L, (lua_Integer)poe_session_dropped(P->k, s));
  return 1;
}

/* ---- of all sessions ---------------------------------------------------------------- */

static void set_limit(struct lpoe *P, lua_State *L) {
  int err = poe_set_limit(P->k, P->max_events, P->when_full);
  if (err) luaL_error(L, "not enough memory");
}

void lpoe_max_events_switch(struct lpoe *P, lua_State *L) {
  P->max_events = (size_t)check_max(L, "configure", lua_gettop(L));
  set_limit(P, L);
}

void lpoe_when_full_switch(struct lpoe *P, lua_State *L) {
  P->when_full = check_policy(L, "configure", lua_gettop(L));
  set_limit(P, L);
}

/* ---- posts that fail -------------------------------------------------------------------- */

int lpoe_not_sent(struct lpoe *P, lua_State *L, uint64_t id, int err) {
  if (err == -ENOMEM) return luaL_error(L, "not enough memory");
  if (err == -ENOBUFS)
    return lpoe_fail(P, L, ENOBUFS, POE_ASSERT_EVENTS,
                     "session %I has as many events waiting as it may",
                     (LUAI_UACINT)id);
  return lpoe_fail(P, L, ESRCH, POE_ASSERT_EVENTS,
                   "session %I is stopping or has ended", (LUAI_UACINT)id);
}
