/* SPDX-License-Identifier: MIT */
/*
 * lpoe_option.c -- options of sessions, and the switches max_events and
 * when_full.
 *
 * All that were set are in a table.  Those that mean something to the binding
 * or the kernel are in the session's slot as well.  Options of create are there
 * before the session is: LPOE_PENDING says that they are to be told to the
 * kernel before the first handler, _start, runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

static const char *const policies[] = {[POE_REJECT] = "reject",
                                       [POE_DROP_OLDEST] = "drop_oldest",
                                       [POE_DROP_NEWEST] = "drop_newest"};

/* ---- truth --------------------------------------------------------------------- */

/* POE's words for truth: 1 for "on" and such, -1 for "off"; 0: none of them. */
static int is_truth(lua_State *L, int value) {
  static const char *const words[] = {"on", "yes", "true", "off", "no",
                                      "false"};
  if (lua_type(L, value) != LUA_TSTRING) return 0;
  for (int i = 0; i < 6; i++)
    if (strcmp(lua_tostring(L, value), words[i]) == 0) return i < 3 ? 1 : -1;
  return 0;
}

static int is_on(lua_State *L, int value) {
  if (lua_isinteger(L, value)) return lua_tointeger(L, value) != 0;
  return lua_toboolean(L, value) && is_truth(L, value) >= 0;
}

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

/* ---- topics ------------------------------------------------------------------- */

static unsigned check_topic(lua_State *L, const char *who, const char *option,
                            const char *name,
                            unsigned (*topic_of)(const char *)) {
  unsigned bit = topic_of(name);
  if (!bit) luaL_error(L, "%s: unknown %s topic '%s'", who, option, name);
  return bit;
}

/* "events, files": words with anything between them. */
static unsigned topics_in_text(lua_State *L, const char *who,
                               const char *option, const char *text,
                               unsigned (*topic_of)(const char *)) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
  unsigned mask = 0;
  for (text += strcspn(text, letters); *text;
       text += strcspn(text, letters)) {
    size_t len = strspn(text, letters);
    const char *name = lua_pushlstring(L, text, len);
    mask |= check_topic(L, who, option, name, topic_of);
    lua_pop(L, 1);
    text += len;
  }
  return mask;
}

/* {events = true}, as for configure. */
static unsigned topics_in_table(lua_State *L, const char *who,
                                const char *option, int value,
                                unsigned (*topic_of)(const char *)) {
  unsigned on = 0, off = 0;
  lua_pushnil(L);
  while (lua_next(L, value)) {
    const char *name =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    unsigned bit = check_topic(L, who, option, name, topic_of);
    if (lua_toboolean(L, -1))
      on |= bit;
    else
      off |= bit;
    lua_pop(L, 1);
  }
  return on & ~off;
}

/* The topics of a value for the option trace or assert; *is_list if it names
   them. */
static unsigned topics_of(lua_State *L, const char *who, const char *option,
                          int value, int *is_list) {
  int is_trace = strcmp(option, "trace") == 0;
  unsigned (*topic_of)(const char *) =
      is_trace ? poe_trace_topic : poe_assert_topic;
  *is_list = 1;
  if (lua_istable(L, value))
    return topics_in_table(L, who, option, value, topic_of);
  if (lua_type(L, value) == LUA_TSTRING && !is_truth(L, value))
    return topics_in_text(L, who, option, lua_tostring(L, value), topic_of);
  *is_list = 0;
  /* POE: trace alone is one line for each event, see lpoe_dispatch.c. */
  return !is_trace && is_on(L, value) ? topic_of("default") : 0;
}

static int has_topics(const char *name) {
  return strcmp(name, "trace") == 0 || strcmp(name, "assert") == 0;
}

/* ---- of a session ---------------------------------------------------------------- */

/* Raises, in the name of `who`, if this is no value for the option. */
static void check_option(lua_State *L, const char *who, const char *name,
                         int value) {
  if (strcmp(name, "max_events") == 0) check_max(L, who, value);
  if (strcmp(name, "when_full") == 0) check_policy(L, who, value);
  int is_list;
  if (has_topics(name)) topics_of(L, who, name, value, &is_list);
  if (strcmp(name, "dropped_events") == 0)
    luaL_error(L, "%s: 'dropped_events' cannot be set", who);
}

/* The slot's fields mean something from now on. */
static struct lpoe_slot *open_slot(struct lpoe *P, uint32_t index) {
  struct lpoe_slot *slot = &P->slot[index];
  if (!(slot->flags & LPOE_SPECIAL)) {
    slot->max_events = 0;
    slot->when_full = POE_REJECT;
    slot->trace = slot->assertions = 0;
  }
  slot->flags |= LPOE_SPECIAL | LPOE_PENDING;
  return slot;
}

static int set_topics(struct lpoe *P, lua_State *L, uint32_t index,
                      const char *name, int value) {
  int is_list;
  uint8_t mask = (uint8_t)topics_of(L, "option", name, value, &is_list);
  if (!mask && !(P->slot[index].flags & LPOE_SPECIAL)) return is_list;
  struct lpoe_slot *slot = open_slot(P, index);
  if (strcmp(name, "trace") == 0)
    slot->trace = mask;
  else
    slot->assertions = mask;
  return is_list;
}

