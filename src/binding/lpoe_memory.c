/* SPDX-License-Identifier: MIT */
/*
 * lpoe_memory.c -- the switch max_memory: one budget for Lua and the kernel.
 *
 * Lua's allocator is wrapped: beyond the limit it has no memory, so that Lua
 * collects, and raises if that did not help.  A reserve is kept for what then
 * must be said and done: the exception object with its traceback, and the
 * handlers of DIE.
 */
#include <stdlib.h>
#include <string.h>

#include "lpoe.h"

#define RESERVE ((size_t)64 * 1024)

struct lpoe_memory {
  struct poe_budget budget; /* its limit is SIZE_MAX while there is none */
  lua_Alloc old;
  void *old_ud;
};

static void *allocate(void *ud, void *p, size_t old, size_t size) {
  struct lpoe_memory *m = ud;
  size_t had = p ? old : 0; /* else it is the kind of a new object */
  size_t more = size > had ? size - had : 0;
  if (more && !poe_budget_take(&m->budget, more)) return NULL;
  void *q = m->old(m->old_ud, p, old, size);
  if (!q && size)
    m->budget.used -= more;
  else if (size < had)
    m->budget.used -= had - size;
  return q;
}

static struct lpoe_memory *start(struct lpoe *P, lua_State *L) {
  struct lpoe_memory *m = calloc(1, sizeof *m);
  if (!m) luaL_error(L, "not enough memory");
  m->old = lua_getallocf(L, &m->old_ud);
  m->budget.limit = SIZE_MAX;
  m->budget.used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 +
                   (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
  poe_kernel_set_budget(P->k, &m->budget);
  lua_setallocf(L, allocate, m);
  return m;
}

/* It stays if somebody has wrapped it in turn. */
void lpoe_memory_stop(struct lpoe *P, lua_State *L) {
  struct lpoe_memory *m = P->memory;
  void *ud;
  P->memory = NULL;
  if (!m) return;
  if (lua_getallocf(L, &ud) == allocate && ud == m) {
    lua_setallocf(L, m->old, m->old_ud);
    free(m);
  } else {
    m->budget.limit = SIZE_MAX;
    m->budget.reserve = 0;
  }
}

enum poe_need lpoe_memory_need(struct lpoe *P, enum poe_need need) {
  if (!P->memory) return POE_NEED_NONE;
  enum poe_need before = P->memory->budget.need;
  P->memory->budget.need = need;
  return before;
}

size_t lpoe_memory_limit(const struct lpoe *P) {
  const struct lpoe_memory *m = P->memory;
  return m && m->budget.limit != SIZE_MAX ? m->budget.limit : 0;
}

static size_t refused(const struct lpoe *P) {
  return P->memory ? P->memory->budget.refused : 0;
}

const char *lpoe_lacks_room(struct lpoe *P, lua_State *L, int n,
                            const char *what) {
  size_t before = refused(P);
  if (lua_checkstack(L, n)) return NULL;
  return refused(P) == before ? what : "not enough memory";
}

/* ---- the switch -------------------------------------------------------------- */

/* "64M" as bytes; 0 if it is no size. */
static size_t size_of(const char *text) {
  char *end;
  if (*text < '0' || *text > '9') return 0;
  unsigned long long n = strtoull(text, &end, 10);
  const char *units = "KMG", *unit = *end ? strchr(units, *end) : NULL;
  if (*end && (!unit || end[1])) return 0;
  int bits = unit ? (int)(unit - units + 1) * 10 : 0;
  return n > (SIZE_MAX / 2) >> bits ? 0 : (size_t)n << bits;
}

/* 0 takes the limit away. */
static void set(struct lpoe *P, lua_State *L, const char *who, size_t limit) {
  if (!P->memory && limit == 0) return;
  if (!P->memory) P->memory = start(P, L);
  struct lpoe_memory *m = P->memory;
  if (limit && limit < m->budget.used + RESERVE) lua_gc(L, LUA_GCCOLLECT);
  if (limit && limit < m->budget.used + RESERVE)
    luaL_error(L, "%s: %I bytes of memory are too few: %I are used already, "
               "and %d kept in reserve", who, (LUAI_UACINT)limit,
               (LUAI_UACINT)m->budget.used, (int)RESERVE);
  m->budget.limit = limit ? limit : SIZE_MAX;
  m->budget.reserve = limit ? RESERVE : 0;
}

static size_t check_size(lua_State *L, const char *who, const char *text) {
  size_t size = size_of(text);
  if (size == 0)
    luaL_error(L, "%s must be a number of bytes, or with K, M or G behind it, "
               "got '%s'", who, text);
  return size;
}

void lpoe_memory_switch(struct lpoe *P, lua_State *L) {
  size_t size = 0;
  int type = lua_type(L, -1);
  if (type == LUA_TSTRING || type == LUA_TNUMBER)
    size = check_size(L, "configure: 'max_memory'", luaL_tolstring(L, -1, NULL));
  else if (type != LUA_TBOOLEAN || lua_toboolean(L, -1))
    luaL_error(L, "configure: 'max_memory' must be a number of bytes, a "
               "string or false, got %s", luaL_tolstring(L, -1, NULL));
  if (!lpoe_environment(L, "POE_MAX_MEMORY")) set(P, L, "configure", size);
}

void lpoe_memory_from_environment(struct lpoe *P, lua_State *L) {
  const char *value = lpoe_environment(L, "POE_MAX_MEMORY");
  if (value && *value)
    set(P, L, "POE_MAX_MEMORY", check_size(L, "POE_MAX_MEMORY", value));
}

/* memory() -> bytes used, the limit, how often that was reached; or nothing */
int lpoe_memory(lua_State *L) {
  struct lpoe *P = lua_touserdata(L, lua_upvalueindex(1));
  const struct lpoe_memory *m = P->memory;
  size_t limit = lpoe_memory_limit(P);
  if (!limit) return 0;
  lua_pushinteger(L, (lua_Integer)m->budget.used);
  lua_pushinteger(L, (lua_Integer)limit);
  lua_pushinteger(L, (lua_Integer)m->budget.refused);
  return 3;
}
