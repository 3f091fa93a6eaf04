/* SPDX-License-Identifier: MIT */
/*
 * lpoe_why.c -- kernel:why: what keeps the program or one session alive.
 *
 * What the kernel tells is copied first, texts and all, into memory of C:
 * while tables are made of it finalizers may run, and change what was told.
 * The same copy is printed when a signal asks, without any Lua.
 *
 * The kernel knows postbacks as one tag.  Who made each is recorded here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

#define WHY_CLASS "poe.why"
#define SHOWN 20 /* lines of one kind in a text, of one session */

/* ---- postbacks ----------------------------------------------------------------- */

struct lpoe_made {
  uint64_t session, by; /* ids */
  int64_t at_ns;
  poe_name *event, *from, *file; /* a reference each; the latter may be NULL */
  uint32_t line;
  uint32_t *place; /* the postback's; index here plus 1 */
};

static poe_name *kept(poe_name *name) {
  if (name) poe_name_ref(name);
  return name;
}

static int grow(void **p, size_t item, size_t need, size_t *room) {
  if (need <= *room) return 0;
  size_t n = *room ? *room * 2 : 16;
  while (n < need) n *= 2;
  void *q = realloc(*p, n * item);
  if (!q) return -ENOMEM;
  *p = q;
  *room = n;
  return 0;
}

/* Without memory for it, it is not known. */
void lpoe_why_postback(struct lpoe *P, lua_State *L, uint64_t session,
                       poe_name *event, uint32_t *place) {
  if (!poe_is_why(P->k)) return;
  size_t room = P->made_room;
  if (grow((void **)&P->made, sizeof *P->made, P->nmade + 1u, &room)) return;
  P->made_room = (uint32_t)room;
  const struct poe_frame *f = poe_kernel_frame(P->k);
  struct poe_origin origin = lpoe_origin(P, L);
  P->made[P->nmade] = (struct lpoe_made){
      .session = session,
      .by = poe_session_id(poe_active_session(P->k)),
      .at_ns = poe_now_ns(P->k),
      .event = kept(event),
      .from = kept(f ? f->active : NULL),
      .file = kept(origin.file),
      .line = origin.line,
      .place = place};
  *place = ++P->nmade;
}

void lpoe_why_released(struct lpoe *P, uint32_t *place) {
  if (*place == 0) return;
  struct lpoe_made *m = &P->made[*place - 1];
  poe_name_unref(P->k, m->event);
  poe_name_unref(P->k, m->from);
  poe_name_unref(P->k, m->file);
  *m = P->made[--P->nmade];
  *m->place = *place;
  *place = 0;
}

void lpoe_why_forget(struct lpoe *P) {
  while (P->nmade) lpoe_why_released(P, P->made[P->nmade - 1].place);
  free(P->made);
  P->made = NULL;
  P->made_room = 0;
}

/* ---- the copy --------------------------------------------------------------------- */

static const char *const kinds[] = {
    [POE_BY_HANDLER] = "handler", [POE_BY_EVENT] = "event",
    [POE_BY_TIMER] = "timer",     [POE_BY_SELECT] = "select",
    [POE_BY_CHILD] = "child",     [POE_BY_SIGNAL] = "signal",
    [POE_BY_TAG] = "tag",         [POE_BY_SESSION] = "session",
    [POE_BY_ALIAS] = "alias",     [POE_BY_SENT] = "sent"};

/* Texts are offsets into the copy's; 0: none. */
struct entry {
  struct poe_reason r; /* its pointers are not used */
  const char *kind;
  uint64_t session, other; /* ids */
  size_t label, name, event, from, file, text;
};

struct why {
  struct lpoe *P;
  const poe_session *only;
  struct entry *at;
  size_t n, room;
  char *text;
  size_t used, text_room;
  int err;
};

static void why_free(struct why *w) {
  free(w->at);
  free(w->text);
}