/* What the kernel knows about.  True if the value is a list of topics. */
static int set_special(struct lpoe *P, lua_State *L, uint32_t index,
                       const char *name, int value) {
  struct lpoe_slot *slot;
  if (has_topics(name)) return set_topics(P, L, index, name, value);
  if (strcmp(name, "max_events") == 0) {
    slot = open_slot(P, index);
    slot->max_events = (uint32_t)to_max(L, value);
    slot->flags |= LPOE_LIMITED;
  } else if (strcmp(name, "when_full") == 0) {
    open_slot(P, index)->when_full = (uint8_t)to_policy(L, value);
  }
  return 0;
}

static int flag_of(const char *name) {
  if (strcmp(name, "trace") == 0) return LPOE_OPT_TRACE;
  if (strcmp(name, "debug") == 0) return LPOE_OPT_DEBUG;
  if (strcmp(name, "default") == 0) return LPOE_OPT_DEFAULT;
  return 0;
}

/* POE's words for truth become booleans, in place. */
static void canonical(lua_State *L, int index) {
  int truth = is_truth(L, index);
  if (!truth) return;
  lua_pushboolean(L, truth > 0);
  lua_replace(L, index);
}

/* Push the table of the options of a session, or nil. */
static int push_table(lua_State *L, uint32_t slot) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_OPTIONS);
  int type = lua_rawgeti(L, -1, (lua_Integer)slot + 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
  return type;
}

/* The same, there is one. */
static void need_table(lua_State *L, uint32_t slot) {
  if (push_table(L, slot) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_OPTIONS);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, (lua_Integer)slot + 1);
  lua_pop(L, 2);
}

/* [name, value] on top, checked, are taken; to be applied before the next
   event. */
static void store_option(struct lpoe *P, lua_State *L, uint32_t index) {
  int value = lua_gettop(L), name = value - 1;
  canonical(L, value);
  need_table(L, index);
  lua_pushvalue(L, name);
  lua_pushvalue(L, value);
  lua_rawset(L, -3);
  int is_list = set_special(P, L, index, lua_tostring(L, name), value);
  int flag = flag_of(lua_tostring(L, name));
  struct lpoe_slot *slot = &P->slot[index];
  slot->flags = (uint8_t)(!is_list && is_on(L, value)
                              ? slot->flags | flag
                              : slot->flags & ~flag);
  slot->flags |= LPOE_OPTIONS;
  lua_settop(L, name - 1);
}

int lpoe_option_apply(struct lpoe *P, poe_session *s) {
  struct lpoe_slot *slot = &P->slot[lpoe_slot_of(s)];
  if (!(slot->flags & LPOE_PENDING)) return 0;
  slot->flags &= (uint8_t)~LPOE_PENDING;
  poe_session_set_topics(P->k, s, slot->trace, slot->assertions);
  if (!(slot->flags & LPOE_LIMITED)) return 0;
  int err = poe_session_set_limit(P->k, s, slot->max_events,
                                  (enum poe_when_full)slot->when_full);
  return err == -ENOMEM ? err : 0;
}

/* Push the value of the one whose name is at an index. */
static void push_option(struct lpoe *P, lua_State *L, const poe_session *s,
                        int name) {
  if (strcmp(lua_tostring(L, name), "dropped_events") == 0) {
    lua_pushinteger(L, (lua_Integer)poe_session_dropped(P->k, s));
  } else if (push_table(L, lpoe_slot_of(s)) != LUA_TNIL) {
    lua_pushvalue(L, name);
    lua_rawget(L, -2);
    lua_replace(L, -2);
  }
}

int lpoe_session_option(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  uint64_t id = lpoe_check_self(L);
  poe_session *s = poe_session_find(P->k, id);
  lpoe_check_type(L, 2, LUA_TSTRING);
  if (!s)
    return lpoe_fail(P, L, ESRCH, POE_ASSERT_DATA, "session %I has ended",
                     (LUAI_UACINT)id);
  int is_set = lua_gettop(L) >= 3;
  lua_settop(L, 3);
  if (is_set) check_option(L, "option", lua_tostring(L, 2), 3);
  push_option(P, L, s, 2);
  if (is_set) { /* [.., old] */
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    store_option(P, L, lpoe_slot_of(s));
    if (lpoe_option_apply(P, s)) return luaL_error(L, "not enough memory");
  }
  return 1;
}

void lpoe_option_forget(struct lpoe *P, uint32_t slot) {
  lua_State *A = P->aux;
  lua_getiuservalue(A, LPOE_AT_KERNEL, LPOE_UV_OPTIONS);
  lua_pushnil(A);
  lua_rawseti(A, -2, (lua_Integer)slot + 1);
  lua_pop(A, 1);
}

/* ---- of create ------------------------------------------------------------------- */

void lpoe_options_check(lua_State *L, const char *who, int options) {
  if (lua_isnil(L, options)) return;
  lua_pushnil(L);
  while (lua_next(L, options)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "%s: names of options must be strings, got a %s", who,
                 luaL_typename(L, -2));
    check_option(L, who, lua_tostring(L, -2), lua_gettop(L));
    lua_pop(L, 1);
  }
}

void lpoe_options_store(struct lpoe *P, lua_State *L, uint32_t slot,
                        int options) {
  if (lua_isnil(L, options)) return;
  lua_pushnil(L);
  while (lua_next(L, options)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    store_option(P, L, slot);
  }
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
