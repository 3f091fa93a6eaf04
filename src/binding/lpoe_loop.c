/* SPDX-License-Identifier: MIT */
/*
 * lpoe_loop.c -- bridges written in Lua, as a struct poe_loop_ops.
 *
 * A bridge is an object with POE's method names, see doc/loops.md.  They are
 * called protected, on a thread of their own.  What one raises is kept until
 * it can be raised from where the program is: the kernel is told -POE_ELOOP.
 *
 * The kernel speaks of a descriptor's modes at once, a bridge of one at a
 * time; struct watched knows what the bridge was told.  It is told only when
 * the loop is about to be turned, when nothing in the kernel is half done and
 * a descriptor that is no longer the file that was watched can be given up.
 * That a descriptor is ignored it is told at once: it may be closed next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "lpoe.h"

#define MODES 3
#define SIGNALS 65

/* In LPOE_UV_LOOP; all are there from the beginning, so none needs memory. */
enum { AT_BRIDGE = 1, AT_NAME, AT_ERROR, AT_TRACE, AT_COUNT = AT_TRACE };

enum method {
  INITIALIZE,
  TIMESLICE,
  WATCH_FD,
  IGNORE_FD, /* up to here required */
  FINALIZE,
  RUN,
  HALT,
  FORKED,
  ATTACH_UIDESTROY,
  WATCH_SIGNAL,
  IGNORE_SIGNAL,
  RESUME_TIME,
  RESET_TIME,
  PAUSE_TIME,
  PAUSE_FD,
  RESUME_FD,
  METHODS
};

static const char *const method_names[METHODS] = {
    [INITIALIZE] = "loop_initialize",
    [TIMESLICE] = "loop_do_timeslice",
    [WATCH_FD] = "loop_watch_filehandle",
    [IGNORE_FD] = "loop_ignore_filehandle",
    [FINALIZE] = "loop_finalize",
    [RUN] = "loop_run",
    [HALT] = "loop_halt",
    [FORKED] = "loop_forked",
    [ATTACH_UIDESTROY] = "loop_attach_uidestroy",
    [WATCH_SIGNAL] = "loop_watch_signal",
    [IGNORE_SIGNAL] = "loop_ignore_signal",
    [RESUME_TIME] = "loop_resume_time_watcher",
    [RESET_TIME] = "loop_reset_time_watcher",
    [PAUSE_TIME] = "loop_pause_time_watcher",
    [PAUSE_FD] = "loop_pause_filehandle",
    [RESUME_FD] = "loop_resume_filehandle",
};

struct watched {
  uint8_t wanted;       /* modes, as the kernel wants them */
  uint8_t told, paused; /* modes the bridge watches, and keeps paused */
  uint8_t is_dirty;     /* in loop->dirty: the bridge is to be told */
  uint8_t is_always;    /* the bridge cannot wait for it */
  dev_t dev;
  ino_t ino;
};

struct poe_loop {
  struct lpoe *P;
  struct watched *at; /* by descriptor */
  size_t room;
  int *dirty;
  size_t ndirty, dirty_room;
  size_t nalways;
  uint8_t signals[SIGNALS]; /* watched */
  int is_timed;             /* the time watcher is on */
  int is_turning;           /* in loop_do_timeslice */
  int recorded;             /* something, since the loop was last turned */
};

static int has(const struct lpoe *P, enum method m) {
  return (int)(P->loop_methods >> m & 1);
}

static void push_field(lua_State *L, int at) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_LOOP);
  lua_rawgeti(L, -1, at);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* ---- failures ------------------------------------------------------------- */

/* [value]: keep it under `at`.  Does not raise. */
static void set_field(lua_State *L, int at) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_LOOP);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, at);
  lua_pop(L, 3);
}

static int add_traceback(lua_State *L) { /* error -> its text */
  luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, NULL, 1);
  if (!lpoe_of_state(L)->loop_failed) set_field(L, AT_TRACE);
  lua_settop(L, 2);
  return 1;
}

/* The same for loop_run, but a session's exception stays what it is. */
static int add_run_traceback(lua_State *L) {
  return lpoe_of_state(L)->in_slice ? 1 : add_traceback(L);
}

