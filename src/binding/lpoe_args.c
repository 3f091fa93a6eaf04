/* SPDX-License-Identifier: MIT */
/*
 * lpoe_args.c -- where the arguments of queued events wait.
 *
 * A payload's first word tells, in nibbles, how many values there are and of
 * what kind each is.  nil and booleans need no more; a number lies in the
 * next word; any other value is parked in Lua and the word is its slot.  More
 * than LPOE_MANY values are parked as one table.
 *
 * Slots are user values of userdata, which cost half of what a table's fields
 * do, in chunks of 256, so that an old chunk is not visited in the collector's
 * atomic step.  The first chunk is the object of values itself, is always
 * there and is used first; its last user values are the table of the others
 * and, for quick access, those of them last written and read.  A free slot
 * holds nil; storing into a slot cannot fail.  Free slots of a chunk form a
 * list; of the empty chunks one is kept.
 */
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

#define CHUNK 256
#define MANY 15 /* values; this many nibbles beside the count */

/* The first chunk's user values after its slots. */
enum { WRITTEN = CHUNK + 1, READ, OTHERS, USER_VALUES = OTHERS };

enum tag { NIL, FALSE, TRUE, INTEGER, NUMBER, VALUE, PACKED };

struct lpoe_chunk {
  uint16_t live;
  uint16_t free_head; /* CHUNK: none */
  uint16_t next[CHUNK];
  uint32_t next_partial, prev_partial;
  int is_open; /* its object exists */
};

static enum tag tag_at(uint64_t tags, unsigned i) {
  return (enum tag)(tags >> (4 + 4 * i) & 15);
}

static int count_of(uint64_t tags) {
  return (int)(tags & 15);
}

struct poe_payload lpoe_payload(const struct poe_value *value) {
  return (struct poe_payload){value->n, value->words};
}

struct poe_value lpoe_parked_in(uint32_t slot) {
  return (struct poe_value){2, {1 | VALUE << 4, slot}};
}

int lpoe_is_packed(struct poe_payload p) {
  return p.n && tag_at(p.words[0], 0) == PACKED;
}

