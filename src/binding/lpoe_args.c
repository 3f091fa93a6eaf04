/* SPDX-License-Identifier: MIT */
/*
 * lpoe_args.c -- where the arguments of queued events wait.
 *
 * A payload is a run of 32-bit parts.  The first tells how many values there
 * are and, in three bits each, of what kind.  nil and booleans need no more; an
 * integer of 32 bits lies in the next part, another number in the next two; any
 * other value is parked in Lua and the part is its slot.  More than MOST values
 * are parked as one table.
 *
 * Slots are user values of userdata, which cost half of what a table's fields
 * do, in chunks of 256, so that an old chunk is not visited in the collector's
 * atomic step.  The first chunk is the object of values itself, is always
 * there and is used first; its last user value is the table of the others.
 * Those last written and read lie on aux, at hand.  A free slot holds nil;
 * storing into a slot cannot fail.  Free slots of a chunk form a list; of the
 * empty chunks one is kept.
 *
 * Programs send the same few values over and over: one that was parked lately
 * gets the slot it has, which counts its users.  That is known by address: what
 * is parked stays where it is.  A short string stays parked when its last user
 * has gone, until another takes its place: nobody can tell, and most often it
 * is sent again.  Other values are looked for only once some are parked.
 */
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

#define CHUNK 256
#define MOST 9      /* values; as many tags fit beside the count */
#define PACKED 15   /* in place of the count: the slot of a table of them */
#define TAG_BITS 3
#define TAGS_AT 4   /* bits of the count */
#define SHARING 16  /* values that are parked before any share a slot */
#define SHORT 40    /* bytes of a string that may stay when nobody uses it */

/* A slot's mark: the next free one, or while it is in use how often (low bits)
   and its place, plus 1, in `recent`. */
#define USERS_MAX 1023
#define RECENT_AT 10

/* The first chunk's user value after its slots. */
enum { OTHERS = CHUNK + 1, USER_VALUES = OTHERS };

enum tag { NIL, FALSE, TRUE, SMALL, INTEGER, NUMBER, VALUE };

struct lpoe_chunk {
  uint16_t live;
  uint16_t free_head; /* CHUNK: none */
  uint16_t mark[CHUNK];
  uint32_t next_partial, prev_partial;
  int is_open; /* its object exists */
};

/* ---- payloads ----------------------------------------------------------------- */

static uint32_t read_part(const char **at) {
  uint32_t part;
  memcpy(&part, *at, sizeof part);
  *at += sizeof part;
  return part;
}

static void write_part(char **at, uint32_t part) {
  memcpy(*at, &part, sizeof part);
  *at += sizeof part;
}

/* The number of words that end at `at`; what the last has left is 0. */
static unsigned end_words(uint64_t *words, char *at) {
  if ((uintptr_t)at & 4) write_part(&at, 0);
  return (unsigned)((uint64_t *)(void *)at - words);
}

static uint32_t tags_of(struct poe_payload p) {
  const char *at = (const char *)p.words;
  return p.n ? read_part(&at) : 0;
}

static int count_of(uint32_t tags) {
  int count = (int)(tags & ((1 << TAGS_AT) - 1));
  return count == PACKED ? 1 : count;
}

int lpoe_is_packed(struct poe_payload p) {
  return (tags_of(p) & PACKED) == PACKED;
}

int lpoe_count(struct poe_payload p) { return count_of(tags_of(p)); }

struct poe_payload lpoe_payload(const struct poe_value *value) {
  return (struct poe_payload){value->n, value->words};
}

struct poe_value lpoe_parked_in(uint32_t slot) {
  struct poe_value value = {.n = 1};
  char *at = (char *)value.words;
  write_part(&at, 1 | VALUE << TAGS_AT);
  write_part(&at, slot);
  return value;
}

uint32_t lpoe_slot_in(const struct poe_value *value) {
  const char *at = (const char *)value->words;
  return read_part(&at) == (1 | VALUE << TAGS_AT) ? read_part(&at) : LPOE_NONE;
}

/* ---- chunks ------------------------------------------------------------------- */

static void link_partial(struct lpoe_values *v, uint32_t c) {
  v->chunk[c].prev_partial = LPOE_NONE;
  v->chunk[c].next_partial = v->partial;
  if (v->partial != LPOE_NONE) v->chunk[v->partial].prev_partial = c;
  v->partial = c;
}