/* [message]: the first failure is the one that is told. */
static void keep_failure(struct lpoe *P, lua_State *B) {
  if (P->loop_failed) {
    lua_pop(B, 1);
    return;
  }
  P->loop_failed = 1;
  set_field(B, AT_ERROR);
}

int lpoe_loop_raise(struct lpoe *P, lua_State *L) {
  luaL_checkstack(L, 8, NULL);
  push_field(L, AT_NAME);
  push_field(L, AT_ERROR);
  P->loop_failed = 0;
  luaL_tolstring(L, -1, NULL);
  lua_pushfstring(L, "event loop '%s': %s", lua_tostring(L, -3),
                  lua_tostring(L, -1));
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_TRACE);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, 3);
  push_field(L, AT_TRACE);
  lua_rawseti(L, -2, 4);
  lua_pop(L, 2);
  return lua_error(L);
}

/* ---- calling a method ------------------------------------------------------ */

struct call {
  struct poe_loop *l;
  enum method method;
  int (*push)(lua_State *L, const struct call *c); /* the arguments */
  int number, mode;
  int64_t ns;
  int err; /* what the method returned, as a negative errno */
};

static int to_errno(const char *code) {
  for (int err = 1; err < 134; err++)
    if (strcmp(lpoe_errno_name(err), code) == 0) return err;
  return 0;
}

/* [..., nil, message, code]: a negative errno; raises if it is none. */
static int failure(lua_State *L, const struct call *c) {
  if (lua_toboolean(L, -3) || lua_isnoneornil(L, -2)) return 0;
  int err = lua_type(L, -1) == LUA_TSTRING ? to_errno(lua_tostring(L, -1)) : 0;
  if (err != EPERM || c->method != WATCH_FD)
    luaL_error(L, "%s: %s", method_names[c->method],
               luaL_tolstring(L, -2, NULL));
  return -err;
}

static int perform(lua_State *L) { /* call */
  struct call *c = lua_touserdata(L, 1);
  luaL_checkstack(L, 12, NULL);
  push_field(L, AT_BRIDGE);
  lua_getfield(L, -1, method_names[c->method]);
  lua_insert(L, -2); /* [call, method, bridge] */
  int n = c->push ? c->push(L, c) : 0;
  lua_call(L, n + 1, 3);
  c->err = failure(L, c);
  return 0;
}

/* 0, a negative errno, or -POE_ELOOP; 0 for a method that is not there. */
static int call(struct call c) {
  struct lpoe *P = c.l->P;
  lua_State *B = P->bridge;
  if (!has(P, c.method) || P->is_collected) return 0;
  if (!lua_checkstack(B, 12)) return -ENOMEM;
  lua_pushcfunction(B, add_traceback);
  lua_pushcfunction(B, perform);
  lua_pushlightuserdata(B, &c);
  int status = lua_pcall(B, 1, 0, -3);
  if (status != LUA_OK) keep_failure(P, B);
  lua_pop(B, 1);
  return status == LUA_OK ? c.err : -POE_ELOOP;
}

static int push_seconds(lua_State *L, const struct call *c) {
  if (c->ns < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)c->ns / 1e9);
  return 1;
}

static int push_mode(lua_State *L, const struct call *c) {
  lua_pushinteger(L, c->number);
  lua_pushinteger(L, c->mode);
  return 2;
}

static int push_signal(lua_State *L, const struct call *c) {
  char buf[16];
  lua_pushstring(L, poe_signal_name(c->number, buf));
  lua_pushinteger(L, c->number);
  return 2;
}

/* ---- what the bridge records ------------------------------------------------ */

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

static int push_kernel(lua_State *L, const struct call *c) {
  (void)c;
  lpoe_push_kernel(L);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, record_ready, 1);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, record_caught, 1);
  return 3;
}

/* ---- descriptors ------------------------------------------------------------- */

static int grow(void **p, size_t item, size_t *room, size_t need) {
  if (need <= *room) return 0;
  size_t size = *room ? *room * 2 : 16;
  while (size < need) size *= 2;
  void *at = realloc(*p, size * item);
  if (!at) return -ENOMEM;
  memset((char *)at + *room * item, 0, (size - *room) * item);
  *p = at;
  *room = size;
  return 0;
}

