/* SPDX-License-Identifier: MIT */
/*
 * lpoe_run.c -- run, slices, stop, fork; switches; the module's functions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lpoe.h"

/* ---- running ------------------------------------------------------------------ */

static int run_failed(struct lpoe *P, lua_State *L, int err) {
  struct poe_value exception;
  if (poe_kernel_exception(P->k, &exception))
    return lpoe_raise_from_run(P, L, &exception);
  if (P->loop_failed) return lpoe_loop_raise(P, L);
  if (err == -EBUSY) return luaL_error(L, "the kernel is running already");
  if (err == -POE_EDEEP) return luaL_error(L, "slices are nested too deep");
  if (err == -ENOMEM) return luaL_error(L, "not enough memory");
  return luaL_error(L, "the loop '%s' failed: %s",
                    poe_kernel_loop_name(P->k), strerror(-err));
}

static int kernel_run(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  P->run_called = 1;
  if (lpoe_loop_drives(P)) return lpoe_loop_run(P, L);
  P->slices++;
  lpoe_slow_pause(P);
  int err = poe_kernel_run(P->k);
  lpoe_slow_resume(P);
  P->slices--;
  lpoe_loop_halt(P);
  return err < 0 || P->loop_failed ? run_failed(P, L, err) : 0;
}

int lpoe_slice(struct lpoe *P, lua_State *L) {
  P->run_called = 1;
  P->slices++;
  lpoe_slow_pause(P);
  int more = poe_kernel_slice(P->k);
  lpoe_slow_resume(P);
  P->slices--;
  if (more <= 0) lpoe_loop_halt(P);
  return more < 0 || P->loop_failed ? run_failed(P, L, more) : more;
}

static int kernel_run_one_timeslice(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  lua_pushboolean(L, lpoe_slice(P, L));
  return 1;
}

static int kernel_run_while(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  lpoe_check_type(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  for (;;) {
    lua_pushvalue(L, 2);
    lua_call(L, 0, 1);
    int go_on = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (!go_on || !lpoe_slice(lpoe_self(L), L)) return 0;
    P->run_called = 1;
  }
}

static int kernel_stop(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  poe_kernel_stop(P->k);
  if (P->depth == 0) lpoe_loop_halt(P);
  return 0;
}

static int kernel_has_forked(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  int err = poe_kernel_has_forked(P->k);
  if (err) return run_failed(P, L, err);
  return 0;
}

/* On this side nobody could tell it from a fork that failed, and two would go
   on as the parent. */
static void end_child(struct lpoe *P, int err) {
  poe_log(P->k, "!!! the child of a fork ends: it cannot open a loop: %s",
          err == POE_ELOOP ? "the bridge failed" : strerror(err));
  _exit(EXIT_FAILURE);
}

static int kernel_fork(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  pid_t parent = getpid();
  int64_t pid = poe_kernel_fork(P->k);
  if (pid < 0 && getpid() != parent) end_child(P, (int)-pid);
  if (pid < 0)
    return lpoe_fail(P, L, (int)-pid, POE_ASSERT_RETVALS, "%s",
                     strerror((int)-pid));
  lua_pushinteger(L, (lua_Integer)pid);
  return 1;
}

static int kernel_poe_kernel_loop(lua_State *L) {
  lua_pushstring(L, poe_kernel_loop_name(lpoe_self(L)->k));
  return 1;
}

const luaL_Reg lpoe_run_methods[] = {
    {"run", kernel_run},
    {"run_one_timeslice", kernel_run_one_timeslice},
    {"run_while", kernel_run_while},
    {"stop", kernel_stop},
    {"has_forked", kernel_has_forked},
    {"fork", kernel_fork},
    {"poe_kernel_loop", kernel_poe_kernel_loop},
    {NULL, NULL}};

/* ---- switches --------------------------------------------------------------------- */

const char *lpoe_environment(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  int ignored = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return ignored ? NULL : getenv(name);
}

/* What the environment has said stays said. */
static int is_in_environment(lua_State *L, const char *prefix,
                             const char *name) {
  char variable[64];
  size_t n = 0;
  for (; *prefix; prefix++) variable[n++] = *prefix;
  for (; *name && n < sizeof variable - 1; name++)
    variable[n++] = (char)(*name >= 'a' && *name <= 'z' ? *name - 32 : *name);
  variable[n] = '\0';
  return lpoe_environment(L, variable) != NULL;
}

/* The key at an index, which lua_next must not find converted. */
static const char *switch_name(lua_State *L, int index, const char *kind) {
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "configure: unknown%s switch %s (a named switch expected)",
               kind, luaL_tolstring(L, index, NULL));
  return lua_tostring(L, index);
}