static void unlink_partial(struct lpoe_values *v, uint32_t c) {
  struct lpoe_chunk *chunk = &v->chunk[c];
  if (chunk->prev_partial == LPOE_NONE)
    v->partial = chunk->next_partial;
  else
    v->chunk[chunk->prev_partial].next_partial = chunk->next_partial;
  if (chunk->next_partial != LPOE_NONE)
    v->chunk[chunk->next_partial].prev_partial = chunk->prev_partial;
}

/* The index of a chunk without an object; grows the array.  Raises. */
static uint32_t unused_chunk(struct lpoe_values *v, lua_State *L) {
  for (uint32_t c = v->nchunks > 64 ? v->nchunks - 64 : 0; c < v->nchunks; c++)
    if (!v->chunk[c].is_open) return c;
  if (v->nchunks == v->room) {
    uint32_t room = v->room ? v->room * 2 : 4;
    void *p = realloc(v->chunk, room * sizeof *v->chunk);
    if (!p) luaL_error(L, "not enough memory");
    v->chunk = p;
    v->room = room;
  }
  v->chunk[v->nchunks].is_open = 0;
  return v->nchunks++;
}

static void open_slots(struct lpoe_values *v, uint32_t c) {
  struct lpoe_chunk *chunk = &v->chunk[c];
  chunk->live = 0;
  chunk->free_head = 0;
  for (unsigned i = 0; i < CHUNK; i++) chunk->mark[i] = (uint16_t)(i + 1);
  chunk->is_open = 1;
  v->free += CHUNK;
  link_partial(v, c);
}

void lpoe_push_values(struct lpoe *P, lua_State *L) {
  P->values.partial = LPOE_NONE;
  lua_newuserdatauv(L, 0, USER_VALUES);
  lua_newtable(L);
  lua_setiuservalue(L, -2, OTHERS);
  open_slots(&P->values, unused_chunk(&P->values, L));
}

/* Open one more chunk; `values` is the index of the object of values. */
static void open_chunk(struct lpoe *P, lua_State *L, int values) {
  struct lpoe_values *v = &P->values;
  luaL_checkstack(L, 3, NULL);
  lua_getiuservalue(L, values, OTHERS);
  lua_newuserdatauv(L, 0, CHUNK); /* finalizers may run, and park */
  v->tables++;
  uint32_t c = unused_chunk(v, L);
  lua_rawseti(L, -2, (lua_Integer)c);
  lua_pop(L, 1);
  open_slots(v, c);
  v->empty++;
}

static uint32_t take_slot(struct lpoe_values *v) {
  uint32_t c = v->chunk[0].live < CHUNK ? 0 : v->partial;
  struct lpoe_chunk *chunk = &v->chunk[c];
  uint32_t i = chunk->free_head;
  chunk->free_head = chunk->mark[i];
  chunk->mark[i] = 1;
  if (chunk->live == 0 && c) v->empty--;
  if (++chunk->live == CHUNK) unlink_partial(v, c);
  v->free--;
  v->live++;
  return c * CHUNK + i;
}

static uint16_t *mark_of(struct lpoe_values *v, uint32_t slot) {
  return &v->chunk[slot / CHUNK].mark[slot % CHUNK];
}

static void drop_chunk(struct lpoe *P, uint32_t c) {
  struct lpoe_values *v = &P->values;
  unlink_partial(v, c);
  v->chunk[c].is_open = 0;
  v->free -= CHUNK;
  lua_getiuservalue(P->aux, LPOE_AT_VALUES, OTHERS);
  lua_pushnil(P->aux);
  lua_rawseti(P->aux, -2, (lua_Integer)c);
  lua_pop(P->aux, 1);
  for (int i = 0; i < 2; i++) {
    if (v->last[i] != c) continue;
    v->last[i] = 0;
    lua_pushnil(P->aux);
    lua_replace(P->aux, LPOE_AT_WRITTEN + i);
  }
  while (!v->chunk[v->nchunks - 1].is_open) v->nchunks--;
  if (v->room <= 64 || v->nchunks > v->room / 4) return;
  void *p = realloc(v->chunk, v->room / 2 * sizeof *v->chunk);
  if (!p) return; /* then it stays as large as it is */
  v->chunk = p;
  v->room /= 2;
}

