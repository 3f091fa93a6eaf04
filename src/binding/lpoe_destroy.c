/* SPDX-License-Identifier: MIT */
/*
 * lpoe_destroy.c -- the trace `destroy`: what a session's heap holds when it
 * goes.
 *
 * Values are shown without calling anything of theirs: the session is half
 * gone, and a __tostring could ask the kernel for it.
 *
 * POE: TRACE_DESTROY, by which a session dumps its heap.
 */
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

#define SHOWN 100 /* fields */
#define WIDTH 60  /* bytes of a string */

struct dump {
  struct lpoe *P;
  const poe_session *s;
};

static void push_number(lua_State *L, int index) {
  lua_pushvalue(L, index);
  lua_tostring(L, -1);
}

/* Push the value at index as text, without its metamethods. */
static void push_raw(lua_State *L, int index) {
  size_t len;
  const char *text;
  switch (lua_type(L, index)) {
    case LUA_TNIL: lua_pushliteral(L, "nil"); break;
    case LUA_TBOOLEAN:
      lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
      break;
    case LUA_TNUMBER: push_number(L, index); break;
    case LUA_TSTRING:
      text = lua_tolstring(L, index, &len);
      lua_pushlstring(L, text, len < WIDTH ? len : WIDTH);
      lua_pushfstring(L, "\"%s\"%s", lua_tostring(L, -1),
                      len < WIDTH ? "" : "...");
      lua_remove(L, -2);
      break;
    default:
      lua_pushfstring(L, "%s: %p", luaL_typename(L, index),
                      lua_topointer(L, index));
  }
}

static int compare(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* [heap] -> [heap, texts...]: its first fields; the number of texts. */
static int push_fields(lua_State *L, int heap) {
  int n = 0;
  luaL_checkstack(L, SHOWN + 8, NULL);
  lua_pushnil(L);
  while (lua_next(L, heap)) { /* [texts..., key, value] */
    if (n == SHOWN) {
      lua_pop(L, 2);
      lua_pushliteral(L, "... and more");
      return n + 1;
    }
    int key = lua_gettop(L) - 1;
    push_raw(L, key);
    push_raw(L, key + 1);
    if (lua_type(L, key) == LUA_TSTRING)
      lua_pushfstring(L, "%s = %s", lua_tostring(L, key), lua_tostring(L, -1));
    else
      lua_pushfstring(L, "[%s] = %s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_insert(L, key); /* [texts..., text, key, value, 2] */
    lua_settop(L, key + 1);
    n++;
  }
  return n;
}

static void log_fields(struct lpoe *P, lua_State *L, int heap) {
  const char *texts[SHOWN + 1];
  int n = push_fields(L, heap);
  for (int i = 0; i < n; i++) texts[i] = lua_tostring(L, heap + 1 + i);
  if (n <= SHOWN) qsort(texts, (size_t)n, sizeof *texts, compare);
  for (int i = 0; i < n; i++) poe_log(P->k, "<ss>   %s", texts[i]);
}

/* Stack: the struct. */
static int dump(lua_State *L) {
  struct dump *d = lua_touserdata(L, 1);
  char label[128];
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_HEAPS);
  lua_rawgeti(L, -1, (lua_Integer)lpoe_slot_of(d->s) + 1);
  int heap = lua_gettop(L);
  push_raw(L, heap);
  poe_log(d->P->k, "<ss> %s is destroyed; its heap is %s",
          poe_session_label(d->s, label, sizeof label), lua_tostring(L, -1));
  lua_settop(L, heap);
  if (lua_istable(L, heap)) log_fields(d->P, L, heap);
  return 0;
}

void lpoe_destroyed(void *ud, const poe_session *s) {
  struct dump d = {ud, s};
  if (d.P->closing) return;
  lua_State *W = d.P->worker;
  lua_pushcfunction(W, dump);
  lua_pushlightuserdata(W, &d);
  if (lua_pcall(W, 1, 0, 0) != LUA_OK) lua_pop(W, 1);
}