/* The value on top: 0 would be true, and what POE has for false. */
static void check_boolean(lua_State *L, const char *name) {
  if (!lua_isboolean(L, -1))
    luaL_error(L, "configure: '%s' must be true or false, got a %s", name,
               luaL_typename(L, -1));
}

/* [switches]: the mask with each named topic on or off. */
static unsigned read_topics(lua_State *L, unsigned mask, const char *what,
                            const char *prefix,
                            unsigned (*topic_of)(const char *)) {
  if (!lua_istable(L, -1))
    luaL_error(L, "configure: '%s' must be a table of switches, got a %s",
               what, luaL_typename(L, -1));
  const char *kind = lua_pushfstring(L, " %s", what);
  lua_insert(L, -2);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    const char *name = switch_name(L, -2, kind);
    unsigned bit = topic_of(name);
    if (!bit) luaL_error(L, "configure: unknown%s switch '%s'", kind, name);
    check_boolean(L, name);
    if (!is_in_environment(L, prefix, name))
      mask = lua_toboolean(L, -1) ? mask | bit : mask & ~bit;
    lua_pop(L, 1);
  }
  return mask;
}

static void set_trace(struct lpoe *P, lua_State *L) {
  poe_set_trace_mask(P->k, read_topics(L, poe_trace_mask(P->k), "trace",
                                       "POE_TRACE_", poe_trace_topic));
}

static void set_assert(struct lpoe *P, lua_State *L) {
  poe_set_assert_mask(P->k, read_topics(L, poe_assert_mask(P->k), "assert",
                                        "POE_ASSERT_", poe_assert_topic));
}

static void close_log(struct lpoe *P) {
  if (P->log) fclose(P->log);
  P->log = NULL;
}

static void open_log(struct lpoe *P, lua_State *L, const char *path) {
  FILE *f = fopen(path, "ae");
  if (!f) luaL_error(L, "cannot open trace file '%s': %s", path,
                     strerror(errno));
  close_log(P);
  P->log = f;
}

static void set_trace_filename(struct lpoe *P, lua_State *L) {
  if (lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
    if (!lpoe_environment(L, "POE_TRACE_FILENAME")) close_log(P);
    return;
  }
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "configure: 'trace_filename' must be a string, got a %s",
               luaL_typename(L, -1));
  if (!lpoe_environment(L, "POE_TRACE_FILENAME")) open_log(P, L, lua_tostring(L, -1));
}

static void set_loop(struct lpoe *P, lua_State *L) {
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "configure: 'loop' must be a string, got a %s",
               luaL_typename(L, -1));
  if (!lpoe_environment(L, "POE_EVENT_LOOP"))
    lpoe_choose_loop(P, L, lua_tostring(L, -1), "configure");
}

static void set_catch(struct lpoe *P, lua_State *L) {
  check_boolean(L, "catch_exceptions");
  if (!lpoe_environment(L, "POE_CATCH_EXCEPTIONS"))
    poe_kernel_set_catch(P->k, lua_toboolean(L, -1));
}

static void set_virtual_time(struct lpoe *P, lua_State *L) {
  check_boolean(L, "virtual_time");
  if (lua_toboolean(L, -1) && poe_kernel_set_virtual_time(P->k))
    luaL_error(L, "configure: too late for virtual time");
}

static const struct {
  const char *name;
  void (*set)(struct lpoe *, lua_State *);
} switches[] = {
    {"trace", set_trace},         {"assert", set_assert},
    {"loop", set_loop},           {"trace_filename", set_trace_filename},
    {"catch_exceptions", set_catch}, {"virtual_time", set_virtual_time},
    {"why", lpoe_why_switch},         {"slow_ms", lpoe_slow_switch},
    {"max_memory", lpoe_memory_switch},
    {"max_events", lpoe_max_events_switch},
    {"when_full", lpoe_when_full_switch},
};

static int module_configure(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    const char *name = switch_name(L, 2, "");
    size_t i = 0, n = sizeof switches / sizeof *switches;
    while (i < n && strcmp(switches[i].name, name) != 0) i++;
    if (i == n) return luaL_error(L, "configure: unknown switch '%s'", name);
    switches[i].set(P, L);
    lua_settop(L, 2);
  }
  return 0;
}

static int is_true(const char *value) {
  return value && *value && strcmp(value, "0") != 0;
}

static unsigned topics_in_environment(lua_State *L, const char *prefix,
                                      const char *const *names,
                                      unsigned (*topic_of)(const char *)) {
  unsigned mask = 0;
  char variable[64];
  for (int pass = 0; pass < 2; pass++) /* DEFAULT first, others override */
    for (size_t i = 0; names[i]; i++) {
      if ((strcmp(names[i], "default") == 0) != (pass == 0)) continue;
      snprintf(variable, sizeof variable, "%s%s", prefix, names[i]);
      for (char *c = variable; *c; c++)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 32);
      const char *value = lpoe_environment(L, variable);
      unsigned bit = topic_of(names[i]);
      if (value) mask = is_true(value) ? mask | bit : mask & ~bit;
    }
  return mask;
}