static size_t add_text(struct why *w, const char *text) {
  if (!text) return 0;
  size_t size = strlen(text) + 1, at = w->used;
  if (grow((void **)&w->text, 1, at + size, &w->text_room)) {
    w->err = -ENOMEM;
    return 0;
  }
  memcpy(w->text + at, text, size);
  w->used += size;
  return at;
}

static size_t add_name(struct why *w, const poe_name *name) {
  return add_text(w, name ? poe_name_text(name, NULL) : NULL);
}

static void add_entry(struct why *w, const struct poe_reason *r,
                      const char *kind, const char *text) {
  char label[128];
  if (w->err ||
      (w->err = grow((void **)&w->at, sizeof *w->at, w->n + 1, &w->room)))
    return;
  struct entry *e = &w->at[w->n++];
  *e = (struct entry){.r = *r,
                      .kind = kind,
                      .session = poe_session_id(r->session),
                      .other = r->other ? poe_session_id(r->other) : 0,
                      .name = add_name(w, r->name),
                      .event = add_name(w, r->event),
                      .from = add_name(w, r->from),
                      .file = add_name(w, r->file),
                      .text = add_text(w, text)};
  e->label =
      add_text(w, poe_session_label(r->session, label, sizeof label));
}

/* "tag 'anon_event', ..." is told as "postback 'event', ...". */
static void add_postback(struct why *w, const struct poe_reason *tag,
                         const struct lpoe_made *m) {
  char text[512], line[512];
  struct poe_reason r = *tag;
  r.name = m->event;
  r.count = 1;
  r.has_age = r.has_maker = 1;
  r.age_ns = poe_now_ns(w->P->k) - m->at_ns;
  r.by = m->by;
  r.from = m->from;
  r.file = m->file;
  r.line = m->line;
  r.kind = POE_BY_SESSION; /* "created", with nothing before */
  r.other = r.session;
  const char *rest =
      strchr(poe_reason_text(w->P->k, &r, text, sizeof text), ',');
  snprintf(line, sizeof line, "postback '%s'%s", poe_name_text(m->event, NULL),
           rest ? rest : "");
  r.other = NULL;
  add_entry(w, &r, "postback", line);
}

static void add_postbacks(struct why *w, const struct poe_reason *tag) {
  struct lpoe *P = w->P;
  char line[128];
  int64_t left = tag->number;
  for (uint32_t i = 0; i < P->nmade; i++) {
    if (P->made[i].session != poe_session_id(tag->session)) continue;
    add_postback(w, tag, &P->made[i]);
    left--;
  }
  if (left <= 0) return;
  struct poe_reason r = *tag;
  r.name = NULL;
  r.count = (size_t)left;
  r.has_age = r.has_maker = 0;
  r.from = r.file = NULL;
  snprintf(line, sizeof line,
           "postbacks: %zu, made while why was off", r.count);
  add_entry(w, &r, "postback", line);
}

static void visit(void *ud, const struct poe_reason *r) {
  struct why *w = ud;
  char line[1024];
  if (r->kind == POE_BY_TAG && r->name == w->P->n_anon && r->number > 0)
    add_postbacks(w, r);
  else
    add_entry(w, r, kinds[r->kind],
              poe_reason_text(w->P->k, r, line, sizeof line));
}

/* 0 or -ENOMEM; to be freed in either case. */
static int ask(struct lpoe *P, const poe_session *only, struct why *w) {
  *w = (struct why){.P = P, .only = only};
  add_text(w, ""); /* so that 0 is no text */
  int err = poe_why(P->k, only, visit, w);
  return err ? err : w->err;
}

/* ---- as text ------------------------------------------------------------------------- */

typedef void (*writer)(void *to, const char *text);

/* "and 980 more": of the kind before this entry, if it was cut short. */
static void write_rest(writer write, void *to, size_t n, const char *kind) {
  char line[64];
  if (n <= SHOWN) return;
  snprintf(line, sizeof line, "  and %zu more of this kind: %s\n", n - SHOWN,
           kind);
  write(to, line);
}

