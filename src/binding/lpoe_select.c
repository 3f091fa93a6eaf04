/* SPDX-License-Identifier: MIT */
/*
 * lpoe_select.c -- select_*: from handles to descriptors.
 *
 * A handle is an integer, a Lua file, or an object with a fileno, getfd or
 * pollfd method.  The descriptor of a watched object is remembered, so that
 * unwatching finds it after the object was closed.
 */
#include <errno.h>
#include <string.h>
#include <sys/select.h>

#include "lpoe.h"

/* ---- handles --------------------------------------------------------------------- */

static int to_fd(lua_State *L, int index) {
  int is_integer;
  lua_Integer fd = lua_tointegerx(L, index, &is_integer);
  if (!is_integer || fd < 0 || fd > INT32_MAX) return -1;
  return (int)fd;
}

static int fd_of_file(lua_State *L, int arg, int *fd) {
  luaL_Stream *file = luaL_testudata(L, arg, LUA_FILEHANDLE);
  if (!file) return 0;
  *fd = file->closef && file->f ? fileno(file->f) : -1;
  return 1;
}

/* Call the first of the object's methods that tells a descriptor. */
static int fd_of_object(lua_State *L, int arg, int *fd) {
  static const char *const methods[] = {"fileno", "getfd", "pollfd"};
  int type = lua_type(L, arg);
  if (type != LUA_TTABLE && type != LUA_TUSERDATA) return 0;
  if (type == LUA_TUSERDATA && luaL_getmetafield(L, arg, "__index") == LUA_TNIL)
    return 0;
  if (type == LUA_TUSERDATA) lua_pop(L, 1);
  for (int i = 0; i < 3; i++) {
    if (lua_getfield(L, arg, methods[i]) == LUA_TFUNCTION) {
      lua_pushvalue(L, arg);
      lua_call(L, 1, 1);
      *fd = to_fd(L, -1);
      lua_pop(L, 1);
      return 1;
    }
    lua_pop(L, 1);
  }
  return 0;
}

static void push_handles(lua_State *L) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_HANDLES);
  lua_remove(L, -2);
}

/* The descriptor under which an object is watched, or -1. */
static int remembered(lua_State *L, int arg) {
  if (lua_type(L, arg) == LUA_TNUMBER) return -1;
  push_handles(L);
  lua_pushvalue(L, arg);
  int fd = lua_rawget(L, -2) == LUA_TNIL ? -1 : (int)lua_tointeger(L, -1);
  lua_pop(L, 2);
  return fd;
}

static void remember(lua_State *L, int arg, int fd) {
  if (lua_type(L, arg) == LUA_TNUMBER) return;
  push_handles(L);
  lua_pushvalue(L, arg);
  if (fd < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, fd);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* The descriptor of a handle as it is now; -1 if it is closed.  Raises. */
static int check_handle(lua_State *L, int arg) {
  int fd;
  if (lua_type(L, arg) == LUA_TNUMBER) {
    int is_integer;
    lua_tointegerx(L, arg, &is_integer);
    if (!is_integer) lpoe_type_error(L, arg, "handle");
    return to_fd(L, arg);
  }
  if (fd_of_file(L, arg, &fd) || fd_of_object(L, arg, &fd)) return fd;
  lpoe_type_error(L, arg, "handle");
}

/* The descriptor that a watcher of this handle would be under. */
static int watched_fd(lua_State *L, int arg) {
  int fd = remembered(L, arg);
  return fd >= 0 ? fd : check_handle(L, arg);
}

/* ---- watching ------------------------------------------------------------------------ */

static int failed(struct lpoe *P, lua_State *L, int err, int fd) {
  if (err == -ESRCH)
    return lpoe_fail(P, L, ESRCH, POE_ASSERT_FILES,
                     "session %I is stopping: it cannot watch handles",
                     (LUAI_UACINT)poe_session_id(poe_active_session(P->k)));
  if (err == -EBADF)
    return lpoe_fail(P, L, EBADF, POE_ASSERT_FILES,
                     "bad or closed descriptor %d", fd);
  if (err == -EMFILE)
    return lpoe_fail(P, L, EMFILE, POE_ASSERT_FILES,
                     "the loop '%s' cannot watch descriptor %d: it is not "
                     "below FD_SETSIZE (%d)",
                     poe_kernel_loop_name(P->k), fd, FD_SETSIZE);
  return lpoe_fail(P, L, -err, POE_ASSERT_FILES,
                   "the loop '%s' cannot watch descriptor %d (%s)",
                   poe_kernel_loop_name(P->k), fd, strerror(-err));
}

/* Is it an object that ends its watchers itself, by on_close? */
static int is_own(lua_State *L, int arg) {
  return luaL_testudata(L, arg, "poe.sys.fd") ||
         luaL_testudata(L, arg, "poe.sys.socket");
}

/* Watch the handle at 2; the event's name and arguments as given. */
static int watch(struct lpoe *P, lua_State *L, int fd, enum poe_mode mode,
                 int event, int first) {
  struct lpoe_message m;
  if (fd < 0) return -EBADF;
  struct poe_handle handle = {.fd = fd, .is_own = is_own(L, 2)};
  lpoe_take(P, L, event, first, &m);
  lua_pushvalue(L, 2);
  handle.value = lpoe_park_one(P, L);
  int err = poe_select_watch(P->k, handle, mode, m.event, m.origin, m.args);
  if (err) lpoe_unpark(P, lpoe_payload(&handle.value));
  return lpoe_sent(P, &m, err);
}

static void unwatch(struct lpoe *P, lua_State *L, int fd,
                    enum poe_mode mode) {
  if (fd < 0) return;
  poe_select_ignore(P->k, fd, mode);
  if (!poe_select_is_watched(P->k, fd)) remember(L, 2, -1);
}

/* An object that has another descriptor by now is not looked for under the old
   one again: the session's watchers there go. */
static void leave(struct lpoe *P, int old, int fd) {
  if (old < 0 || old == fd) return;
  poe_select_ignore(P->k, old, POE_RD);
  poe_select_ignore(P->k, old, POE_WR);
  poe_select_ignore(P->k, old, POE_EX);
}

static void check_event(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TSTRING) lpoe_type_error(L, arg, "event name");
}

