/* SPDX-License-Identifier: MIT */
/*
 * lpoe_error.c -- what a failed handler leaves: the exception object.
 *
 * A table that is ARG1 of DIE: error, error_str, traceback, event,
 * dest_session, source_session, from_state, file, line.  It is built
 * protected, on the worker; when there is no memory for it, one made in
 * advance takes its place.
 *
 * The traceback ends with where the events came from, one line for each
 * handler that was running, innermost first.  Of many calls in each other, as
 * an endless recursion makes them, the first and the last are told.
 */
#include <string.h>

#include "lpoe.h"

struct build {
  struct lpoe *P;
  lua_State *co; /* the error value is on top, unless `instead` is given */
  const struct poe_frame *frame;
  const char *instead;
};

static int call_tolstring(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* Push the text of the value at index, whatever its __tostring does. */
static void push_text(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, call_tolstring);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
}

static const char *verb_of(unsigned type) {
  if (type & POE_EV_CALL) return "called";
  if (type & POE_EV_ALARM) return "set as a timer";
  if (type & POE_EV_SELECT) return "selected";
  if (type & (POE_EV_SIGNAL | POE_EV_DIE)) return "signalled";
  if (type & POE_EV_START) return "created";
  return "posted";
}

/* event 'x' posted by session 3 "worker" at worker.lua:12, in its handler of
   'y' */
static void add_link(luaL_Buffer *b, const struct poe_frame *f) {
  char label[128];
  lua_State *L = b->L;
  lua_pushfstring(L, "\n\tevent '%s' of %s, %s",
                  poe_name_text(f->event, NULL),
                  poe_session_label(f->session, label, sizeof label),
                  verb_of(f->type));
  luaL_addvalue(b);
  lua_pushfstring(L, " by %s",
                  poe_session_label(f->sender, label, sizeof label));
  luaL_addvalue(b);
  if (f->file) {
    lua_pushfstring(L, " at %s:%d", poe_name_text(f->file, NULL),
                    (int)f->line);
    luaL_addvalue(b);
  }
  if (f->from) {
    lua_pushfstring(L, ", in its handler of '%s'",
                    poe_name_text(f->from, NULL));
    luaL_addvalue(b);
  }
}

enum { FIRST_LINKS = 10, LAST_LINKS = 11, TRACES = 10 };

static void add_links(luaL_Buffer *b, const struct poe_frame *frame) {
  int n = 0, i = 0;
  luaL_addstring(b, "where the event came from:");
  for (const struct poe_frame *f = frame; f; f = f->outer) n++;
  int skipped = n - FIRST_LINKS - LAST_LINKS;
  for (const struct poe_frame *f = frame; f; f = f->outer, i++) {
    if (skipped <= 1 || i < FIRST_LINKS || i >= n - LAST_LINKS) {
      add_link(b, f);
    } else if (i == FIRST_LINKS) {
      lua_pushfstring(b->L, "\n\t...\t(skipping %d events)", skipped);
      luaL_addvalue(b);
    }
  }
}

/* In a text that this value was raised with before. */
static int count_traces(const char *text) {
  int n = 0;
  for (; (text = strstr(text, "stack traceback:")) != NULL; text++) n++;
  return n;
}

/* The traceback kept when a call of this handler raised this very value, or
   nothing. */
static int push_earlier_trace(lua_State *L, const struct poe_frame *frame,
                              int value) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_TRACE);
  lua_remove(L, -2);
  lua_rawgeti(L, -1, 1);
  int is_same = frame->type & POE_EV_RAISED && !lua_isnil(L, -1) &&
                lua_rawequal(L, -1, value);
  lua_pop(L, 1);
  lua_rawgeti(L, -1, is_same ? 2 : 0);
  lua_remove(L, -2);
  return is_same;
}

void lpoe_push_path(lua_State *L, const struct poe_frame *frame) {
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  add_links(&text, frame);
  luaL_pushresult(&text);
}

/* [earlier, trace]: both as one text. */
static void join_traces(lua_State *L, int traces) {
  lua_pushliteral(L, "\n");
  lua_insert(L, -2);
  if (traces + 1 == TRACES)
    lua_pushliteral(L, "\n\t...\t(and the calls around that)");
  else
    lua_pushliteral(L, "");
  lua_concat(L, 4);
}

static void push_traceback(lua_State *L, struct build *b, int value) {
  luaL_Buffer text;
  int has_earlier = push_earlier_trace(L, b->frame, value);
  int traces = has_earlier ? count_traces(lua_tostring(L, -1)) : 0;
  if (traces >= TRACES) return;
  if (b->co)
    luaL_traceback(L, b->co, NULL, 0);
  else
    lua_pushliteral(L, "stack traceback:");
  if (has_earlier) {
    join_traces(L, traces);
    return;
  }
  luaL_buffinit(L, &text);
  luaL_addstring(&text, "\n");
  add_links(&text, b->frame);
  luaL_pushresult(&text);
  lua_concat(L, 2);
  lua_remove(L, -2); /* nothing earlier */
}

static void set_name(lua_State *L, const poe_name *name, const char *field) {
  if (!name) return;
  size_t len;
  const char *text = poe_name_text(name, &len);
  lua_pushlstring(L, text, len);
  lua_setfield(L, -2, field);
}