void lpoe_configure_from_environment(struct lpoe *P, lua_State *L) {
  static const char *const traces[] = {"default", "destroy",  "events",
                                       "files",   "refcnt",   "retvals",
                                       "sessions", "signals", NULL};
  static const char *const asserts[] = {"default", "data",  "events",
                                        "files",   "retvals", "usage",
                                        "states",  NULL};
  poe_set_trace_mask(P->k, topics_in_environment(L, "POE_TRACE_", traces,
                                                 poe_trace_topic));
  poe_set_assert_mask(P->k, topics_in_environment(L, "POE_ASSERT_", asserts,
                                                  poe_assert_topic));
  const char *value = lpoe_environment(L, "POE_CATCH_EXCEPTIONS");
  if (value) poe_kernel_set_catch(P->k, is_true(value));
  value = lpoe_environment(L, "POE_TRACE_FILENAME");
  if (value && *value) open_log(P, L, value);
  lpoe_why_from_environment(P, L);
  lpoe_slow_from_environment(P, L);
  lpoe_memory_from_environment(P, L);
}

/* ---- functions of the module ----------------------------------------------------------- */

/* Whole microseconds: what a float keeps exactly, so that sums of times and
   delays name the same instant however they were added. */
static int module_time(lua_State *L) {
  int64_t us = poe_epoch_ns(lpoe_upvalue(L)->k) / 1000;
  lua_pushnumber(L, (lua_Number)us / 1e6);
  return 1;
}

static int module_monotime(lua_State *L) {
  lua_pushnumber(L, (lua_Number)poe_now_ns(lpoe_upvalue(L)->k) / 1e9);
  return 1;
}

static int module_type(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checkany(L, 1);
  if (lua_touserdata(L, 1) == P)
    lua_pushliteral(L, "kernel");
  else if (P->k && lpoe_session_id(P, L, 1))
    lua_pushliteral(L, "session");
  else
    lua_pushnil(L);
  return 1;
}

static int module_wait_status(lua_State *L) {
  int status = (int)luaL_checkinteger(L, 1);
  if (WIFSIGNALED(status)) {
    lua_pushliteral(L, "signal");
    lua_pushinteger(L, WTERMSIG(status));
  } else {
    lua_pushliteral(L, "exit");
    lua_pushinteger(L, WEXITSTATUS(status));
  }
  return 2;
}

/* For hosts that run what was not run: a closed kernel cannot be any more. */
static int module_run_called(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushboolean(L, P->run_called || !P->k);
  return 1;
}

/* last_traceback() -> that of the last error that run raised, the error */
static int module_last_traceback(lua_State *L) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_TRACE);
  lua_rawgeti(L, -1, 4);
  lua_rawgeti(L, -2, 3);
  return 2;
}

/* step() -> whether a session is left; for who drives the kernel. */
static int module_step(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  P->run_called = 1;
  P->slices++;
  int more = poe_kernel_step(P->k);
  P->slices--;
  lua_pushboolean(L, more < 0 ? run_failed(P, L, more) : more);
  return 1;
}

static int module_close(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, lua_upvalueindex(1));
  if (P->depth || (P->k && poe_kernel_frame(P->k)))
    return luaL_error(L, "close: a handler is running");
  if (P->slices) return luaL_error(L, "close: the kernel is running");
  lpoe_close(P, L);
  return 0;
}

/* What is left behind, counted; for tests and leak reports. */
static int module_census(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  struct poe_census c;
  poe_census(P->k, &c);
  const struct {
    const char *name;
    size_t count;
  } fields[] = {{"sessions", c.sessions}, {"events", c.events},
                {"timers", c.timers},     {"selects", c.selects},
                {"signals", c.signals},   {"children", c.children},
                {"aliases", c.aliases},   {"tags", c.tags},
                {"names", c.names},       {"allocations", c.allocations},
                {"values", P->values.live - 1u},
                {"postbacks", P->postbacks}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, (lua_Integer)fields[i].count);
    lua_setfield(L, -2, fields[i].name);
  }
  return 1;
}

const luaL_Reg lpoe_run_functions[] = {
    {"configure", module_configure},
    {"time", module_time},
    {"monotime", module_monotime},
    {"type", module_type},
    {"wait_status", module_wait_status},
    {"run_called", module_run_called},
    {"last_traceback", module_last_traceback},
    {"step", module_step},
    {"close", module_close},
    {"census", module_census},
    {"memory", lpoe_memory},
    {"find_loop", lpoe_find_loop},
    {"fork_luv", lpoe_fork_luv},
    {"bridge", lpoe_bridge},
    {NULL, NULL}};
