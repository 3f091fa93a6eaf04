/* SPDX-License-Identifier: MIT */
/*
 * lpoe_careful.c -- a handler's call that may allocate or raise while it is
 * prepared: packed arguments, leads that are no integers, methods, _default,
 * sessions of a kind of their own.
 *
 * It is a C function inside the handler's coroutine, so what is raised is the
 * handler's failure.
 */
#include <string.h>

#include "lpoe_dispatch.h"

static void push_lead(struct lpoe *P, lua_State *L,
                      const struct poe_lead *lead, int values) {
  switch (lead->kind) {
    case POE_LEAD_INT:
      lua_pushinteger(L, (lua_Integer)lead->as.i);
      break;
    case POE_LEAD_TEXT:
      lua_pushstring(L, lead->as.text);
      break;
    case POE_LEAD_NAME: {
      size_t len;
      const char *text = poe_name_text(lead->as.name, &len);
      lua_pushlstring(L, text, len);
      break;
    }
    case POE_LEAD_SESSION:
      lpoe_push_session(P, L, lead->as.session);
      break;
    case POE_LEAD_VALUE:
      if (!lpoe_push_parked(P, L, values, lpoe_payload(lead->as.value), 0))
        lua_pushnil(L);
      break;
  }
}

static void push_name(lua_State *L, const poe_name *name) {
  size_t len;
  if (!name) {
    lua_pushnil(L);
    return;
  }
  const char *text = poe_name_text(name, &len);
  lua_pushlstring(L, text, len);
}

/* All arguments of the event on top of the stack; returns how many.  Those
   that are parked come first: what allocates may run finalizers, and these may
   discard what is parked. */
static int push_arguments(struct lpoe_careful *c, lua_State *L, int ndirect,
                          int values) {
  const struct poe_dispatch *d = c->d;
  int top = lua_gettop(L);
  const char *why = lpoe_lacks_room(c->P, L, ndirect + 2 * POE_PAYLOAD_MAX + 8,
                                    "stack overflow (too many arguments)");
  if (why) luaL_error(L, "%s", why);
  if (d->handle)
    lpoe_push_parked(c->P, L, values, lpoe_payload(d->handle), 0);
  int lead = lua_gettop(L);
  for (unsigned i = 0; i < d->nleads; i++) lua_pushnil(L);
  for (int i = 0; i < ndirect; i++) lua_pushvalue(L, i + 2);
  c->taken = !d->args_borrowed;
  lpoe_push_parked(c->P, L, values, d->args, !d->args_borrowed);
  lpoe_push_parked(c->P, L, values, d->extra, 0);
  for (unsigned i = 0; i < d->nleads; i++) {
    push_lead(c->P, L, &d->leads[i], values);
    lua_replace(L, ++lead);
  }
  return lua_gettop(L) - top;
}

/* The n values on top become one table, packed with n. */
static void pack_top(lua_State *L, int n) {
  lua_createtable(L, n, 1);
  lua_insert(L, -n - 1);
  for (int i = n; i > 0; i--) lua_rawseti(L, -i - 1, i);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
}

static int push_event_arguments(struct lpoe_careful *c, lua_State *L,
                                int ndirect, int values) {
  if (!c->is_default) return push_arguments(c, L, ndirect, values);
  push_name(L, c->d->frame->event);
  pack_top(L, push_arguments(c, L, ndirect, values));
  return 2;
}

/* From its first event on the object at an index stands for its session. */
static void begin_custom(lua_State *L, int object, const poe_session *s) {
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_CUSTOM);
  lua_pushvalue(L, object);
  lua_pushinteger(L, (lua_Integer)poe_session_id(s));
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* session_alloc's own kind: _invoke_state does as it likes. */
static int push_custom(struct lpoe_careful *c, lua_State *L, int ndirect,
                       int values) {
  const struct poe_frame *f = c->d->frame;
  lpoe_push_session(c->P, L, f->session);
  int object = lua_gettop(L);
  begin_custom(L, object, f->session);
  pack_top(L, push_arguments(c, L, ndirect, values));
  lua_getfield(L, object, "_invoke_state");
  lua_insert(L, object);
  lpoe_push_session(c->P, L, f->sender);
  push_name(L, f->event);
  lua_rotate(L, object + 2, 2); /* [invoke, object, sender, event, args] */
  push_name(L, f->file);
  lua_pushinteger(L, f->line);
  push_name(L, f->from);
  return 7;
}

/* The handler [{object, method}] on top becomes: method, object. */
static void push_method(lua_State *L) {
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  lua_remove(L, -3); /* [object, name] */
  lua_pushvalue(L, -1);
  lua_gettable(L, -3); /* [object, name, method] */
  if (lua_isnil(L, -1))
    luaL_error(L, "object has no method '%s'", lua_tostring(L, -2));
  lua_replace(L, -2);
  lua_insert(L, -2);
}

/* [handler, kernel, heap], the handler as the table of states has it. */
static void push_target(struct lpoe_careful *c, lua_State *L) {
  const struct poe_session *s = c->d->frame->session;
  uint32_t slot = lpoe_slot_of(s);
  const poe_name *event =
      c->is_default ? c->P->n_default : c->d->frame->event;
  lpoe_push_kernel(L);
  int kernel = lua_gettop(L);
  lua_getiuservalue(L, kernel, LPOE_UV_STATES);
  lua_rawgeti(L, -1, c->P->slot[slot].states);
  lua_rawgeti(L, -1, poe_name_id(event));
  lua_insert(L, kernel);
  lua_pop(L, 2); /* [handler, kernel] */
  lua_getiuservalue(L, -1, LPOE_UV_HEAPS);
  lua_rawgeti(L, -1, (lua_Integer)slot + 1);
  lua_replace(L, -2);
}

/* [handler, kernel, heap, n arguments]: ready for the call. */
static int resolve_method(lua_State *L, int n) {
  int handler = lua_gettop(L) - n - 2;
  if (lua_type(L, handler) != LUA_TTABLE) return n + 2;
  lua_pushvalue(L, handler);
  push_method(L); /* [.., method, object] */
  lua_insert(L, handler + 1);
  lua_replace(L, handler);
  return n + 3;
}

static int finish(lua_State *L, int status, lua_KContext below) {
  (void)status;
  return lua_gettop(L) - (int)below;
}

int lpoe_careful(lua_State *L) {
  struct lpoe_careful *c = lua_touserdata(L, 1);
  struct lpoe *P = c->P;
  int ndirect = lua_gettop(L) - 1;
  luaL_checkstack(L, 20, NULL);
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_VALUES);
  lua_remove(L, -2);
  int values = lua_gettop(L), n;
  if (P->slot[lpoe_slot_of(c->d->frame->session)].flags & LPOE_CUSTOM) {
    n = push_custom(c, L, ndirect, values);
  } else {
    push_target(c, L);
    n = resolve_method(L, push_event_arguments(c, L, ndirect, values));
  }
  lua_callk(L, n, LUA_MULTRET, values, finish);
  return finish(L, LUA_OK, values);
}