int lpoe_count(struct poe_payload p) {
  return p.n ? count_of(p.words[0]) : 0;
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
  for (unsigned i = 0; i < CHUNK; i++) chunk->next[i] = (uint16_t)(i + 1);
  chunk->is_open = 1;
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

static unsigned free_in(const struct lpoe_values *v, uint32_t c) {
  return CHUNK - v->chunk[c].live;
}

static int has_room(const struct lpoe_values *v, unsigned n) {
  unsigned room = free_in(v, 0);
  uint32_t c = v->partial;
  for (; c != LPOE_NONE && room < n; c = v->chunk[c].next_partial)
    if (c) room += free_in(v, c);
  return room >= n;
}

static uint32_t take_slot(struct lpoe_values *v) {
  uint32_t c = free_in(v, 0) ? 0 : v->partial;
  struct lpoe_chunk *chunk = &v->chunk[c];
  uint32_t i = chunk->free_head;
  chunk->free_head = chunk->next[i];
  if (chunk->live == 0 && c) v->empty--;
  if (++chunk->live == CHUNK) unlink_partial(v, c);
  v->live++;
  return c * CHUNK + i;
}

static void drop_chunk(struct lpoe *P, uint32_t c) {
  struct lpoe_values *v = &P->values;
  unlink_partial(v, c);
  v->chunk[c].is_open = 0;
  lua_getiuservalue(P->aux, LPOE_AT_VALUES, OTHERS);
  lua_pushnil(P->aux);
  lua_rawseti(P->aux, -2, (lua_Integer)c);
  lua_pop(P->aux, 1);
  for (int i = 0; i < 2; i++) {
    if (v->last[i] != c) continue;
    v->last[i] = 0;
    lua_pushnil(P->aux);
    lua_setiuservalue(P->aux, LPOE_AT_VALUES, WRITTEN + i);
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
  chunk->next[slot % CHUNK] = chunk->free_head;
  chunk->free_head = (uint16_t)(slot % CHUNK);
  chunk->live--;
  v->live--;
  if (chunk->live > 0 || c == 0) return;
  if (v->empty)
    drop_chunk(P, c);
  else
    v->empty++;
}

static void find_chunk(lua_State *L, int values, int use, uint32_t c) {
  lua_getiuservalue(L, values, OTHERS);
  lua_rawgeti(L, -1, (lua_Integer)c);
  lua_setiuservalue(L, values, use);
  lua_pop(L, 1);
}

/* Push the object of the chunk of a slot that is not in the first. */
static void push_chunk(struct lpoe *P, lua_State *L, int values, int use,
                       uint32_t slot) {
  uint32_t *last = &P->values.last[use - WRITTEN];
  if (*last != slot / CHUNK) {
    *last = slot / CHUNK;
    find_chunk(L, values, use, *last);
  }
  lua_getiuservalue(L, values, use);
}

/* ---- parking --------------------------------------------------------------------- */

/* The value at an absolute index goes into a slot. */
static void store(struct lpoe *P, lua_State *L, int values, int index,
                  uint32_t slot) {
  int i = (int)(slot % CHUNK) + 1;
  if (slot < CHUNK) {
    lua_pushvalue(L, index);
    lua_setiuservalue(L, values, i);
    return;
  }
  push_chunk(P, L, values, WRITTEN, slot);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, i);
  lua_pop(L, 1);
}

static void reserve(struct lpoe *P, lua_State *L, int values, unsigned n) {
  while (!has_room(&P->values, n)) open_chunk(P, L, values);
}

static uint64_t park_number(lua_State *L, int index, uint64_t *word) {
  if (lua_isinteger(L, index)) {
    *word = (uint64_t)lua_tointeger(L, index);
    return INTEGER;
  }
  lua_Number x = lua_tonumber(L, index);
  memcpy(word, &x, sizeof x);
  return NUMBER;
}

/* The tag of one value; its word, if it needs one, goes to *word. */
static uint64_t park_value(struct lpoe *P, lua_State *L, int values,
                           int index, uint64_t *word) {
  switch (lua_type(L, index)) {
    case LUA_TNIL:
      return NIL;
    case LUA_TBOOLEAN:
      return lua_toboolean(L, index) ? TRUE : FALSE;
    case LUA_TNUMBER:
      return park_number(L, index, word);
    default:
      *word = take_slot(&P->values);
      store(P, L, values, index, (uint32_t)*word);
      return VALUE;
  }
}

static struct poe_payload park_packed(struct lpoe *P, lua_State *L, int first,
                                      int count, uint64_t *words) {
  int values = lua_upvalueindex(2);
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
  words[1] = take_slot(&P->values);
  store(P, L, values, lua_gettop(L), (uint32_t)words[1]);
  words[0] = 1 | PACKED << 4;
  lua_pop(L, 1);
  return (struct poe_payload){2, words};
}

struct poe_payload lpoe_park(struct lpoe *P, lua_State *L, int first,
                             int count, uint64_t *words) {
  int values = lua_upvalueindex(2);
  if (count <= 0) return (struct poe_payload){0, words};
  if (count >= MANY) return park_packed(P, L, first, count, words);
  reserve(P, L, values, (unsigned)count);
  uint64_t tags = (uint64_t)count, *word = words + 1;
  for (int i = 0; i < count; i++) {
    uint64_t tag = park_value(P, L, values, first + i, word);
    if (tag >= INTEGER) word++;
    tags |= tag << (4 + 4 * i);
  }
  words[0] = tags;
  return (struct poe_payload){(unsigned)(word - words), words};
}

static int open_chunk_protected(lua_State *L) {
  open_chunk(lua_touserdata(L, 1), L, 2);
  return 0;
}

/* 0, or -1 if there is no memory. */
static int reserve_one(struct lpoe *P) {
  lua_State *W = P->worker;
  if (has_room(&P->values, 1)) return 0;
  lua_pushcfunction(W, open_chunk_protected);
  lua_pushlightuserdata(W, P);
  lua_pushvalue(P->aux, LPOE_AT_VALUES);
  lua_xmove(P->aux, W, 1);
  if (lua_pcall(W, 2, 0, 0) == LUA_OK) return 0;
  lua_pop(W, 1);
  return -1;
}

struct poe_value lpoe_park_one(struct lpoe *P, lua_State *L) {
  struct poe_value value = {2, {0, 0}};
  lua_State *A = P->aux;
  int type = lua_type(L, -1);
  if (type > LUA_TNUMBER || type == LUA_TLIGHTUSERDATA) {
    if (reserve_one(P)) {
      lua_pop(L, 1);
      value.words[0] = 1;
      return value;
    }
  }
  if (L != A) lua_xmove(L, A, 1);
  uint64_t tag = park_value(P, A, LPOE_AT_VALUES, lua_gettop(A),
                            &value.words[1]);
  value.words[0] = 1 | tag << 4;
  lua_pop(A, 1);
  return value;
}

/* ---- pushing and letting go ------------------------------------------------------- */

static void empty(lua_State *L, int chunk, int i) {
  lua_pushnil(L);
  lua_setiuservalue(L, chunk, i);
}

static void push_slot(struct lpoe *P, lua_State *L, int values, uint32_t slot,
                      int take) {
  int i = (int)(slot % CHUNK) + 1;
  if (slot == P->memory_slot) take = 0;
  if (slot < CHUNK) {
    lua_getiuservalue(L, values, i);
    if (take) empty(L, values, i);
  } else {
    push_chunk(P, L, values, READ, slot);
    lua_getiuservalue(L, -1, i);
    if (take) empty(L, -3, i);
    lua_replace(L, -2);
  }
  if (take) give_slot(P, slot);
}

static int push_packed(struct lpoe *P, lua_State *L, int values,
                       uint32_t slot, int take) {
  push_slot(P, L, values, slot, take);
  int table = lua_gettop(L);
  lua_getfield(L, table, "n");
  int n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, n + 1, "too many arguments");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return n;
}

