/* SPDX-License-Identifier: MIT */
/*
 * main.c -- the executable `poe`: a Lua state with the kernel linked in.
 *
 * What the options mean is written in lua/poe/cli.lua, which is in here as
 * bytecode.  It runs on a coroutine and yields what is the user's (a script,
 * the kernel); host_main calls that on the main thread.  So a script's frames
 * lie upon a single C frame, as under lua: debug.getinfo, tracebacks and
 * coroutine.running agree with it.
 *
 * The Lua files used are those that belong to this executable: the checkout's
 * when it runs from <checkout>/build, else those in the share/lua beside its
 * directory, wherever that was moved to, else those in POE_LUADIR.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "host.h"
#include "poe.h"

/* What cli.lua needs; package must not be opened before -E is known. */
static const luaL_Reg early_libs[] = {
    {LUA_GNAME, luaopen_base},       {LUA_COLIBNAME, luaopen_coroutine},
    {LUA_TABLIBNAME, luaopen_table}, {LUA_IOLIBNAME, luaopen_io},
    {LUA_OSLIBNAME, luaopen_os},     {LUA_STRLIBNAME, luaopen_string},
    {LUA_DBLIBNAME, luaopen_debug},  {NULL, NULL},
};

static const luaL_Reg linked_in[] = {
    {"poe.core", luaopen_poe_core},
    {"poe.sys", luaopen_poe_sys},
    {"poe.lineedit", luaopen_poe_lineedit},
#ifdef POE_HTTP
    {"poe.http", luaopen_poe_http},
#endif
    {NULL, NULL},
};

static void open_early_libs(lua_State *L) {
  for (const luaL_Reg *lib = early_libs; lib->name != NULL; lib++) {
    luaL_requiref(L, lib->name, lib->func, 1);
    lua_pop(L, 1);
  }
  host_trim_when_collected(L);
}

/* open_package(noenv) -> whether the environment is to be ignored, as one is
   by a program that runs with another's rights */
static int open_package(lua_State *L) {
  int noenv =
      lua_toboolean(L, 1) || getuid() != geteuid() || getgid() != getegid();
  if (noenv) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  luaL_setfuncs(L, linked_in, 0);
  lua_pushboolean(L, noenv);
  return 1;
}

/* The last "/build/" of a path, or NULL. */
static char *find_build(char *path) {
  char *build = NULL;
  for (char *s = path; (s = strstr(s, "/build/")) != NULL; s++) build = s;
  return build;
}

static int has_files(lua_State *L, const char *dir) {
  const char *file = lua_pushfstring(L, "%s/poe/init.lua", dir);
  int is_there = access(file, R_OK) == 0;
  lua_pop(L, 1);
  return is_there;
}

/* Cut off the last name of a path. */
static void cut(char *path) {
  char *slash = strrchr(path, '/');
  if (slash != NULL) *slash = '\0';
}

static const char *push_lua_dir(lua_State *L) {
  char exe[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
  exe[length > 0 ? length : 0] = '\0';
  char *build = find_build(exe);
  if (build != NULL) {
    *build = '\0'; /* exe: the checkout */
    const char *dir = lua_pushfstring(L, "%s/lua", exe);
    if (has_files(L, dir)) return dir;
    *build = '/';
  }
  cut(exe);
  cut(exe); /* exe: the prefix */
  const char *dir = lua_pushfstring(L, "%s/share/lua/5.4", exe);
  return has_files(L, dir) ? dir : lua_pushliteral(L, POE_LUADIR);
}

static void push_argv(lua_State *L, int argc, char **argv) {
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; lua_rawseti(L, -2, i++)) lua_pushstring(L, argv[i]);
}

/* A thread on which cli.lua's main and its five arguments are ready. */
static lua_State *push_cli(lua_State *L, int argc, char **argv) {
  const char *dir = push_lua_dir(L);
  lua_State *cli = lua_newthread(L);
  const char *code = (const char *)host_cli;
  if (luaL_loadbufferx(L, code, host_cli_size, "=cli.lua", "b") != LUA_OK)
    lua_error(L);
  lua_call(L, 0, 1);
  push_argv(L, argc, argv);
  lua_pushstring(L, dir);
  lua_pushcfunction(L, open_package);
  lua_pushliteral(L, POE_VERSION);
  lua_pushliteral(L, LUA_COPYRIGHT);
  lua_xmove(L, cli, 6); /* cli: [main, argv, dir, open_package, versions] */
  return cli;
}

/* Calls the [handler, f, ...] that cli yielded; gives it [ok, ...]. */
static int call_yielded(lua_State *L, lua_State *cli, int n) {
  int base = lua_gettop(L);
  luaL_checkstack(L, n + 1, "too many arguments to script");
  lua_xmove(cli, L, n); /* [..., handler, f, args...] */
  int status = lua_pcall(L, n - 2, LUA_MULTRET, base + 1);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, base + 1); /* [..., ok, results...] */
  int results = lua_gettop(L) - base;
  luaL_checkstack(cli, results, "too many results");
  lua_xmove(L, cli, results);
  return results;
}

/* host_main(argc, argv) -> exit status */
static int host_main(lua_State *L) {
  int n = 5;
  luaL_checkversion(L);
  open_early_libs(L);
  lua_State *cli = push_cli(L, (int)lua_tointeger(L, 1), lua_touserdata(L, 2));
  int status = lua_resume(cli, L, n, &n);
  while (status == LUA_YIELD)
    status = lua_resume(cli, L, call_yielded(L, cli, n), &n);
  lua_xmove(cli, L, 1);
  return status == LUA_OK ? 1 : lua_error(L);
}

int main(int argc, char **argv) {
  host_keep_stdio();
  lua_State *L = host_open_state();
  if (L == NULL) {
    fputs("poe: cannot create state: not enough memory\n", stderr);
    host_close_state(L);
    return EXIT_FAILURE;
  }
  lua_pushcfunction(L, host_main);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int is_ok = lua_pcall(L, 2, 1, 0) == LUA_OK;
  int status = is_ok ? (int)lua_tointeger(L, -1) : EXIT_FAILURE;
  if (!is_ok) fprintf(stderr, "poe: %s\n", lua_tostring(L, -1));
  host_close_state(L);
  return status;
}
