/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
  size_t used, limit; /* bytes */
  int64_t allowed;    /* -1: all */
} memory;

static int is_refused(size_t osize, size_t nsize) {
  if (nsize <= osize) return 0;
  if (memory.used + (nsize - osize) > memory.limit) return 1;
  if (memory.allowed > 0) memory.allowed--;
  return memory.allowed == 0;
}

void *state_alloc(void *ud, void *p, size_t osize, size_t nsize) {
  (void)ud;
  if (p == NULL) osize = 0; /* it is a type then */
  if (nsize == 0) {
    memory.used -= osize;
    free(p);
    return NULL;
  }
  if (is_refused(osize, nsize)) return NULL;
  void *q = realloc(p, nsize);
  if (q != NULL) memory.used = memory.used - osize + nsize;
  return q;
}

void state_allow(int64_t n) { memory.allowed = n; }

void state_limit(size_t limit) {
  memory.limit = limit;
  memory.allowed = -1;
}

lua_State *state_open(size_t limit) {
  state_limit(limit);
  lua_State *L = lua_newstate(state_alloc, NULL);
  if (L == NULL) fuzz_fail("no memory");
  return L;
}

void state_close(lua_State *L) {
  memory.allowed = -1;
  lua_close(L);
  if (memory.used != 0) fuzz_fail("%zu bytes of Lua's are left", memory.used);
}

_Noreturn void fuzz_fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  abort();
}