/* The slot's value has been set to nil. */
static void give_slot(struct lpoe *P, uint32_t slot) {
  struct lpoe_values *v = &P->values;
  uint32_t c = slot / CHUNK;
  struct lpoe_chunk *chunk = &v->chunk[c];
  if (chunk->live == CHUNK) {
    chunk->free_head = CHUNK;
    link_partial(v, c);
  }
  chunk->mark[slot % CHUNK] = chunk->free_head;
  chunk->free_head = (uint16_t)(slot % CHUNK);
  chunk->live--;
  v->free++;
  v->live--;
  if (chunk->live > 0 || c == 0) return;
  if (v->empty)
    drop_chunk(P, c);
  else
    v->empty++;
}

/* One user less: is the slot to be emptied? */
static int leave_slot(struct lpoe_values *v, uint32_t slot) {
  uint16_t *mark = mark_of(v, slot);
  unsigned recent = *mark >> RECENT_AT;
  if ((--*mark & USERS_MAX) > 0) return 0;
  if (!recent) return 1;
  struct lpoe_repeat *s = &v->recent[recent - 1];
  if (s->stays) {
    v->live--;
    return 0;
  }
  s->value = NULL;
  return 1;
}

/* The object of a chunk, which is not the first, comes to lie there on aux. */
static void bring_chunk(struct lpoe *P, int where, uint32_t c) {
  lua_State *A = P->aux;
  uint32_t *last = &P->values.last[where - LPOE_AT_WRITTEN];
  if (*last == c) return;
  *last = c;
  lua_getiuservalue(A, LPOE_AT_VALUES, OTHERS);
  lua_rawgeti(A, -1, (lua_Integer)c);
  lua_replace(A, where);
  lua_pop(A, 1);
}

/* ---- parking --------------------------------------------------------------------- */

/* The value at an absolute index goes into a slot. */
static void store(struct lpoe *P, lua_State *L, int values, int index,
                  uint32_t slot) {
  int i = (int)(slot % CHUNK) + 1;
  lua_pushvalue(L, index);
  if (slot < CHUNK) {
    lua_setiuservalue(L, values, i);
    return;
  }
  bring_chunk(P, LPOE_AT_WRITTEN, slot / CHUNK);
  lua_xmove(L, P->aux, 1);
  lua_setiuservalue(P->aux, LPOE_AT_WRITTEN, i);
}

static uint32_t park_alone(struct lpoe *P, lua_State *L, int values,
                           int index) {
  uint32_t slot = take_slot(&P->values);
  store(P, L, values, index, slot);
  return slot;
}

/* No value, or one that only stayed. */
static int is_idle(struct lpoe_values *v, const struct lpoe_repeat *s) {
  return !s->value || (*mark_of(v, s->slot) & USERS_MAX) == 0;
}

/* Where a value is looked for: in one of two places, so that two values which
   are parked again and again do not push each other out, while a third only
   stays. */
static struct lpoe_repeat *repeat_of(struct lpoe_values *v, const void *value) {
  unsigned place = (unsigned)((uintptr_t)value >> 4 ^ (uintptr_t)value >> 9) &
                   (LPOE_REPEATS - 1);
  struct lpoe_repeat *s = &v->recent[place], *other = &v->recent[place ^ 1];
  if (s->value == value) return s;
  if (other->value == value) return other;
  return is_idle(v, other) && !is_idle(v, s) ? other : s;
}

/* A slot for a value that comes in the place of s: that of a string which
   stayed, or a new one. */
static uint32_t take_place(struct lpoe_values *v, struct lpoe_repeat *s) {
  if (!s->value) return take_slot(v);
  uint16_t *mark = mark_of(v, s->slot);
  *mark &= USERS_MAX; /* what lay there is no longer looked for */
  if (*mark) return take_slot(v);
  *mark = 1;
  v->live++;
  return s->slot;
}

/* Only in the first chunk, so that none is kept for it. */
static int may_stay(lua_State *L, int index, int type, uint32_t slot) {
  return type == LUA_TSTRING && slot < CHUNK && lua_rawlen(L, index) <= SHORT;
}

/* In the slot where it lies already, if it is among the last that were looked
   for; it is from now on. */
