/* SPDX-License-Identifier: MIT */
/*
 * lpoe_timer.c -- alarms and delays, by name and by id.
 *
 * Seconds come in as numbers and leave as epoch floats.  The functions of one
 * family differ in three things only: what a time means, whether timers of
 * that name are cleared first, and what is returned.
 */
#include <errno.h>
#include <stdlib.h>

#include "lpoe.h"

static int stopping(struct lpoe *P, lua_State *L) {
  return lpoe_fail(P, L, ESRCH, POE_ASSERT_EVENTS,
                   "session %I is stopping: it cannot have timers",
                   (LUAI_UACINT)poe_session_id(poe_active_session(P->k)));
}

static void check_event(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) lpoe_type_error(L, 2, "event name");
}

static int set(struct lpoe *P, lua_State *L, enum poe_timer_clock clock,
               int is_by_id) {
  struct lpoe_message m;
  int64_t id, when = clock == POE_ALARM ? lpoe_check_epoch(L, 3)
                                        : lpoe_check_seconds(L, 3);
  lpoe_take(P, L, 2, 4, &m);
  lpoe_warn_own_event(P, m.event, "setting a timer for it");
  int err = poe_timer_set(P->k, m.event, clock, when, m.origin, m.args, &id);
  if (lpoe_sent(P, &m, err) == -ENOMEM)
    return luaL_error(L, "not enough memory");
  if (err) return stopping(P, L);
  if (!is_by_id) return lpoe_true(L);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

static void clear(struct lpoe *P, lua_State *L) {
  size_t len;
  const char *text = lua_tolstring(L, 2, &len);
  poe_name *event = poe_name_find(P->k, text, len);
  if (event) poe_timer_clear(P->k, event);
}

static int by_name(lua_State *L, const char *method,
                   enum poe_timer_clock clock) {
  struct lpoe *P = lpoe_self_in_session(L, method);
  check_event(L);
  if (!lua_isnoneornil(L, 3)) lpoe_check_seconds(L, 3);
  clear(P, L);
  return lua_isnoneornil(L, 3) ? lpoe_true(L) : set(P, L, clock, 0);
}

static int one_more(lua_State *L, const char *method,
                    enum poe_timer_clock clock, int is_by_id) {
  struct lpoe *P = lpoe_self_in_session(L, method);
  check_event(L);
  return set(P, L, clock, is_by_id);
}

static int kernel_alarm(lua_State *L) {
  return by_name(L, "alarm", POE_ALARM);
}

static int kernel_delay(lua_State *L) {
  return by_name(L, "delay", POE_DELAY);
}

static int kernel_alarm_add(lua_State *L) {
  return one_more(L, "alarm_add", POE_ALARM, 0);
}

static int kernel_delay_add(lua_State *L) {
  return one_more(L, "delay_add", POE_DELAY, 0);
}

static int kernel_alarm_set(lua_State *L) {
  return one_more(L, "alarm_set", POE_ALARM, 1);
}

LPOE_HOT static int kernel_delay_set(lua_State *L) {
  return one_more(L, "delay_set", POE_DELAY, 1);
}

/* ---- by id ------------------------------------------------------------------- */

static lua_Integer check_id(lua_State *L) {
  int is_integer;
  lua_Integer id = lua_tointegerx(L, 2, &is_integer);
  if (!is_integer || lua_type(L, 2) != LUA_TNUMBER)
    lpoe_type_error(L, 2, "timer ID");
  return id;
}

static int no_timer(struct lpoe *P, lua_State *L, int err, lua_Integer id) {
  return lpoe_fail(P, L, -err, POE_ASSERT_EVENTS,
                   err == -EPERM ? "timer %I is another session's"
                                 : "no such timer: %I",
                   (LUAI_UACINT)id);
}

static int moved(struct lpoe *P, lua_State *L, int err, lua_Integer id,
                 int64_t due) {
  if (err) return no_timer(P, L, err, id);
  lpoe_push_epoch(L, due);
  return 1;
}

static int kernel_alarm_adjust(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "alarm_adjust");
  int64_t due;
  lua_Integer id = check_id(L);
  int64_t delta = lpoe_check_seconds(L, 3);
  int err = poe_timer_adjust(P->k, id, delta, &due);
  return moved(P, L, err, id, due);
}

static int kernel_delay_adjust(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "delay_adjust");
  int64_t due;
  lua_Integer id = check_id(L);
  int64_t delay = lpoe_check_seconds(L, 3);
  int err = poe_timer_readjust(P->k, id, delay, &due);
  return moved(P, L, err, id, due);
}

/* ---- taking out ----------------------------------------------------------------- */

/* A table of the values, packed with n. */
static void push_args(struct lpoe *P, lua_State *L, int values,
                      struct poe_payload args) {
  lua_createtable(L, lpoe_count(args), 1);
  int table = lua_gettop(L);
  luaL_checkstack(L, 2 * POE_PAYLOAD_MAX, NULL);
  int n = lpoe_push_parked(P, L, values, args, 0);
  for (int i = n; i > 0; i--) lua_rawseti(L, table, i);
  lua_pushinteger(L, n);
  lua_setfield(L, table, "n");
}

/* (P, info, values) -> event, due, args */
static int push_info(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, 1);
  const struct poe_timer_info *info = lua_touserdata(L, 2);
  size_t len;
  const char *text = poe_name_text(info->event, &len);
  lua_pushlstring(L, text, len);
  lpoe_push_epoch(L, info->due_epoch_ns);
  push_args(P, L, 3, (struct poe_payload){info->n, info->words});
  return 3;
}

