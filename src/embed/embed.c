/* SPDX-License-Identifier: MIT */
/*
 * embed.c -- poe_embed.h: scripts, posts, sessions made of C functions.
 *
 * All of Lua is called protected, on a thread of its own that never runs a Lua
 * function itself: so it may be used again within a handler that was called
 * from it.  A script gets a new thread.
 *
 * A C session is a table with _invoke_state, a closure over what to call; a
 * tag keeps it, so that the kernel knows of somebody who may yet send.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "embed.h"
#include "lpoe.h"

int luaopen_poe_sys(lua_State *L);

#define SESSION_CLASS "poe_embed.session"
#define TAG "poe_embed" /* what keeps a session of C */
#define END "poe_embed.end"

struct poe_embed {
  struct poe_embed_config c;
  lua_State *T;
  poe_kernel *k;
  struct uv_driver *driver;
  uv_async_t async;
  struct inbox inbox;
  int busy; /* calls into Lua under way */
  int owns_lua;
  int is_open; /* the async handle is */
};

static const char core_anchor; /* registry: poe.core */

/* ---- calling Lua ------------------------------------------------------------ */

static void report(const poe_embed *e, const char *message,
                   const char *traceback) {
  if (e->c.on_error) {
    e->c.on_error(e->c.ud, message, traceback);
    return;
  }
  fprintf(stderr, "poe: %s\n", message);
  if (traceback) fprintf(stderr, "%s\n", traceback);
}

static void push_core(lua_State *L, const char *field) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &core_anchor);
  if (lua_isnil(L, -1)) return;
  lua_getfield(L, -1, field);
  lua_remove(L, -2);
}

/* error -> {its text, its traceback}: that of the handler it came from, if it
   came from one. */
static int add_traceback(lua_State *L) {
  lua_settop(L, 1);
  lua_createtable(L, 2, 0);
  luaL_tolstring(L, 1, NULL);
  lua_rawseti(L, 2, 1);
  push_core(L, "last_traceback");
  if (lua_isfunction(L, 3)) {
    lua_call(L, 0, 2); /* [error, result, traceback, its error] */
    if (lua_rawequal(L, 1, 4) && lua_isstring(L, 3)) {
      lua_settop(L, 3);
      lua_rawseti(L, 2, 2);
      return 1;
    }
  }
  lua_settop(L, 2);
  luaL_traceback(L, L, NULL, 1);
  lua_rawseti(L, 2, 2);
  return 1;
}

static char *copy_field(lua_State *L, int table, int i) {
  char *copy = NULL;
  if (!lua_istable(L, table) || !lua_checkstack(L, 1)) return NULL;
  lua_rawgeti(L, table, i);
  if (lua_isstring(L, -1)) copy = strdup(lua_tostring(L, -1));
  lua_pop(L, 1);
  return copy;
}

/*
 * f(argument): 0, or as poe_embed.h says.  Nothing of e may be touched after
 * a failure: on_error may have closed it.
 */
static int protected(poe_embed *e, lua_State *L, lua_CFunction f,
                     void *argument) {
  if (!lua_checkstack(L, 6)) return -ENOMEM;
  int top = lua_gettop(L);
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, argument);
  e->busy++;
  int status = lua_pcall(L, 1, 0, top + 1);
  e->busy--;
  if (status == LUA_OK) {
    lua_settop(L, top);
    return 0;
  }
  char *message = copy_field(L, top + 2, 1);
  char *traceback = copy_field(L, top + 2, 2);
  lua_settop(L, top);
  report(e, message ? message : "not enough memory", traceback);
  free(message);
  free(traceback);
  return status == LUA_ERRMEM ? -ENOMEM : -POE_ERAISE;
}

static void push_arg(lua_State *L, const struct poe_arg *arg) {
  switch (arg->kind) {
    case POE_ARG_NIL: lua_pushnil(L); break;
    case POE_ARG_BOOLEAN: lua_pushboolean(L, arg->as.boolean); break;
    case POE_ARG_INTEGER:
      lua_pushinteger(L, (lua_Integer)arg->as.integer);
      break;
    case POE_ARG_NUMBER: lua_pushnumber(L, (lua_Number)arg->as.number); break;
    case POE_ARG_STRING:
    case POE_ARG_OTHER:
      lua_pushlstring(L, arg->as.string.at, arg->as.string.len);
      break;
  }
}