static int mark_dirty(poe_loop *l, int fd) {
  int err = 0;
  if (l->at[fd].is_dirty) return 0;
  err =
      grow((void **)&l->dirty, sizeof *l->dirty, &l->dirty_room, l->ndirty + 1);
  if (err) return err;
  l->at[fd].is_dirty = 1;
  l->dirty[l->ndirty++] = fd;
  return 0;
}

/* Some devices epoll(7) refuses; loops built on it fail of them. */
static int can_be_waited_for(int fd) {
#ifdef __linux__
  int queue = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN};
  if (queue < 0) return 1;
  int refused = epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) && errno == EPERM;
  close(queue);
  return !refused;
#else
  (void)fd;
  return 1;
#endif
}

/* select(2) has it that these are always ready; no loop can wait for them. */
static int is_plain(int fd, const struct stat *st) {
  if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) return 1;
  return S_ISCHR(st->st_mode) && !can_be_waited_for(fd);
}

static int loop_watch_fd(poe_loop *l, int fd, unsigned mask) {
  struct stat st = {0};
  if (mask && fstat(fd, &st) < 0) return -errno;
  if (mask && is_plain(fd, &st)) return -EPERM;
  int err = grow((void **)&l->at, sizeof *l->at, &l->room, (size_t)fd + 1);
  if (!err) err = mark_dirty(l, fd);
  if (err) return err;
  struct watched *w = &l->at[fd];
  w->wanted = (uint8_t)mask;
  if (!mask) return 0;
  w->dev = st.st_dev;
  w->ino = st.st_ino;
  return 0;
}

static void not_always(poe_loop *l, struct watched *w) {
  l->nalways -= w->is_always;
  w->is_always = 0;
}

/* The bridge watches it no more, in no mode. */
static int forget(poe_loop *l, int fd) {
  struct watched *w = &l->at[fd];
  unsigned known = w->told | w->paused;
  int first = 0;
  w->told = w->paused = 0;
  not_always(l, w);
  for (int mode = 0; mode < MODES; mode++) {
    if (!(known & 1u << mode)) continue;
    int err = call((struct call){.l = l,
                                 .method = IGNORE_FD,
                                 .push = push_mode,
                                 .number = fd,
                                 .mode = mode});
    if (!first) first = err;
  }
  return first;
}

static void loop_ignore_fd(poe_loop *l, int fd) {
  if ((size_t)fd >= l->room) return;
  l->at[fd].wanted = 0;
  forget(l, fd);
}

static int watch_mode(poe_loop *l, int fd, int mode, unsigned bit) {
  struct watched *w = &l->at[fd];
  enum method m =
      w->paused & bit && has(l->P, RESUME_FD) ? RESUME_FD : WATCH_FD;
  w->paused &= (uint8_t)~bit;
  w->told |= (uint8_t)bit;
  int err = call((struct call){
      .l = l, .method = m, .push = push_mode, .number = fd, .mode = mode});
  if (err == -EPERM) w->told &= (uint8_t)~bit;
  return err;
}

static int unwatch_mode(poe_loop *l, int fd, int mode, unsigned bit) {
  struct watched *w = &l->at[fd];
  if (!(w->told & bit)) return 0;
  enum method m = has(l->P, PAUSE_FD) ? PAUSE_FD : IGNORE_FD;
  w->told &= (uint8_t)~bit;
  if (m == PAUSE_FD) w->paused |= (uint8_t)bit;
  return call((struct call){
      .l = l, .method = m, .push = push_mode, .number = fd, .mode = mode});
}

static int is_same_file(int fd, const struct watched *w) {
  struct stat st;
  return fstat(fd, &st) == 0 && st.st_dev == w->dev && st.st_ino == w->ino;
}

static int make_always(poe_loop *l, int fd) {
  int err = forget(l, fd);
  l->at[fd].is_always = 1;
  l->nalways++;
  return err;
}

/* Tell the bridge what is wanted of a descriptor now. */
static int tell(poe_loop *l, int fd) {
  struct watched *w = &l->at[fd];
  unsigned wanted = w->wanted;
  int err = 0;
  w->is_dirty = 0;
  if (wanted && !is_same_file(fd, w)) {
    l->recorded = 1;
    poe_loop_lost(l->P->k, fd);
    return forget(l, fd);
  }
  if (w->is_always) return 0;
  for (int mode = 0; !err && mode < MODES; mode++) {
    unsigned bit = 1u << mode;
    err = (wanted & bit ? watch_mode : unwatch_mode)(l, fd, mode, bit);
    w = &l->at[fd];
  }
  return err == -EPERM ? make_always(l, fd) : err;
}

