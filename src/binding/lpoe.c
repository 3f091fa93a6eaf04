/* SPDX-License-Identifier: MIT */
/*
 * lpoe.c -- module poe.core: the kernel object and the way to it.
 *
 * The kernel's methods are raw fields of the table in its __index; that
 * table's own metatable answers the fields that change (session, sender,
 * event, ...), so a method costs no call to find and a field nothing until it
 * is read.
 */
#include <lualib.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lpoe.h"

static const char anchor; /* its address is the key in the registry */

void lpoe_push_kernel(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchor);
}

struct lpoe *lpoe_of_state(lua_State *L) {
  lpoe_push_kernel(L);
  struct lpoe *P = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return P;
}

/* The kernel of the first Lua state that has one, most often the only one: to
   compare with it takes a third of what an upvalue does. */
static _Atomic(struct lpoe *) first;

static void set_first(struct lpoe *from, struct lpoe *to) {
  atomic_compare_exchange_strong(&first, &from, to);
}

static struct lpoe *check_open(lua_State *L, struct lpoe *P) {
  if (!P->k) luaL_error(L, "the kernel is closed");
  return P;
}

struct lpoe *lpoe_upvalue(lua_State *L) {
  return check_open(L, lua_touserdata(L, lua_upvalueindex(1)));
}

static struct lpoe *self_by_upvalue(lua_State *L, struct lpoe *P) {
  if (!P || P != lua_touserdata(L, lua_upvalueindex(1)))
    lpoe_type_error(L, 1, "kernel");
  return check_open(L, P);
}

struct lpoe *lpoe_self(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, 1);
  if (P && P == atomic_load_explicit(&first, memory_order_relaxed))
    return check_open(L, P);
  return self_by_upvalue(L, P);
}

struct lpoe *lpoe_self_in_session(lua_State *L, const char *method) {
  struct lpoe *P = lpoe_self(L);
  if (poe_active_session(P->k) == poe_kernel_session(P->k))
    luaL_error(L, "kernel:%s needs a running session", method);
  return P;
}

/* ---- fields that change ---------------------------------------------------------- */

static const struct poe_frame *live_frame(struct lpoe *P) {
  const struct poe_frame *f = poe_kernel_frame(P->k);
  return f && poe_session_is_alive(f->session) ? f : NULL;
}

static void push_name(lua_State *L, const poe_name *name) {
  size_t len;
  const char *text = poe_name_text(name, &len);
  lua_pushlstring(L, text, len);
}

static int field_session(struct lpoe *P, lua_State *L) {
  lpoe_push_session(P, L, poe_active_session(P->k));
  return 1;
}

static int field_sender(struct lpoe *P, lua_State *L) {
  const struct poe_frame *f = live_frame(P);
  lpoe_push_session(P, L, f ? f->sender : poe_kernel_session(P->k));
  return 1;
}

static int field_event(struct lpoe *P, lua_State *L) {
  const struct poe_frame *f = live_frame(P);
  if (!f)
    lua_pushliteral(L, "");
  else
    push_name(L, f == P->default_frame ? P->n_default : f->event);
  return 1;
}

static int field_caller_event(struct lpoe *P, lua_State *L) {
  const struct poe_frame *f = live_frame(P);
  if (!f || !f->from) return 0;
  push_name(L, f->from);
  return 1;
}

static int field_caller_file(struct lpoe *P, lua_State *L) {
  const struct poe_frame *f = live_frame(P);
  if (!f || !f->file) return 0;
  push_name(L, f->file);
  return 1;
}

static int field_caller_line(struct lpoe *P, lua_State *L) {
  const struct poe_frame *f = live_frame(P);
  if (!f || !f->file) return 0;
  lua_pushinteger(L, f->line);
  return 1;
}

static int kernel_field(lua_State *L) {
  static const struct {
    const char *name;
    int (*push)(struct lpoe *, lua_State *);
  } fields[] = {
      {"session", field_session},           {"sender", field_sender},
      {"event", field_event},               {"caller_event", field_caller_event},
      {"caller_file", field_caller_file},   {"caller_line", field_caller_line},
  };
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const char *key = lua_tostring(L, 2);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (strcmp(fields[i].name, key) == 0)
      return fields[i].push(lpoe_upvalue(L), L);
  return 0;
}

