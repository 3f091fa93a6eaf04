/* SPDX-License-Identifier: MIT */
/*
 * sys_text.c -- the strings of an exec: arguments and environment.
 *
 * Both are pushed as two values, a Lua list that keeps the strings alive and a
 * userdata with the NULL-ended pointers; they are good while both stay on the
 * stack.  What is wrong raises, blaming the argument `arg` of the function, and
 * the option in it if it is one.
 */
#include "sys.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* [.., texts] -> [.., texts, array] */
static char **push_array(lua_State *L) {
  lua_Unsigned n = lua_rawlen(L, -1);
  char **array = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *array, 0);
  for (lua_Unsigned i = 0; i < n; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    array[i] = (char *)(uintptr_t)lua_tostring(L, -1); /* execvp: not const */
    lua_pop(L, 1);
  }
  array[n] = NULL;
  return array;
}

/* Who is blamed. */
struct blame {
  int arg;
  const char *key; /* or NULL */
};

/* Raises: format has a %s, for `what`. */
static int refuse(lua_State *L, const struct blame *b, const char *format,
                  const char *what) {
  const char *message = lua_pushfstring(L, format, what);
  if (b->key != NULL) message = lua_pushfstring(L, "%s: %s", b->key, message);
  return luaL_argerror(L, b->arg, message);
}

/* Raises unless the value on top is text fit for the system. */
static const char *check_text(lua_State *L, const struct blame *b,
                              const char *what) {
  size_t len;
  int type = lua_type(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    refuse(L, b, "%s",
           lua_pushfstring(L, "%s: string expected, got %s", what,
                           luaL_typename(L, -1)));
  const char *text = lua_tolstring(L, -1, &len);
  if (strlen(text) != len) refuse(L, b, "%s contains a zero byte", what);
  return text;
}

char **sys_push_argv(lua_State *L, int index, int arg, const char *key) {
  struct blame blame = {arg, key};
  lua_Integer n = 1;
  bool is_list = lua_type(L, index) != LUA_TSTRING;
  if (is_list) {
    if (!lua_istable(L, index))
      refuse(L, &blame, "string or list expected, got %s",
             luaL_typename(L, index));
    n = (lua_Integer)lua_rawlen(L, index);
    if (n == 0) refuse(L, &blame, "%s is empty", "list");
  }
  lua_newtable(L);
  for (lua_Integer i = 1; i <= n; i++) {
    if (is_list)
      lua_rawgeti(L, index, i);
    else
      lua_pushvalue(L, index);
    check_text(L, &blame, is_list ? "list" : "text"); /* [.., texts, text] */
    lua_rawseti(L, -2, i);
  }
  return push_array(L);
}

/* Is the variable of "NAME=value" a key of the table? */
static bool is_set(lua_State *L, int index, const char *entry) {
  lua_pushlstring(L, entry, strcspn(entry, "="));
  bool found = lua_rawget(L, index) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

/* Fills the list on top with those of ours that the table does not set. */
static lua_Integer inherit(lua_State *L, int index) {
  lua_Integer n = 0;
  for (char **e = environ; e != NULL && *e != NULL; e++) {
    if (is_set(L, index, *e)) continue;
    lua_pushstring(L, *e);
    lua_rawseti(L, -2, ++n);
  }
  return n;
}

char **sys_push_env(lua_State *L, int index, int arg, const char *key,
                    bool is_added) {
  struct blame blame = {arg, key};
  lua_newtable(L);
  lua_Integer n = is_added ? inherit(L, index) : 0;
  lua_pushnil(L);
  while (lua_next(L, index)) { /* [.., texts, name, value] */
    bool is_removed = key && lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    const char *value = is_removed ? NULL : check_text(L, &blame, "value");
    lua_pushvalue(L, -2);
    const char *name = check_text(L, &blame, "name");
    if (*name == '\0' || strchr(name, '=') != NULL)
      refuse(L, &blame, "name is empty or contains '=': '%s'", name);
    if (!is_removed) {
      lua_pushfstring(L, "%s=%s", name, value);
      lua_rawseti(L, -5, ++n);
    }
    lua_pop(L, 2);
  }
  return push_array(L);
}