/* [method, kernel] */
static void push_method(lua_State *L, const char *method) {
  lpoe_push_kernel(L);
  lua_getfield(L, -1, method);
  lua_insert(L, -2);
}

/* ---- events to sessions -------------------------------------------------------- */

/* Something was sent, if that went well: there is to be a step. */
static int nudged(poe_embed *e, int err) {
  if (err == 0) uv_driver_nudge(e->driver);
  return err;
}

struct post {
  const char *session, *event;
  size_t n;
  const struct poe_arg *args;
  int err;
};

static int do_post(lua_State *L) { /* post */
  struct post *p = lua_touserdata(L, 1);
  if (p->n > 200000) return luaL_error(L, "too many arguments");
  luaL_checkstack(L, (int)p->n + 10, "too many arguments");
  push_method(L, "post");
  lua_pushstring(L, p->session);
  lua_pushstring(L, p->event);
  for (size_t i = 0; i < p->n; i++) push_arg(L, &p->args[i]);
  lua_call(L, (int)p->n + 3, 3); /* [true] or [nil, message, code] */
  const char *code = lua_tostring(L, -1);
  if (!lua_toboolean(L, -3))
    p->err = code && strcmp(code, "ENOBUFS") == 0 ? -ENOBUFS : -ESRCH;
  return 0;
}

int poe_embed_post(poe_embed *e, const char *session, const char *event,
                   size_t n, const struct poe_arg *args) {
  struct post p = {session, event, n, args, 0};
  int err = protected(e, e->T, do_post, &p);
  return err ? err : nudged(e, p.err);
}

int poe_embed_send(poe_embed *e, const char *session, const char *event,
                   size_t n, const struct poe_arg *args) {
  struct parcel *p = parcel_new(session, event, n, args);
  if (!p) return -ENOMEM;
  inbox_put(&e->inbox, p);
  uv_async_send(&e->async);
  return 0;
}

static void throw_away(struct parcel *p) {
  while (p) {
    struct parcel *next = p->next;
    free(p);
    p = next;
  }
}

static void deliver(poe_embed *e, const struct parcel *p) {
  char text[256];
  if (poe_embed_post(e, p->session, p->event, p->n, p->args) != -ESRCH) return;
  snprintf(text, sizeof text, "ESRCH: no session '%s' for the event '%s' sent",
           p->session, p->event);
  report(e, text, NULL);
}

/* What is told of a failure may close e: the rest is thrown away then. */
static void on_async(uv_async_t *async) {
  poe_embed *e = async->data;
  struct parcel *p = inbox_take(&e->inbox);
  while (p && e->is_open) {
    struct parcel *next = p->next;
    deliver(e, p);
    free(p);
    p = next;
  }
  throw_away(p);
}

/* ---- sessions of C ----------------------------------------------------------------- */

struct c_session {
  poe_embed *e;
  const char *alias; /* lives as long as the closure */
  poe_embed_handler handler;
  void *ud;
};

/* Element i of the table at index `args` as an argument.  What is none is told
   as text, which takes its place in the table, to be kept. */
static struct poe_arg to_arg(lua_State *L, int args, lua_Integer i) {
  struct poe_arg arg = poe_nil();
  int type = lua_rawgeti(L, args, i);
  if (type == LUA_TBOOLEAN) arg = poe_bool(lua_toboolean(L, -1));
  if (type == LUA_TNUMBER)
    arg = lua_isinteger(L, -1) ? poe_int((int64_t)lua_tointeger(L, -1))
                               : poe_num((double)lua_tonumber(L, -1));
  if (type >= LUA_TSTRING || type == LUA_TLIGHTUSERDATA) {
    size_t len;
    arg = poe_bytes(luaL_tolstring(L, -1, &len), 0);
    arg.as.string.len = len;
    if (type != LUA_TSTRING) arg.kind = POE_ARG_OTHER;
    lua_rawseti(L, args, i);
  }
  lua_pop(L, 1);
  return arg;
}

static struct poe_arg *push_c_args(lua_State *L, int args, size_t *n) {
  lua_getfield(L, args, "n");
  *n = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  struct poe_arg *list = lua_newuserdatauv(L, (*n + 1) * sizeof *list, 0);
  for (size_t i = 0; i < *n; i++) list[i] = to_arg(L, args, (lua_Integer)i + 1);
  return list;
}