static int kernel_assign(lua_State *L) {
  return luaL_error(L, "attempt to assign to the kernel's field '%s'",
                    luaL_tolstring(L, 2, NULL));
}

static int kernel_get_active_session(lua_State *L) {
  return field_session(lpoe_self(L), L);
}

static int kernel_get_active_event(lua_State *L) {
  return field_event(lpoe_self(L), L);
}

static int kernel_tostring(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushfstring(L, "kernel %s", P->k ? poe_kernel_id(P->k) : "(closed)");
  return 1;
}

static const luaL_Reg kernel_methods[] = {
    {"get_active_session", kernel_get_active_session},
    {"get_active_event", kernel_get_active_event},
    {NULL, NULL}};

/* ---- life ---------------------------------------------------------------------------- */

static void close_kernel(struct lpoe *P) {
  P->closing = 1;
  lpoe_why_forget(P);
  lpoe_slow_stop(P);
  lpoe_forget_places(P);
  if (P->file) poe_name_unref(P->k, P->file);
  if (P->n_default) poe_name_unref(P->k, P->n_default);
  if (P->n_anon) poe_name_unref(P->k, P->n_anon);
  poe_kernel *k = P->k;
  poe_kernel_free(k);
  P->k = NULL;
}

void lpoe_close(struct lpoe *P, lua_State *L) {
  if (P->k) close_kernel(P);
  lpoe_memory_stop(P, L);
  lpoe_values_fini(P);
  free(P->co);
  P->co = NULL;
  P->nco = 0;
  free(P->slot);
  P->slot = NULL;
  free(P->states);
  P->states = NULL;
  if (P->log) fclose(P->log);
  P->log = NULL;
}

static int kernel_gc(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, 1);
  P->is_collected = 1;
  set_first(P, NULL);
  lpoe_close(P, L);
  return 0;
}

void lpoe_log(struct lpoe *P, const char *line) {
  FILE *out = P->log ? P->log : stderr;
  fprintf(out, "%s\n", line);
  fflush(out);
}

/* ---- creation ------------------------------------------------------------------------- */

static void new_weak_table(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

/* [kernel]: give it its tables. */
static void set_uservalues(struct lpoe *P, lua_State *L, int kernel) {
  for (int i = 1; i <= LPOE_UV_COUNT; i++) {
    if (i == LPOE_UV_SESSIONS)
      new_weak_table(L, "v");
    else if (i == LPOE_UV_HANDLES || i == LPOE_UV_CUSTOM)
      new_weak_table(L, "k");
    else if (i == LPOE_UV_VALUES)
      lpoe_push_values(P, L);
    else if (i == LPOE_UV_RECENT)
      lua_createtable(L, LPOE_RECENT, 0);
    else
      lua_newtable(L);
    lua_setiuservalue(L, kernel, i);
  }
}

static void make_aux(struct lpoe *P, lua_State *L, int kernel) {
  lua_getiuservalue(L, kernel, LPOE_UV_THREADS);
  P->aux = lua_newthread(L);
  lua_setfield(L, -2, "aux");
  P->worker = lua_newthread(L);
  lua_setfield(L, -2, "worker");
  lua_pop(L, 1);
  lpoe_push_base(P->aux);
  lua_settop(P->aux, LPOE_AT_READ);
}

static void find_stack_limit(struct lpoe *P) {
  struct rlimit r;
  size_t max = 8u << 20;
  if (getrlimit(RLIMIT_STACK, &r) == 0 && r.rlim_cur < max)
    max = (size_t)r.rlim_cur;
  P->stack_max = max / 4 * 3;
}

/* An exception object for when there is no memory to make one. */
static void make_memory_exception(struct lpoe *P, lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, "not enough memory");
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "error");
  lua_setfield(L, -2, "error_str");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "traceback");
  P->memory_slot = LPOE_NONE;
  struct poe_value value = lpoe_park_one(P, L);
  P->memory_slot = lpoe_slot_in(&value);
}

