/* SPDX-License-Identifier: MIT */
/*
 * lpoe_signal.c -- sig, signal, sig_handled, sig_child, signal_ui_destroy.
 */
#include <errno.h>
#include <string.h>

#include "lpoe.h"

static int stopping(struct lpoe *P, lua_State *L, int err) {
  if (err != -ESRCH)
    return lpoe_fail(P, L, -err, POE_ASSERT_EVENTS, "%s", strerror(-err));
  return lpoe_fail(P, L, ESRCH, POE_ASSERT_EVENTS,
                   "session %I is stopping: it cannot watch anything",
                   (LUAI_UACINT)poe_session_id(poe_active_session(P->k)));
}

static int kernel_sig(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "sig");
  struct lpoe_message m;
  if (lua_type(L, 2) != LUA_TSTRING) lpoe_type_error(L, 2, "signal name");
  if (!lua_isnoneornil(L, 3) && lua_type(L, 3) != LUA_TSTRING)
    lpoe_type_error(L, 3, "event name");
  poe_name *signal = lpoe_check_name(P, L, 2, "signal name");
  int err;
  if (lua_isnoneornil(L, 3)) {
    err = poe_sig_ignore(P->k, signal);
  } else {
    lpoe_take(P, L, 3, 4, &m);
    err = poe_sig_watch(P->k, signal, m.event, m.origin, m.args);
    lpoe_sent(P, &m, err);
  }
  poe_name_unref(P->k, signal);
  return err ? stopping(P, L, err) : lpoe_true(L);
}

static int kernel_sig_handled(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  poe_sig_handled(P->k);
  return lpoe_true(L);
}

static int kernel_signal(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  struct lpoe_message m;
  if (lua_type(L, 3) != LUA_TSTRING) lpoe_type_error(L, 3, "signal name");
  poe_session *dest = lpoe_check_dest(P, L, 2);
  if (!dest) return 3;
  uint64_t id = poe_session_id(dest);
  lpoe_take(P, L, 3, 4, &m);
  if (m.has_allocated) dest = lpoe_find_again(P, id);
  int err = dest ? poe_signal(P->k, dest, m.event, m.origin, m.args) : -ESRCH;
  if (lpoe_sent(P, &m, err) == 0) return lpoe_true(L);
  return lpoe_fail(P, L, -err, POE_ASSERT_EVENTS,
                   "session %I is stopping or has ended", (LUAI_UACINT)id);
}

static int kernel_sig_child(lua_State *L) {
  struct lpoe *P = lpoe_self_in_session(L, "sig_child");
  struct lpoe_message m;
  int is_integer;
  lua_Integer pid = lua_tointegerx(L, 2, &is_integer);
  if (lua_type(L, 2) != LUA_TNUMBER || !is_integer)
    lpoe_type_error(L, 2, "process ID");
  if (lua_isnoneornil(L, 3)) {
    poe_sig_child_ignore(P->k, pid);
    return lpoe_true(L);
  }
  lpoe_take(P, L, 3, 4, &m);
  int err = poe_sig_child(P->k, pid, m.event, m.origin, m.args);
  if (lpoe_sent(P, &m, err) == 0) return lpoe_true(L);
  if (err != -ECHILD) return stopping(P, L, err);
  return lpoe_fail(P, L, ECHILD, POE_ASSERT_EVENTS,
                   "process %I is no child of this process", (LUAI_UACINT)pid);
}

/* A light userdata, or what an object of lgi has in its field _native. */
static void *to_widget(lua_State *L, int arg) {
  if (lua_islightuserdata(L, arg)) return lua_touserdata(L, arg);
  int has_fields = luaL_getmetafield(L, arg, "__index") != LUA_TNIL;
  lua_settop(L, 2);
  if (!has_fields && !lua_istable(L, arg)) return NULL;
  lua_getfield(L, arg, "_native");
  void *widget = lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : NULL;
  lua_pop(L, 1);
  return widget;
}

static int kernel_signal_ui_destroy(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  if (lua_isnone(L, 2)) lpoe_type_error(L, 2, "widget");
  if (lpoe_loop_attach_uidestroy(P, L, 2)) return lpoe_true(L);
  lua_settop(L, 2);
  int err = poe_kernel_attach_uidestroy(P->k, to_widget(L, 2));
  if (err == 0) return lpoe_true(L);
  if (err == -EINVAL) lpoe_type_error(L, 2, "widget");
  if (err != -ENOSYS) return stopping(P, L, err);
  return lpoe_fail(P, L, ENOSYS, POE_ASSERT_EVENTS,
                   "the loop '%s' has no widgets", poe_kernel_loop_name(P->k));
}

const luaL_Reg lpoe_signal_methods[] = {
    {"sig", kernel_sig},
    {"sig_handled", kernel_sig_handled},
    {"signal", kernel_signal},
    {"sig_child", kernel_sig_child},
    {"signal_ui_destroy", kernel_signal_ui_destroy},
    {NULL, NULL}};