static void set_frame(struct lpoe *P, lua_State *L,
                      const struct poe_frame *f) {
  set_name(L, f->event, "event");
  set_name(L, f->from, "from_state");
  set_name(L, f->file, "file");
  lua_pushinteger(L, f->line);
  lua_setfield(L, -2, "line");
  lpoe_push_session(P, L, f->session);
  lua_setfield(L, -2, "dest_session");
  lpoe_push_session(P, L, f->sender);
  lua_setfield(L, -2, "source_session");
}

/* [text]: if memory was lacking, and there is a limit, it is named. */
static void name_limit(const struct lpoe *P, lua_State *L) {
  static const char what[] = "not enough memory";
  size_t limit = lpoe_memory_limit(P), len;
  const char *text = lua_tolstring(L, -1, &len);
  if (!limit || len < sizeof what - 1) return;
  if (strcmp(text + len - (sizeof what - 1), what) != 0) return;
  lua_pushfstring(L, " (max_memory is %I bytes)", (LUAI_UACINT)limit);
  lua_concat(L, 2);
}

static int build(lua_State *L) {
  struct build *b = lua_touserdata(L, 1);
  luaL_checkstack(L, 20, NULL);
  if (b->instead)
    lua_pushstring(L, b->instead);
  else
    lua_xmove(b->co, L, 1);
  int value = lua_gettop(L);
  lua_createtable(L, 0, 9);
  lua_pushvalue(L, value);
  lua_setfield(L, -2, "error");
  push_text(L, value);
  name_limit(b->P, L);
  lua_setfield(L, -2, "error_str");
  push_traceback(L, b, value);
  lua_setfield(L, -2, "traceback");
  set_frame(b->P, L, b->frame);
  return 1;
}

static struct poe_value build_exception(struct lpoe *P, struct build *b) {
  lua_State *W = P->worker;
  lua_pushcfunction(W, build);
  lua_pushlightuserdata(W, b);
  if (lua_pcall(W, 1, 1, 0) == LUA_OK) {
    struct poe_value value = lpoe_park_one(P, W);
    if (lpoe_slot_in(&value) != LPOE_NONE) return value;
  } else {
    lua_pop(W, 1);
  }
  return lpoe_parked_in(P->memory_slot);
}

struct poe_value lpoe_park_exception(struct lpoe *P, lua_State *co,
                                     const struct poe_frame *frame,
                                     const char *instead) {
  struct build b = {P, co, frame, instead};
  enum poe_need before = lpoe_memory_need(P, POE_NEED_NOW);
  struct poe_value value = build_exception(P, &b);
  lpoe_memory_need(P, before);
  return value;
}

/* ---- raising ------------------------------------------------------------------------ */

/* [exception]: remember its error and its traceback, the latter under index i
   of the traces, the former before it. */
static void keep_traceback(lua_State *L, int i) {
  int ex = lua_gettop(L);
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_TRACE);
  lua_getfield(L, ex, "error");
  lua_rawseti(L, -2, i - 1);
  lua_getfield(L, ex, "traceback");
  lua_rawseti(L, -2, i);
  lua_settop(L, ex);
}

static int raise(struct lpoe *P, lua_State *L, const struct poe_value *error,
                 int trace) {
  luaL_checkstack(L, 6, NULL);
  if (!lpoe_push_parked(P, L, lua_upvalueindex(2), lpoe_payload(error), 1))
    return luaL_error(L, "not enough memory");
  keep_traceback(L, trace);
  lua_getfield(L, -1, "error");
  return lua_error(L);
}

int lpoe_raise(struct lpoe *P, lua_State *L, const struct poe_value *error) {
  return raise(P, L, error, 2);
}

int lpoe_raise_from_run(struct lpoe *P, lua_State *L,
                        const struct poe_value *error) {
  return raise(P, L, error, 4);
}

/* ---- two failures ---------------------------------------------------------------------- */

static int fold(lua_State *L) { /* first, second */
  lua_getfield(L, 1, "error");
  lua_getfield(L, 2, "error");
  if (lua_type(L, 3) != LUA_TSTRING || lua_type(L, 4) != LUA_TSTRING) {
    lua_setfield(L, 1, "also");
    return 0;
  }
  const char *first = lua_tostring(L, 3);
  size_t len = strlen(first);
  lua_pushfstring(L, "%s%s%s\n%s", first,
                  len && first[len - 1] == '\n' ? "" : "\n",
                  "Additional error thrown in handler for previous error:",
                  lua_tostring(L, 4));
  lua_pushvalue(L, -1);
  lua_setfield(L, 1, "error");
  lua_setfield(L, 1, "error_str");
  return 0;
}

void lpoe_combine(void *ud, struct poe_value *first,
                  const struct poe_value *second) {
  struct lpoe *P = ud;
  lua_State *A = P->aux, *W = P->worker;
  lua_pushcfunction(W, fold);
  lpoe_push_parked(P, A, LPOE_AT_VALUES, lpoe_payload(first), 0);
  lpoe_push_parked(P, A, LPOE_AT_VALUES, lpoe_payload(second), 1);
  lua_xmove(A, W, 2);
  if (lua_pcall(W, 2, 0, 0) != LUA_OK) lua_pop(W, 1);
}
