/* SPDX-License-Identifier: MIT */
/*
 * lpoe_origin.c -- where in the script an event comes from: file and line; and
 * how many of a method's results its caller takes.
 *
 * lua_getinfo costs as much as the rest of a post, so what it has told of a
 * place is remembered, by Lua's program counter there.  Only places in
 * handlers that stand in a table of states are remembered, and all are
 * forgotten before such a handler can go: the code that a program counter
 * points into is alive, and nothing else can have come to lie there.
 *
 * The program counter lies in Lua's CallInfo, whose fields are the same in all
 * of 5.4, and so does the number of results.  They are tried out once; where
 * they do not behave so they are never read again: lua_getinfo is asked each
 * time, and all results are made.
 */
#include <string.h>

#include "lpoe.h"

/* A slot of Lua's stack. */
struct slot {
  const void *value;
  unsigned char type;
};

struct call_info {
  const struct slot *func;
  void *top, *previous, *next;
  const char *pc; /* of a Lua function: its next instruction */
  void *of_c[2];
  int unused;
  short results; /* that are taken; LUA_MULTRET: all there are */
};

_Static_assert(LUA_VERSION_NUM == 504, "struct call_info is that of Lua 5.4");

static const struct call_info *call_info(const lua_Debug *ar) {
  return (const void *)ar->i_ci;
}

static struct lpoe_place *place_of(struct lpoe *P, const char *pc) {
  return &P->place[(uintptr_t)pc >> 2 & (LPOE_PLACES - 1)];
}

/* ---- finding out ---------------------------------------------------------------- */

static struct poe_origin find_file(struct lpoe *P, const lua_Debug *ar) {
  const char *text = ar->source;
  size_t len = ar->srclen;
  if (*text == '@') {
    text++;
    len--;
  } else {
    text = ar->short_src;
    len = strlen(text);
  }
  uint32_t line = ar->currentline > 0 ? (uint32_t)ar->currentline : 0;
  if (P->file) {
    size_t last;
    const char *known = poe_name_text(P->file, &last);
    if (last == len && memcmp(known, text, len) == 0)
      return (struct poe_origin){P->file, line};
    poe_name_unref(P->k, P->file);
  }
  P->file = poe_name_get(P->k, text, len);
  return (struct poe_origin){P->file, line};
}

/* Is the function on top the handler of the event under way? */
static int is_handler(struct lpoe *P, lua_State *L) {
  const struct poe_frame *f = poe_kernel_frame(P->k);
  if (!f || !lua_checkstack(L, 4)) return 0;
  int function = lua_gettop(L);
  const poe_name *event = f == P->default_frame ? P->n_default : f->event;
  lpoe_push_kernel(L);
  lua_getiuservalue(L, -1, LPOE_UV_STATES);
  uint32_t states = P->slot[lpoe_slot_of(f->session)].states;
  int known = lua_rawgeti(L, -1, states) == LUA_TTABLE &&
              lua_rawgeti(L, -1, poe_name_id(event)) == LUA_TFUNCTION &&
              lua_rawequal(L, -1, function);
  lua_settop(L, function);
  return known;
}

static void remember(struct lpoe *P, lua_State *L, lua_Debug *ar,
                     struct poe_origin at) {
  if (!P->has_places || !at.file || !lua_checkstack(L, 1)) return;
  lua_getinfo(L, "f", ar);
  if (is_handler(P, L)) {
    const char *pc = call_info(ar)->pc;
    struct lpoe_place *place = place_of(P, pc);
    poe_name_ref(at.file);
    if (place->at.file) poe_name_unref(P->k, place->at.file);
    *place = (struct lpoe_place){pc, at};
    P->knows_places = 1;
  }
  lua_pop(L, 1);
}

/* The innermost Lua function with a line.  Only the caller itself is
   remembered: what is below it may call from one place in many ways. */
static struct poe_origin ask(struct lpoe *P, lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    struct poe_origin at = find_file(P, &ar);
    if (level == 1) remember(P, L, &ar, at);
    return at;
  }
  return (struct poe_origin){NULL, 0};
}

struct poe_origin lpoe_origin(struct lpoe *P, lua_State *L) {
  lua_Debug ar;
  if (P->is_driven) lpoe_loop_wake(P);
  if (P->has_places && lua_getstack(L, 1, &ar)) {
    const struct call_info *ci = call_info(&ar);
    const struct lpoe_place *place = place_of(P, ci->pc);
    if (place->pc == ci->pc && ci->func->type == P->function_type)
      return place->at;
  }
  return ask(P, L);
}

void lpoe_forget_places(struct lpoe *P) {
  if (!P->knows_places) return;
  P->knows_places = 0;
  for (int i = 0; i < LPOE_PLACES; i++) {
    struct lpoe_place *place = &P->place[i];
    if (place->at.file) poe_name_unref(P->k, place->at.file);
    *place = (struct lpoe_place){0};
  }
}

int lpoe_results(struct lpoe *P, lua_State *L) {
  lua_Debug ar;
  if (!P->has_places || !lua_getstack(L, 0, &ar)) return LUA_MULTRET;
  return call_info(&ar)->results;
}

/* ---- trying out ------------------------------------------------------------------- */

#define TRIALS 6

struct trial {
  int calls, is_right;
  unsigned char type; /* Lua's mark of a function written in Lua */
  const char *pc[TRIALS];
  int results[TRIALS];
};

static int note_call(lua_State *L) {
  struct trial *t = lua_touserdata(L, lua_upvalueindex(1));
  lua_Debug ar;
  lua_getstack(L, 1, &ar);
  lua_getinfo(L, "f", &ar);
  const struct slot *function = call_info(&ar)->func;
  if (function->value != lua_topointer(L, -1)) t->is_right = 0;
  t->type = function->type;
  if (t->calls == TRIALS) return 0;
  t->pc[t->calls] = call_info(&ar)->pc;
  lua_getstack(L, 0, &ar);
  t->results[t->calls++] = call_info(&ar)->results;
  return 0;
}

static int is_right(const struct trial *t) {
  static const int results[TRIALS] = {0, 1, 0, 1, 2, LUA_MULTRET};
  for (int i = 0; i < TRIALS; i++)
    if (t->results[i] != results[i]) return 0;
  return t->calls == TRIALS && t->is_right && t->pc[0] < t->pc[1] &&
         t->pc[1] - t->pc[0] < 64 && t->pc[0] == t->pc[2] &&
         t->pc[1] == t->pc[3];
}

void lpoe_try_places(struct lpoe *P, lua_State *L) {
  struct trial t = {.is_right = 1};
  if (luaL_loadstring(L, "local f = ... "
                         "for i = 1, 2 do f() local a = f() end "
                         "local a, b = f() "
                         "return f()"))
    lua_error(L);
  lua_pushlightuserdata(L, &t);
  lua_pushcclosure(L, note_call, 1);
  lua_call(L, 1, 0);
  P->function_type = t.type;
  P->has_places = is_right(&t);
}