static void push_number(lua_State *L, enum tag tag, uint64_t word) {
  if (tag == INTEGER) {
    lua_pushinteger(L, (lua_Integer)word);
    return;
  }
  lua_Number x;
  memcpy(&x, &word, sizeof x);
  lua_pushnumber(L, x);
}

int lpoe_push_parked(struct lpoe *P, lua_State *L, int values,
                     struct poe_payload p, int take) {
  if (p.n == 0) return 0;
  uint64_t tags = p.words[0];
  const uint64_t *word = p.words + 1;
  int count = count_of(tags);
  for (int i = 0; i < count; i++) {
    enum tag tag = tag_at(tags, (unsigned)i);
    if (tag == NIL)
      lua_pushnil(L);
    else if (tag <= TRUE)
      lua_pushboolean(L, tag == TRUE);
    else if (tag <= NUMBER)
      push_number(L, tag, *word++);
    else if (tag == VALUE)
      push_slot(P, L, values, (uint32_t)*word++, take);
    else
      return push_packed(P, L, values, (uint32_t)*word, take);
  }
  return count;
}

static void clear_slot(struct lpoe *P, uint32_t slot) {
  lua_State *A = P->aux;
  if (slot == P->memory_slot) return;
  if (!P->closing) {
    push_slot(P, A, LPOE_AT_VALUES, slot, 1);
    lua_pop(A, 1);
    return;
  }
  P->values.live--;
}

void lpoe_unpark(struct lpoe *P, struct poe_payload p) {
  if (p.n == 0) return;
  uint64_t tags = p.words[0];
  const uint64_t *word = p.words + 1;
  for (int i = 0; i < count_of(tags); i++) {
    enum tag tag = tag_at(tags, (unsigned)i);
    if (tag >= VALUE) clear_slot(P, (uint32_t)*word);
    if (tag >= INTEGER) word++;
  }
}

void lpoe_values_fini(struct lpoe *P, lua_State *L) {
  (void)L;
  free(P->values.chunk);
  P->values = (struct lpoe_values){.partial = LPOE_NONE};
}
