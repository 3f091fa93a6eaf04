/* SPDX-License-Identifier: MIT */
/*
 * sys_fuzz.c -- byte strings as calls of poe.sys.
 *
 * Every function of the module and every method is called, whatever is there:
 * they are found, not listed.  Arguments are of all types, often those that
 * make sense: handles that are open, closed, or of the wrong kind; words that
 * somebody knows; tables of options; numbers beyond everything.  What may come
 * of it: results, nil with a message and its code, or an error that names the
 * argument.  At the end no descriptor, child or memory is left.
 *
 * The module is built with sys_limits.h, so that no harm comes of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "sys_limits.h"
#include "state.h"
#include "target.h"
#include "values.h"

enum { NAMES = 128, CALLS = 400, PROGRAM = 4096, STATE_SIZE = 32 << 20 };

int luaopen_poe_sys(lua_State *L);

/* On the stack of a program, always. */
enum { FUNCTIONS = 1, HANDLES = VALUES_HANDLES, BASE = VALUES_FILE };

static int has_terminals;

/* ---- what there is to call ----------------------------------------------- */

static char names[NAMES][40];
static size_t n_names;

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static void add_name(const char *where, const char *name) {
  if (n_names == NAMES) fuzz_fail("more than %d functions", NAMES);
  snprintf(names[n_names++], sizeof *names, "%s.%s", where, name);
}

/* [.., table]: the names of its functions, and of those in its tables. */
static void collect(lua_State *L, const char *where) {
  lua_pushnil(L);
  while (lua_next(L, -2)) { /* [.., table, key, value] */
    const char *key = lua_tostring(L, -2);
    if (lua_iscfunction(L, -1))
      add_name(where, key);
    else if (lua_istable(L, -1) && strcmp(key, "signals") != 0)
      collect(L, key);
    lua_pop(L, 1);
  }
}

static void collect_class(lua_State *L, const char *class) {
  luaL_getmetatable(L, class);
  lua_getfield(L, -1, "__index");
  collect(L, class + strlen("poe.sys."));
  lua_pop(L, 2);
}

/* [module] As the order of tables is another each time, they are sorted. */
static void find_names(lua_State *L) {
  collect(L, "sys");
  collect_class(L, "poe.sys.fd");
  collect_class(L, "poe.sys.socket");
  qsort(names, n_names, sizeof *names, by_name);
}