static void write_entry(const struct why *w, const struct entry *e,
                        writer write, void *to) {
  write(to, "  ");
  write(to, w->text + e->text);
  if (!e->r.keeps_program) write(to, " (keeps the session only)");
  write(to, "\n");
}

static void write_entries(const struct why *w, writer write, void *to) {
  size_t alike = 0;
  const struct entry *last = NULL;
  for (const struct entry *e = w->at; e < w->at + w->n; last = e++) {
    int is_same = last && last->session == e->session;
    if (!is_same || strcmp(last->kind, e->kind) != 0) {
      if (last) write_rest(write, to, alike, last->kind);
      alike = 0;
    }
    if (!is_same) {
      write(to, w->text + e->label);
      write(to, ":\n");
    }
    if (++alike <= SHOWN) write_entry(w, e, write, to);
  }
  if (last) write_rest(write, to, alike, last->kind);
}

static void write_text(const struct why *w, writer write, void *to) {
  size_t keeping = 0;
  for (size_t i = 0; i < w->n; i++) keeping += w->at[i].r.keeps_program != 0;
  if (w->only && w->n == 0)
    write(to, "nothing keeps this session alive\n");
  else if (w->only)
    write(to, "what keeps this session alive:\n");
  else if (keeping == 0)
    write(to, "nothing keeps this program alive\n");
  else
    write(to, "what keeps this program alive:\n");
  write_entries(w, write, to);
}

static void write_to_file(void *to, const char *text) { fputs(text, to); }

void lpoe_why_print(void *ud) {
  struct lpoe *P = ud;
  struct why w;
  if (ask(P, NULL, &w) == 0)
    write_text(&w, write_to_file, stderr);
  else
    fputs("why: not enough memory\n", stderr);
  why_free(&w);
  fflush(stderr);
}

/* ---- as a table ------------------------------------------------------------------------ */

static void set_text(const struct why *w, lua_State *L, size_t text,
                     const char *field) {
  if (!text) return;
  lua_pushstring(L, w->text + text);
  lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, int64_t n, const char *field) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, field);
}

static void set_seconds(lua_State *L, int64_t ns, const char *field) {
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, field);
}

static void set_session(const struct why *w, lua_State *L, uint64_t id,
                        const char *field) {
  if (id)
    lpoe_push_id(w->P, L, id);
  else
    lpoe_push_kernel(L);
  lua_setfield(L, -2, field);
}

static void set_numbers(lua_State *L, const struct poe_reason *r) {
  switch (r->kind) {
    case POE_BY_TIMER:
      set_integer(L, r->number, "id");
      set_seconds(L, r->due_ns, "due_in");
      break;
    case POE_BY_SELECT:
      set_integer(L, r->number, "fd");
      set_integer(L, r->mode, "mode");
      lua_pushboolean(L, r->is_paused);
      lua_setfield(L, -2, "paused");
      break;
    case POE_BY_CHILD: set_integer(L, r->number, "pid"); break;
    case POE_BY_TAG: set_integer(L, r->number, "count"); break;
    default: break;
  }
  if (r->count) set_integer(L, (int64_t)r->count, "count");
}

/* A name is an event's, unless the thing itself has one. */
static void set_names(const struct why *w, lua_State *L,
                      const struct entry *e) {
  int is_named = e->r.kind == POE_BY_ALIAS || e->r.kind == POE_BY_SIGNAL ||
                 strcmp(e->kind, "tag") == 0;
  set_text(w, L, e->name, is_named ? "name" : "event");
  set_text(w, L, e->event, "event");
}