static int select_one(lua_State *L, const char *method, enum poe_mode mode) {
  struct lpoe *P = lpoe_self_in_session(L, method);
  if (lua_isnoneornil(L, 3)) {
    unwatch(P, L, watched_fd(L, 2), mode);
    return lpoe_true(L);
  }
  check_event(L, 3);
  int fd = check_handle(L, 2), old = remembered(L, 2);
  int err = watch(P, L, fd, mode, 3, 4);
  if (err) return failed(P, L, err, fd);
  leave(P, old, fd);
  remember(L, 2, fd);
  return lpoe_true(L);
}

static int kernel_select_read(lua_State *L) {
  return select_one(L, "select_read", POE_RD);
}

static int kernel_select_write(lua_State *L) {
  return select_one(L, "select_write", POE_WR);
}

static int kernel_select_expedite(lua_State *L) {
  return select_one(L, "select_expedite", POE_EX);
}

/* All three at once: those named are watched, the others not. */
static int kernel_select(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "select");
  int top = lua_gettop(L), any = 0, fd = -1;
  for (int i = 3; i <= 5; i++)
    if (!lua_isnoneornil(L, i)) {
      check_event(L, i);
      any = 1;
    }
  int old = watched_fd(L, 2);
  if (any) {
    fd = check_handle(L, 2);
    if (fd < 0) return failed(P, L, -EBADF, fd);
  }
  for (int i = 3; i <= 5; i++) {
    enum poe_mode mode = (enum poe_mode)(i - 3);
    if (lua_isnoneornil(L, i)) {
      unwatch(P, L, old, mode);
      continue;
    }
    int err = watch(P, L, fd, mode, i, 6 <= top ? 6 : top + 1);
    if (err) return failed(P, L, err, fd);
    leave(P, old, fd);
    remember(L, 2, fd);
  }
  return lpoe_true(L);
}

static int pause_or_resume(lua_State *L, const char *method,
                           enum poe_mode mode,
                           int (*act)(poe_kernel *, int, enum poe_mode)) {
  struct lpoe *P = lpoe_self_in_session(L, method);
  int fd = watched_fd(L, 2);
  int done = fd < 0 ? 0 : act(P->k, fd, mode);
  if (done < 0) return failed(P, L, done, fd);
  lua_pushboolean(L, done);
  return 1;
}

static int kernel_select_pause_read(lua_State *L) {
  return pause_or_resume(L, "select_pause_read", POE_RD, poe_select_pause);
}

static int kernel_select_resume_read(lua_State *L) {
  return pause_or_resume(L, "select_resume_read", POE_RD, poe_select_resume);
}

static int kernel_select_pause_write(lua_State *L) {
  return pause_or_resume(L, "select_pause_write", POE_WR, poe_select_pause);
}

static int kernel_select_resume_write(lua_State *L) {
  return pause_or_resume(L, "select_resume_write", POE_WR,
                         poe_select_resume);
}

#define LISTENER 3 /* upvalue of on_close */

static int on_close(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, lua_upvalueindex(1));
  if (!P->k || P->closing) return 0;
  int fd = remembered(L, 1);
  if (fd >= 0) {
    poe_select_forget(P->k, fd);
    remember(L, 1, -1);
  }
  if (lua_isnil(L, lua_upvalueindex(LISTENER))) return 0;
  lua_pushvalue(L, lua_upvalueindex(LISTENER));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

void lpoe_hear_closes(lua_State *L, int kernel) {
  lua_pushvalue(L, kernel);
  lua_getiuservalue(L, kernel, LPOE_UV_VALUES);
  lua_pushnil(L);
  lua_pushcclosure(L, on_close, LISTENER);
  lua_setfield(L, LUA_REGISTRYINDEX, "poe.sys.on_close");
}

/* core.on_close(function): it is told of each object that is closed. */
int lpoe_on_close(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_getfield(L, LUA_REGISTRYINDEX, "poe.sys.on_close");
  lua_pushvalue(L, 1);
  lua_setupvalue(L, -2, LISTENER);
  return 0;
}

const luaL_Reg lpoe_select_methods[] = {
    {"select", kernel_select},
    {"select_read", kernel_select_read},
    {"select_write", kernel_select_write},
    {"select_expedite", kernel_select_expedite},
    {"select_pause_read", kernel_select_pause_read},
    {"select_resume_read", kernel_select_resume_read},
    {"select_pause_write", kernel_select_pause_write},
    {"select_resume_write", kernel_select_resume_write},
    {NULL, NULL}};