/* [.., module] Pushes the function. */
static void push_function(lua_State *L, const char *full) {
  char where[40];
  const char *name = strchr(full, '.') + 1;
  snprintf(where, sizeof where, "%.*s", (int)(name - full - 1), full);
  if (strcmp(where, "fd") == 0 || strcmp(where, "socket") == 0) {
    luaL_getmetatable(L, where[0] == 'f' ? "poe.sys.fd" : "poe.sys.socket");
    lua_getfield(L, -1, "__index");
    lua_remove(L, -2);
  } else if (strcmp(where, "sys") == 0) {
    lua_pushvalue(L, -1);
  } else {
    lua_getfield(L, -1, where);
  }
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

/* ---- results ------------------------------------------------------------- */

static int starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

/* [.., error] It names the argument, and the option in it. */
static void check_error(lua_State *L, const char *name, int has_options) {
  if (lua_type(L, -1) != LUA_TSTRING) fuzz_fail("%s: no message", name);
  const char *message = lua_tostring(L, -1);
  int is_named = starts_with(message, "bad argument #") ||
                 starts_with(message, "calling ");
  if (!is_named) fuzz_fail("%s names no argument: %s", name, message);
  if (has_options && !values_names_option(message))
    fuzz_fail("%s names no option: %s", name, message);
}

/* The results from index on are nil, "CODE: text", "CODE" [, step]. */
static void check_failure(lua_State *L, const char *name, int index) {
  const char *message = lua_tostring(L, index + 1);
  const char *code = lua_tostring(L, index + 2);
  size_t n = code ? strlen(code) : 0;
  if (!message || !code || strncmp(message, code, n) != 0 ||
      !starts_with(message + n, ": ") || strcmp(code, "EUNKNOWN") == 0)
    fuzz_fail("%s: nil, %s, %s", name, message ? message : "no message",
              code ? code : "no code");
}

static void keep_handles(lua_State *L, int index) {
  for (int i = index; i <= lua_gettop(L); i++) {
    if (!luaL_testudata(L, i, "poe.sys.fd") &&
        !luaL_testudata(L, i, "poe.sys.socket"))
      continue;
    lua_pushvalue(L, i);
    lua_rawseti(L, HANDLES, values_next() % VALUES_SLOTS);
  }
}

/* ---- a program ----------------------------------------------------------- */

static void call(lua_State *L) {
  unsigned number = values_next() % (unsigned)n_names;
  const char *name = names[number];
  lua_rawgeti(L, FUNCTIONS, (lua_Integer)number + 1);
  int n = values_push_args(L, name), top = lua_gettop(L) - n;
  int has_options =
      values_takes_options(name) && n > 0 && lua_istable(L, top + 1);
  limits_state = L;
  int status = lua_pcall(L, n, LUA_MULTRET, 0);
  if (status == LUA_ERRRUN)
    check_error(L, name, has_options);
  else if (status == LUA_OK && lua_gettop(L) > top && lua_isnil(L, top))
    check_failure(L, name, top);
  else if (status == LUA_OK)
    keep_handles(L, top);
  if (strcmp(name, "sys.tty_open") == 0) has_terminals = 1;
  lua_settop(L, BASE);
}

static void forget(lua_State *L) {
  lua_pushnil(L);
  lua_rawseti(L, HANDLES, values_next() % VALUES_SLOTS);
}

/* A file of Lua's that is closed: a handle of another kind. */
static void push_closed_file(lua_State *L) {
  luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 0);
  lua_getfield(L, -1, "open");
  lua_pushliteral(L, "/dev/null");
  lua_call(L, 1, 1); /* [io, file] */
  lua_getfield(L, -1, "close");
  lua_pushvalue(L, -2);
  lua_call(L, 1, 0);
  lua_remove(L, -2);
}

static int begin(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
  push_closed_file(L);
  luaL_requiref(L, "poe.sys", luaopen_poe_sys, 0);
  if (n_names == 0) find_names(L);
  for (size_t i = 0; i < n_names; i++) {
    push_function(L, names[i]);
    lua_rawseti(L, FUNCTIONS, (lua_Integer)i + 1);
  }
  lua_settop(L, BASE);
  return BASE;
}

/* The module keeps terminals that were not restored till it wants the room. */
static int clear_terminals(lua_State *L) {
  static const char script[] =
      "local sys, list = ..., {}\n"
      "local master, slave = sys.openpty()\n"
      "for i = 1, 8 do list[i] = sys.tty_open(slave) end\n"
      "for _, terminal in ipairs(list) do sys.tty_restore(terminal) end";
  lua_gc(L, LUA_GCCOLLECT);
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  if (luaL_loadstring(L, script) != LUA_OK) return lua_error(L);
  luaL_requiref(L, "poe.sys", luaopen_poe_sys, 0);
  lua_call(L, 1, 0);
  return 0;
}

static int work(lua_State *L) {
  int calls = 0;
  lua_settop(L, BASE);
  while (values_are_left() && calls++ < CALLS) {
    unsigned what = values_next();
    if (what < 8)
      forget(L);
    else if (what < 12)
      lua_gc(L, LUA_GCCOLLECT);
    else if (what < 16)
      state_allow((int64_t)values_next());
    else if (what < 20)
      state_allow(-1);
    else
      call(L);
  }
  return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  limits_init();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  values_begin(data, size > PROGRAM ? PROGRAM : size);
  has_terminals = 0;
  limits_begin();
  lua_State *L = state_open(STATE_SIZE);
  begin(L);
  lua_pushcfunction(L, work);
  lua_insert(L, 1);
  int status = lua_pcall(L, BASE, 0, 0);
  if (status != LUA_OK && status != LUA_ERRMEM)
    fuzz_fail("%s", lua_tostring(L, -1));
  state_allow(-1);
  lua_pushcfunction(L, clear_terminals);
  if (has_terminals && lua_pcall(L, 0, 0, 0) != LUA_OK)
    fuzz_fail("%s", lua_tostring(L, -1));
  state_close(L);
  limits_end();
  return 0;
}