static void push_entry(const struct why *w, lua_State *L,
                       const struct entry *e) {
  const struct poe_reason *r = &e->r;
  lua_createtable(L, 0, 12);
  lua_pushstring(L, e->kind);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, r->keeps_program ? "program" : "session");
  lua_setfield(L, -2, "keeps");
  set_session(w, L, e->session, "session");
  if (r->kind == POE_BY_SENT) set_session(w, L, e->other, "to");
  if (r->kind == POE_BY_SESSION && r->other)
    set_session(w, L, e->other, "child");
  set_names(w, L, e);
  set_numbers(L, r);
  if (r->has_age) set_seconds(L, r->age_ns, "age");
  if (r->has_maker) set_session(w, L, r->by, "by");
  set_text(w, L, e->from, "from");
  set_text(w, L, e->file, "file");
  if (e->file) set_integer(L, r->line, "line");
  set_text(w, L, e->text, "text");
}

static void write_to_buffer(void *to, const char *text) {
  luaL_addstring(to, text);
}

static int why_tostring(lua_State *L) {
  lua_settop(L, 1);
  lua_pushliteral(L, "text");
  lua_rawget(L, 1);
  return 1;
}

/* Stack: the copy. */
static int build(lua_State *L) {
  const struct why *w = lua_touserdata(L, 1);
  luaL_Buffer text;
  luaL_checkstack(L, 20, NULL);
  lua_createtable(L, (int)w->n, 1);
  luaL_buffinit(L, &text);
  write_text(w, write_to_buffer, &text);
  luaL_pushresult(&text);
  lua_setfield(L, 2, "text");
  for (size_t i = 0; i < w->n; i++) {
    push_entry(w, L, &w->at[i]);
    lua_rawseti(L, 2, (lua_Integer)i + 1);
  }
  if (luaL_newmetatable(L, WHY_CLASS)) {
    lua_pushcfunction(L, why_tostring);
    lua_setfield(L, -2, "__tostring");
  }
  lua_setmetatable(L, 2);
  return 1;
}

static int kernel_why(lua_State *L) {
  struct lpoe *P = lpoe_self(L);
  const poe_session *only = NULL;
  struct why w;
  if (!lua_isnoneornil(L, 2)) {
    only = lpoe_check_dest(P, L, 2);
    if (!only) return 3;
  }
  int err = ask(P, only, &w), status = LUA_OK;
  if (!err) {
    lua_pushcfunction(L, build);
    lua_pushlightuserdata(L, &w);
    status = lua_pcall(L, 1, 1, 0);
  }
  why_free(&w);
  if (err) return luaL_error(L, "not enough memory");
  return status == LUA_OK ? 1 : lua_error(L);
}

const luaL_Reg lpoe_why_methods[] = {{"why", kernel_why}, {NULL, NULL}};

/* ---- the switch ------------------------------------------------------------------------- */

static void set(struct lpoe *P, lua_State *L, int on, int on_signals) {
  poe_set_why(P->k, on);
  if (!on) lpoe_why_forget(P);
  int err = on_signals ? poe_listen_why(P->k) : 0;
  if (err) luaL_error(L, "why: %s", strerror(-err));
}

void lpoe_why_switch(struct lpoe *P, lua_State *L) {
  int type = lua_type(L, -1);
  int on_signals = type == LUA_TSTRING &&
                   strcmp(lua_tostring(L, -1), "signals") == 0;
  if (!on_signals && type != LUA_TBOOLEAN)
    luaL_error(L, "configure: 'why' must be true, false or \"signals\", got "
               "%s", type == LUA_TSTRING ? lua_tostring(L, -1)
                                         : luaL_typename(L, -1));
  if (lpoe_environment(L, "POE_WHY")) return;
  set(P, L, lua_toboolean(L, -1), on_signals);
}

void lpoe_why_from_environment(struct lpoe *P, lua_State *L) {
  const char *value = lpoe_environment(L, "POE_WHY");
  if (value && *value && strcmp(value, "0") != 0) set(P, L, 1, 1);
}