static void start_kernel(struct lpoe *P, lua_State *L) {
  struct poe_config config = {.ops = &lpoe_ops, .ud = P};
  if (poe_kernel_new(&config, &P->k)) luaL_error(L, "not enough memory");
  P->n_default = poe_name_get(P->k, "_default", 8);
  P->n_anon = poe_name_get(P->k, "anon_event", 10);
  if (!P->n_default || !P->n_anon) luaL_error(L, "not enough memory");
}

/* Functions with the two upvalues, into the table on top. */
static void set_functions(lua_State *L, int kernel, const luaL_Reg *regs) {
  lua_pushvalue(L, kernel);
  lua_getiuservalue(L, kernel, LPOE_UV_VALUES);
  luaL_setfuncs(L, regs, 2);
}

static void set_function(lua_State *L, int kernel, const char *name,
                         lua_CFunction f) {
  const luaL_Reg regs[] = {{name, f}, {NULL, NULL}};
  set_functions(L, kernel, regs);
}

/* From here on it is collected. */
static void set_finalizer(lua_State *L, int kernel) {
  lua_createtable(L, 0, 64); /* roomy: what is looked up is found at once */
  lua_pushcfunction(L, kernel_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, kernel);
}

static void fill_metatable(lua_State *L, int kernel) {
  lua_getmetatable(L, kernel);
  set_function(L, kernel, "__newindex", kernel_assign);
  set_function(L, kernel, "__tostring", kernel_tostring);
  lua_pushliteral(L, "poe.kernel");
  lua_setfield(L, -2, "__name");
  lua_createtable(L, 0, 256);
  const luaL_Reg *const groups[] = {
      kernel_methods,     lpoe_session_methods, lpoe_event_methods,
      lpoe_timer_methods, lpoe_select_methods,  lpoe_signal_methods,
      lpoe_tree_methods,  lpoe_run_methods,     lpoe_why_methods};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    set_functions(L, kernel, groups[i]);
  lua_createtable(L, 0, 1);
  set_function(L, kernel, "__index", kernel_field);
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

/* A class whose methods know the kernel. */
static void new_class(lua_State *L, int kernel, const char *name,
                      const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  set_functions(L, kernel, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

static void new_kernel(lua_State *L) {
  struct lpoe *P = lua_newuserdatauv(L, sizeof *P, LPOE_UV_COUNT);
  int kernel = lua_gettop(L);
  memset(P, 0, sizeof *P);
  P->free_slot = LPOE_NONE;
  set_finalizer(L, kernel);
  set_uservalues(P, L, kernel);
  fill_metatable(L, kernel);
  find_stack_limit(P);
  lua_pushvalue(L, kernel);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &anchor);
  make_aux(P, L, kernel);
  start_kernel(P, L);
  make_memory_exception(P, L);
  lpoe_try_places(P, L);
  new_class(L, kernel, LPOE_SESSION_CLASS, lpoe_session_class);
  luaL_getmetatable(L, LPOE_SESSION_CLASS);
  P->session_class = lua_topointer(L, -1);
  lua_setiuservalue(L, kernel, LPOE_UV_CLASS);
  new_class(L, kernel, LPOE_POSTBACK_CLASS, lpoe_postback_class);
  lpoe_hear_closes(L, kernel);
  lpoe_configure_from_environment(P, L);
  set_first(NULL, P);
}

__attribute__((visibility("default"))) int luaopen_poe_core(lua_State *L) {
  luaL_checkversion(L);
  lpoe_push_kernel(L);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    new_kernel(L);
  }
  int kernel = lua_gettop(L);
  lua_newtable(L);
  lua_pushvalue(L, kernel);
  lua_setfield(L, -2, "kernel");
  set_functions(L, kernel, lpoe_run_functions);
  set_function(L, kernel, "create", lpoe_session_create);
  set_function(L, kernel, "stop_session", lpoe_session_stop);
  set_function(L, kernel, "offer", lpoe_offer);
  set_function(L, kernel, "on_close", lpoe_on_close);
  set_function(L, kernel, "on_end", lpoe_on_end);
  luaL_getmetatable(L, LPOE_SESSION_CLASS);
  lua_setfield(L, -2, "session_class");
  lua_pushliteral(L, POE_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