static uint32_t park_shared(struct lpoe *P, lua_State *L, int values,
                            int index, int type) {
  struct lpoe_values *v = &P->values;
  const void *value = lua_topointer(L, index);
  struct lpoe_repeat *s = repeat_of(v, value);
  if (s->value == value && s->type == type) {
    uint16_t *mark = mark_of(v, s->slot);
    unsigned users = *mark & USERS_MAX;
    if (users < USERS_MAX) {
      v->live += users == 0;
      ++*mark;
      return s->slot;
    }
  }
  uint32_t slot = take_place(v, s);
  store(P, L, values, index, slot);
  *s = (struct lpoe_repeat){value, slot, (uint8_t)type,
                            (uint8_t)may_stay(L, index, type, slot)};
  *mark_of(v, slot) |= (uint16_t)((s - v->recent + 1) << RECENT_AT);
  return slot;
}

static void reserve(struct lpoe *P, lua_State *L, int values, unsigned n) {
  while (P->values.free < n) open_chunk(P, L, values);
}

static enum tag park_number(lua_State *L, int index, char **at) {
  if (lua_isinteger(L, index)) {
    lua_Integer i = lua_tointeger(L, index);
    if (i == (int32_t)i) {
      write_part(at, (uint32_t)i);
      return SMALL;
    }
    memcpy(*at, &i, sizeof i);
    *at += sizeof i;
    return INTEGER;
  }
  lua_Number x = lua_tonumber(L, index);
  memcpy(*at, &x, sizeof x);
  *at += sizeof x;
  return NUMBER;
}

static int is_looked_for(const struct lpoe *P, int type) {
  if (type == LUA_TSTRING) return 1;
  return P->values.live >= SHARING && type != LUA_TLIGHTUSERDATA;
}

/* The tag of one value; what it needs is written. */
static enum tag park_value(struct lpoe *P, lua_State *L, int values,
                           int index, char **at) {
  int type = lua_type(L, index);
  switch (type) {
    case LUA_TNIL:
      return NIL;
    case LUA_TBOOLEAN:
      return lua_toboolean(L, index) ? TRUE : FALSE;
    case LUA_TNUMBER:
      return park_number(L, index, at);
    default:
      write_part(at, is_looked_for(P, type)
                         ? park_shared(P, L, values, index, type)
                         : park_alone(P, L, values, index));
      return VALUE;
  }
}

static struct poe_payload park_packed(struct lpoe *P, lua_State *L, int first,
                                      int count, uint64_t *words) {
  int values = lua_upvalueindex(2);
  char *at = (char *)words;
  luaL_checkstack(L, 4, "too many arguments");
  lua_createtable(L, count, 1);
  P->values.tables++;
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  reserve(P, L, values, 1);
  write_part(&at, PACKED | VALUE << TAGS_AT);
  write_part(&at, park_alone(P, L, values, lua_gettop(L)));
  lua_pop(L, 1);
  return (struct poe_payload){1, words};
}

struct poe_payload lpoe_park(struct lpoe *P, lua_State *L, int first,
                             int count, uint64_t *words) {
  int values = lua_upvalueindex(2);
  if (count <= 0) return (struct poe_payload){0, words};
  if (count > MOST) return park_packed(P, L, first, count, words);
  reserve(P, L, values, (unsigned)count);
  uint32_t tags = (uint32_t)count;
  char *tags_at = (char *)words, *at = tags_at + sizeof tags;
  for (int i = 0; i < count; i++) {
    uint32_t tag = park_value(P, L, values, first + i, &at);
    tags |= tag << (TAGS_AT + TAG_BITS * i);
  }
  write_part(&tags_at, tags);
  return (struct poe_payload){end_words(words, at), words};
}

static int open_chunk_protected(lua_State *L) {
  open_chunk(lua_touserdata(L, 1), L, 2);
  return 0;
}

/* 0, or -1 if there is no memory. */
static int reserve_one(struct lpoe *P) {
  lua_State *W = P->worker;
  if (P->values.free > 0) return 0;
  lua_pushcfunction(W, open_chunk_protected);
  lua_pushlightuserdata(W, P);
  lua_pushvalue(P->aux, LPOE_AT_VALUES);
  lua_xmove(P->aux, W, 1);
  if (lua_pcall(W, 2, 0, 0) == LUA_OK) return 0;
  lua_pop(W, 1);
  return -1;
}

struct poe_value lpoe_park_one(struct lpoe *P, lua_State *L) {
  struct poe_value value = {.n = 1};
  lua_State *A = P->aux;
  char *tags_at = (char *)value.words, *at = tags_at + sizeof(uint32_t);
  int type = lua_type(L, -1);
  uint32_t tag = NIL;
  if ((type > LUA_TNUMBER || type == LUA_TLIGHTUSERDATA) && reserve_one(P)) {
    lua_pop(L, 1);
  } else {
    if (L != A) lua_xmove(L, A, 1);
    tag = park_value(P, A, LPOE_AT_VALUES, lua_gettop(A), &at);
    lua_pop(A, 1);
  }
  write_part(&tags_at, 1 | tag << TAGS_AT);
  value.n = end_words(value.words, at);
  return value;
}

