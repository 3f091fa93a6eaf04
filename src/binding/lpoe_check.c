/* SPDX-License-Identifier: MIT */
/*
 * lpoe_check.c -- arguments in, failures out, the same for every method.
 *
 * A mistake in the program raises and names the argument; a condition at run
 * time is nil, "CODE: text", "CODE".
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

/* ---- wrong arguments -------------------------------------------------------------- */

/* [function]: its name in the table on top, which goes, or NULL. */
static const char *name_in(lua_State *L, int function) {
  const char *name = NULL;
  int methods = lua_gettop(L);
  lua_pushnil(L);
  while (!name && lua_next(L, methods)) {
    if (lua_rawequal(L, -1, function)) name = lua_tostring(L, -2);
    lua_pop(L, 1);
  }
  lua_settop(L, methods - 1);
  return name;
}

/* The name of the method that runs, of the kernel or of sessions, or NULL.
   Lua knows none when it was called by pcall, or under a name of its own. */
static const char *running_method(lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 0, &ar) || !lua_getinfo(L, "f", &ar)) return NULL;
  int function = lua_gettop(L);
  lpoe_push_kernel(L);
  luaL_getmetafield(L, -1, "__index");
  const char *name = name_in(L, function);
  if (!name) {
    luaL_getmetatable(L, LPOE_SESSION_CLASS);
    name = name_in(L, function);
  }
  lua_settop(L, function - 1);
  return name;
}

void lpoe_arg_error(lua_State *L, int arg, const char *what) {
  luaL_checkstack(L, 6, NULL);
  const char *method = running_method(L);
  if (!method) luaL_argerror(L, arg, what);
  if (arg == 1) luaL_error(L, "calling '%s' on bad self (%s)", method, what);
  luaL_error(L, "bad argument #%d to '%s' (%s)", arg - 1, method, what);
  __builtin_unreachable(); /* Lua's headers do not say so */
}

void lpoe_type_error(lua_State *L, int arg, const char *expected) {
  const char *got = luaL_typename(L, arg);
  if (luaL_getmetafield(L, arg, "__name") == LUA_TSTRING)
    got = lua_tostring(L, -1);
  lpoe_arg_error(L, arg,
                 lua_pushfstring(L, "%s expected, got %s", expected, got));
}

void lpoe_check_type(lua_State *L, int arg, int type) {
  if (lua_type(L, arg) != type)
    lpoe_type_error(L, arg, lua_typename(L, type));
}

/* ---- names ------------------------------------------------------------------------- */

static poe_name *look_up(struct lpoe *P, lua_State *L, int arg,
                         struct lpoe_recent *recent) {
  size_t len;
  const char *text = lua_tolstring(L, arg, &len);
  poe_name *name = poe_name_get(P->k, text, len);
  if (!name || !lua_checkstack(L, 3)) return name;
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_RECENT);
  lua_pushvalue(L, arg);
  lua_rawseti(L, -2, recent - P->recent + 1);
  lua_pop(L, 2);
  *recent = (struct lpoe_recent){name, lua_topointer(L, arg)};
  return name;
}

static struct lpoe_recent *place_of(struct lpoe *P, const void *string) {
  return &P->recent[(uintptr_t)string >> 5 & (LPOE_RECENT - 1)];
}

/* One reference of the name at a positive index; NULL: it is no string, or
   there is no memory. */
static poe_name *get_name(struct lpoe *P, lua_State *L, int arg) {
  const void *string = lua_topointer(L, arg);
  struct lpoe_recent *recent = place_of(P, string);
  if (recent->string == string && recent->name) {
    poe_name_ref(recent->name);
    return recent->name;
  }
  if (lua_type(L, arg) != LUA_TSTRING) return NULL;
  return look_up(P, L, arg, recent);
}

poe_name *lpoe_find_name(struct lpoe *P, lua_State *L, int arg) {
  const void *string = lua_topointer(L, arg);
  const struct lpoe_recent *recent = place_of(P, string);
  if (recent->string == string && recent->name) return recent->name;
  if (lua_type(L, arg) != LUA_TSTRING) return NULL;
  size_t len;
  const char *text = lua_tolstring(L, arg, &len);
  return poe_name_find(P->k, text, len);
}