static int tell_all(poe_loop *l) {
  int err = 0;
  size_t i = 0;
  if (!l->ndirty) return 0;
  for (; !err && i < l->ndirty; i++) err = tell(l, l->dirty[i]);
  l->ndirty -= i;
  memmove(l->dirty, l->dirty + i, l->ndirty * sizeof *l->dirty);
  return err;
}

static void record_always(poe_loop *l) {
  if (!l->nalways) return;
  for (size_t fd = 0; fd < l->room; fd++) {
    const struct watched *w = &l->at[fd];
    if (!w->is_always || !w->wanted) continue;
    l->recorded = 1;
    poe_loop_ready(l->P->k, (int)fd, w->wanted);
  }
}

/* ---- signals ------------------------------------------------------------------- */

static int loop_watch_signal(poe_loop *l, int signum) {
  l->signals[signum] = 1;
  return call((struct call){
      .l = l, .method = WATCH_SIGNAL, .push = push_signal, .number = signum});
}

static void loop_ignore_signal(poe_loop *l, int signum) {
  if (!l->signals[signum]) return;
  l->signals[signum] = 0;
  call((struct call){
      .l = l, .method = IGNORE_SIGNAL, .push = push_signal, .number = signum});
}

/* ---- waiting ------------------------------------------------------------------- */

/* The time watcher is on while the loop must wake up by itself. */
static int tell_time(poe_loop *l, int64_t ns) {
  if (ns == 0 || (ns < 0 && !l->is_timed)) return 0;
  enum method m = ns < 0 ? PAUSE_TIME : l->is_timed ? RESET_TIME : RESUME_TIME;
  l->is_timed = ns > 0;
  return call((struct call){
      .l = l, .method = m, .push = ns < 0 ? NULL : push_seconds, .ns = ns});
}

/* A slice within a callback of the loop finds it turning: nothing new then. */
static int loop_wait(poe_loop *l, int64_t ns) {
  if (l->P->loop_failed) return -POE_ELOOP;
  if (l->is_turning) return 0;
  int err = tell_all(l);
  if (err) return err;
  record_always(l);
  if (l->recorded) ns = 0;
  err = tell_time(l, ns);
  if (err) return err;
  l->is_turning = 1;
  err = call((struct call){
      .l = l, .method = TIMESLICE, .push = push_seconds, .ns = ns});
  l->is_turning = 0;
  l->recorded = 0;
  return l->P->loop_failed ? -POE_ELOOP : err;
}

/* ---- open, close, fork ----------------------------------------------------------- */

static int initialize(poe_loop *l) {
  return call((struct call){.l = l, .method = INITIALIZE, .push = push_kernel});
}

static void loop_close(poe_loop *l) {
  call((struct call){.l = l, .method = FINALIZE});
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
  int err = call((struct call){.l = l, .method = FINALIZE});
  if (!err) err = initialize(l);
  for (int s = 1; !err && s < SIGNALS; s++)
    if (l->signals[s]) err = loop_watch_signal(l, s);
  for (size_t fd = 0; !err && fd < l->room; fd++) {
    struct watched *w = &l->at[fd];
    if (!(w->told | w->paused)) continue;
    w->told = w->paused = 0;
    err = mark_dirty(l, (int)fd);
  }
  l->is_timed = 0;
  return err;
}

static int loop_forked(poe_loop *l) {
  l->recorded = 0;
  if (!has(l->P, FORKED)) return begin_anew(l);
  return call((struct call){.l = l, .method = FORKED});
}

void lpoe_loop_halt(struct lpoe *P) {
  poe_loop *l = P->loop;
  if (!l || l->is_turning) return;
  l->is_turning = 1;
  call((struct call){.l = l, .method = HALT});
  l->is_turning = 0;
}

/* ---- the bridge's own way of running ------------------------------------------------ */

