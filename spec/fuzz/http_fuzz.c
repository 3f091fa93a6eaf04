/* SPDX-License-Identifier: MIT */
/*
 * http_fuzz.c -- bytes as HTTP requests, for poe.http (src/http) and llhttp.
 *
 * The first three bytes say which limits there are, how the rest is cut, and
 * when there is no memory left.  What the parser tells is written down: it is
 * the same whether the bytes come whole, cut, or one by one; each position is
 * one of the bytes; what is broken stays so; nothing is longer than its limit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "state.h"
#include "target.h"

#define SIZE_MAX_OF_STATE ((size_t)64 << 20)

int luaopen_poe_http(lua_State *L);

/* Of a head, of its URI, of a chunked body. */
static const lua_Integer limits[][3] = {{65536, 8192, 1 << 20},
                                        {64, 16, 8},
                                        {1, 1, 1},
                                        {300, 100, 40},
                                        {INT32_MAX, INT32_MAX, LUA_MAXINTEGER}};

/* What a parser told. */
static struct text {
  char *bytes;
  size_t size, room;
} whole, cut;

static void note(struct text *t, const char *bytes, size_t n) {
  if (t->room - t->size < n) {
    t->room = 2 * t->room + n;
    t->bytes = realloc(t->bytes, t->room);
    if (t->bytes == NULL) fuzz_fail("no memory");
  }
  if (n > 0) memcpy(t->bytes + t->size, bytes, n);
  t->size += n;
}

static int is_same(const struct text *a, const struct text *b) {
  if (a->size != b->size) return 0;
  return a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* Strings and numbers, and what lists of them hold. */
static void note_value(lua_State *L, struct text *t, int index) {
  size_t n;
  if (lua_istable(L, index)) {
    for (lua_Integer i = 1; lua_rawgeti(L, index, i) != LUA_TNIL; i++) {
      note_value(L, t, lua_gettop(L));
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return;
  }
  const char *text = luaL_tolstring(L, index, &n);
  note(t, (const char *)&n, sizeof n);
  note(t, text, n);
  lua_pop(L, 1);
}

/* [parser, bytes, position, what, ...] */
static void note_result(lua_State *L, struct text *t) {
  for (int i = 4; i <= lua_gettop(L); i++) note_value(L, t, i);
}

static size_t length_of(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TSTRING);
  return lua_rawlen(L, index);
}

static void check_head(lua_State *L, const lua_Integer *limit) {
  size_t n = length_of(L, 6);
  if ((lua_Integer)n > limit[1] + 32) fuzz_fail("a URI of %zu bytes", n);
  if (lua_rawlen(L, 8) % 2) fuzz_fail("a header without a value");
  luaL_checktype(L, 9, LUA_TBOOLEAN);
}

static void check_broken(lua_State *L) {
  lua_Integer status = luaL_checkinteger(L, 5);
  if (status < 400 || status > 500) fuzz_fail("status %lld", (long long)status);
  if (length_of(L, 6) == 0) fuzz_fail("broken, but not why");
}

/* [parser, bytes, position, what...] Is it not broken? */
static int check(lua_State *L, const lua_Integer *limit) {
  if (lua_gettop(L) == 3) return 1;
  const char *what = luaL_checkstring(L, 4);
  if (strcmp(what, "head") == 0)
    check_head(L, limit);
  else if (strcmp(what, "end") == 0)
    length_of(L, 5), luaL_checktype(L, 6, LUA_TTABLE);
  else if (strcmp(what, "broken") == 0)
    return check_broken(L), 0;
  else
    fuzz_fail("it tells of '%s'", what);
  return 1;
}

/* [parser] Gives it bytes; the results replace [bytes, position].  Whether it
   goes on. */
static int feed(lua_State *L, const uint8_t *at, size_t n, struct text *t,
                const lua_Integer *limit) {
  lua_Integer position = 1;
  int goes_on = 1, count;
  do {
    lua_settop(L, 1);
    lua_pushlstring(L, (const char *)at, n); /* [parser, bytes] */
    lua_getfield(L, 1, "feed");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushinteger(L, position);
    lua_call(L, 3, LUA_MULTRET); /* [parser, bytes, position, what...] */
    lua_Integer next = luaL_checkinteger(L, 3);
    if (next < position || next > (lua_Integer)n + 1)
      fuzz_fail("position %lld of %zu bytes", (long long)next, n);
    goes_on = check(L, limit);
    note_result(L, t);
    count = lua_gettop(L);
    if (count == 3 && next != (lua_Integer)n + 1) fuzz_fail("it stops early");
    position = next;
  } while (goes_on && count > 3);
  return goes_on;
}

struct job {
  const uint8_t *at;
  size_t n;
  unsigned cuts; /* 0: none; else the bytes of a piece, at most */
  int takes_body;
  const lua_Integer *limit;
  struct text *told;
};

static void take_body(lua_State *L) {
  lua_settop(L, 1);
  lua_getfield(L, 1, "body");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  length_of(L, 2);
}

/* run(job): a parser from its beginning to the end of the bytes */
static int run(lua_State *L) {
  const struct job *job = lua_touserdata(L, 1);
  unsigned step = job->cuts;
  luaL_requiref(L, "poe.http", luaopen_poe_http, 0);
  lua_getfield(L, -1, "parser");
  for (int i = 0; i < 3; i++) lua_pushinteger(L, job->limit[i]);
  lua_call(L, 3, 1);
  lua_replace(L, 1);
  for (size_t i = 0, n; i < job->n || i == 0; i += n) {
    n = job->cuts == 0 || step > job->n - i ? job->n - i : step;
    step = job->cuts > 1 ? 1 + (step * 5 + 3) % job->cuts : job->cuts;
    if (!feed(L, job->at + i, n, job->told, job->limit)) break;
    if (job->takes_body) take_body(L);
    if (n == 0) break;
  }
  if (!feed(L, NULL, 0, job->told, job->limit) &&
      feed(L, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18, job->told,
           job->limit))
    fuzz_fail("it has mended itself");
  return 0;
}

/* Some of the state's allocations succeed, -1: all. */
static void try(struct job job, int64_t allowed) {
  lua_State *L = state_open(SIZE_MAX_OF_STATE);
  job.told->size = 0;
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &job);
  state_allow(allowed);
  int status = lua_pcall(L, 1, 0, 0);
  state_allow(-1);
  if (status != LUA_OK && (status != LUA_ERRMEM || allowed < 0))
    fuzz_fail("%s", lua_tostring(L, -1));
  state_close(L);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 3) return 0;
  struct job job = {
      .at = data + 3,
      .n = size - 3,
      .limit = limits[data[0] % (sizeof limits / sizeof *limits)],
      .told = &whole,
  };
  try(job, -1);
  job.told = &cut;
  job.cuts = 1 + data[1] % 64;
  try(job, -1);
  if (!is_same(&whole, &cut))
    fuzz_fail("cut by %u it tells something else", job.cuts);
  job.takes_body = 1;
  try(job, data[2] ? data[2] : -1);
  return 0;
}