static void no_name(lua_State *L, int arg, const char *what) {
  if (lua_type(L, arg) != LUA_TSTRING) lpoe_type_error(L, arg, what);
  luaL_error(L, "not enough memory");
}

void lpoe_name_gone(void *ud, const poe_name *name) {
  struct lpoe *P = ud;
  for (int i = 0; i < LPOE_RECENT; i++)
    if (P->recent[i].name == name) P->recent[i].name = NULL;
}

poe_name *lpoe_check_name(struct lpoe *P, lua_State *L, int arg,
                          const char *what) {
  poe_name *name = get_name(P, L, arg);
  if (!name) no_name(L, arg, what);
  return name;
}

void lpoe_take(struct lpoe *P, lua_State *L, int event, int first,
               struct lpoe_message *m) {
  uint32_t tables = P->values.tables;
  m->args = lpoe_park(P, L, first, lua_gettop(L) - first + 1, m->words);
  m->has_allocated = tables != P->values.tables;
  m->event = get_name(P, L, event);
  if (!m->event) {
    lpoe_unpark(P, m->args);
    no_name(L, event, "event name");
  }
  m->origin = lpoe_origin(P, L);
}

poe_session *lpoe_find_again(struct lpoe *P, uint64_t id) {
  return id ? poe_session_find(P->k, id) : poe_kernel_session(P->k);
}

int lpoe_sent(struct lpoe *P, struct lpoe_message *m, int err) {
  poe_name_unref(P->k, m->event);
  if (err < 0) lpoe_unpark(P, m->args);
  return err;
}

/* ---- destinations ------------------------------------------------------------ */

/* tostring(session): session 3 "alias". */
static poe_session *find_by_label(struct lpoe *P, const char *text) {
  char *end;
  if (strncmp(text, "session ", 8) != 0) return NULL;
  if (text[8] < '1' || text[8] > '9') return NULL;
  unsigned long long id = strtoull(text + 8, &end, 10);
  if (*end && strncmp(end, " \"", 2) != 0) return NULL;
  return poe_session_find(P->k, id);
}

static poe_session *find_by_text(struct lpoe *P, const char *text,
                                 size_t len) {
  poe_name *alias = poe_name_find(P->k, text, len);
  poe_session *s = alias ? poe_alias_find(P->k, alias) : NULL;
  if (s) return s;
  if (strlen(text) != len) return NULL;
  if (strcmp(text, poe_kernel_id(P->k)) == 0)
    return poe_kernel_session(P->k);
  return find_by_label(P, text);
}

static poe_session *no_session(struct lpoe *P, lua_State *L, int arg) {
  const char *text = luaL_tolstring(L, arg, NULL);
  lpoe_fail(P, L, ESRCH, POE_ASSERT_DATA, "no such session: %s", text);
  return NULL;
}

poe_session *lpoe_check_dest(struct lpoe *P, lua_State *L, int arg) {
  poe_session *s = NULL;
  int type = lua_type(L, arg);
  if (type == LUA_TNUMBER) {
    int is_integer;
    lua_Integer id = lua_tointegerx(L, arg, &is_integer);
    if (!is_integer) lpoe_arg_error(L, arg, "session ID has no integer value");
    s = id > 0 ? poe_session_find(P->k, (uint64_t)id) : NULL;
  } else if (type == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, arg, &len);
    s = find_by_text(P, text, len);
  } else if (lua_touserdata(L, arg) == P) {
    s = poe_kernel_session(P->k);
  } else {
    uint64_t id = lpoe_session_id(P, L, arg);
    if (!id && !lpoe_was_session(L, arg))
      lpoe_type_error(L, arg, "session, ID or alias");
    s = id ? poe_session_find(P->k, id) : NULL;
  }
  return s ? s : no_session(P, L, arg);
}

/* ---- times ---------------------------------------------------------------------- */