/* The session's name and what keeps it come, in its _start, or go. */
static void settle(lua_State *L, const struct c_session *s, int comes) {
  poe_session *me = poe_active_session(lpoe_of_state(L)->k);
  lua_Integer id = (lua_Integer)poe_session_id(me);
  push_method(L, comes ? "alias_set" : "alias_remove");
  lua_pushstring(L, s->alias);
  lua_call(L, 2, 0);
  push_method(L, comes ? "refcount_increment" : "refcount_decrement");
  lua_pushinteger(L, id);
  lua_pushliteral(L, TAG);
  lua_call(L, 3, 0);
}

/* invoke(object, sender, event, args) */
static int invoke(lua_State *L) {
  struct c_session *s = lua_touserdata(L, lua_upvalueindex(1));
  struct lpoe *P = lpoe_of_state(L);
  struct poe_embed_event event = {.name = lua_tostring(L, 3)};
  int is_end = strcmp(event.name, END) == 0;
  lua_settop(L, 4);
  if (is_end || strcmp(event.name, "_start") == 0) settle(L, s, !is_end);
  if (is_end) return 0;
  event.sender = lua_touserdata(L, 2) == P ? 0 : lpoe_session_id(P, L, 2);
  event.args = push_c_args(L, 4, &event.n);
  s->e->busy++;
  s->handler(s->ud, s->e, &event);
  s->e->busy--;
  return 0;
}

static int is_c_session(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return 0;
  luaL_getmetatable(L, SESSION_CLASS);
  int is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}

struct make {
  struct c_session session;
  int err;
};

/* The upvalues of invoke are the session and the alias it points to. */
static void push_invoke(lua_State *L, const struct c_session *session) {
  struct c_session *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = *session;
  s->alias = lua_pushstring(L, session->alias);
  lua_pushcclosure(L, invoke, 2);
}

static int do_session(lua_State *L) { /* make */
  struct make *m = lua_touserdata(L, 1);
  push_method(L, "alias_resolve");
  lua_pushstring(L, m->session.alias);
  lua_call(L, 2, 1);
  if (lua_toboolean(L, -1)) {
    m->err = -EEXIST;
    return 0;
  }
  push_method(L, "session_alloc");
  lua_createtable(L, 0, 1);
  push_invoke(L, &m->session);
  lua_setfield(L, -2, "_invoke_state");
  luaL_newmetatable(L, SESSION_CLASS);
  lua_setmetatable(L, -2);
  lua_call(L, 2, 0);
  return 0;
}

int poe_embed_session(poe_embed *e, const char *alias,
                      poe_embed_handler handler, void *ud) {
  struct make m = {{e, alias, handler, ud}, 0};
  int err = protected(e, e->T, do_session, &m);
  return err ? err : m.err;
}

static int do_end(lua_State *L) { /* make */
  struct make *m = lua_touserdata(L, 1);
  push_method(L, "alias_resolve");
  lua_pushstring(L, m->session.alias);
  lua_call(L, 2, 1);
  m->err = is_c_session(L, -1) ? 0 : -ESRCH;
  if (m->err) return 0;
  push_method(L, "call");
  lua_pushvalue(L, -3);
  lua_pushliteral(L, END);
  lua_call(L, 3, 0);
  return 0;
}

int poe_embed_end(poe_embed *e, const char *alias) {
  struct make m = {{e, alias, NULL, NULL}, 0};
  int err = protected(e, e->T, do_end, &m);
  return err ? err : nudged(e, m.err);
}

/* ---- scripts ------------------------------------------------------------------------ */

struct script {
  const char *path, *text, *name;
};

static int do_script(lua_State *L) { /* script */
  const struct script *s = lua_touserdata(L, 1);
  int status = s->path ? luaL_loadfile(L, s->path)
                       : luaL_loadbuffer(L, s->text, strlen(s->text), s->name);
  if (status != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

int poe_embed_file(poe_embed *e, const char *path) {
  struct script s = {.path = path};
  return protected(e, e->T, do_script, &s);
}

int poe_embed_text(poe_embed *e, const char *text, const char *name) {
  struct script s = {.text = text, .name = name};
  return protected(e, e->T, do_script, &s);
}

/* ---- opening -------------------------------------------------------------------------- */

static void preload(lua_State *L) {
  static const luaL_Reg linked_in[] = {{"poe.core", luaopen_poe_core},
                                       {"poe.sys", luaopen_poe_sys},
                                       {NULL, NULL}};
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  luaL_setfuncs(L, linked_in, 0);
  lua_pop(L, 1);
}

/* The directory of the installed Lua files comes last. */
static void extend_path(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_LOADLIBNAME) != LUA_TTABLE)
    luaL_error(L, "the Lua state has no library 'package'");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s;%s/?.lua;%s/?/init.lua",
                  luaL_optstring(L, -1, LUA_PATH_DEFAULT), POE_LUADIR,
                  POE_LUADIR);
  lua_setfield(L, -3, "path");
  lua_pop(L, 3);
}