static int slice(lua_State *L) { /* -> whether a session is left */
  struct lpoe *P = lpoe_upvalue(L);
  P->in_slice = 1;
  int more = lpoe_slice(P, L);
  P->in_slice = P->is_awake = 0;
  lua_pushboolean(L, more);
  return 1;
}

/* [kernel, result or error] */
static int has_run(lua_State *L, int status, lua_KContext ctx) {
  struct lpoe *P = lpoe_upvalue(L);
  (void)ctx;
  int is_ours = P->in_slice;
  P->is_driven = P->in_slice = 0;
  if (status != LUA_OK && status != LUA_YIELD) {
    if (is_ours) return lua_error(L);
    keep_failure(P, L);
  }
  if (P->loop_failed) return lpoe_loop_raise(P, L);
  return 0;
}

/* Called where nothing may be collected: its finalizers could send too. */
void lpoe_loop_wake(struct lpoe *P) {
  if (P->in_slice || P->is_awake) return;
  P->is_awake = 1;
  int was_on = lua_gc(P->bridge, LUA_GCISRUNNING);
  if (was_on) lua_gc(P->bridge, LUA_GCSTOP);
  call(
      (struct call){.l = P->loop, .method = RESUME_TIME, .push = push_seconds});
  if (was_on) lua_gc(P->bridge, LUA_GCRESTART);
}

int lpoe_loop_drives(const struct lpoe *P) {
  return P->loop && has(P, RUN) && poe_session_count(P->k) > 0;
}

int lpoe_loop_run(struct lpoe *P, lua_State *L) {
  if (P->is_driven) return luaL_error(L, "the kernel is running already");
  luaL_checkstack(L, 12, NULL);
  lua_settop(L, 1);
  lua_pushcfunction(L, add_run_traceback);
  push_field(L, AT_BRIDGE);
  lua_getfield(L, -1, method_names[RUN]);
  lua_insert(L, -2);
  lua_pushvalue(L, 1);
  lua_getiuservalue(L, 1, LPOE_UV_VALUES);
  /* [kernel, handler, loop_run, bridge, slice] */
  lua_pushcclosure(L, slice, 2);
  P->is_driven = 1;
  return has_run(L, lua_pcallk(L, 2, 0, 2, 0, has_run), 0);
}

/* ---- a widget whose end is that of all sessions --------------------------------------- */

/* What a bridge calls when the widget is destroyed. */
static int destroyed(lua_State *L) {
  struct lpoe *P = lpoe_upvalue(L);
  poe_name *signal = poe_name_get(P->k, "UIDESTROY", 9);
  if (!signal) return luaL_error(L, "not enough memory");
  poe_signal(P->k, poe_kernel_session(P->k), signal, (struct poe_origin){0},
             (struct poe_payload){0});
  poe_name_unref(P->k, signal);
  return 0;
}

int lpoe_loop_attach_uidestroy(struct lpoe *P, lua_State *L, int widget) {
  if (!P->loop || !has(P, ATTACH_UIDESTROY)) return 0;
  push_field(L, AT_BRIDGE);
  lua_getfield(L, -1, method_names[ATTACH_UIDESTROY]);
  lua_insert(L, -2);
  lua_pushvalue(L, widget);
  lpoe_push_kernel(L);
  lua_pushcclosure(L, destroyed, 1);
  lua_call(L, 3, 0);
  return 1;
}

/* ---- taking a bridge -------------------------------------------------------------------- */

static const struct poe_loop_ops proto = {
    .by_number = 1,
    .open = loop_open,
    .close = loop_close,
    .wait = loop_wait,
    .watch_fd = loop_watch_fd,
    .ignore_fd = loop_ignore_fd,
    .watch_signal = loop_watch_signal,
    .ignore_signal = loop_ignore_signal,
    .forked = loop_forked,
};

static unsigned find_methods(lua_State *L, int bridge, const char *name) {
  unsigned found = 0;
  for (int m = 0; m < METHODS; m++) {
    int is_there = lua_getfield(L, bridge, method_names[m]) != LUA_TNIL;
    lua_pop(L, 1);
    if (is_there)
      found |= 1u << m;
    else if (m <= IGNORE_FD)
      luaL_error(L, "event loop '%s': its bridge has no method '%s'", name,
                 method_names[m]);
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

/* ---- luv in the child of a fork ----------------------------------------------------------- */

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