int64_t lpoe_check_seconds(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TNUMBER)
    lpoe_type_error(L, arg, "number of seconds");
  if (lua_isinteger(L, arg)) {
    lua_Integer n = lua_tointeger(L, arg);
    if (n > INT64_C(4000000000) || n < -INT64_C(4000000000))
      return n > 0 ? INT64_MAX / 2 : INT64_MIN / 2;
    return n * 1000000000;
  }
  lua_Number x = lua_tonumber(L, arg);
  if (x != x) lpoe_arg_error(L, arg, "number of seconds expected, got NaN");
  if (x > 4e9) return INT64_MAX / 2;
  if (x < -4e9) return INT64_MIN / 2;
  return (int64_t)llround(x * 1e9);
}

int64_t lpoe_check_epoch(lua_State *L, int arg) {
  int64_t ns = lpoe_check_seconds(L, arg);
  if (lua_isinteger(L, arg) || ns > INT64_MAX / 4 || ns < 0) return ns;
  /* Up to a microsecond, forgiving what a float cannot tell. */
  return (int64_t)ceil(lua_tonumber(L, arg) * 1e6 - 0.25) * 1000;
}

/* Whole microseconds, as poe.time has them: what a float keeps exactly. */
void lpoe_push_epoch(lua_State *L, int64_t ns) {
  int64_t us = ns / 1000;
  lua_pushnumber(L, (lua_Number)us / 1e6);
}

/* ---- failures ------------------------------------------------------------------------ */

const char *lpoe_errno_name(int err) {
  static const struct {
    int err;
    const char *name;
  } names[] = {
      {ESRCH, "ESRCH"},   {EEXIST, "EEXIST"}, {EPERM, "EPERM"},
      {ENOSYS, "ENOSYS"}, {EINVAL, "EINVAL"}, {EBADF, "EBADF"},
      {ECHILD, "ECHILD"}, {ENOMEM, "ENOMEM"}, {EAGAIN, "EAGAIN"},
      {EMFILE, "EMFILE"}, {ENFILE, "ENFILE"}, {EBUSY, "EBUSY"},
      {ENOSPC, "ENOSPC"}, {EINTR, "EINTR"},   {EIO, "EIO"},
      {EACCES, "EACCES"}, {ENOBUFS, "ENOBUFS"}, {POE_EDIED, "EDIED"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].err == err) return names[i].name;
  return "EUNKNOWN";
}

static const char *prefix_of(unsigned topic) {
  switch (topic) {
    case POE_ASSERT_DATA: return "<dt>";
    case POE_ASSERT_EVENTS: return "<ev>";
    case POE_ASSERT_FILES: return "<fh>";
    default: return "<rv>";
  }
}

int lpoe_fail(struct lpoe *P, lua_State *L, int err, unsigned topic,
              const char *format, ...) {
  const char *code = lpoe_errno_name(err);
  unsigned asserted = poe_asserted(P->k, topic | POE_ASSERT_RETVALS);
  va_list args;
  va_start(args, format);
  lua_pushnil(L);
  const char *text = lua_pushvfstring(L, format, args);
  va_end(args);
  lua_pushfstring(L, "%s: %s", code, text);
  lua_remove(L, -2);
  if (err == ENOMEM) luaL_error(L, "not enough memory");
  if (err == POE_ELOOP) return lpoe_loop_raise(P, L);
  if (asserted)
    luaL_error(L, "%s %s",
               prefix_of(asserted & topic ? topic : POE_ASSERT_RETVALS),
               lua_tostring(L, -1));
  if (poe_traced(P->k, POE_TRACE_RETVALS))
    poe_log(P->k, "<rv> %s", lua_tostring(L, -1));
  lua_pushstring(L, code);
  return 3;
}

int lpoe_true(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

void lpoe_warn_if_own(struct lpoe *P, const poe_name *event,
                      const char *how) {
  static const char *const own[] = {"_start", "_stop", "_child", "_parent",
                                    "_garbage_collect"};
  if (!poe_asserted(P->k, POE_ASSERT_USAGE)) return;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (strcmp(poe_name_text(event, NULL), own[i]) == 0)
      poe_log(P->k, "<us> '%s' is one of the kernel's own events: %s does not "
                    "have its effect", own[i], how);
}