/* ---- pushing and letting go ------------------------------------------------------- */

static void empty_slot(struct lpoe *P, lua_State *L, int chunk, uint32_t slot) {
  lua_pushnil(L);
  lua_setiuservalue(L, chunk, (int)(slot % CHUNK) + 1);
  give_slot(P, slot);
}

static int is_left(struct lpoe *P, uint32_t slot) {
  return slot != P->memory_slot && leave_slot(&P->values, slot);
}

static void push_slot(struct lpoe *P, lua_State *L, int values, uint32_t slot,
                      int take) {
  lua_State *A = P->aux;
  int i = (int)(slot % CHUNK) + 1;
  if (slot < CHUNK) {
    lua_getiuservalue(L, values, i);
    if (take && is_left(P, slot)) empty_slot(P, L, values, slot);
    return;
  }
  bring_chunk(P, LPOE_AT_READ, slot / CHUNK);
  lua_getiuservalue(A, LPOE_AT_READ, i);
  lua_xmove(A, L, 1);
  if (take && is_left(P, slot)) empty_slot(P, A, LPOE_AT_READ, slot);
}

static int push_packed(struct lpoe *P, lua_State *L, int values,
                       uint32_t slot, int take) {
  push_slot(P, L, values, slot, take);
  int table = lua_gettop(L);
  lua_getfield(L, table, "n");
  int n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  const char *why =
      lpoe_lacks_room(P, L, n + 1, "stack overflow (too many arguments)");
  if (why) luaL_error(L, "%s", why);
  for (int i = 1; i <= n; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return n;
}

static void push_number(lua_State *L, enum tag tag, const char **at) {
  lua_Integer i;
  lua_Number x;
  if (tag == INTEGER) {
    memcpy(&i, *at, sizeof i);
    lua_pushinteger(L, i);
  } else {
    memcpy(&x, *at, sizeof x);
    lua_pushnumber(L, x);
  }
  *at += sizeof x;
}

int lpoe_push_parked(struct lpoe *P, lua_State *L, int values,
                     struct poe_payload p, int take) {
  if (p.n == 0) return 0;
  const char *at = (const char *)p.words;
  uint32_t tags = read_part(&at);
  int count = count_of(tags);
  if ((tags & PACKED) == PACKED)
    return push_packed(P, L, values, read_part(&at), take);
  tags >>= TAGS_AT;
  for (int i = 0; i < count; i++, tags >>= TAG_BITS) {
    enum tag tag = (enum tag)(tags & ((1 << TAG_BITS) - 1));
    if (tag == VALUE)
      push_slot(P, L, values, read_part(&at), take);
    else if (tag == SMALL)
      lua_pushinteger(L, (int32_t)read_part(&at));
    else if (tag > SMALL)
      push_number(L, tag, &at);
    else if (tag == NIL)
      lua_pushnil(L);
    else
      lua_pushboolean(L, tag == TRUE);
  }
  return count;
}

static void clear_slot(struct lpoe *P, uint32_t slot) {
  if (P->closing || !is_left(P, slot)) return;
  if (slot >= CHUNK) bring_chunk(P, LPOE_AT_READ, slot / CHUNK);
  empty_slot(P, P->aux, slot < CHUNK ? LPOE_AT_VALUES : LPOE_AT_READ, slot);
}

void lpoe_unpark(struct lpoe *P, struct poe_payload p) {
  if (p.n == 0) return;
  const char *at = (const char *)p.words;
  uint32_t tags = read_part(&at);
  int count = count_of(tags);
  tags >>= TAGS_AT;
  for (int i = 0; i < count; i++, tags >>= TAG_BITS) {
    enum tag tag = (enum tag)(tags & ((1 << TAG_BITS) - 1));
    if (tag == VALUE)
      clear_slot(P, read_part(&at));
    else if (tag >= SMALL)
      at += tag == SMALL ? 4 : 8;
  }
}

void lpoe_values_fini(struct lpoe *P) {
  free(P->values.chunk);
  P->values = (struct lpoe_values){.partial = LPOE_NONE};
}