/* Pushes event, due, args of what was taken out; lets it go, also when it
   raises. */
static void push_taken(struct lpoe *P, lua_State *L,
                       struct poe_timer_info *info) {
  lua_pushcfunction(L, push_info);
  lua_pushlightuserdata(L, P);
  lua_pushlightuserdata(L, info);
  lua_pushvalue(L, lua_upvalueindex(2));
  int status = lua_pcall(L, 3, 3, 0);
  lpoe_unpark(P, (struct poe_payload){info->n, info->words});
  poe_name_unref(P->k, info->event);
  if (status != LUA_OK) lua_error(L);
}

/* Pushes the event and a table with room for the arguments, while nothing is
   taken out yet; 1 if they are packed, which needs more. */
static int push_rooms(struct lpoe *P, lua_State *L, lua_Integer id) {
  poe_name *event;
  struct poe_payload args;
  size_t len;
  int err = poe_timer_peek(P->k, id, &event, &args);
  if (err) return err;
  int is_packed = lpoe_is_packed(args), n = is_packed ? 0 : lpoe_count(args);
  const char *text = poe_name_text(event, &len);
  lua_pushlstring(L, text, len); /* from here on finalizers may run */
  lua_createtable(L, n, 1);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  luaL_checkstack(L, 2 * POE_PAYLOAD_MAX, NULL);
  return is_packed;
}

/* For a caller that takes no results, none are made: they are most of what a
   removal costs. */
static int cancel(struct lpoe *P, lua_State *L, lua_Integer id) {
  struct poe_timer_info info;
  int err = poe_timer_remove(P->k, id, &info);
  if (err) return no_timer(P, L, err, id);
  lpoe_unpark(P, (struct poe_payload){info.n, info.words});
  poe_name_unref(P->k, info.event);
  return 0;
}

LPOE_HOT static int kernel_alarm_remove(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "alarm_remove");
  struct poe_timer_info info;
  lua_Integer id = check_id(L);
  if (lpoe_results(P, L) == 0) return cancel(P, L, id);
  int err = push_rooms(P, L, id); /* [.., event, args] */
  int is_packed = err > 0;
  if (err >= 0) err = poe_timer_remove(P->k, id, &info);
  if (err) return no_timer(P, L, err, id);
  if (is_packed) {
    push_taken(P, L, &info);
    return 3;
  }
  struct poe_payload args = {info.n, info.words};
  int table = lua_gettop(L);
  int n = lpoe_push_parked(P, L, lua_upvalueindex(2), args, 1);
  for (int i = n; i > 0; i--) lua_rawseti(L, table, i);
  poe_name_unref(P->k, info.event);
  lpoe_push_epoch(L, info.due_epoch_ns);
  lua_insert(L, table); /* [.., event, due, args] */
  return 3;
}

/* Nothing if a finalizer was faster. */
static int push_removed(struct lpoe *P, lua_State *L, int64_t id) {
  struct poe_timer_info info;
  lua_createtable(L, 0, 3);
  if (poe_timer_remove(P->k, id, &info)) {
    lua_pop(L, 1);
    return 0;
  }
  push_taken(P, L, &info); /* [.., entry, event, due, args] */
  lua_setfield(L, -4, "args");
  lua_setfield(L, -3, "time");
  lua_setfield(L, -2, "event");
  return 1;
}

static int push_room(lua_State *L) {
  lua_newuserdatauv(L, (size_t)lua_tointeger(L, 1), 0);
  return 1;
}

/* The ids are copied into Lua's memory first: what follows may raise. */
static int64_t *push_ids(struct lpoe *P, lua_State *L, size_t *count) {
  int64_t *ids;
  if (poe_timer_list(P->k, &ids, count))
    luaL_error(L, "not enough memory");
  lua_pushcfunction(L, push_room);
  lua_pushinteger(L, (lua_Integer)*count * (lua_Integer)sizeof *ids);
  int status = lua_pcall(L, 1, 1, 0);
  int64_t *copy = lua_touserdata(L, -1);
  for (size_t i = 0; status == LUA_OK && i < *count; i++) copy[i] = ids[i];
  poe_timer_list_free(P->k, ids, *count);
  if (status != LUA_OK) lua_error(L);
  return copy;
}

static int kernel_alarm_remove_all(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "alarm_remove_all");
  size_t count;
  int64_t *ids = push_ids(P, L, &count);
  lua_createtable(L, (int)count, 0);
  lua_Integer n = 0;
  for (size_t i = 0; i < count; i++)
    if (push_removed(P, L, ids[i])) lua_rawseti(L, -2, ++n);
  return 1;
}

const luaL_Reg lpoe_timer_methods[] = {
    {"alarm", kernel_alarm},
    {"alarm_add", kernel_alarm_add},
    {"delay", kernel_delay},
    {"delay_add", kernel_delay_add},
    {"alarm_set", kernel_alarm_set},
    {"delay_set", kernel_delay_set},
    {"alarm_adjust", kernel_alarm_adjust},
    {"delay_adjust", kernel_delay_adjust},
    {"alarm_remove", kernel_alarm_remove},
    {"alarm_remove_all", kernel_alarm_remove_all},
    {NULL, NULL}};