/* The loop is chosen: neither the environment nor what is loaded has a say. */
static int choose_loop(lua_State *L) {
  struct lpoe *P = lpoe_of_state(L);
  if (!P->k || poe_kernel_set_loop(P->k, NULL)) return -EBUSY;
  P->loop_chosen = 1;
  return poe_kernel_set_loop(P->k, poe_loop_find("uv"));
}

struct opening {
  poe_embed *e;
  int err;
};

static int do_open(lua_State *L) { /* opening */
  struct opening *o = lua_touserdata(L, 1);
  preload(L);
  extend_path(L);
  luaL_requiref(L, "poe.core", luaopen_poe_core, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &core_anchor);
  o->err = choose_loop(L);
  if (!o->err) o->e->k = lpoe_of_state(L)->k;
  return 0;
}

static int do_step(lua_State *L) {
  push_core(L, "step");
  lua_call(L, 0, 0);
  return 0;
}

static void step(void *ud) {
  poe_embed *e = ud;
  protected(e, e->T, do_step, NULL);
}

/* What was sent before the fork is the parent's. */
static void forked(void *ud) {
  throw_away(inbox_take(&((poe_embed *)ud)->inbox));
}

static int make_thread(lua_State *L) { /* embed */
  poe_embed *e = lua_touserdata(L, 1);
  e->T = lua_newthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, e);
  return 0;
}

static int open_lua(poe_embed *e) {
  if (!e->c.lua) {
    e->c.lua = luaL_newstate();
    if (!e->c.lua) return -ENOMEM;
    e->owns_lua = 1;
    luaL_openlibs(e->c.lua);
  }
  struct opening o = {e, 0};
  int err = protected(e, e->c.lua, make_thread, e);
  if (!err) err = protected(e, e->T, do_open, &o);
  return err ? err : o.err;
}

static int open_driver(poe_embed *e) {
  struct uv_driver_config config = {
      .k = e->k, .loop = e->c.loop, .ud = e, .step = step, .forked = forked};
  return uv_driver_open(&config, &e->driver);
}

static int open_async(poe_embed *e) {
  int err = uv_async_init(e->c.loop, &e->async, on_async);
  if (err) return err;
  e->async.data = e;
  e->is_open = 1;
  uv_unref((uv_handle_t *)&e->async);
  return 0;
}

static int do_close(lua_State *L) { /* embed */
  poe_embed *e = lua_touserdata(L, 1);
  if (e->driver) {
    push_core(L, "close");
    lua_call(L, 0, 0);
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, e);
  return 0;
}

static void on_closed(uv_handle_t *async) {
  poe_embed *e = async->data;
  throw_away(inbox_take(&e->inbox));
  free(e);
}

/* Of one that is open, or was to be. */
static void end(poe_embed *e) {
  if (e->T) protected(e, e->c.lua, do_close, e);
  if (e->owns_lua) lua_close(e->c.lua);
  if (!e->is_open) {
    free(e);
    return;
  }
  e->is_open = 0;
  uv_close((uv_handle_t *)&e->async, on_closed);
}

int poe_embed_open(const struct poe_embed_config *config, poe_embed **out) {
  if (!config->loop) return -EINVAL;
  poe_embed *e = calloc(1, sizeof *e);
  if (!e) return -ENOMEM;
  e->c = *config;
  int err = open_lua(e);
  if (!err) err = open_driver(e);
  if (!err) err = open_async(e);
  if (err)
    end(e);
  else
    *out = e;
  return err;
}

poe_kernel *poe_embed_kernel(const poe_embed *e) { return e->k; }

int poe_embed_close(poe_embed *e) {
  if (e->busy) return -EBUSY;
  end(e);
  return 0;
}
