/* SPDX-License-Identifier: MIT */
/*
 * lpoe_loop.c -- bridges written in Lua, as a struct poe_loop_ops.
 *
 * What the kernel asks of a loop becomes calls of the bridge's methods; what
 * the bridge has seen it records by the functions it was given.
 */
#include <errno.h>
#include <stdlib.h>

#include "lpoe_loop.h"

/* ---- what the bridge records --------------------------------------------- */

/* ready(descriptor, mode) */
static int record_ready(lua_State *L) {
  struct poe_loop *l = lpoe_upvalue(L)->loop;
  lua_Integer fd = luaL_checkinteger(L, 1), mode = luaL_checkinteger(L, 2);
  luaL_argcheck(L, mode >= 0 && mode < MODES, 2, "mode 0, 1 or 2 expected");
  if (!l || fd < 0 || (size_t)fd >= l->room) return 0;
  unsigned bit = 1u << mode;
  if (!(l->at[fd].told & l->at[fd].wanted & bit)) return 0;
  l->recorded = 1;
  poe_loop_ready(l->P->k, (int)fd, bit);
  return 0;
}

/* caught(number) */
static int record_caught(lua_State *L) {
  struct poe_loop *l = lpoe_upvalue(L)->loop;
  lua_Integer signum = luaL_checkinteger(L, 1);
  if (!l || signum <= 0 || signum >= SIGNALS || !l->signals[signum]) return 0;
  l->recorded = 1;
  poe_loop_caught(l->P->k, (int)signum);
  return 0;
}

static int push_kernel(lua_State *L, const struct lpoe_loop_call *c) {
  (void)c;
  lpoe_push_kernel(L);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, record_ready, 1);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, record_caught, 1);
  return 3;
}

/* ---- signals ------------------------------------------------------------- */

static int loop_watch_signal(poe_loop *l, int signum) {
  l->signals[signum] = 1;
  return lpoe_loop_call((struct lpoe_loop_call){.l = l,
                                                .method = WATCH_SIGNAL,
                                                .push = lpoe_loop_push_signal,
                                                .number = signum});
}

static void loop_ignore_signal(poe_loop *l, int signum) {
  if (!l->signals[signum]) return;
  l->signals[signum] = 0;
  lpoe_loop_call((struct lpoe_loop_call){.l = l,
                                         .method = IGNORE_SIGNAL,
                                         .push = lpoe_loop_push_signal,
                                         .number = signum});
}

/* ---- waiting ------------------------------------------------------------- */

/* The time watcher is on while the loop must wake up by itself. */
static int tell_time(poe_loop *l, int64_t ns) {
  if (ns == 0 || (ns < 0 && !l->is_timed)) return 0;
  enum lpoe_loop_method m = ns < 0        ? PAUSE_TIME
                            : l->is_timed ? RESET_TIME
                                          : RESUME_TIME;
  l->is_timed = ns > 0;
  return lpoe_loop_call(
      (struct lpoe_loop_call){.l = l,
                              .method = m,
                              .push = ns < 0 ? NULL : lpoe_loop_push_seconds,
                              .ns = ns});
}

/* A slice within a callback of the loop finds it turning: nothing new then. */
static int loop_wait(poe_loop *l, int64_t ns) {
  if (l->P->loop_failed) return -POE_ELOOP;
  if (l->is_turning) return 0;
  int err = lpoe_loop_tell_all(l);
  if (err) return err;
  lpoe_loop_record_always(l);
  if (l->recorded) ns = 0;
  err = tell_time(l, ns);
  if (err) return err;
  l->is_turning = 1;
  err = lpoe_loop_call((struct lpoe_loop_call){
      .l = l, .method = TIMESLICE, .push = lpoe_loop_push_seconds, .ns = ns});
  l->is_turning = 0;
  l->recorded = 0;
  return l->P->loop_failed ? -POE_ELOOP : err;
}

/* ---- open, close, fork --------------------------------------------------- */

static int initialize(poe_loop *l) {
  return lpoe_loop_call((struct lpoe_loop_call){
      .l = l, .method = INITIALIZE, .push = push_kernel});
}

static void loop_close(poe_loop *l) {
  lpoe_loop_call((struct lpoe_loop_call){.l = l, .method = FINALIZE});
  l->P->loop = NULL;
  free(l->at);
  free(l->dirty);
  free(l);
}

static int loop_open(poe_kernel *k, poe_loop **out) {
  poe_loop *l = calloc(1, sizeof *l);
  if (!l) return -ENOMEM;
  l->P = poe_kernel_host(k);
  l->P->loop = l;
  int err = initialize(l);
  if (err) {
    l->P->loop = NULL;
    free(l);
    return err;
  }
  *out = l;
  return 0;
}

/* A bridge that does not know about fork(2) begins anew. */
static int begin_anew(poe_loop *l) {
  int err = lpoe_loop_call((struct lpoe_loop_call){.l = l, .method = FINALIZE});
  if (!err) err = initialize(l);
  for (int s = 1; !err && s < SIGNALS; s++)
    if (l->signals[s]) err = loop_watch_signal(l, s);
  for (size_t fd = 0; !err && fd < l->room; fd++) {
    struct watched *w = &l->at[fd];
    if (!(w->told | w->paused)) continue;
    w->told = w->paused = 0;
    err = lpoe_loop_mark_dirty(l, (int)fd);
  }
  l->is_timed = 0;
  return err;
}

static int loop_forked(poe_loop *l) {
  l->recorded = 0;
  if (!lpoe_loop_has(l->P, FORKED)) return begin_anew(l);
  return lpoe_loop_call((struct lpoe_loop_call){.l = l, .method = FORKED});
}

void lpoe_loop_halt(struct lpoe *P) {
  poe_loop *l = P->loop;
  if (!l || l->is_turning) return;
  l->is_turning = 1;
  lpoe_loop_call((struct lpoe_loop_call){.l = l, .method = HALT});
  l->is_turning = 0;
}

/* ---- taking a bridge ----------------------------------------------------- */

static const struct poe_loop_ops proto = {
    .by_number = 1,
    .open = loop_open,
    .close = loop_close,
    .wait = loop_wait,
    .watch_fd = lpoe_loop_watch_fd,
    .ignore_fd = lpoe_loop_ignore_fd,
    .watch_signal = loop_watch_signal,
    .ignore_signal = loop_ignore_signal,
    .forked = loop_forked,
};

static unsigned find_methods(lua_State *L, int bridge, const char *name) {
  unsigned found = 0;
  for (int m = 0; m < METHODS; m++) {
    int is_there = lua_getfield(L, bridge, lpoe_loop_methods[m]) != LUA_TNIL;
    lua_pop(L, 1);
    if (is_there)
      found |= 1u << m;
    else if (m <= IGNORE_FD)
      luaL_error(L, "event loop '%s': its bridge has no method '%s'", name,
                 lpoe_loop_methods[m]);
  }
  return found;
}

/* What the kernel is given; the strings and the thread live as long as it. */
const struct poe_loop_ops *lpoe_loop_take(struct lpoe *P, lua_State *L,
                                          int bridge, const char *name) {
  unsigned methods = find_methods(L, bridge, name);
  lua_getfield(L, bridge, "is_shared");
  int is_shared = lua_isnil(L, -1) || lua_toboolean(L, -1);
  lpoe_push_kernel(L);
  lua_createtable(L, AT_COUNT, 0); /* [..., is_shared, kernel, table] */
  lua_pushvalue(L, bridge);
  lua_rawseti(L, -2, AT_BRIDGE);
  name = lua_pushstring(L, name);
  lua_rawseti(L, -2, AT_NAME);
  for (int at = AT_ERROR; at <= AT_COUNT; at++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, at);
  }
  lua_setiuservalue(L, -2, LPOE_UV_LOOP);
  lua_getiuservalue(L, -1, LPOE_UV_THREADS);
  P->bridge = lua_newthread(L);
  lua_setfield(L, -2, "bridge");
  lua_pop(L, 3);
  P->loop_methods = methods;
  P->loop_ops = proto;
  P->loop_ops.name = name;
  P->loop_ops.is_shared = is_shared;
  if (!(methods >> WATCH_SIGNAL & 1))
    P->loop_ops.watch_signal = NULL, P->loop_ops.ignore_signal = NULL;
  return &P->loop_ops;
}

/* ---- luv in the child of a fork ------------------------------------------ */

/* fork_luv(luv_loop, uv_loop_fork) -> error number: two functions of luv and
   its libuv, as package.loadlib gave them.  luv itself cannot do this. */
int lpoe_fork_luv(lua_State *L) {
  luaL_argcheck(L, lua_iscfunction(L, 1), 1, "C function expected");
  luaL_argcheck(L, lua_iscfunction(L, 2), 2, "C function expected");
  void *(*loop_of)(lua_State *) =
      (void *(*)(lua_State *))(void (*)(void))lua_tocfunction(L, 1);
  int (*forked)(void *) =
      (int (*)(void *))(void (*)(void))lua_tocfunction(L, 2);
  lua_pushinteger(L, forked(loop_of(L)));
  return 1;
}
